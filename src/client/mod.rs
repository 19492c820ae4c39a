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
mod requester;
mod silence;
mod tls;
mod transport;
mod unwrap;
mod url;
mod websocket;

pub use self::builder::Builder;
pub use self::connection::{Connection, Sender};
pub use self::error::{
    Attempt, ConnectError, End, EndedBy, FrameError, InvalidClose, SendError, TransportError,
    UrlError,
};
pub use self::transport::Transport;

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
