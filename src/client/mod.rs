//! A SockJS client: finds the transport that gets through to a server, and carries messages over
//! it.
//!
//! It negotiates as sockjs-client does in a browser, so it is also a means to see what such a
//! client would meet on a network: ask [`Connection::transport`] and
//! [`Connection::failed_attempts`].
//!
//! ```
//! use sockeye::client::Client;
//! # use sockeye::{Gateway, Session};
//! #
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let url = format!("http://{}/echo", listener.local_addr()?);
//! # let gateway = Gateway::new().endpoint("/echo", async |mut session: Session| {
//! #     while let Some(message) = session.recv().await {
//! #         let _ = session.send(message).await;
//! #     }
//! # });
//! # tokio::spawn(sockeye::serve(listener, gateway).into_future());
//! // url: "http://127.0.0.1:8081/echo"
//! let mut connection = Client::connect(&url).await?;
//! connection.send("hello").await?;
//! let message = connection.recv().await.expect("the server echoes");
//! assert_eq!(message.as_text(), Some("hello"));
//! let end = connection.close().await;
//! assert_eq!(end.undelivered, 0);
//! # Ok(())
//! # }
//! ```
//!
//! # Transports
//!
//! Those that make sense outside a browser, in the order of [`Transport::DEFAULT`]. JSONP, htmlfile
//! and the iframe transports are ways around restrictions of browsers on scripts; here are no such
//! restrictions, and they carry nothing that xhr does not.
//!
//! # Limits
//!
//! Queues, frames and payloads are bounded, and every wait has an end; all are settings of the
//! [`Builder`]. Redirects are not followed, proxies are not asked for, and HTTP/1.1 is spoken.

mod builder;
mod connection;
mod drive;
mod error;
mod frame;
mod http;
mod link;
mod negotiate;
mod silence;
mod unwrap;
mod url;
mod websocket;
mod wire;

use std::fmt;

pub use self::builder::Builder;
pub use self::connection::{Connection, Sender};
pub use self::error::{
    Attempt, ConnectError, End, EndedBy, FrameError, InvalidClose, SendError, TransportError,
    UrlError,
};
/// The TLS library whose configuration [`Builder::tls`] takes.
pub use tokio_rustls::rustls;

/// Where connections begin.
#[derive(Debug)]
pub struct Client(());

impl Client {
    /// Opens a session with all defaults; see [`Builder::connect`].
    ///
    /// # Errors
    ///
    /// As [`Builder::connect`].
    ///
    /// # Cancel safety
    ///
    /// As [`Builder::connect`].
    ///
    /// # Panics
    ///
    /// As [`Builder::connect`].
    pub async fn connect(url: &str) -> Result<Connection, ConnectError> {
        Self::builder().connect(url).await
    }

    /// Settings, to begin with the defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

/// A way to carry a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// A WebSocket with SockJS frames.
    WebSocket,
    /// One long response for many frames.
    XhrStreaming,
    /// Server-sent events.
    EventSource,
    /// A response for each frame, which gets through where streams are buffered.
    XhrPolling,
    /// A WebSocket without SockJS frames: no heartbeats in script's sight, binary messages where
    /// the endpoint takes them, and code and reason of a close in both directions. It is no part of
    /// the negotiation of SockJS and tried only when asked for.
    RawWebSocket,
}

impl Transport {
    /// The transports tried by default, in sockjs-client's order.
    pub const DEFAULT: [Self; 4] =
        [Self::WebSocket, Self::XhrStreaming, Self::EventSource, Self::XhrPolling];

    /// The name in sockjs-client's list of transports; `raw-websocket` is in none.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::XhrStreaming => "xhr-streaming",
            Self::EventSource => "eventsource",
            Self::XhrPolling => "xhr-polling",
            Self::RawWebSocket => "raw-websocket",
        }
    }

    /// The last segment of its URL.
    fn segment(self) -> &'static str {
        match self {
            Self::WebSocket | Self::RawWebSocket => "websocket",
            Self::XhrStreaming => "xhr_streaming",
            Self::EventSource => "eventsource",
            Self::XhrPolling => "xhr",
        }
    }

    fn is_websocket(self) -> bool {
        matches!(self, Self::WebSocket | Self::RawWebSocket)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
