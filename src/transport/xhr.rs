//! Long polling and streaming by XMLHttpRequest.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::{Body, Source, ok};
use crate::protocol::frame::Frame;

const TYPE: &str = "application/javascript; charset=UTF-8";

/// The bytes that browsers want before they show the first bytes of a stream to a script: 2,048
/// times `h` and a line end.
static PRELUDE: [u8; 2049] = {
    let mut prelude = [b'h'; 2049];
    prelude[2048] = b'\n';
    prelude
};

/// One frame and the end (SockJS 0.3.3, xhr-polling); after `wait` it is a heartbeat.
pub(crate) async fn poll(source: Source, wait: Option<Duration>) -> Response<Body> {
    let frame = match wait {
        None => source.one_frame().await,
        // Boxed: no other poll should reserve room for its timer.
        Some(wait) => Box::pin(source.one_frame_within(wait)).await,
    };
    ok(TYPE, frame.map_or_else(Body::empty, |frame| Body::one(frame.wrap(Frame::into_line))))
}

/// A line for each frame (SockJS 0.3.3, xhr-streaming).
pub(crate) fn stream(source: Source, limit: usize) -> Response<Body> {
    ok(TYPE, Body::streaming(Bytes::from_static(&PRELUDE), source, Frame::into_line, limit))
}
