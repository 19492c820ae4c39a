//! From the bytes of a response to frames, as they come: lines of an xhr transport, events of an
//! EventSource.

use bytes::{Buf, Bytes, BytesMut};
use percent_encoding::percent_decode;

use super::error::FrameError;

/// How frames are wrapped in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// A line each (SockJS 0.3.3, xhr and xhr-streaming).
    Lines,
    /// An event each, percent-encoded (SockJS 0.3.3, EventSource).
    Events,
}

/// Takes bytes and gives the frames wrapped in them.
#[derive(Debug)]
pub(super) struct Unwrapper {
    wrapping: Wrapping,
    /// The longest frame that is held back until its end has come.
    limit: usize,
    received: BytesMut,
    /// `received` has no line end before here, so that a long frame in many pieces is searched
    /// once.
    searched: usize,
    /// The `data` of the event that is not complete yet.
    data: Option<Vec<u8>>,
    /// A line ended with CR: a LF that follows belongs to it.
    after_cr: bool,
}

/// An escaped byte takes three, and `data: ` with the line end a few more.
const EVENT_OVERHEAD: usize = 3;
const LINE_OVERHEAD: usize = 16;

impl Unwrapper {
    pub(super) fn new(wrapping: Wrapping, limit: usize) -> Self {
        Self {
            wrapping,
            limit,
            received: BytesMut::new(),
            searched: 0,
            data: None,
            after_cr: false,
        }
    }

    /// Adds received bytes.
    pub(super) fn push(&mut self, bytes: &Bytes) {
        self.received.extend_from_slice(bytes);
    }

    /// Forgets an incomplete frame: the response has ended, and the next response begins anew.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.wrapping, self.limit);
    }

    /// The next frame that is complete.
    ///
    /// # Errors
    ///
    /// An unfinished frame is over the limit, or an event's escapes are broken.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        while let Some(line) = self.line()? {
            match self.wrapping {
                Wrapping::Lines => return Ok(Some(line)),
                Wrapping::Events if line.is_empty() => {
                    if let Some(data) = self.data.take() {
                        return decode_uri(&data).map(Some);
                    }
                }
                Wrapping::Events => self.field(&line)?,
            }
        }
        Ok(None)
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        if self.after_cr && !self.received.is_empty() {
            self.after_cr = false;
            if self.received[0] == b'\n' {
                self.received.advance(1);
            }
        }
        let ends = |&byte: &u8| byte == b'\n' || byte == b'\r' && self.wrapping == Wrapping::Events;
        let Some(offset) = self.received[self.searched..].iter().position(ends) else {
            self.searched = self.received.len();
            return match self.received.len() > self.line_limit() {
                true => Err(FrameError::TooLarge { limit: self.limit }),
                false => Ok(None),
            };
        };
        let line = self.received.split_to(self.searched + offset);
        self.after_cr = self.received[0] == b'\r';
        self.received.advance(1);
        self.searched = 0;
        match line.len() > self.line_limit() {
            true => Err(FrameError::TooLarge { limit: self.limit }),
            false => Ok(Some(line.into())),
        }
    }

    fn line_limit(&self) -> usize {
        match self.wrapping {
            // The prelude is a line, too, however small the limit.
            Wrapping::Lines => self.limit.max(4096),
            Wrapping::Events => {
                self.limit.saturating_mul(EVENT_OVERHEAD).saturating_add(LINE_OVERHEAD)
            }
        }
    }

    /// Takes a line of an event: only `data` matters to SockJS, and lines of it are joined by LF.
    fn field(&mut self, line: &[u8]) -> Result<(), FrameError> {
        let Some(value) = line.strip_prefix(b"data").and_then(|rest| match rest.split_first() {
            None => Some(rest),
            Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
            Some(_) => None,
        }) else {
            return Ok(());
        };
        let limit = self.line_limit();
        match &mut self.data {
            None => self.data = Some(value.to_vec()),
            Some(data) if data.len() + value.len() >= limit => {
                return Err(FrameError::TooLarge { limit: self.limit });
            }
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
        }
        Ok(())
    }
}

/// Decodes an event's data as `decodeURI` does in a browser: escapes of URI's reserved characters
/// stay, a broken escape is an error.
fn decode_uri(data: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut decoded = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        decoded.extend_from_slice(&rest[..at]);
        let escape = rest.get(at..at + 3).ok_or(FrameError::Escape)?;
        if !escape[1..].iter().all(u8::is_ascii_hexdigit) {
            return Err(FrameError::Escape);
        }
        let byte = percent_decode(escape).next().ok_or(FrameError::Escape)?;
        match byte {
            b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',' | b'#' => {
                decoded.extend_from_slice(escape);
            }
            byte => decoded.push(byte),
        }
        rest = &rest[at + 3..];
    }
    decoded.extend_from_slice(rest);
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All frames of a response that comes in pieces of `size` bytes.
    fn frames(wrapping: Wrapping, response: &str, size: usize) -> Result<Vec<String>, FrameError> {
        let mut unwrapper = Unwrapper::new(wrapping, 20);
        let mut frames = Vec::new();
        for piece in response.as_bytes().chunks(size) {
            unwrapper.push(&Bytes::copy_from_slice(piece));
            while let Some(frame) = unwrapper.next()? {
                frames.push(String::from_utf8(frame).expect("text"));
            }
        }
        Ok(frames)
    }

    #[test]
    fn frames_come_out_however_the_bytes_come_in() {
        let lines = "hhhh\no\na[\"ü\"]\nunfinished";
        let events = "\r\ndata: o\r\n\r\ndata:a\n\n: comment\ndata: b\rid: 1\rdata: c\r\rdata\n\ndatax: no\n\ndata: unfinished\n";
        for size in 1..=lines.len().max(events.len()) {
            assert_eq!(
                frames(Wrapping::Lines, lines, size),
                Ok(vec!["hhhh".into(), "o".into(), "a[\"ü\"]".into()])
            );
            let expected = ["o", "a", "b\nc", ""].map(str::to_owned).to_vec();
            assert_eq!(frames(Wrapping::Events, events, size), Ok(expected), "pieces of {size}");
        }
    }

    #[test]
    fn a_new_response_begins_anew() {
        let mut lines = Unwrapper::new(Wrapping::Lines, 20);
        lines.push(&Bytes::from_static(b"half"));
        assert_eq!(lines.next(), Ok(None));
        lines.reset();
        lines.push(&Bytes::from_static(b"o\n"));
        assert_eq!(lines.next(), Ok(Some(b"o".to_vec())));
    }

    #[test]
    fn events_are_decoded_as_a_browser_does() {
        assert_eq!(decode_uri(b"100%25 %0D%0A%00 %2525"), Ok(b"100% \r\n\0 %25".to_vec()));
        assert_eq!(decode_uri(b"%2f%3F%c3%bc"), Ok("%2f%3Fü".into()));
        for broken in ["100%", "%2", "%zz", "%%25", "%+1"] {
            assert_eq!(decode_uri(broken.as_bytes()), Err(FrameError::Escape), "{broken}");
        }
    }

    #[test]
    fn what_never_ends_is_refused() {
        let too_large = Err(FrameError::TooLarge { limit: 20 });
        assert_eq!(frames(Wrapping::Lines, &"x".repeat(4097), 100), too_large);
        assert_eq!(frames(Wrapping::Events, &"x".repeat(77), 7), too_large);
        assert_eq!(frames(Wrapping::Events, &"data: xxxxxxxxxx\n".repeat(8), 7), too_large);
    }
}
