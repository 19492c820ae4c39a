//! The techniques: how messages travel.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Technique {
    /// A poll every so often, answered at once (needs the server's `sockeye_wait`).
    ShortPolling(Duration),
    /// `xhr` and `xhr_send`.
    LongPolling,
    /// `xhr_streaming` and `xhr_send`.
    XhrStreaming,
    /// `eventsource` and `xhr_send`.
    EventSource,
    /// WebSocket with SockJS frames.
    WebSocket,
    /// WebSocket without.
    RawWebSocket,
    /// No SockJS at all: for each message a POST to `/send` and one to `/poll`, at the same time.
    /// The floor of the HTTP techniques.
    BareExchange,
}

impl fmt::Display for Technique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortPolling(interval) if interval.subsec_millis() == 0 => {
                write!(f, "short polling {} s", interval.as_secs())
            }
            Self::ShortPolling(interval) => write!(f, "short polling {} ms", interval.as_millis()),
            Self::LongPolling => f.write_str("long polling"),
            Self::XhrStreaming => f.write_str("xhr streaming"),
            Self::EventSource => f.write_str("EventSource"),
            Self::WebSocket => f.write_str("WebSocket"),
            Self::RawWebSocket => f.write_str("raw WebSocket"),
            Self::BareExchange => f.write_str("bare HTTP"),
        }
    }
}

/// A name that is none of a technique.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is none of short-polling, long-polling, xhr-streaming, eventsource, websocket, raw-websocket"
)]
pub struct TechniqueError(String);

impl FromStr for Technique {
    type Err = TechniqueError;

    fn from_str(name: &str) -> Result<Self, TechniqueError> {
        Ok(match name {
            "short-polling" => Self::ShortPolling(Duration::from_millis(100)),
            "long-polling" => Self::LongPolling,
            "xhr-streaming" => Self::XhrStreaming,
            "eventsource" => Self::EventSource,
            "websocket" => Self::WebSocket,
            "raw-websocket" => Self::RawWebSocket,
            _ => return Err(TechniqueError(name.to_owned())),
        })
    }
}
