//! The transports, by name.

use std::fmt;

/// A way to carry a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// A WebSocket with SockJS frames.
    WebSocket,
    /// One long response for many frames.
    XhrStreaming,
    /// Server-sent events.
    EventSource,
    /// A response for each frame, which gets through where streams are buffered.
    XhrPolling,
    /// A WebSocket without SockJS frames: no heartbeats in script's sight, binary messages where
    /// the endpoint takes them, and code and reason of a close in both directions. It is no part of
    /// the negotiation of SockJS and tried only when asked for.
    RawWebSocket,
}

impl Transport {
    /// The transports tried by default, in sockjs-client's order.
    pub const DEFAULT: [Self; 4] =
        [Self::WebSocket, Self::XhrStreaming, Self::EventSource, Self::XhrPolling];

    /// The name in sockjs-client's list of transports; `raw-websocket` is in none.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::XhrStreaming => "xhr-streaming",
            Self::EventSource => "eventsource",
            Self::XhrPolling => "xhr-polling",
            Self::RawWebSocket => "raw-websocket",
        }
    }

    /// The last segment of its URL.
    pub(super) fn segment(self) -> &'static str {
        match self {
            Self::WebSocket | Self::RawWebSocket => "websocket",
            Self::XhrStreaming => "xhr_streaming",
            Self::EventSource => "eventsource",
            Self::XhrPolling => "xhr",
        }
    }

    pub(super) fn is_websocket(self) -> bool {
        matches!(self, Self::WebSocket | Self::RawWebSocket)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
