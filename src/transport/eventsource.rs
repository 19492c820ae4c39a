//! Server-sent events.

use bytes::Bytes;
use http::Response;

use super::{Body, Source, ok};
use crate::protocol::frame::Frame;

/// An event for each frame (SockJS 0.3.3, eventsource). The type goes without a charset: some
/// browsers refused one.
pub(crate) fn stream(source: Source, limit: usize) -> Response<Body> {
    ok("text/event-stream", Body::streaming(&b"\r\n"[..], source, event, limit))
}

/// Clients pass the data through `decodeURI`: a bare `%` would be altered or kill them. JSON never
/// holds the other three raw.
fn event(frame: Frame) -> Bytes {
    let frame = frame.bytes();
    let mut event = Vec::with_capacity(frame.len() + 16);
    event.extend_from_slice(b"data: ");
    for piece in frame.split_inclusive(|byte| matches!(byte, b'%' | b'\r' | b'\n' | 0)) {
        let Some((last, rest)) = piece.split_last() else { continue };
        event.extend_from_slice(rest);
        match last {
            b'%' => event.extend_from_slice(b"%25"),
            b'\r' => event.extend_from_slice(b"%0D"),
            b'\n' => event.extend_from_slice(b"%0A"),
            0 => event.extend_from_slice(b"%00"),
            other => event.push(*other),
        }
    }
    event.extend_from_slice(b"\r\n\r\n");
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn per_cent_signs_survive_decode_uri() {
        assert_eq!(event(Frame::Message("100%".into())), "data: a[\"100%25\"]\r\n\r\n");
        assert_eq!(event(Frame::Message("%41%".into())), "data: a[\"%2541%25\"]\r\n\r\n");
    }
}
