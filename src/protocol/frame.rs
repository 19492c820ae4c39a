//! Frames from the server to a SockJS client.

use bytes::Bytes;

use super::close::CloseReason;
use crate::Message;

/// One frame, before any transport has wrapped it (SockJS 0.3.3, protocol and framing).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// `o`: the first thing on a new session.
    Open,
    /// `h`: the connection is alive.
    Heartbeat,
    /// `a["…"]` with one message: the bytes are shared by all sessions that send it.
    Message(Message),
    /// `a["…","…"]`: the messages that were queued before a receiver came.
    Messages(Vec<Message>),
    /// `c[code,"reason"]`: the end.
    Close(CloseReason),
}

impl Frame {
    /// The frame's bytes.
    pub(crate) fn bytes(&self) -> Bytes {
        let line = self.line();
        line.slice(..line.len() - 1)
    }

    /// How many messages it has, and how many bytes they are before they are encoded.
    pub(crate) fn load(&self) -> (usize, usize) {
        match self {
            Self::Message(message) => (1, message.len()),
            Self::Messages(messages) => (messages.len(), messages.iter().map(Message::len).sum()),
            Self::Open | Self::Heartbeat | Self::Close(_) => (0, 0),
        }
    }

    /// The frame's bytes, to be looked at: a message's are not even counted as shared.
    pub(crate) fn with_bytes<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Message(message) if let Some(line) = message.line() => {
                look(&line[..line.len() - 1])
            }
            _ => look(&self.bytes()),
        }
    }

    /// The frame and a line end.
    ///
    /// Binary messages have no form here: a session of this protocol never queues any.
    pub(crate) fn into_line(self) -> Bytes {
        match self {
            // The only holder of a message gives its bytes away: unshared bytes need no reference
            // count.
            Self::Message(message) => message.into_line().unwrap_or_else(|| batch(&[])),
            frame => frame.line(),
        }
    }

    /// As [`into_line`](Self::into_line).
    pub(crate) fn line(&self) -> Bytes {
        match self {
            Self::Open => Bytes::from_static(b"o\n"),
            Self::Heartbeat => Bytes::from_static(b"h\n"),
            Self::Message(message) => message.line().cloned().unwrap_or_else(|| batch(&[])),
            Self::Messages(messages) => batch(messages),
            Self::Close(reason) => {
                let mut line = reason.frame();
                line.push(b'\n');
                line.into()
            }
        }
    }
}

fn batch(messages: &[Message]) -> Bytes {
    let quoted = messages.iter().filter_map(Message::quoted);
    let mut batch = Vec::with_capacity(quoted.map(|text| text.len() + 1).sum::<usize>() + 4);
    batch.push(b'a');
    array_into(messages, &mut batch);
    batch.push(b'\n');
    batch.into()
}

/// Appends the JSON array of the messages, joined from their own quoted forms, which may already be
/// encoded for others. Binary ones have none.
pub(crate) fn array_into(messages: &[Message], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, quoted) in messages.iter().filter_map(Message::quoted).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(quoted);
    }
    out.push(b']');
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
