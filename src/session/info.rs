//! Who a session is, and where it came from.

use std::fmt;
use std::net::SocketAddr;

use http::{Extensions, HeaderName, HeaderValue};
use uuid::Uuid;

/// Identifies a session, among all transports and processes.
///
/// It is a UUID of the gateway's making and never the session segment of a SockJS URL: who knows that segment can read the
/// session's messages, so it is nothing to show in a roster or a log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(Uuid);

impl SessionId {
    pub(crate) fn random() -> Self {
        // From the thread's generator: `Uuid::new_v4` makes a system call for each.
        Self(uuid::Builder::from_random_bytes(rand::random()).into_uuid())
    }

    /// The id as a UUID.
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The request that opened a session.
pub struct ConnectInfo {
    id: SessionId,
    parts: ConnectInfoParts,
}

/// What a transport knows of the request when it opens a session.
pub(crate) struct ConnectInfoParts {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) transport: &'static str,
    pub(crate) path: Box<str>,
    pub(crate) query: Option<Box<str>>,
    pub(crate) headers: Box<[(HeaderName, HeaderValue)]>,
    pub(crate) extensions: Extensions,
}

impl ConnectInfo {
    pub(crate) fn new(parts: ConnectInfoParts) -> Self {
        Self { id: SessionId::random(), parts }
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The address of the other end of the connection, if the server told it (see [`PeerAddr`](crate::PeerAddr)).
    pub fn peer(&self) -> Option<SocketAddr> {
        self.parts.peer
    }

    /// The transport that opened the session, as in SockJS URLs (`websocket`, `xhr_streaming`, …; `rawwebsocket` for a WebSocket
    /// without frames). For logs and headers only: an application that decides by it has lost what a gateway is for.
    pub fn transport(&self) -> &'static str {
        self.parts.transport
    }

    /// The path of the request, with the endpoint's prefix.
    pub fn path(&self) -> &str {
        &self.parts.path
    }

    /// The query string of the request, without its `?`.
    pub fn query(&self) -> Option<&str> {
        self.parts.query.as_deref()
    }

    /// The first value of a header, among those that the endpoint keeps ([`EndpointConfig::kept_headers`](crate::EndpointConfig::kept_headers)).
    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        self.headers().find(|(kept, _)| kept.as_str().eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The headers that the endpoint keeps, in the order of the request.
    pub fn headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.parts.headers.iter().map(|(name, value)| (name, value))
    }

    /// The extensions of the request: what middleware in front of the gateway put there, such as who is logged in. A
    /// [`PeerAddr`](crate::PeerAddr) is not among them: [`peer`](Self::peer) tells it.
    pub fn extensions(&self) -> &Extensions {
        &self.parts.extensions
    }
}

impl fmt::Debug for ConnectInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither headers nor path: they hold cookies and the session segment, and logs are read by many.
        f.debug_struct("ConnectInfo")
            .field("id", &self.id)
            .field("peer", &self.parts.peer)
            .field("transport", &self.parts.transport)
            .finish_non_exhaustive()
    }
}
