//! A gateway with a backend whose part the test plays.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sockeye::{EndpointConfig, Gateway};
use sockeye_apps::{Upstream, UpstreamConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Packet;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use common::client::Client;
use common::server::serve;
use common::transport::Transport;
use common::within;

pub(crate) const PREFIX: &str = "/app";

/// A gateway, and a listener that is its backend.
pub(crate) struct Rig {
    pub(crate) addr: SocketAddr,
    gateway: Gateway,
    pub(crate) transport: Transport,
    pub(crate) backend: TcpListener,
}

impl Rig {
    pub(crate) async fn start(transport: Transport) -> Self {
        Self::with(transport, UpstreamConfig::default(), EndpointConfig::default()).await
    }

    pub(crate) async fn with(
        transport: Transport,
        upstream: UpstreamConfig,
        config: EndpointConfig,
    ) -> Self {
        let (backend, at) = listener().await;
        let upstream = Upstream::new(&format!("ws://{at}/backend"), upstream).expect("a good URL");
        let gateway = Gateway::new().endpoint_with(PREFIX, config, upstream);
        Self { addr: serve(gateway.clone()).await, gateway, transport, backend }
    }

    /// A session, from both sides.
    pub(crate) async fn open(&self) -> (Client, Backend) {
        tokio::join!(Client::open(self.addr, PREFIX, self.transport), self.accept())
    }

    /// Waits until no session is left.
    pub(crate) async fn empty(&self) {
        within("the session to end", async {
            while self.gateway.sessions() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    /// The next WebSocket that the gateway opens.
    pub(crate) async fn accept(&self) -> Backend {
        accept(self.connection().await).await
    }

    /// The next connection of the gateway's, on which nothing has been answered.
    pub(crate) async fn connection(&self) -> TcpStream {
        within("a connection from the gateway", self.backend.accept())
            .await
            .expect("a connection")
            .0
    }
}

pub(crate) async fn gateway(
    url: &str,
    upstream: UpstreamConfig,
    config: EndpointConfig,
) -> SocketAddr {
    let upstream = Upstream::new(url, upstream).expect("a good URL");
    serve(Gateway::new().endpoint_with(PREFIX, config, upstream)).await
}

pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    (listener, addr)
}

pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Backend<S> {
    let mut request = None;
    #[expect(clippy::result_large_err, reason = "the library's signature")]
    let keep = |asked: &Request, answer: Response| {
        request = Some(asked.clone());
        Ok(answer)
    };
    let socket = within("a handshake", tokio_tungstenite::accept_hdr_async(stream, keep))
        .await
        .expect("a handshake");
    Backend { request: request.expect("seen in the handshake"), socket }
}

/// The backend's end of a session.
pub(crate) struct Backend<S = TcpStream> {
    pub(crate) request: Request,
    pub(crate) socket: WebSocketStream<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Backend<S> {
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        self.request
            .headers()
            .get_all(name)
            .iter()
            .map(|value| value.to_str().expect("ASCII"))
            .collect()
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.socket.send(Packet::text(text)).await.expect("the gateway is there");
    }

    pub(crate) async fn message(&mut self) -> String {
        match self.packet().await {
            Packet::Text(text) => text.to_string(),
            other => panic!("a text is due, not {other:?}"),
        }
    }

    pub(crate) async fn packet(&mut self) -> Packet {
        let packet = within("a message from the gateway", self.socket.next()).await;
        packet.expect("the gateway is there").expect("no broken connection")
    }

    pub(crate) async fn close(mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: code.into(), reason: reason.to_owned().into() };
        self.socket.close(Some(frame)).await.expect("the gateway is there");
        self.ended().await;
    }

    /// Code and reason with which the gateway closes; then the connection ends in order.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        let (code, reason) = match self.packet().await {
            Packet::Close(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
            other => panic!("a close frame is due, not {other:?}"),
        };
        self.ended().await;
        (code, reason)
    }

    /// The other side has answered the close, and nothing else comes.
    async fn ended(&mut self) {
        while let Some(packet) = within("the end", self.socket.next()).await {
            assert!(matches!(packet, Ok(Packet::Close(_))), "behind a close comes {packet:?}");
        }
    }
}

/// Attaches a client that is about to send for a while and not to receive: else its session would
/// expire between two polls.
pub(crate) async fn stay(client: &mut Client) {
    client.attach().await.expect("a receiver is attached");
}

/// Reads the head of a request, and no more.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("a request", stream.read_u8()).await.expect("a request"));
    }
    String::from_utf8(head).expect("ASCII")
}

/// A timeout that the test expects to expire.
pub(crate) const SHORT: Duration = Duration::from_millis(100);
