//! Sessions without sockets, for tests of handlers (feature `test-util`).
//!
//! ```toml
//! [dev-dependencies]
//! sockeye = { path = "../sockeye", features = ["test-util"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! [`session`] gives both ends: the [`Session`] that a handler takes, and the [`Peer`] that plays
//! its client. A [`SessionBuilder`] makes them with a request and limits of the test's own, and
//! [runs](SessionBuilder::run) a handler as a gateway does. Nothing is encoded and nothing is sent,
//! so that a test runs in microseconds. Under tokio's paused clock (`#[tokio::test(start_paused =
//! true)]`) delays take no time either: the clock jumps when every task waits.
//!
//! ```
//! use std::time::Duration;
//!
//! use sockeye::test_util::SessionBuilder;
//! use sockeye::{CloseReason, SendError, Session};
//! use tokio::time::timeout;
//!
//! async fn shout(mut session: Session) -> Result<(), SendError> {
//!     let mark = session.info().query_param("mark").unwrap_or("!".into()).into_owned();
//!     while let Ok(message) = timeout(Duration::from_secs(60), session.recv()).await {
//!         let Some(message) = message else { return Ok(()) };
//!         let text = message.as_text().unwrap_or_default().to_uppercase();
//!         session.send(text + &mark).await?;
//!     }
//!     session.close((4408, "say something"));
//!     Ok(())
//! }
//!
//! // #[tokio::test(start_paused = true)]
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn silence_is_not_golden() {
//!     let mut peer = SessionBuilder::new().query("mark=%3F").run(shout);
//!     peer.send("hello").await;
//!     assert_eq!(peer.text().await, "HELLO?");
//!     // A heartbeat comes first, which no application sees.
//!     assert_eq!(peer.recv().await, Err(CloseReason::new(4408, "say something")));
//! }
//! # silence_is_not_golden();
//! ```
//!
//! A test that holds both ends can stop in between:
//!
//! ```
//! use sockeye::{EndpointConfig, TrySendError};
//! use sockeye::test_util::SessionBuilder;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let config = EndpointConfig::new().outbound_messages(1);
//! let (session, mut peer) = SessionBuilder::new().config(config).build();
//! session.try_send("one").expect("there is room");
//! // The peer takes messages only when it is asked for them.
//! assert!(matches!(session.try_send("two"), Err(TrySendError::Full(_))));
//! assert_eq!(peer.text().await, "one");
//! session.try_send("two").expect("there is room again");
//! # }
//! ```

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Extensions, HeaderName, HeaderValue};

use crate::gateway::{Contained, EndpointConfig, Handler, Prefix};
use crate::session::testing::{self, Client};
use crate::session::{Carries, ConnectInfo, ConnectInfoParts, Session, SessionEnd, Shared};
use crate::{CloseReason, Message};

/// The prefix of sessions that were given none.
const PREFIX: &str = "/test";

/// A session with the default configuration, and its peer.
///
/// # Panics
///
/// Outside a tokio runtime with time enabled.
pub fn session() -> (Session, Peer) {
    SessionBuilder::new().build()
}

/// A session in the making: its configuration, and the request that opened it.
#[derive(Debug)]
pub struct SessionBuilder {
    config: EndpointConfig,
    parts: ConnectInfoParts,
}

impl SessionBuilder {
    /// Default configuration; a request for `/test` from an unknown address, with no headers.
    pub fn new() -> Self {
        let parts = ConnectInfoParts {
            peer: None,
            local: None,
            transport: "test",
            subprotocol: None,
            prefix: PREFIX.len(),
            path: PREFIX.into(),
            query: None,
            headers: Box::default(),
            extensions: Extensions::new(),
        };
        Self { config: EndpointConfig::default(), parts }
    }

    /// The endpoint's configuration. Limits of queues, rates and delays are as set; `binary` says
    /// whether messages may be [binary](Message::binary). Settings of transports and requests do
    /// not apply. Default: `EndpointConfig::new()`.
    pub fn config(mut self, config: EndpointConfig) -> Self {
        self.config = config;
        self
    }

    /// The value of [`ConnectInfo::prefix`], and of [`ConnectInfo::path`] with it. Default: `/test`.
    ///
    /// # Panics
    ///
    /// When `prefix` is no [`Prefix`].
    pub fn prefix(mut self, prefix: &str) -> Self {
        if let Err(error) = prefix.parse::<Prefix>() {
            panic!("{error}");
        }
        self.parts.prefix = prefix.len();
        self.parts.path = prefix.into();
        self
    }

    /// The value of [`ConnectInfo::path`]; [`prefix`](Self::prefix) has to come first. Default: the
    /// prefix.
    ///
    /// # Panics
    ///
    /// When `path` is not below the prefix.
    pub fn path(mut self, path: &str) -> Self {
        let prefix = &self.parts.path[..self.parts.prefix];
        assert!(
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            "the path {path:?} is not below {prefix:?}: set `prefix` before `path`"
        );
        self.parts.path = path.into();
        self
    }

    /// The value of [`ConnectInfo::subprotocol`]. Default: none.
    pub fn subprotocol(mut self, name: &str) -> Self {
        self.parts.subprotocol = Some(name.into());
        self
    }

    /// The value of [`ConnectInfo::transport`]. Default: `test`.
    pub fn transport(mut self, name: &'static str) -> Self {
        self.parts.transport = name;
        self
    }

    /// The value of [`ConnectInfo::query`], without the `?`. Default: none.
    pub fn query(mut self, query: &str) -> Self {
        self.parts.query = Some(query.into());
        self
    }

    /// The value of [`ConnectInfo::peer`]. Default: none.
    pub fn peer(mut self, peer: SocketAddr) -> Self {
        self.parts.peer = Some(peer);
        self
    }

    /// The value of [`ConnectInfo::local`]. Default: none.
    pub fn local(mut self, local: SocketAddr) -> Self {
        self.parts.local = Some(local);
        self
    }

    /// Adds a header to [`ConnectInfo::headers`].
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        let mut headers = std::mem::take(&mut self.parts.headers).into_vec();
        headers.push((name, value));
        self.parts.headers = headers.into();
        self
    }

    /// Adds an extension to the request's, as middleware in front of the gateway does.
    pub fn extension<T: Clone + Send + Sync + 'static>(mut self, extension: T) -> Self {
        self.parts.extensions.insert(extension);
        self
    }

    /// The session and its peer, connected.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time enabled, and when the configuration is one that
    /// [`Gateway::endpoint_with`](crate::Gateway::endpoint_with) refuses.
    pub fn build(self) -> (Session, Peer) {
        let shared = self.shared();
        (Session::new(Arc::clone(&shared)), Peer(Client::of(shared)))
    }

    /// Starts a handler for the session, as a gateway does: its errors and panics close the session
    /// with 1011, and the handler has run up to its first wait when this returns.
    ///
    /// # Panics
    ///
    /// As [`build`](Self::build).
    pub fn run(self, handler: impl Handler) -> Peer {
        let shared = self.shared();
        let client = Client::of(Arc::clone(&shared));
        if let Some(application) = Contained::new(Arc::new(handler), shared).begin() {
            tokio::spawn(application);
        }
        Peer(client)
    }

    fn shared(self) -> Arc<Shared> {
        let Self { config, parts } = self;
        let carries = if config.binary { Carries::TextAndBinary } else { Carries::Text };
        testing::shared_of(ConnectInfo::new(parts), carries, config.session_limits())
    }
}

impl Default for SessionBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// The client of a session. Dropping it is a connection that breaks.
///
/// It takes messages only when a test asks for them, so a test of back-pressure asks for none.
pub struct Peer(Client);

impl Peer {
    /// Sends a message to the handler.
    ///
    /// # Panics
    ///
    /// When the handler takes nothing for a minute.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe in that the message is either queued or not.
    pub async fn send(&self, message: impl Into<Message>) {
        self.0.say(message).await;
    }

    /// The next message from the handler.
    ///
    /// # Errors
    ///
    /// The reason of the close, once the session has closed and all messages before it were taken.
    ///
    /// # Panics
    ///
    /// After the close, and after [`detach`](Self::detach) and [`close`](Self::close). And when a
    /// thousand heartbeats come and no message, so that a test ends.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a message is taken in the very poll that returns it.
    pub async fn recv(&mut self) -> Result<Message, CloseReason> {
        self.0.next().await
    }

    /// The text of the next message.
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv), and when the session closes or the message is binary.
    ///
    /// # Cancel safety
    ///
    /// As [`recv`](Self::recv).
    pub async fn text(&mut self) -> String {
        self.0.hear().await
    }

    /// The texts of all messages until every task waits. Needs a paused clock.
    ///
    /// # Panics
    ///
    /// As [`text`](Self::text).
    ///
    /// # Cancel safety
    ///
    /// Texts that have been taken are lost.
    pub async fn texts(&mut self) -> Vec<String> {
        self.0.hear_all().await
    }

    /// Disconnects in order, as a polling client does between two polls: the session waits for
    /// `disconnect_delay`.
    pub fn detach(&mut self) {
        self.0.let_go();
    }

    /// Closes with a reason, as the client of a raw WebSocket can: the session ends at once.
    pub fn close(&mut self, reason: impl Into<CloseReason>) {
        self.0.leave(reason.into());
    }

    /// Connects again after [`detach`](Self::detach).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time enabled.
    pub fn attach(&mut self) {
        self.0.come_back();
    }

    /// Waits for the session's end. A peer that is connected has to take the messages and the close
    /// before it, by [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; it may be called again.
    pub async fn ended(&self) -> SessionEnd {
        self.0.ended().await
    }

    /// How the session ended, if it has.
    pub fn end(&self) -> Option<SessionEnd> {
        self.0.end()
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("end", &self.end()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
