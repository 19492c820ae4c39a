//! A real-time gateway that speaks SockJS: one session abstraction over every transport a browser,
//! or a proxy on the way, still lets through.
//!
//! Applications see a [`Session`]: messages in, messages out, in order. Whether it is carried by a
//! WebSocket, by streaming responses or by long polling is settled between client and gateway, and
//! the application is the same.
//!
//! # Quick start
//!
//! The crate is on no registry: depend on it by path, or by Git.
//!
//! ```toml
//! [dependencies]
//! sockeye = { path = "../sockeye" }
//! tokio = { version = "1", features = ["full"] }
//! ```
//!
//! ```no_run
//! use sockeye::{EndpointConfig, Gateway, Origins, Session};
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
//!     let config = EndpointConfig::new().origins(Origins::any());
//!     let gateway = Gateway::new().endpoint_with("/echo", config, echo);
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:8081").await?;
//!     sockeye::serve(listener, gateway).await;
//!     Ok(())
//! }
//! ```
//!
//! In a browser, `new SockJS('http://127.0.0.1:8081/echo')` now finds it; so does `new
//! WebSocket('ws://127.0.0.1:8081/echo')`, on a page of any site. An endpoint says whose pages may
//! use it ([`Origins`]); by default they are those of its own origin. With axum, merge `Gateway::into_axum()` into a router
//! (feature `axum`). [`EndpointConfig`] has the settings of an endpoint.
//!
//! # Handlers: state, a hub, results
//!
//! A handler is an `async fn(Session)`, which runs once for each session. [`with_state`] gives it a
//! second argument: a [`Hub`](hub::Hub), a pool of connections, an `Arc`. A handler that returns
//! `Result<(), E>` can use `?`: an error closes its session with 1011 and is logged with its
//! sources. What the client's request was is in [`Session::info`].
//!
//! ```
//! use sockeye::hub::Hub;
//! use sockeye::{Gateway, SendError, Session, with_state};
//!
//! async fn chat(mut session: Session, hub: Hub) -> Result<(), SendError> {
//!     // new SockJS('http://127.0.0.1:8081/chat?room=tea')
//!     let Some(room) = session.info().query_param("room") else {
//!         session.close((4400, "which room?"));
//!         return Ok(());
//!     };
//!     let room = hub.topic(room);
//!     let _subscription = room.subscribe(session.sender()); // ends when dropped
//!     session.send("welcome").await?;
//!     while let Some(message) = session.recv().await {
//!         room.publish(message);
//!     }
//!     Ok(())
//! }
//!
//! let gateway = Gateway::new().endpoint("/chat", with_state(Hub::new(), chat));
//! ```
//!
//! # Testing
//!
//! With the feature `test-util` under `[dev-dependencies]` a handler is tested without a socket, and
//! under tokio's paused clock (tokio's feature `test-util`) without delay:
//!
//! ```
//! # #[cfg(feature = "test-util")] {
//! # use sockeye::hub::Hub;
//! # use sockeye::{SendError, Session, with_state};
//! # async fn chat(mut session: Session, hub: Hub) -> Result<(), SendError> {
//! #     let room = hub.topic(session.info().query_param("room").unwrap_or_default());
//! #     let _subscription = room.subscribe(session.sender());
//! #     session.send("welcome").await?;
//! #     while let Some(message) = session.recv().await {
//! #         room.publish(message);
//! #     }
//! #     Ok(())
//! # }
//! use sockeye::test_util::SessionBuilder;
//!
//! // #[tokio::test(start_paused = true)]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn all_in_a_room_hear_a_message() {
//!     let hub = Hub::new();
//!     let enter = || SessionBuilder::new().query("room=tea").run(with_state(hub.clone(), chat));
//!     let (mut ann, mut bob) = (enter(), enter());
//!     assert_eq!(ann.text().await, "welcome");
//!     bob.send("hello").await;
//!     assert_eq!(ann.text().await, "hello");
//!     assert_eq!(bob.texts().await, ["welcome", "hello"]);
//! }
//! # all_in_a_room_hear_a_message();
//! # }
//! ```
//!
//! # Layout
//!
//! - [`Gateway`] holds endpoints: a prefix, an [`EndpointConfig`] and a [`Handler`] each. It is a
//!   hyper and a tower service.
//! - [`serve()`] serves it, or an axum router, on the connections of a listener ([`mod@serve`]).
//! - [`TcpEndpoint`] gives sessions to clients that speak in records over plain TCP (Java's
//!   `writeUTF`).
//! - A handler ([`Handler`], [`with_state`]) gets a [`Session`]; [`Sender`] is the part of it to keep
//!   elsewhere; both carry [`Message`]s. [`ConnectInfo`] tells of the client's request.
//! - [`SessionEnd`] tells how a session ended ([`CloseReason`]) and how many messages were never
//!   handed to a transport.
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

#![cfg_attr(docsrs, feature(doc_cfg))]
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
pub mod serve;
mod session;
mod tally;
#[cfg(feature = "test-util")]
pub mod test_util;
mod transport;
mod wakers;

/// The programs of the pages compile, and those without `no_run` run, as they stand there.
#[cfg(all(doctest, feature = "axum", feature = "client", feature = "test-util"))]
mod pages {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../docs/from-sockjs-node.md")]
    mod from_sockjs_node {}
    #[doc = include_str!("../docs/from-spring.md")]
    mod from_spring {}
    #[doc = include_str!("../docs/library.md")]
    mod library {}
    #[doc = include_str!("../docs/tower.md")]
    mod tower {}
}

pub use budget::{Budget, Held};
pub use escape::Escaped;
pub use gateway::origin::is_foreign;
pub use gateway::{
    CookieConfig, DrainConfig, Drained, EndpointConfig, Gateway, Handler, HandlerFuture,
    OriginError, Origins, Outcome, Prefix, PrefixError, SameSite, Subprotocols, TcpConfig,
    TcpEndpoint, Transports, with_state,
};
pub use message::{JsonError, Message};
pub use protocol::close::CloseReason;
pub use serve::{LocalAddr, PeerAddr, ServeConfig, serve};
pub use session::{
    ConnectInfo, EndedBy, Rate, SendError, Sender, SenderSink, Session, SessionEnd, SessionId,
    SessionIdError, TrySendError,
};
pub use transport::{Body, Chunk, PeerWatch, WatchedStream};
