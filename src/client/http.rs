//! The HTTP transports: one request after another to receive, and one at a time to send.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Method, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::error::TransportError;
use super::frame::{FrameLimits, InboundFrame};
use super::link::outbound::json;
use super::requester::Requester;
use super::silence::Pulse;
use super::unwrap::{Unwrapper, Wrapping};
use crate::Message;

/// A server that ends each response without a frame must not be asked in a tight loop. Well below
/// the five seconds after which it forgets a session without a receiver.
const PAUSE_AFTER_NOTHING: Duration = Duration::from_millis(200);

/// Receives: long polling, where a response ends with its frame, is streaming with short responses.
pub(super) struct Downlink {
    requester: Requester,
    uri: Uri,
    unwrapper: Unwrapper,
    wrapping: Wrapping,
    limits: FrameLimits,
    response: Option<Incoming>,
    /// The last response has brought a frame.
    fruitful: bool,
    /// Of bytes on the receiving side: a payload's answer comes on another connection and shows
    /// nothing of this one.
    pub(super) pulse: Pulse,
}

impl Downlink {
    pub(super) fn new(
        requester: Requester,
        uri: Uri,
        wrapping: Wrapping,
        limits: FrameLimits,
    ) -> Self {
        let unwrapper = Unwrapper::new(wrapping, limits.size);
        Self {
            requester,
            uri,
            unwrapper,
            wrapping,
            limits,
            response: None,
            fruitful: true,
            pulse: Pulse::new(),
        }
    }

    /// The next frame; when a response ends, the next one is asked for.
    ///
    /// Status 200 and an end mean that the session goes on; any other status and a broken response
    /// are final, because messages may have been lost with it.
    pub(super) async fn next(&mut self) -> Result<InboundFrame, TransportError> {
        loop {
            while let Some(frame) = self.unwrapper.next()? {
                if let Some(frame) = InboundFrame::parse(&frame, &self.limits)? {
                    self.fruitful = true;
                    return Ok(frame);
                }
            }
            let Some(response) = &mut self.response else {
                if !std::mem::replace(&mut self.fruitful, false) {
                    tokio::time::sleep(PAUSE_AFTER_NOTHING).await;
                }
                self.response = Some(self.ask().await?);
                self.pulse.beat();
                continue;
            };
            match response.frame().await {
                Some(Ok(part)) => {
                    self.pulse.beat();
                    if let Some(bytes) = part.data_ref() {
                        self.unwrapper.push(bytes);
                    }
                }
                Some(Err(error)) => return Err(TransportError::Connection(Box::new(error))),
                None => {
                    self.response = None;
                    self.unwrapper.reset();
                }
            }
        }
    }

    async fn ask(&self) -> Result<Incoming, TransportError> {
        const EVENT_STREAM: &str = "text/event-stream";
        const FOR_EVENTS: [(HeaderName, &str); 2] =
            [(header::ACCEPT, EVENT_STREAM), (header::CACHE_CONTROL, "no-cache")];
        let (method, headers) = match self.wrapping {
            Wrapping::Lines => (Method::POST, &[][..]),
            Wrapping::Events => (Method::GET, &FOR_EVENTS[..]),
        };
        let response = self.requester.request(method, &self.uri, headers, Bytes::new()).await?;
        if response.status() != StatusCode::OK {
            return Err(TransportError::Status(response.status()));
        }
        if self.wrapping == Wrapping::Events {
            let kind = response
                .headers()
                .get(header::CONTENT_TYPE)
                .map_or(&b""[..], |kind| kind.as_bytes());
            let essence = kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
            if !essence.eq_ignore_ascii_case(EVENT_STREAM.as_bytes()) {
                return Err(TransportError::ContentType(
                    String::from_utf8_lossy(kind).into_owned(),
                ));
            }
        }
        Ok(response.into_body())
    }
}

/// Sends by `xhr_send`.
pub(super) struct Uplink {
    requester: Requester,
    uri: Uri,
    limit: Duration,
    /// Between an answer and the next request, so that messages that an application sends in one go
    /// leave in one payload.
    pub(super) pause: Duration,
}

impl Uplink {
    pub(super) fn new(requester: Requester, uri: Uri, limit: Duration, pause: Duration) -> Self {
        Self { requester, uri, limit, pause }
    }

    /// Sends one payload and awaits its answer. It is never repeated: the client can't know whether
    /// a payload without an answer has arrived.
    pub(super) async fn send(&self, messages: &[Message]) -> Result<(), TransportError> {
        let headers = [(header::CONTENT_TYPE, "text/plain;charset=UTF-8")];
        let answer =
            self.requester.request(Method::POST, &self.uri, &headers, json(messages).into());
        let no_answer = TransportError::NoAnswer { limit: self.limit, setting: "send_timeout" };
        let status =
            tokio::time::timeout(self.limit, answer).await.map_err(|_| no_answer)??.status();
        match status {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
            other => Err(TransportError::Status(other)),
        }
    }
}
