//! Sessions without sockets, for tests of handlers (feature `test-util`).
//!
//! [`session`] gives both ends: the [`Session`] that a handler takes, and the [`Peer`] that plays
//! its client. Nothing is encoded and nothing is sent, so that a test runs in microseconds. Under
//! tokio's paused clock (`#[tokio::test(start_paused = true)]`, tokio's feature `test-util`) delays
//! take no time either.
//!
//! ```
//! use sockeye::{Session, test_util};
//!
//! async fn shout(mut session: Session) {
//!     while let Some(message) = session.recv().await {
//!         let text = message.as_text().unwrap_or_default().to_uppercase();
//!         if session.send(text).await.is_err() {
//!             break;
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let (session, mut peer) = test_util::session();
//! tokio::spawn(shout(session));
//! peer.send("hello").await;
//! assert_eq!(peer.text().await, "HELLO");
//! # }
//! ```

use std::net::SocketAddr;

use http::{Extensions, HeaderName, HeaderValue};

use crate::gateway::{EndpointConfig, Prefix};
use crate::session::testing::{self, Client};
use crate::session::{ConnectInfo, ConnectInfoParts, Session, SessionEnd};
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

    /// The endpoint's configuration: queue limits and delays apply, transports don't.
    pub fn config(mut self, config: EndpointConfig) -> Self {
        self.config = config;
        self
    }

    /// What [`ConnectInfo::prefix`] tells, and [`ConnectInfo::path`] too. Default: `/test`.
    ///
    /// # Panics
    ///
    /// When `prefix` is no [`Prefix`](crate::Prefix).
    pub fn prefix(mut self, prefix: &str) -> Self {
        if let Err(error) = prefix.parse::<Prefix>() {
            panic!("{error}");
        }
        self.parts.prefix = prefix.len();
        self.parts.path = prefix.into();
        self
    }

    /// What [`ConnectInfo::path`] tells; [`prefix`](Self::prefix) has to come first. Default: the
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

    /// What [`ConnectInfo::subprotocol`] tells. Default: none.
    pub fn subprotocol(mut self, name: &str) -> Self {
        self.parts.subprotocol = Some(name.into());
        self
    }

    /// What [`ConnectInfo::transport`] tells. Default: `test`.
    pub fn transport(mut self, name: &'static str) -> Self {
        self.parts.transport = name;
        self
    }

    /// What [`ConnectInfo::query`] tells, without the `?`. Default: none.
    pub fn query(mut self, query: &str) -> Self {
        self.parts.query = Some(query.into());
        self
    }

    /// What [`ConnectInfo::peer`] tells. Default: none.
    pub fn peer(mut self, peer: SocketAddr) -> Self {
        self.parts.peer = Some(peer);
        self
    }

    /// What [`ConnectInfo::local`] tells. Default: none.
    pub fn local(mut self, local: SocketAddr) -> Self {
        self.parts.local = Some(local);
        self
    }

    /// Adds a header to those that [`ConnectInfo::headers`] tells.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        let mut headers = std::mem::take(&mut self.parts.headers).into_vec();
        headers.push((name, value));
        self.parts.headers = headers.into();
        self
    }

    /// Adds what middleware in front of the gateway would have put into the request's extensions.
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
        let Self { config, parts } = self;
        let (session, client) =
            testing::session_of(ConnectInfo::new(parts), config.session_limits());
        (session, Peer(client))
    }
}

impl Default for SessionBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// The client of a session. Dropping it is a connection that breaks.
///
/// It takes messages only when asked to, so a test of back-pressure need only not ask.
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
    /// The reason of the close, once the session has closed and all before it was taken.
    ///
    /// # Panics
    ///
    /// When a heartbeat comes first: the handler had nothing to say for `heartbeat_delay`. And
    /// after the close, and after [`detach`](Self::detach).
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

    /// Connects again after [`detach`](Self::detach).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time enabled.
    pub fn attach(&mut self) {
        self.0.come_back();
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
