//! A real-time gateway that speaks SockJS: one session abstraction over every transport a browser,
//! or a proxy on the way, still lets through.
//!
//! Applications see a [`Session`]: messages in, messages out, in order. Whether it is carried by a
//! WebSocket, by streaming responses or by long polling is settled between client and gateway, and
//! the application is the same.
//!
//! # Quick start
//!
//! ```toml
//! [dependencies]
//! sockeye = "0.1"
//! hyper = { version = "1", features = ["http1", "server"] }
//! hyper-util = { version = "0.1", features = ["tokio"] }
//! tokio = { version = "1", features = ["full"] }
//! ```
//!
//! ```no_run
//! use hyper::server::conn::http1;
//! use hyper_util::rt::TokioIo;
//! use sockeye::{Gateway, Session};
//!
//! async fn echo(mut session: Session) {
//!     while let Some(message) = session.recv().await {
//!         if session.send(message).await.is_err() {
//!             break; // the client is gone
//!         }
//!     }
//! }
//!
//! #[tokio::main]
//! async fn main() -> std::io::Result<()> {
//!     let gateway = Gateway::new().endpoint("/echo", echo);
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8081").await?;
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         stream.set_nodelay(true)?; // a message leaves when it is sent
//!         let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), gateway.clone());
//!         tokio::spawn(connection.with_upgrades());
//!     }
//! }
//! ```
//!
//! In a browser, `new SockJS('http://127.0.0.1:8081/echo')` now finds it; so does `new
//! WebSocket('ws://127.0.0.1:8081/echo')`. With axum, merge `Gateway::into_axum()` into a router
//! (feature `axum`). [`EndpointConfig`] has the settings of an endpoint.
//!
//! # Layout
//!
//! - [`Gateway`] holds endpoints: a prefix, an [`EndpointConfig`] and a [`Handler`] each. It is a
//!   hyper and a tower service.
//! - [`TcpEndpoint`] gives sessions to clients that speak in records over plain TCP (Java's
//!   `writeUTF`).
//! - a handler gets a [`Session`]; [`Sender`] is the part of it to keep elsewhere; both carry
//!   [`Message`]s.
//! - [`SessionEnd`] tells how a session ended and how many messages were never handed to a
//!   transport.
//! - [`hub`] publishes to many sessions.
//! - `test_util` has sessions without sockets, for tests of handlers.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what |
//! |---|---|
//! | `axum` | `Gateway::into_axum()` |
//! | `client` | `client`: a SockJS client |
//! | `test-util` | `test_util`: sessions without sockets |
//!
//! Handlers that are ready to use (chat, rooms for calls, a WebSocket backend behind the gateway)
//! are in the crate `sockeye-apps`, the program `sockeye` is in `sockeye-server`.

#![warn(clippy::disallowed_methods, clippy::missing_errors_doc, clippy::missing_panics_doc)]

#[macro_use]
mod setters;

mod budget;
#[cfg(feature = "client")]
pub mod client;
mod clock;
mod escape;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod gateway;
pub mod hub;
mod message;
#[cfg(feature = "micro")]
#[doc(hidden)]
pub mod micro;
mod protocol;
mod session;
mod tally;
#[cfg(feature = "test-util")]
pub mod test_util;
mod transport;

/// The programs in README.md compile as they stand there.
#[cfg(all(doctest, feature = "axum", feature = "client"))]
#[doc = include_str!("../README.md")]
mod readme {}

pub use budget::{Budget, Held};
pub use escape::Escaped;
pub use gateway::origin::is_foreign;
pub use gateway::{
    CookieConfig, EndpointConfig, Gateway, Handler, HandlerFuture, LocalAddr, Outcome, PeerAddr,
    Prefix, PrefixError, SameSite, Subprotocols, TcpConfig, TcpEndpoint, Transports, with_state,
};
pub use message::{JsonError, Message};
pub use protocol::close::CloseReason;
pub use session::{
    ConnectInfo, EndedBy, Rate, SendError, Sender, SenderSink, Session, SessionEnd, SessionId,
    SessionIdError, TrySendError,
};
pub use transport::{Body, Chunk, PeerWatch, WatchedStream};
