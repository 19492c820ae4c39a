//! SockJS frames as a client reads them.

use super::error::Error;

/// The meaning of a frame, besides its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The session is open.
    Open,
    /// The server is there.
    Heartbeat,
    /// So many messages.
    Messages(usize),
}

/// Reads one frame and hands on its messages, without copying them where nothing in them is
/// escaped.
///
/// # Errors
///
/// A close frame is [`Error::Closed`]; other bytes are a protocol error.
pub(super) fn read(frame: &[u8], message: &mut dyn FnMut(&[u8])) -> Result<Kind, Error> {
    match frame.first() {
        Some(b'o') => Ok(Kind::Open),
        Some(b'h') => Ok(Kind::Heartbeat),
        Some(b'a') => messages(&frame[1..], message).map(Kind::Messages),
        Some(b'c') => {
            let (code, reason) = serde_json::from_slice(&frame[1..]).map_err(|_| NO_FRAME)?;
            Err(Error::Closed { code, reason })
        }
        _ => Err(NO_FRAME),
    }
}

const NO_FRAME: Error = Error::Protocol("the bytes are no SockJS frame");

fn messages(array: &[u8], message: &mut dyn FnMut(&[u8])) -> Result<usize, Error> {
    if memchr::memchr(b'\\', array).is_some() {
        let messages: Vec<String> = serde_json::from_slice(array).map_err(|_| NO_FRAME)?;
        messages.iter().for_each(|text| message(text.as_bytes()));
        return Ok(messages.len());
    }
    let mut rest =
        array.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).ok_or(NO_FRAME)?;
    let mut count = 0;
    while let Some(text) = rest.strip_prefix(b"\"") {
        let end = memchr::memchr(b'"', text).ok_or(NO_FRAME)?;
        message(&text[..end]);
        count += 1;
        rest = &text[end + 1..];
        match rest.strip_prefix(b",") {
            Some(next) if next.starts_with(b"\"") => rest = next,
            Some(_) => return Err(NO_FRAME),
            None => break,
        }
    }
    if rest.is_empty() { Ok(count) } else { Err(NO_FRAME) }
}

/// Splits a stream of chunks into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Hands on each line that ends in `piece`, without its end.
    ///
    /// # Errors
    ///
    /// The first one of `line`.
    pub(super) fn read(
        &mut self,
        piece: &[u8],
        line: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut rest = piece;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            if self.begun.is_empty() {
                line(strip(&rest[..end]))?;
            } else {
                self.begun.extend_from_slice(&rest[..end]);
                let outcome = line(strip(&self.begun));
                self.begun.clear();
                outcome?;
            }
            rest = &rest[end + 1..];
        }
        self.begun.extend_from_slice(rest);
        Ok(())
    }

    /// Forgets a line that has begun: the response is over.
    pub(super) fn end(&mut self) {
        self.begun.clear();
    }
}

fn strip(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Undoes the escaping of event streams, where anything was escaped.
pub(super) fn percent_decoded(text: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    percent_encoding::percent_decode(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(frame: &str) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        let kind = read(frame.as_bytes(), &mut |text| {
            texts.push(String::from_utf8(text.to_vec()).expect("text"))
        });
        matches!(kind, Ok(Kind::Messages(count)) if count == texts.len()).then_some(texts)
    }

    #[test]
    fn messages_are_found_escaped_or_not() {
        assert_eq!(texts(r#"a["x"]"#), Some(vec!["x".to_owned()]));
        assert_eq!(
            texts(r#"a["x","","y z"]"#),
            Some(vec!["x".to_owned(), String::new(), "y z".to_owned()])
        );
        assert_eq!(texts(r#"a["x\n","\u0041"]"#), Some(vec!["x\n".to_owned(), "A".to_owned()]));
        for broken in
            [r#"a"x""#, r#"a["x"#, r#"a["x",]"#, r#"a["x"y]"#, r#"a["x""y"]"#, r"a[\]", "a[1]"]
        {
            assert_eq!(texts(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_close_frame_says_why() {
        let closed = read(br#"c[3000,"Go away!"]"#, &mut |_| ()).expect_err("closed");
        assert!(matches!(closed, Error::Closed { code: 3000, reason } if reason == "Go away!"));
        assert!(read(b"<html>", &mut |_| ()).is_err());
        assert!(read(b"", &mut |_| ()).is_err());
    }

    #[test]
    fn lines_are_found_however_they_are_cut() {
        let text = b"one\ntwo\r\n\r\nthree\nfour";
        for step in 1..=text.len() {
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            for piece in text.chunks(step) {
                let mut line = |line: &[u8]| {
                    seen.push(line.to_vec());
                    Ok(())
                };
                lines.read(piece, &mut line).expect("no error");
            }
            assert_eq!(seen, [&b"one"[..], b"two", b"", b"three"], "{step}");
        }
    }
}
