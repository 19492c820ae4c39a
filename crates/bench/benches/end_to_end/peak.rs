//! What a process keeps of a peak: clients that hoard, and leave.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sockeye_bench::{cost, driver};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::Bench;
use crate::common::servers::Server;
use crate::common::text;

/// The row's name.
pub const NAME: &str = "300 raw WebSockets that send 4 MiB to an echo and read nothing";
const CLIENTS: usize = 300;
/// What each client sends, if the server takes it.
const BYTES: usize = 4 << 20;
const MESSAGE: usize = 32 << 10;
/// A server that takes nothing for so long pauses reading.
const OFFER: Duration = Duration::from_millis(500);
/// Allocators give memory back after a delay, jemalloc after ten seconds.
const AFTER: Duration = Duration::from_secs(20);
/// In MB over the start.
const AIM: u32 = 32;

/// Measures the row, as a line of the table.
pub fn measure(bench: &Bench) -> Result<Vec<String>, String> {
    let server = Server::sockeye(&bench.args.server, &[]).map_err(text)?;
    let count = bench.scale.sessions(CLIENTS);
    let after = if bench.scale.smoke { OFFER } else { AFTER };
    let [start, peak, kept] =
        driver::block_on(hoard(&server, count, after)).map_err(text)?.map_err(text)?;
    let mb = |bytes: f64| format!("{:.0}", bytes / 1e6);
    Ok(vec![format!("| {NAME} | {} | {} | {} | {AIM} |", mb(start), mb(peak), mb(kept - start))])
}

async fn hoard(server: &Server, count: usize, after: Duration) -> io::Result<[f64; 3]> {
    let addr = server.addr();
    // What a server allocates once, it allocates for this client.
    drop(deaf(addr).await?);
    sleep(OFFER).await;
    let start = resident(server)?;
    let mut attacks = JoinSet::new();
    for _ in 0..count {
        attacks.spawn(deaf(addr));
    }
    // A client that the server ended for its memory is a part of the peak as well.
    let held: Vec<_> = attacks.join_all().await.into_iter().filter_map(Result::ok).collect();
    let peak = resident(server)?;
    drop(held);
    sleep(after).await;
    Ok([start, peak, resident(server)?])
}

async fn deaf(addr: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr).await?;
    let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let head = format!(
        "GET /echo/websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await?);
    }
    // A text frame with a mask that changes nothing.
    let mut frame = vec![0x81, 0xfe];
    frame.extend((MESSAGE as u16).to_be_bytes());
    frame.extend([0; 4]);
    frame.resize(frame.len() + MESSAGE, b'x');
    for _ in 0..BYTES / MESSAGE {
        if timeout(OFFER, stream.write_all(&frame)).await.is_err() {
            break;
        }
    }
    Ok(stream)
}

fn resident(server: &Server) -> io::Result<f64> {
    Ok(cost::resident(server.pid())? as f64)
}
