//! A session's id, and the request that opened it.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use http::{Extensions, HeaderName, HeaderValue};
use percent_encoding::percent_decode;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use uuid::Uuid;

/// Identifies a session, among all transports and processes.
///
/// It is a UUID of the gateway's making and never the session segment of a SockJS URL: a party that
/// knows the segment can read the session's messages, so it belongs in no roster and no log.
///
/// It converts from and to a [`Uuid`] and text, and serde writes it as that text: a session's id
/// can go to another process or a database and be compared when it comes back.
///
/// ```
/// use sockeye::SessionId;
///
/// let id: SessionId = "2f9a1c7e-5b1d-4f0e-9c55-0d2a6f1b7c3e".parse()?;
/// assert_eq!(id.to_string(), "2f9a1c7e-5b1d-4f0e-9c55-0d2a6f1b7c3e");
/// # Ok::<(), sockeye::SessionIdError>(())
/// ```
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

impl From<Uuid> for SessionId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl From<SessionId> for Uuid {
    fn from(id: SessionId) -> Self {
        id.0
    }
}

impl FromStr for SessionId {
    type Err = SessionIdError;

    /// Reads a UUID, with or without hyphens, in any case.
    ///
    /// # Errors
    ///
    /// The text is no UUID.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self).map_err(|source| SessionIdError { source })
    }
}

/// The text is no [`SessionId`]: an id is a UUID, such as `2f9a1c7e-5b1d-4f0e-9c55-0d2a6f1b7c3e`.
#[derive(Debug, thiserror::Error)]
#[error("a session's id is a UUID, and this text is none")]
pub struct SessionIdError {
    source: uuid::Error,
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(IdText)
    }
}

struct IdText;

impl Visitor<'_> for IdText {
    type Value = SessionId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a UUID")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SessionId, E> {
        text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
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

/// Facts that a transport knows of the request that opens a session.
#[derive(Debug)]
pub(crate) struct ConnectInfoParts {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) transport: &'static str,
    pub(crate) subprotocol: Option<Arc<str>>,
    /// Bytes of the path that are the endpoint's prefix.
    pub(crate) prefix: usize,
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

    /// The memory that it holds beside itself, in bytes, without extensions: middleware accounts
    /// for those.
    pub(crate) fn weight(&self) -> usize {
        let text = self.parts.path.len() + self.parts.query.as_ref().map_or(0, |query| query.len());
        let headers = self.parts.headers.iter();
        // Names are static as a rule; a value is a pointer, and its bytes.
        text + headers
            .map(|(_, value)| size_of::<(HeaderName, HeaderValue)>() + value.len())
            .sum::<usize>()
    }

    /// The address of the other end of the connection, if the server told it (see
    /// [`PeerAddr`](crate::PeerAddr)).
    pub fn peer(&self) -> Option<SocketAddr> {
        self.parts.peer
    }

    /// The address of this end of the connection, if the server told it: by
    /// [`LocalAddr`](crate::LocalAddr), or by a [`PeerWatch`](crate::PeerWatch).
    pub fn local(&self) -> Option<SocketAddr> {
        self.parts.local
    }

    /// The transport that opened the session, as in SockJS URLs (`websocket`, `xhr_streaming`, …;
    /// `rawwebsocket` for a WebSocket without frames). For logs and headers only: an application
    /// that decides by it defeats the purpose of a gateway.
    pub fn transport(&self) -> &'static str {
        self.parts.transport
    }

    /// The sub-protocol of a WebSocket: the first in its client's list that the endpoint speaks
    /// ([`EndpointConfig::subprotocols`](crate::EndpointConfig::subprotocols)). `None` when they
    /// share none, and on all other transports.
    pub fn subprotocol(&self) -> Option<&str> {
        self.parts.subprotocol.as_deref()
    }

    /// The prefix of the endpoint, `/chat`; empty for a session over plain TCP.
    pub fn prefix(&self) -> &str {
        &self.parts.path[..self.parts.prefix]
    }

    /// The path of the request, with the endpoint's prefix.
    pub fn path(&self) -> &str {
        &self.parts.path
    }

    /// The query string of the request, without its `?`.
    pub fn query(&self) -> Option<&str> {
        self.parts.query.as_deref()
    }

    /// The first value of a parameter in the query string, decoded as forms are: `+` is a space,
    /// `%XX` a byte, and bytes that are no UTF-8 become U+FFFD. A parameter without `=` is empty.
    pub fn query_param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query()?.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            // `a=1&&b=2` has no parameter without a name between its two.
            (!pair.is_empty() && decoded(key) == name).then(|| decoded(value))
        })
    }

    /// The first value of a header, among those that the endpoint keeps
    /// ([`EndpointConfig::kept_headers`](crate::EndpointConfig::kept_headers)).
    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        self.headers()
            .find(|(kept, _)| kept.as_str().eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The headers that the endpoint keeps, in the order of the request.
    pub fn headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.parts.headers.iter().map(|(name, value)| (name, value))
    }

    /// The extensions of the request: values that middleware in front of the gateway put there,
    /// such as the logged-in user. [`PeerAddr`](crate::PeerAddr) and [`LocalAddr`](crate::LocalAddr)
    /// are not among them: [`peer`](Self::peer) and [`local`](Self::local) tell them; nor is axum's
    /// `OriginalUri`, for [`path`](Self::path) and [`query`](Self::query) do.
    pub fn extensions(&self) -> &Extensions {
        &self.parts.extensions
    }
}

/// The text of a name or a value in a query (URL Standard, application/x-www-form-urlencoded).
fn decoded(encoded: &str) -> Cow<'_, str> {
    if !encoded.contains(['+', '%']) {
        return Cow::Borrowed(encoded);
    }
    let spaced = encoded.replace('+', " ");
    Cow::Owned(percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned())
}

impl fmt::Debug for ConnectInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither headers nor path: they hold cookies and the session segment, and logs are read by
        // many.
        f.debug_struct("ConnectInfo")
            .field("id", &self.id)
            .field("peer", &self.parts.peer)
            .field("transport", &self.parts.transport)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    /// For ids that were kept in a database, or sent by another process.
    #[test]
    fn an_id_comes_back_from_a_uuid_from_text_and_from_serde() {
        let id = SessionId::random();
        assert_eq!(SessionId::from(Uuid::from(id)), id);
        assert_eq!(id.to_string().parse::<SessionId>().expect("its own text"), id);
        assert_eq!(
            id.as_uuid()
                .simple()
                .to_string()
                .to_uppercase()
                .parse::<SessionId>()
                .expect("a UUID too"),
            id
        );
        let json = serde_json::to_string(&id).expect("a text");
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<SessionId>(&json).expect("its own JSON"), id);
        assert_eq!(
            serde_json::from_value::<SessionId>(id.to_string().into()).expect("an owned text"),
            id
        );
    }

    /// What pages put behind their URL with `encodeURIComponent` and `URLSearchParams`.
    #[test]
    fn a_parameter_is_found_and_decoded() {
        let info = |query: Option<&str>| {
            ConnectInfo::new(ConnectInfoParts {
                peer: None,
                local: None,
                transport: "test",
                subprotocol: None,
                prefix: 5,
                path: "/chat/000/id/xhr".into(),
                query: query.map(Into::into),
                headers: Box::default(),
                extensions: Extensions::new(),
            })
        };
        for (query, name, value) in [
            ("room=tea", "room", Some("tea")),
            ("a=1&room=tea+%26+c%61ke&room=other", "room", Some("tea & cake")),
            ("r%6Fom=1%2B1", "room", Some("1+1")),
            ("room=a=b", "room", Some("a=b")),
            ("room=%C3%BC%e2%82%ac", "room", Some("ü€")),
            ("room=%ff%zz%", "room", Some("\u{fffd}%zz%")),
            ("room", "room", Some("")),
            ("room=", "room", Some("")),
            ("rooms=1&Room=2", "room", None),
            ("", "room", None),
            ("&&a=1", "", None),
            ("=b", "", Some("b")),
        ] {
            let info = info(Some(query));
            assert_eq!(info.query_param(name).as_deref(), value, "{query}");
        }
        assert_eq!(info(None).query_param("room"), None);
        assert_eq!(info(None).prefix(), "/chat");
    }

    #[test]
    fn a_text_that_is_no_id_says_what_one_is() {
        let error = "\u{1b}[2J".parse::<SessionId>().expect_err("no UUID");
        assert_eq!(error.to_string(), "a session's id is a UUID, and this text is none");
        assert!(error.source().is_some());
        assert!(serde_json::from_str::<SessionId>("\"one\"").is_err_and(|error| error.is_data()));
    }
}
