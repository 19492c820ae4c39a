//! Close codes and reasons.

use std::borrow::Cow;
use std::fmt;

use super::quote;
use crate::escape::Escaped;

/// Why a session ended: a code and a text, as the client's close event shows them (SockJS 0.3.3,
/// close frames).
///
/// Applications choose codes from 3000 to 4999 of their own; 1000 and those among the constants that
/// say so are for them too. With the other constants Sockeye itself closes sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason {
    code: u16,
    reason: Cow<'static, str>,
}

impl CloseReason {
    /// 1000, the default of a session whose handler has returned.
    pub const NORMAL: Self = Self::fixed(1000, "Normal closure");
    /// 1001, for applications: the server goes away and takes its sessions with it.
    pub const GOING_AWAY: Self = Self::fixed(1001, "Server shutting down");
    /// 1008, for applications: the client does what it may not.
    pub const POLICY_VIOLATION: Self = Self::fixed(1008, "Policy violation");
    /// 1012, for applications: the server starts anew, and its clients may come back at once.
    pub const SERVICE_RESTART: Self = Self::fixed(1012, "Service restart");
    /// 1013, for applications: the server has too much to do, and its clients may come back later.
    pub const TRY_AGAIN_LATER: Self = Self::fixed(1013, "Try again later");
    /// 1002, the transport was lost, or the client sent no next poll within the disconnect delay.
    pub const INTERRUPTED: Self = Self::fixed(1002, "Connection interrupted");
    /// 1002, a WebSocket peer broke RFC 6455.
    pub const PROTOCOL_ERROR: Self = Self::fixed(1002, "Protocol error");
    /// 1007, a WebSocket peer sent text that is no UTF-8.
    pub const NOT_UTF8: Self = Self::fixed(1007, "Invalid UTF-8");
    /// 1007, a TCP client sent a record that is no modified UTF-8.
    pub const NOT_MODIFIED_UTF8: Self = Self::fixed(1007, "Invalid modified UTF-8");
    /// 1003, a binary message on an endpoint that takes text only.
    pub const BINARY_REFUSED: Self = Self::fixed(1003, "Binary messages are not accepted");
    /// 1009, a message over `message_size`, or a payload over `payload_size` or
    /// `messages_per_payload`.
    pub const TOO_LARGE: Self = Self::fixed(1009, "Message too large");
    /// 1011, the handler panicked, or returned an error.
    pub const HANDLER_FAILED: Self = Self::fixed(1011, "Internal error");
    /// 1008, the hub gave up on a session whose outbound queue was full.
    pub const SLOW_CONSUMER: Self = Self::fixed(1008, "slow consumer");
    /// 1008, the application did not take messages for `send_wait`.
    pub const INBOUND_FULL: Self = Self::fixed(1008, "inbound queue full");
    /// 1008, a TCP client sent no record in time, or began one and did not end it
    /// (`first_record_timeout`, `message_timeout`).
    pub const NO_RECORD: Self = Self::fixed(1008, "no record in time");
    /// 1008, a WebSocket client began a message and did not end it within `message_timeout`.
    pub const MESSAGE_TIMEOUT: Self = Self::fixed(1008, "message did not arrive in time");
    /// 1008, a client took no bytes for `write_timeout` while some waited for it, over WebSocket,
    /// HTTP or TCP.
    pub const NOT_READING: Self = Self::fixed(1008, "the client does not read");
    /// 1008, a client took fewer bytes than `least_rate` asks for while more waited for it: over
    /// WebSocket and TCP on the average of `write_timeout`, over HTTP by `write_timeout` after the
    /// time that its responses take at that rate.
    pub const TOO_SLOW: Self = Self::fixed(1008, "the client reads too slowly");
    /// 1013, the process was at its memory limit, and this session held the most
    /// ([`Budget`](crate::Budget)).
    pub const TOO_MUCH_HELD: Self = Self::fixed(1013, "too much memory held");
    /// 2010, answered to a second receiver of a session; the session itself goes on.
    pub const IN_USE: Self = Self::fixed(2010, "Another connection still open");
    /// 3000, a WebSocket client sent a text that is no JSON array of strings.
    pub const BROKEN_FRAMING: Self = Self::fixed(3000, "Broken framing.");
    /// 3000, a WebSocket peer gave no sign of life within `pong_timeout` of a ping.
    pub const NO_PONG: Self = Self::fixed(3000, "No response from heartbeat");

    /// A reason of the application's own.
    pub fn new(code: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { code, reason: reason.into() }
    }

    const fn fixed(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason) }
    }

    /// The code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The text.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The part of the text that fits a WebSocket close frame: at most 123 bytes (RFC 6455, 5.5).
    pub fn short_reason(&self) -> &str {
        cut(&self.reason)
    }

    /// The close frame, `c[code,"reason"]`.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut frame = format!("c[{},", self.code).into_bytes();
        quote::quote_into(&self.reason, &mut frame);
        frame.push(b']');
        frame
    }
}

/// A code and a reason of the application's own, as [`new`](CloseReason::new) takes them.
impl<R: Into<Cow<'static, str>>> From<(u16, R)> for CloseReason {
    fn from((code, reason): (u16, R)) -> Self {
        Self::new(code, reason)
    }
}

/// Bytes of a reason that fit a WebSocket close frame (RFC 6455, control frames).
pub(crate) fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(123)]
}

/// `code reason`, for logs: control characters in the reason, which may be a peer's, are escaped.
impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, Escaped(&self.reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients, proxies and dashboards know a reason by its code, and so does each page of the docs.
    #[test]
    fn each_constant_has_its_code_and_its_text_on_the_wire() {
        for (reason, frame) in [
            (CloseReason::NORMAL, r#"c[1000,"Normal closure"]"#),
            (CloseReason::GOING_AWAY, r#"c[1001,"Server shutting down"]"#),
            (CloseReason::POLICY_VIOLATION, r#"c[1008,"Policy violation"]"#),
            (CloseReason::SERVICE_RESTART, r#"c[1012,"Service restart"]"#),
            (CloseReason::TRY_AGAIN_LATER, r#"c[1013,"Try again later"]"#),
            (CloseReason::INTERRUPTED, r#"c[1002,"Connection interrupted"]"#),
            (CloseReason::PROTOCOL_ERROR, r#"c[1002,"Protocol error"]"#),
            (CloseReason::NOT_UTF8, r#"c[1007,"Invalid UTF-8"]"#),
            (CloseReason::NOT_MODIFIED_UTF8, r#"c[1007,"Invalid modified UTF-8"]"#),
            (CloseReason::BINARY_REFUSED, r#"c[1003,"Binary messages are not accepted"]"#),
            (CloseReason::TOO_LARGE, r#"c[1009,"Message too large"]"#),
            (CloseReason::HANDLER_FAILED, r#"c[1011,"Internal error"]"#),
            (CloseReason::SLOW_CONSUMER, r#"c[1008,"slow consumer"]"#),
            (CloseReason::INBOUND_FULL, r#"c[1008,"inbound queue full"]"#),
            (CloseReason::NO_RECORD, r#"c[1008,"no record in time"]"#),
            (CloseReason::MESSAGE_TIMEOUT, r#"c[1008,"message did not arrive in time"]"#),
            (CloseReason::NOT_READING, r#"c[1008,"the client does not read"]"#),
            (CloseReason::TOO_SLOW, r#"c[1008,"the client reads too slowly"]"#),
            (CloseReason::TOO_MUCH_HELD, r#"c[1013,"too much memory held"]"#),
            (CloseReason::IN_USE, r#"c[2010,"Another connection still open"]"#),
            (CloseReason::BROKEN_FRAMING, r#"c[3000,"Broken framing."]"#),
            (CloseReason::NO_PONG, r#"c[3000,"No response from heartbeat"]"#),
        ] {
            assert_eq!(String::from_utf8(reason.frame()).expect("text"), frame);
        }
    }
}
