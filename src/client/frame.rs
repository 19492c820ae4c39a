//! Frames from a server, parsed from text.

use super::error::FrameError;
use crate::protocol::payload::{self, PayloadLimits};
use crate::{CloseReason, Message};

/// One frame from the server, unwrapped (SockJS 0.3.3, protocol and framing).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InboundFrame {
    Open,
    /// A heartbeat, or another sign that the connection is alive.
    Heartbeat,
    Messages(Vec<Message>),
    Close(CloseReason),
}

/// The limits of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameLimits {
    /// Bytes, without the transport's wrapping.
    pub(super) size: usize,
    /// Messages.
    pub(super) messages: usize,
}

impl InboundFrame {
    /// Reads one frame; `None` for texts that sockjs-client ignores as well: empty ones, and
    /// unknown first letters.
    ///
    /// Unlike sockjs-client, which drops a message frame that it can't read and goes on, this is an
    /// error: its messages would be lost in silence.
    pub(super) fn parse(frame: &[u8], limits: &FrameLimits) -> Result<Option<Self>, FrameError> {
        if frame.len() > limits.size {
            return Err(FrameError::TooLarge { limit: limits.size });
        }
        let Some((kind, rest)) = frame.split_first() else { return Ok(None) };
        match kind {
            b'o' => Ok(Some(Self::Open)),
            b'h' if rest.is_empty() => Ok(Some(Self::Heartbeat)),
            b'a' => messages(payload::parse(rest, &limits.payload()), limits),
            b'm' if rest.is_empty() => Err(FrameError::Messages),
            b'm' => {
                let text = str::from_utf8(rest).map_err(|_| FrameError::NotUtf8)?;
                let mut one = Vec::new();
                messages(
                    payload::parse_frame(text, &limits.payload(), &mut one).map(|()| one),
                    limits,
                )
            }
            b'c' => {
                let (code, reason): (u16, String) =
                    serde_json::from_slice(rest).map_err(|_| FrameError::Close)?;
                Ok(Some(Self::Close(CloseReason::new(code, reason))))
            }
            _ => Ok(None),
        }
    }
}

fn messages(
    outcome: Result<Vec<Message>, payload::PayloadError>,
    limits: &FrameLimits,
) -> Result<Option<InboundFrame>, FrameError> {
    match outcome {
        Ok(messages) => Ok(Some(InboundFrame::Messages(messages))),
        // No message is larger than its frame, so the other limit it is.
        Err(error) if error.is_limit() => {
            Err(FrameError::TooManyMessages { limit: limits.messages })
        }
        Err(_) => Err(FrameError::Messages),
    }
}

impl FrameLimits {
    fn payload(&self) -> PayloadLimits {
        // A lone surrogate's six bytes become three, and all other escapes shrink as well.
        PayloadLimits { message_size: self.size, messages: self.messages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits { size: 40, messages: 2 };

    fn parse(frame: &str) -> Result<Option<InboundFrame>, FrameError> {
        InboundFrame::parse(frame.as_bytes(), &LIMITS)
    }

    #[test]
    fn frames_are_read() {
        assert_eq!(parse("o"), Ok(Some(InboundFrame::Open)));
        assert_eq!(parse("h"), Ok(Some(InboundFrame::Heartbeat)));
        assert_eq!(
            parse(r#"a["x","\u2028"]"#),
            Ok(Some(InboundFrame::Messages(vec!["x".into(), "\u{2028}".into()])))
        );
        assert_eq!(
            parse(r#"a["\ud800"]"#),
            Ok(Some(InboundFrame::Messages(vec!["\u{fffd}".into()])))
        );
        assert_eq!(parse(r#"m"x""#), Ok(Some(InboundFrame::Messages(vec!["x".into()]))));
        assert_eq!(
            parse(r#"c[3000,"Go away!"]"#),
            Ok(Some(InboundFrame::Close(CloseReason::new(3000, "Go away!"))))
        );
    }

    #[test]
    fn what_sockjs_client_ignores_is_ignored() {
        assert_eq!(parse(""), Ok(None));
        assert_eq!(parse("x[1]"), Ok(None));
        assert_eq!(
            parse("hhhhhhhh"),
            Ok(None),
            "the prelude of a stream shows nothing of heartbeats"
        );
    }

    #[test]
    fn messages_are_never_dropped_in_silence() {
        for broken in ["a", "a[", "a{}", "a[1]", "a\"x\"", r#"a["x"#, "m", "m1"] {
            assert_eq!(parse(broken), Err(FrameError::Messages), "{broken}");
        }
        for broken in
            ["c", "c[]", "c[1000]", "c[1000,\"x\",1]", "c[\"x\",1000]", "c[70000,\"x\"]", "c{}"]
        {
            assert_eq!(parse(broken), Err(FrameError::Close), "{broken}");
        }
        assert_eq!(InboundFrame::parse(b"a[\"\xff\"]", &LIMITS), Err(FrameError::Messages));
        assert_eq!(InboundFrame::parse(b"m\"\xff\"", &LIMITS), Err(FrameError::NotUtf8));
    }

    #[test]
    fn limits_hold_and_are_named() {
        assert_eq!(parse(r#"a["a","b","c"]"#), Err(FrameError::TooManyMessages { limit: 2 }));
        let long = format!("a[\"{}\"]", "x".repeat(35));
        assert!(parse(&long).is_ok());
        assert_eq!(
            parse(&format!("a[\"{}\"]", "x".repeat(36))),
            Err(FrameError::TooLarge { limit: 40 })
        );
        assert!(
            FrameError::TooLarge { limit: 40 }.to_string().contains("40 bytes: raise frame_size")
        );
    }
}
