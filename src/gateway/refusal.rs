//! Reasons to refuse a request, and the answers that tell them.

use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};

use super::answer::plain;
use super::headers;
use super::origin::Foreign;
use super::route::NoRoute;
use super::short_poll::WaitError;
use crate::protocol::payload::PayloadError;
use crate::transport::Body;
use crate::transport::jsonp::CallbackError;

/// The one place where errors become statuses. The texts that the protocol fixes are those of the
/// errors themselves.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("Not found.\n")]
    NotFound,
    #[error("{0}")]
    ForeignOrigin(Foreign),
    /// `read`, here and below: the body has been read to its end.
    #[error("Not found.\n")]
    NoSession { read: bool },
    #[error("")]
    MethodNotAllowed { allow: &'static str },
    #[error(transparent)]
    Callback(#[from] CallbackError),
    #[error(transparent)]
    Wait(#[from] WaitError),
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error(
        "Payload too large: payload_size is {limit} bytes. Send less at a time, or raise payload_size.\n"
    )]
    PayloadTooLarge { limit: usize, read: bool },
    #[error("The request body could not be read.\n")]
    BodyBroken,
    #[error(
        "The request body did not arrive within message_timeout ({limit:?}). Send less at a time, or raise message_timeout.\n"
    )]
    BodyLate { limit: Duration },
    #[error("Too many sessions: this endpoint's `sessions` is {limit}.\n")]
    TooManySessions { limit: usize },
    #[error("Memory is short on this server: it takes no new sessions for now. Try again later.\n")]
    MemoryShort,
    #[error("This server is shutting down and takes no new sessions. Try again later.\n")]
    Draining { retry_after: u32 },
    #[error(
        "The application took no messages for send_wait ({waited:?}): the session is closed.\n"
    )]
    InboundFull { waited: Duration },
    #[error(
        "Too many payloads of this session wait already: waiting_payloads is {limit}. Send one at a time.\n"
    )]
    Crowded { limit: usize, read: bool },
    #[error("Path and query are too long: target_size is {limit} bytes.\n")]
    TargetTooLong { limit: usize },
    #[error(
        "The headers that a session keeps are too large: kept_header_bytes is {limit}. Send fewer cookies.\n"
    )]
    HeadersTooLarge { limit: usize },
    #[error("Can \"Upgrade\" only to \"WebSocket\".")]
    NoUpgrade,
    #[error("\"Connection\" must be \"Upgrade\".")]
    NoConnectionUpgrade,
    #[error("WebSocket needs HTTP/1.1: set it for the proxy's connections to this server.\n")]
    UpgradeOverHttp10,
    #[error("\"Sec-WebSocket-Version\" must be 13.\n")]
    WebSocketVersion,
    #[error("\"Sec-WebSocket-Key\" expected.\n")]
    NoWebSocketKey,
    #[error("This server offers no WebSocket upgrades.\n")]
    UpgradesNotServed,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound | Self::NoSession { .. } => StatusCode::NOT_FOUND,
            Self::ForeignOrigin(_) => StatusCode::FORBIDDEN,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Payload(error) if error.is_limit() => StatusCode::PAYLOAD_TOO_LARGE,
            Self::PayloadTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            // The protocol wants 500 for these two (SockJS 0.3.3, xhr_send and callback names).
            Self::Payload(_) | Self::Callback(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::TooManySessions { .. }
            | Self::MemoryShort
            | Self::Draining { .. }
            | Self::InboundFull { .. }
            | Self::Crowded { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Wait(_)
            | Self::BodyBroken
            | Self::NoUpgrade
            | Self::NoConnectionUpgrade
            | Self::UpgradeOverHttp10
            | Self::WebSocketVersion
            | Self::NoWebSocketKey => StatusCode::BAD_REQUEST,
            Self::BodyLate { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::TargetTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UpgradesNotServed => StatusCode::NOT_IMPLEMENTED,
        }
    }
}

impl From<NoRoute> for Refusal {
    fn from(error: NoRoute) -> Self {
        match error {
            NoRoute::NotFound => Self::NotFound,
            NoRoute::MethodNotAllowed { allow } => Self::MethodNotAllowed { allow },
        }
    }
}

impl From<Refusal> for Response<Body> {
    fn from(refusal: Refusal) -> Self {
        let status = refusal.status();
        match refusal {
            // No body and no type (SockJS 0.3.3, URLs).
            Refusal::MethodNotAllowed { allow } => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = status;
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
                response
            }
            // Without CORS headers: the page may not read it. A cache must not answer other pages
            // with it.
            Refusal::ForeignOrigin(_) => {
                let mut response = plain(status, refusal.to_string());
                headers::no_cache(response.headers_mut());
                let head = response.headers_mut();
                head.insert(header::VARY, HeaderValue::from_static("Origin"));
                // It holds a text of the peer's.
                head.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
                response
            }
            Refusal::WebSocketVersion => {
                let mut response = plain(status, refusal.to_string());
                response
                    .headers_mut()
                    .insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
                response
            }
            // Its connection ends as well: the next request finds another server sooner.
            Refusal::Draining { retry_after } => {
                let mut response = last_on_its_connection(plain(status, refusal.to_string()));
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
                response
            }
            Refusal::NoSession { read: false }
            | Refusal::PayloadTooLarge { read: false, .. }
            | Refusal::Crowded { read: false, .. }
            | Refusal::BodyLate { .. } => {
                last_on_its_connection(plain(status, refusal.to_string()))
            }
            _ => plain(status, refusal.to_string()),
        }
    }
}

/// For a request whose body was not read to its end: the rest of it stands where the next request
/// would begin.
pub(super) fn last_on_its_connection(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
