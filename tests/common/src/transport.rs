//! The transports, as a client knows them: what is asked for, and what is wrapped around a frame.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use percent_encoding::percent_decode_str;

use super::http::Request;
use super::websocket;

/// The ways to reach an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    WebSocket,
    RawWebSocket,
    /// A raw WebSocket on the bare prefix.
    BareWebSocket,
    Xhr,
    XhrStreaming,
    EventSource,
    HtmlFile,
    Jsonp,
}

impl Transport {
    pub const ALL: [Self; 8] = [
        Self::WebSocket,
        Self::RawWebSocket,
        Self::BareWebSocket,
        Self::Xhr,
        Self::XhrStreaming,
        Self::EventSource,
        Self::HtmlFile,
        Self::Jsonp,
    ];

    /// As the application and the log are told.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::RawWebSocket | Self::BareWebSocket => "rawwebsocket",
            Self::Xhr => "xhr",
            Self::XhrStreaming => "xhr_streaming",
            Self::EventSource => "eventsource",
            Self::HtmlFile => "htmlfile",
            Self::Jsonp => "jsonp",
        }
    }

    /// One connection for both directions, which is the session.
    pub fn is_socket(self) -> bool {
        matches!(self, Self::WebSocket | Self::RawWebSocket | Self::BareWebSocket)
    }

    /// No SockJS frames.
    pub fn is_raw(self) -> bool {
        matches!(self, Self::RawWebSocket | Self::BareWebSocket)
    }

    /// A response for each frame.
    pub fn polls(self) -> bool {
        matches!(self, Self::Xhr | Self::Jsonp)
    }

    /// The request that attaches a receiver.
    pub fn request(self, session: &str) -> Request {
        match self {
            Self::WebSocket | Self::RawWebSocket => {
                websocket::handshake(&format!("{session}/websocket"))
            }
            Self::BareWebSocket => websocket::handshake(session),
            Self::Xhr => Request::post(format!("{session}/xhr")),
            Self::XhrStreaming => Request::post(format!("{session}/xhr_streaming")),
            Self::EventSource => Request::get(format!("{session}/eventsource")),
            Self::HtmlFile => loaded(Request::get(format!("{session}/htmlfile?c=_jp.a0b1c2d"))),
            Self::Jsonp => loaded(Request::get(format!("{session}/jsonp?c=_jp.a0b1c2d"))),
        }
    }

    /// The path of a session that no client has used yet.
    pub fn fresh(self, prefix: &str) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        match self.is_raw() {
            true => prefix.to_owned(),
            false => format!("{prefix}/000/s{}", COUNT.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// The SockJS frame in what was wrapped around it.
    pub fn unwrap(self, wrapped: &str) -> String {
        let between = |start: &str, end: &str| {
            let inner = wrapped.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
            inner
                .unwrap_or_else(|| panic!("{self:?}: {wrapped:?} is not wrapped as it should be"))
                .to_owned()
        };
        let unquote = |quoted: String| {
            serde_json::from_str(&quoted).expect("the frame is a string of the script's")
        };
        match self {
            Self::WebSocket | Self::RawWebSocket | Self::BareWebSocket => wrapped.to_owned(),
            Self::Xhr | Self::XhrStreaming => between("", "\n"),
            Self::EventSource => decode_uri(&between("data: ", "\r\n\r\n")),
            Self::HtmlFile => unquote(between("<script>\np(", ");\n</script>\r\n")),
            Self::Jsonp => unquote(between("/**/_jp.a0b1c2d(", ");\r\n")),
        }
    }
}

/// A request that only a page makes: one of the endpoint's own origin.
pub(crate) fn loaded(request: Request) -> Request {
    request.header("Sec-Fetch-Site", "same-origin")
}

/// What one frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Open,
    Heartbeat,
    Messages(Vec<String>),
    Binary(Bytes),
    Close(u16, String),
    End,
}

impl Frame {
    pub fn messages(texts: &[&str]) -> Self {
        Self::Messages(texts.iter().map(|&text| text.to_owned()).collect())
    }

    pub fn parse(frame: &str) -> Self {
        let json = frame.get(1..).unwrap_or_default();
        match frame.as_bytes().first() {
            Some(b'o') if json.is_empty() => Self::Open,
            Some(b'h') if json.is_empty() => Self::Heartbeat,
            Some(b'a') => {
                let messages: Vec<String> =
                    serde_json::from_str(json).expect("messages are an array of strings");
                assert!(!messages.is_empty(), "a frame without messages");
                Self::Messages(messages)
            }
            Some(b'c') => {
                let (code, reason) = serde_json::from_str(json).expect("a code and a reason");
                Self::Close(code, reason)
            }
            _ => panic!("{frame:?} is no frame"),
        }
    }
}

/// As in a browser a per cent sign that escapes nothing is an error.
fn decode_uri(text: &str) -> String {
    for (at, _) in text.match_indices('%') {
        let digits = text.get(at + 1..at + 3).unwrap_or_default();
        assert!(
            digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
            "malformed URI: {text:?}"
        );
    }
    percent_decode_str(text).decode_utf8().expect("what was escaped is UTF-8").into_owned()
}
