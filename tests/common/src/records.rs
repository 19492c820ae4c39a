//! Clients that speak in records over TCP, and endpoints for them.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use sockeye::{Handler, TcpConfig, TcpEndpoint};
use tokio::io::{AsyncRead, AsyncReadExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// Longer than every timeout under test.
pub const EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// A session over a pipe; gives the client's side.
pub fn serve(handler: impl Handler) -> DuplexStream {
    serve_with(TcpConfig::default(), handler)
}

pub fn serve_with(config: TcpConfig, handler: impl Handler) -> DuplexStream {
    let (client, server) = duplex(4096);
    let endpoint = TcpEndpoint::with_config(config, handler);
    tokio::spawn(async move { endpoint.serve(server, None).await });
    client
}

pub async fn listen(config: TcpConfig, handler: impl Handler) -> (SocketAddr, TcpEndpoint) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let endpoint = TcpEndpoint::with_config(config, handler);
    let listening = endpoint.clone();
    tokio::spawn(async move { listening.listen(listener).await });
    (addr, endpoint)
}

/// For tests over real sockets, whose clock is real.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(60), future).await.expect("this takes no minute")
}

/// As Java's documentation of `writeUTF` has it.
pub fn record(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for unit in text.encode_utf16() {
        match unit {
            1..=0x7F => bytes.push(unit as u8),
            0 | 0x80..=0x7FF => {
                bytes.extend([0xC0 | (unit >> 6) as u8, 0x80 | (unit & 0x3F) as u8])
            }
            _ => bytes.extend([
                0xE0 | (unit >> 12) as u8,
                0x80 | (unit >> 6 & 0x3F) as u8,
                0x80 | (unit & 0x3F) as u8,
            ]),
        }
    }
    let length = u16::try_from(bytes.len()).expect("a short text");
    [&length.to_be_bytes()[..], &bytes].concat()
}

#[expect(async_fn_in_trait, reason = "for tests of this workspace only")]
pub trait Client: AsyncRead + Unpin {
    async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        timeout(EVER, self.read_exact(&mut bytes))
            .await
            .expect("an answer")
            .expect("as many bytes");
        bytes
    }

    /// All until the server's FIN.
    async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        timeout(EVER, self.read_to_end(&mut bytes)).await.expect("an end").expect("by FIN");
        bytes
    }
}

impl<S: AsyncRead + Unpin> Client for S {}
