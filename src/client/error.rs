//! Errors between a client and its server.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, StatusCode};

use super::transport::Transport;
use crate::{CloseReason, Message};

/// Why [`connect`](super::Builder::connect) brought no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL can't be that of a SockJS endpoint.
    #[error("the URL {url:?} can't be used")]
    Url {
        /// The URL as given.
        url: String,
        /// The URL's fault.
        source: UrlError,
    },
    /// A header that the client writes itself was set with [`header`](super::Builder::header).
    #[error("the header {0:?} belongs to the client: take it out of the builder")]
    ReservedHeader(HeaderName),
    /// [`transports`](super::Builder::transports) was given none, or only WebSocket, which the
    /// server has switched off.
    #[error("no transport is left to try: allow more than {allowed:?} in `transports`")]
    NoTransport {
        /// The transports that the builder allows.
        allowed: Vec<Transport>,
    },
    /// The certificates that this machine trusts can't be read.
    #[error("no trusted certificates were found: install the system's, or set `trusted_roots`")]
    Roots(#[source] io::Error),
    /// [`trusted_roots`](super::Builder::trusted_roots) or [`identity`](super::Builder::identity)
    /// can't be used.
    #[error("TLS can't be set up with `{setting}`: it takes certificates and keys in PEM")]
    Tls {
        /// The setting.
        setting: &'static str,
        /// Its fault.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The info request brought no usable answer, so no transport was tried.
    #[error("the server's info can't be had from {url}")]
    Info {
        /// The URL of the request.
        url: String,
        /// The cause.
        source: TransportError,
    },
    /// The server answered the first transport that reached it with a close that is meant to be
    /// final: 1000, 2000, or 3000 to 4999.
    #[error("the server closed the session before it was open: {0}")]
    Closed(CloseReason),
    /// Each transport was tried, and failed.
    #[error("all transports failed: {}", Attempts(.0))]
    AllTransportsFailed(Vec<Attempt>),
}

impl ConnectError {
    /// The close event that sockjs-client shows in this case; `None` where it would throw instead
    /// of trying.
    pub fn close_reason(&self) -> Option<CloseReason> {
        match self {
            Self::Url { .. } | Self::ReservedHeader(_) | Self::Roots(_) | Self::Tls { .. } => None,
            Self::Info { .. } => Some(CloseReason::new(1002, "Cannot connect to server")),
            Self::Closed(reason) => Some(reason.clone()),
            Self::NoTransport { .. } | Self::AllTransportsFailed(_) => {
                Some(CloseReason::new(2000, "All transports failed"))
            }
        }
    }

    /// The HTTP status with which the server, or a proxy before it, refused: of the info request,
    /// or of the last attempt that got one. `None` when no answer with an unexpected status came.
    ///
    /// 401 and 403 ask for other credentials or another origin, 503 for patience.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Info { source, .. } => source.status(),
            Self::AllTransportsFailed(attempts) => {
                attempts.iter().rev().find_map(|attempt| attempt.error.status())
            }
            Self::Url { .. }
            | Self::ReservedHeader(_)
            | Self::NoTransport { .. }
            | Self::Roots(_)
            | Self::Tls { .. }
            | Self::Closed(_) => None,
        }
    }
}

/// One transport that failed to open a session.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The transport.
    pub transport: Transport,
    /// The way it failed.
    pub error: TransportError,
}

struct Attempts<'a>(&'a [Attempt]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attempt) in self.0.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(f, "{separator}{}: {}", attempt.transport, attempt.error)?;
        }
        Ok(())
    }
}

/// The fault of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not a URL at all, or a URL without a host.
    #[error("it is no absolute URL, such as http://host:port/prefix")]
    Malformed,
    /// Neither `http` nor `https`.
    #[error("its scheme must be http or https, also for WebSocket")]
    Scheme,
    /// It has a `#fragment`, which is never sent to a server.
    #[error("it must not contain a fragment: write # as %23 if it belongs to the path or query")]
    Fragment,
    /// It has a `user:password@` part.
    #[error("it must not contain a user: set an Authorization header instead")]
    User,
}

/// The end of a transport: of an attempt to open a session, or of the session that it carried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The transport did not open the session in time (2007). The limit comes from the round trip
    /// of the info request.
    #[error(
        "the session was not open after {limit:?}: the server is slow or something on the way holds back the answer"
    )]
    TimedOut {
        /// How long it was waited.
        limit: Duration,
    },
    /// Nothing at all came from the server for so long that the connection is lost (1006): its
    /// heartbeats have stopped, see [`heartbeat_delay`](super::Builder::heartbeat_delay), or
    /// [`silence_timeout`](super::Builder::silence_timeout) is over.
    #[error(
        "the server was silent for {limit:?}: if it lives, set heartbeat_delay to its own, or silence_timeout"
    )]
    Silent {
        /// How long it was waited.
        limit: Duration,
    },
    /// A request was not answered in time.
    #[error("no answer after {limit:?} ({setting})")]
    NoAnswer {
        /// The setting.
        limit: Duration,
        /// Its name in [`Builder`](super::Builder).
        setting: &'static str,
    },
    /// The answer had an unexpected status.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The answer of an EventSource request was of another type than `text/event-stream`.
    #[error("the answer is no event stream but {0:?}")]
    ContentType(String),
    /// The answer to the info request names a `base_url` that can't be used.
    #[error("the server's info names the base_url {url:?}, which can't be used")]
    BaseUrl {
        /// The URL from the server.
        url: String,
        /// The URL's fault.
        source: UrlError,
    },
    /// The connection could not be made, or broke.
    #[error("the connection failed")]
    Connection(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The WebSocket handshake failed, or the WebSocket broke.
    #[error("the WebSocket failed")]
    WebSocket(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A WebSocket ended without a close frame, of SockJS or its own (1006).
    #[error("the WebSocket ended without a close frame")]
    Ended,
    /// The bytes received are no SockJS frame.
    #[error("what the server sent is no SockJS frame")]
    Frame(#[from] FrameError),
    /// A second open frame: the server has forgotten the session (1006).
    #[error("the server lost the session")]
    SessionLost,
    /// The server closed the session before it was open, with a code that leads to the next
    /// transport.
    #[error("the server closed the session: {0}")]
    Closed(CloseReason),
    /// A payload was not taken (1006).
    #[error("sending failed")]
    Sending(#[source] Box<TransportError>),
}

impl TransportError {
    /// The HTTP status that was the answer instead of what the transport needs.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status(status) => Some(*status),
            Self::Sending(error) => error.status(),
            _ => None,
        }
    }

    /// The close event that sockjs-client shows for an open session that ends so.
    pub(crate) fn close_reason(&self) -> CloseReason {
        match self {
            Self::TimedOut { .. } => CloseReason::new(2007, "Transport timed out"),
            Self::Closed(reason) => reason.clone(),
            Self::SessionLost => CloseReason::new(1006, "Server lost session"),
            Self::Sending(error) => CloseReason::new(1006, format!("Sending error: {error}")),
            other => CloseReason::new(1006, other.to_string()),
        }
    }
}

/// The fault of bytes that should be SockJS frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// A message frame that holds no JSON array of strings.
    #[error("a message frame holds no array of strings")]
    Messages,
    /// A close frame that holds no `[code,"reason"]`.
    #[error("a close frame holds no code and reason")]
    Close,
    /// A message frame before the open frame.
    #[error("messages came before the session was open")]
    NotOpen,
    /// A per cent sign in an event that begins no escape: browsers' clients end there, too.
    #[error("an event holds a per cent sign that escapes nothing: the server must write it as %25")]
    Escape,
    /// A frame is larger than [`frame_size`](super::Builder::frame_size).
    #[error("a frame is over {limit} bytes: raise frame_size")]
    TooLarge {
        /// The setting, in bytes.
        limit: usize,
    },
    /// A frame holds more messages than [`messages_per_frame`](super::Builder::messages_per_frame).
    #[error("a frame holds over {limit} messages: raise messages_per_frame")]
    TooManyMessages {
        /// The setting.
        limit: usize,
    },
    /// A binary message on a WebSocket with SockJS frames, which are text.
    #[error("a binary message came where only text can")]
    Binary,
}

/// Why [`send`](super::Connection::send) did not queue a message; each gives it back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The connection has ended or is closing.
    #[error("the connection is closed")]
    Closed(Message),
    /// [`try_send`](super::Connection::try_send) only: the queue is full (`outbound_messages`,
    /// `outbound_bytes`).
    #[error("the outbound queue is full")]
    Full(Message),
    /// A binary message on another transport than [`Transport::RawWebSocket`].
    #[error("only a raw WebSocket carries binary messages")]
    NotCarried(Message),
    /// The message alone makes a payload larger than
    /// [`payload_size`](super::Builder::payload_size).
    #[error(
        "the message does not fit in a payload of {limit} bytes: raise payload_size here, and at the server"
    )]
    TooLarge {
        /// The message that was not sent.
        message: Message,
        /// The setting, in bytes.
        limit: usize,
    },
}

impl SendError {
    /// The message that was not sent.
    pub fn into_message(self) -> Message {
        match self {
            Self::Closed(message)
            | Self::Full(message)
            | Self::NotCarried(message)
            | Self::TooLarge { message, .. } => message,
        }
    }
}

/// Why [`close_with`](super::Connection::close_with) did not close: sockjs-client takes 1000 and
/// 3000 to 4999, and so do servers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is no close that a client may ask for: use the code 1000 or 3000 to 4999, and a reason of at most 123 bytes"
)]
#[non_exhaustive]
pub struct InvalidClose(pub CloseReason);

/// How a connection ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct End {
    /// Code and reason as sockjs-client's close event has them.
    pub reason: CloseReason,
    /// The side that ended it.
    pub by: EndedBy,
    /// Messages that [`send`](super::Connection::send) took and that are not known to have reached
    /// the server: those still queued, and those of a payload whose answer did not come. Over a
    /// WebSocket, where nothing is answered, a message counts as delivered when it was handed to
    /// the socket.
    pub undelivered: usize,
}

/// The side that ended a connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EndedBy {
    /// This side, by closing or dropping the connection.
    Client,
    /// The server, by a close frame.
    Server,
    /// Neither: the transport failed.
    Transport(Arc<TransportError>),
}
