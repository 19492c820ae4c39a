//! The server over real sockets: silence, slow heads, stops, and peers that do not read.

use sockeye::{Gateway, Session, SessionEnd};
use sockeye_apps::ice::{Ice, IceConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::connections::prepare;
use super::*;
use crate::assets::Assets;
use crate::front::{Directory, Site};

/// Tests reach this deadline only when the awaited event is broken.
const PATIENCE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(100);

struct Running {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

fn start(config: ServerConfig, gateway: Gateway) -> Running {
    let site =
        Site { assets: Assets::embedded(), rooms: None, ice: Ice::new(IceConfig::default()) };
    let directory = Directory::new(&site, Vec::new());
    let front = Front::new(gateway, site, &directory);
    let server =
        Server::bind(ServerConfig { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..config });
    let server = server.expect("a free port");
    let addr = server.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel();
    let served = tokio::spawn(server.serve(front, async move { drop(stopped.await) }));
    Running { addr, stop, served }
}

async fn connect(addr: SocketAddr, sent: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.expect("the server accepts");
    stream.write_all(sent.as_bytes()).await.expect("sent");
    stream
}

async fn all(mut stream: TcpStream) -> String {
    let mut received = String::new();
    let end = timeout(PATIENCE, stream.read_to_string(&mut received)).await;
    end.expect("the server ends the connection").expect("by FIN");
    received
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let server = start(
        ServerConfig { first_byte_timeout: SHORT, ..ServerConfig::default() },
        Gateway::new(),
    );
    assert_eq!(all(connect(server.addr, "").await).await, "");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let server =
        start(ServerConfig { head_timeout: SHORT, ..ServerConfig::default() }, Gateway::new());
    assert_eq!(all(connect(server.addr, "GET / HTTP/1.1\r\nHost: a\r\n").await).await, "");
}

#[tokio::test]
async fn a_connection_that_stays_idle_after_an_answer_is_closed() {
    let server =
        start(ServerConfig { head_timeout: SHORT, ..ServerConfig::default() }, Gateway::new());
    let answer = all(connect(server.addr, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await).await;
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
}

#[tokio::test]
async fn an_application_learns_who_connected() {
    let (told, mut peers) = mpsc::unbounded_channel();
    let gateway = Gateway::new().endpoint("/who", move |session: Session| {
        told.send(session.info().peer()).expect("the test waits");
        async {}
    });
    let server = start(ServerConfig::default(), gateway);
    let request = "POST /who/0/a/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let stream = connect(server.addr, request).await;
    assert_eq!(peers.recv().await.expect("a session"), stream.local_addr().ok());
}

/// An answer in progress when the server stops goes out in full, and then its connection ends.
#[tokio::test]
async fn stopping_lets_requests_finish() {
    let (told, mut sessions) = mpsc::unbounded_channel();
    let gateway = Gateway::new().endpoint("/poll", move |session: Session| {
        let told = told.clone();
        async move { drop(told.send(session)) }
    });
    let server = start(ServerConfig { stop_grace: PATIENCE, ..ServerConfig::default() }, gateway);
    let head = "HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let mut stream = connect(server.addr, &format!("POST /poll/0/a/xhr {head}")).await;
    // The session's open frame answers the first poll; the second one waits for a message.
    let session: Session = sessions.recv().await.expect("a session");
    read_until(&mut stream, "o\n").await;
    stream.write_all(format!("POST /poll/0/a/xhr {head}").as_bytes()).await.expect("sent");
    // Answered on the same connection only after the poll, so the poll must have been taken up
    // when this one is refused.
    let mut second = connect(server.addr, &format!("POST /poll/0/a/xhr {head}")).await;
    read_until(&mut second, "c[2010,\"Another connection still open\"]\n").await;

    drop(server.stop);
    // The other connection is idle: that it ends shows that the stop has arrived.
    all(second).await;
    session.send("the last words").await.expect("the session is open");
    assert!(all(stream).await.ends_with("a[\"the last words\"]\n"));
    timeout(PATIENCE, server.served).await.expect("nothing is left to wait for").expect("no panic");
}

/// Unfinished requests are cut off: a stop takes at most the grace time.
#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let gateway = Gateway::new().endpoint("/stream", |mut session: Session| async move {
        while session.recv().await.is_some() {}
    });
    let server = start(ServerConfig { stop_grace: SHORT, ..ServerConfig::default() }, gateway);
    let request = "POST /stream/0/a/xhr_streaming HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let mut stream = connect(server.addr, request).await;
    read_until(&mut stream, "o\n\r\n").await;
    drop(server.stop);
    timeout(PATIENCE, server.served).await.expect("the grace is short").expect("no panic");
}

/// A phone in a tunnel, or a debugger at a breakpoint: the kernel answers for the peer, but its
/// program does not read. TCP by itself keeps such a connection forever; the session must end,
/// and with it its queue.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_peer_whose_window_stays_shut_loses_its_session() {
    let (told, mut ends) = mpsc::unbounded_channel::<SessionEnd>();
    let gateway = Gateway::new().endpoint("/flood", move |session: Session| {
        let told = told.clone();
        async move {
            let flood = "x".repeat(64 * 1024);
            while session.send(flood.as_str()).await.is_ok() {}
            drop(told.send(session.ended().await));
        }
    });
    let config =
        ServerConfig { unacknowledged_timeout: Duration::from_secs(1), ..ServerConfig::default() };
    let server = start(config, gateway);
    let request = "GET /flood/websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let _unread = connect(server.addr, request).await;
    let end =
        timeout(PATIENCE, ends.recv()).await.expect("the session ends").expect("with its end");
    assert!(end.undelivered > 0, "{end:?}");
}

/// Bytes in the kernel for a client that does not read belong to no session, and no limit of a
/// session counts them.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_keeps_little_for_a_client_that_does_not_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    // With a small buffer of its own, so that the count is the server's.
    let client = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    client.set_recv_buffer_size(4096).expect("an option of every socket");
    client.connect(&listener.local_addr().expect("bound").into()).expect("it listens");
    let (stream, _) = listener.accept().await.expect("a client");
    prepare(&stream, &ServerConfig::default()).expect("a live connection");

    stream.writable().await.expect("a live connection");
    let (chunk, mut kept) = (vec![0; 16 * 1024], 0);
    while let Ok(taken) = stream.try_write(&chunk) {
        kept += taken;
    }
    // 2.6 MB without the option.
    assert!(kept < 256 * 1024, "{kept} bytes");
}

async fn read_until(stream: &mut TcpStream, end: &str) {
    let mut received = Vec::new();
    while !received.ends_with(end.as_bytes()) {
        let byte = timeout(PATIENCE, stream.read_u8()).await.expect("an answer");
        received.push(byte.unwrap_or_else(|error| {
            panic!("{error} after {:?}", String::from_utf8_lossy(&received))
        }));
    }
}
