//! The WebSocket transports, with SockJS frames and without.

use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use http::header::{self, HeaderValue};
use http::uri::Scheme;
use http::{Request, StatusCode, Uri};
use tokio_tungstenite::WebSocketStream;
use tungstenite::error::CapacityError;
use tungstenite::handshake::client::generate_key;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Bytes, Error};

use super::error::{FrameError, TransportError};
use super::frame::{FrameLimits, InboundFrame};
use super::link::outbound::json;
use super::requester::{Requester, Stream};
use super::silence::Pulse;
use super::url::port;
use crate::{CloseReason, Message};

/// tungstenite's own default is 128 KiB for each connection.
const BUFFER: usize = 16 * 1024;

type Socket = WebSocketStream<Stream>;

/// Makes the handshake.
pub(super) async fn open(
    requester: &Requester,
    uri: &Uri,
    raw: bool,
    limits: FrameLimits,
    payload_size: usize,
    send_limit: Duration,
) -> Result<(Downlink, Uplink), TransportError> {
    let mut request = Request::new(());
    *request.uri_mut() = in_websocket_scheme(uri);
    let host = uri.authority().map(|authority| HeaderValue::try_from(authority.as_str()));
    let host = host.and_then(Result::ok).unwrap_or_else(|| HeaderValue::from(port(uri)));
    let key = HeaderValue::try_from(generate_key());
    for (name, value) in [
        (header::HOST, host),
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        (header::SEC_WEBSOCKET_KEY, key.expect("a key is Base64")),
    ] {
        request.headers_mut().insert(name, value);
    }
    requester.add_headers(uri, request.headers_mut());
    let stream = requester.connect(uri).await?;
    let pulse = stream.pulse().clone();
    // A write buffer is emptied before the next message enters, so it holds at most a message and
    // the rest of another.
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(payload_size.saturating_mul(2).saturating_add(4 * BUFFER))
        .max_message_size(Some(limits.size))
        .max_frame_size(Some(limits.size));
    let handshake = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
    let (socket, response) = handshake.await.map_err(|error| failed(error, &limits))?;
    requester.keep_cookies(uri, response.headers());
    let (sink, stream) = socket.split();
    Ok((Downlink { stream, raw, limits, pulse }, Uplink { sink, raw, limit: send_limit }))
}

/// tungstenite wants the scheme of WebSocket; the request line holds only path and query.
fn in_websocket_scheme(uri: &Uri) -> Uri {
    let scheme = if uri.scheme() == Some(&Scheme::HTTPS) { "wss" } else { "ws" };
    let mut parts = uri.clone().into_parts();
    parts.scheme = scheme.parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

/// Receives.
pub(super) struct Downlink {
    stream: SplitStream<Socket>,
    raw: bool,
    limits: FrameLimits,
    /// Of the socket: a message that is still arriving counts.
    pub(super) pulse: Pulse,
}

impl Downlink {
    /// The next frame. Pings and pongs are heartbeats; tungstenite answers pings by itself.
    pub(super) async fn next(&mut self) -> Result<InboundFrame, TransportError> {
        loop {
            let message = match self.stream.next().await {
                None => return Err(TransportError::Ended),
                Some(outcome) => outcome.map_err(|error| failed(error, &self.limits))?,
            };
            match message {
                tungstenite::Message::Text(text) if self.raw => {
                    return Ok(InboundFrame::Messages(vec![Message::text(text.as_str())]));
                }
                tungstenite::Message::Text(text) => {
                    if let Some(frame) = InboundFrame::parse(text.as_bytes(), &self.limits)? {
                        return Ok(frame);
                    }
                }
                tungstenite::Message::Binary(bytes) if self.raw => {
                    return Ok(InboundFrame::Messages(vec![Message::binary(bytes)]));
                }
                tungstenite::Message::Binary(_) => return Err(FrameError::Binary.into()),
                tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_) => {
                    return Ok(InboundFrame::Heartbeat);
                }
                tungstenite::Message::Close(frame) => {
                    // A browser shows 1005 when there is no code.
                    let (code, reason) = frame.map_or_else(
                        || (1005, String::new()),
                        |frame| (frame.code.into(), frame.reason.as_str().to_owned()),
                    );
                    return Ok(InboundFrame::Close(CloseReason::new(code, reason)));
                }
                // Only a reader that asks for raw frames gets them.
                tungstenite::Message::Frame(_) => {}
            }
        }
    }

    /// Reads to the end, so that close frames are exchanged and the connection ends with FIN.
    pub(super) async fn drain(&mut self) {
        while let Some(Ok(_)) = self.stream.next().await {}
    }
}

/// Sends.
pub(super) struct Uplink {
    sink: SplitSink<Socket, tungstenite::Message>,
    raw: bool,
    limit: Duration,
}

impl Uplink {
    /// Hands messages to the socket, a WebSocket message each, and flushes once.
    pub(super) async fn send(&mut self, messages: Vec<Message>) -> Result<(), TransportError> {
        let raw = self.raw;
        self.write(messages.into_iter().map(|message| match raw {
            true => match message.as_text() {
                Some(text) => tungstenite::Message::text(text),
                None => {
                    tungstenite::Message::Binary(message.as_binary().cloned().unwrap_or_default())
                }
            },
            false => {
                let json = String::from_utf8(json(&[message])).expect("quoting text gives text");
                tungstenite::Message::text(json)
            }
        }))
        .await
    }

    /// Makes the server say that it is there.
    pub(super) async fn ping(&mut self) -> Result<(), TransportError> {
        self.write([tungstenite::Message::Ping(Bytes::new())]).await
    }

    /// Tells the server. With SockJS frames the code stays here, as sockjs-client has it.
    pub(super) async fn close(&mut self, reason: &CloseReason) -> Result<(), TransportError> {
        let frame = self
            .raw
            .then(|| CloseFrame { code: reason.code().into(), reason: reason.reason().into() });
        self.write([tungstenite::Message::Close(frame)]).await
    }

    async fn write(
        &mut self,
        messages: impl IntoIterator<Item = tungstenite::Message>,
    ) -> Result<(), TransportError> {
        let writing = async {
            for message in messages {
                self.sink.feed(message).await?;
            }
            self.sink.flush().await
        };
        match tokio::time::timeout(self.limit, writing).await {
            Ok(outcome) => outcome.map_err(|error| TransportError::WebSocket(Box::new(error))),
            Err(_) => Err(TransportError::NoAnswer { limit: self.limit, setting: "send_timeout" }),
        }
    }
}

fn failed(error: Error, limits: &FrameLimits) -> TransportError {
    match error {
        Error::Http(response) if response.status() != StatusCode::SWITCHING_PROTOCOLS => {
            TransportError::Status(response.status())
        }
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            FrameError::TooLarge { limit: limits.size }.into()
        }
        Error::ConnectionClosed | Error::AlreadyClosed => TransportError::Ended,
        other => TransportError::WebSocket(Box::new(other)),
    }
}
