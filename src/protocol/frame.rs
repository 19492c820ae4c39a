//! What goes from the server to a SockJS client.

use bytes::Bytes;

use super::close::CloseReason;
use super::quote;
use crate::Message;

/// One frame, before any transport has wrapped it (SockJS 0.3.3, protocol and framing).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// `o`: the first thing on a new session.
    Open,
    /// `h`: the line is alive.
    Heartbeat,
    /// `a["…"]` with one message: the bytes are shared by all sessions that send it.
    Message(Message),
    /// `a["…","…"]`: what had been queued when a receiver came.
    Messages(Vec<Message>),
    /// `c[code,"reason"]`: the end.
    Close(CloseReason),
}

impl Frame {
    /// The frame's bytes.
    ///
    /// Binary messages have no form here: a session that carries none never queues one.
    pub(crate) fn bytes(&self) -> Bytes {
        match self {
            Self::Open => Bytes::from_static(b"o"),
            Self::Heartbeat => Bytes::from_static(b"h"),
            Self::Message(message) => message.frame().cloned().unwrap_or_else(|| Bytes::from_static(b"a[]")),
            Self::Messages(messages) => batch(messages),
            Self::Close(reason) => reason.frame().into(),
        }
    }
}

/// Joins the messages' own frames, which may already be encoded for others.
fn batch(messages: &[Message]) -> Bytes {
    let frames: Vec<&[u8]> = messages.iter().filter_map(Message::frame).map(element).collect();
    let mut batch = Vec::with_capacity(frames.iter().map(|frame| frame.len() + 1).sum::<usize>() + 3);
    batch.extend_from_slice(b"a[");
    for (index, frame) in frames.iter().enumerate() {
        if index > 0 {
            batch.push(b',');
        }
        batch.extend_from_slice(frame);
    }
    batch.push(b']');
    batch.into()
}

/// The quoted string inside `a["…"]`.
fn element(frame: &Bytes) -> &[u8] {
    &frame[2..frame.len() - 1]
}

/// A JSON string that holds a whole frame, for the transports that pass frames as script.
pub(crate) fn quoted(frame: &[u8], out: &mut Vec<u8>) {
    // Frames are made of JSON text only, so this never replaces anything.
    quote::quote_into(&String::from_utf8_lossy(frame), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_to_the_byte() {
        for (frame, bytes) in [
            (Frame::Open, "o"),
            (Frame::Heartbeat, "h"),
            (Frame::Message("x".into()), r#"a["x"]"#),
            (Frame::Messages(vec!["x".into(), "".into(), "\"".into()]), r#"a["x","","\""]"#),
            (Frame::Close(CloseReason::new(3000, "Go away!")), r#"c[3000,"Go away!"]"#),
        ] {
            assert_eq!(frame.bytes(), bytes);
        }
    }

    #[test]
    fn a_message_is_encoded_once() {
        let message = Message::from("hello");
        let first = Frame::Message(message.clone()).bytes();
        let second = Frame::Message(message).bytes();
        assert_eq!(first.as_ptr(), second.as_ptr());
    }
}
