//! WebSocket frames as a client writes and reads them (RFC 6455, base framing protocol).

use super::error::Error;

/// The meaning of the next bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// A whole text or binary message.
    Message(&'a [u8]),
    /// The last piece of a message that came in fragments: it is in [`Reader::assembled`].
    Assembled,
    /// To be answered by a pong with the same contents.
    Ping(&'a [u8]),
    /// The server closes, with a code and a reason.
    Close(&'a [u8]),
    /// Nothing to do.
    Pong,
}

/// Reads the frames of one connection.
#[derive(Debug, Default)]
pub(super) struct Reader {
    fragments: Vec<u8>,
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PONG: u8 = 10;
/// No load sends messages of this size, so a length above this is no WebSocket frame.
const LONGEST: u64 = 64 * 1024 * 1024;

impl Reader {
    /// Reads from the front of `input`: the number of parsed bytes, and their meaning. `None` asks
    /// for more input behind the rest.
    ///
    /// # Errors
    ///
    /// When a server may not send this.
    pub(super) fn read<'a>(
        &mut self,
        input: &'a [u8],
    ) -> Result<(usize, Option<Event<'a>>), Error> {
        let &[first, second, ..] = input else { return Ok((0, None)) };
        let (opcode, last) = (first & 0x0f, first & 0x80 != 0);
        if first & 0x70 != 0 {
            return Err(Error::Protocol(
                "a WebSocket frame uses an extension that was not agreed on",
            ));
        }
        let (start, length) = match second {
            0..126 => (2, u64::from(second)),
            126 => match input.get(2..4) {
                Some(bytes) => (4, u64::from(u16::from_be_bytes([bytes[0], bytes[1]]))),
                None => return Ok((0, None)),
            },
            127 => match input.get(2..10) {
                Some(bytes) => {
                    (10, u64::from_be_bytes(bytes.try_into().expect("eight bytes were taken")))
                }
                None => return Ok((0, None)),
            },
            128.. => return Err(Error::Protocol("a WebSocket frame from the server is masked")),
        };
        if length > LONGEST {
            return Err(Error::Protocol("a WebSocket frame is longer than 64 MiB"));
        }
        let end = start + length as usize;
        let Some(payload) = input.get(start..end) else { return Ok((0, None)) };
        let event = match (opcode, last) {
            (0, false) => {
                self.fragments.extend_from_slice(payload);
                Event::Pong
            }
            (0, true) => {
                self.fragments.extend_from_slice(payload);
                Event::Assembled
            }
            (1 | 2, true) => Event::Message(payload),
            (1 | 2, false) => {
                self.fragments.clear();
                self.fragments.extend_from_slice(payload);
                Event::Pong
            }
            (8, _) => Event::Close(payload),
            (9, _) => Event::Ping(payload),
            (10, _) => Event::Pong,
            _ => return Err(Error::Protocol("a WebSocket frame has an unknown opcode")),
        };
        Ok((end, Some(event)))
    }

    /// The message that [`Event::Assembled`] told of.
    pub(super) fn assembled(&self) -> &[u8] {
        &self.fragments
    }
}

/// Appends a text message made of `parts`.
pub(super) fn text(out: &mut Vec<u8>, mask: [u8; 4], parts: [&[u8]; 3]) {
    frame(out, TEXT, mask, &parts);
}

/// Appends a pong.
pub(super) fn pong(out: &mut Vec<u8>, mask: [u8; 4], payload: &[u8]) {
    frame(out, PONG, mask, &[payload]);
}

/// Appends a close with a code and no reason.
pub(super) fn close(out: &mut Vec<u8>, mask: [u8; 4], code: u16) {
    frame(out, CLOSE, mask, &[&code.to_be_bytes()]);
}

fn frame(out: &mut Vec<u8>, opcode: u8, mask: [u8; 4], parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(0x80 | opcode);
    match length {
        0..126 => out.push(0x80 | length as u8),
        126..0x1_0000 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    let start = out.len();
    parts.iter().for_each(|part| out.extend_from_slice(part));
    // Four bytes at a time, which the compiler widens to whole registers.
    let (blocks, tail) = out[start..].as_chunks_mut::<4>();
    for block in blocks {
        *block = (u32::from_ne_bytes(*block) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    tail.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// The masked "Hello" of RFC 6455, examples.
    #[test]
    fn a_text_is_written_as_the_standard_shows() {
        let mut out = Vec::new();
        text(&mut out, MASK, [b"H", b"ell", b"o"]);
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn long_texts_say_their_length_in_more_bytes() {
        for (length, head) in [(125, 6), (126, 8), (65_535, 8), (65_536, 14)] {
            let mut out = Vec::new();
            text(&mut out, [0; 4], [b"", &vec![b'x'; length], b""]);
            assert_eq!(out.len(), head + length);
            // An unmasked client frame has the form of a server frame.
            out[1] &= 0x7f;
            out.drain(head - 4..head);
            let (done, event) = Reader::default().read(&out).expect("a frame");
            assert_eq!((done, event), (out.len(), Some(Event::Message(&vec![b'x'; length]))));
        }
    }

    #[test]
    fn frames_are_read_however_they_are_cut() {
        let wire = b"\x81\x05Hello\x01\x03Hel\x89\x01!\x80\x02lo\x8a\x00\x88\x02\x03\xe8";
        let (mut reader, mut seen, mut rest) = (Reader::default(), Vec::new(), Vec::new());
        for byte in wire {
            rest.push(*byte);
            let (done, event) = reader.read(&rest).expect("frames");
            match event {
                Some(Event::Message(text)) => seen.push(("message", text.to_vec())),
                Some(Event::Ping(text)) => seen.push(("ping", text.to_vec())),
                Some(Event::Close(text)) => seen.push(("close", text.to_vec())),
                Some(Event::Assembled) => seen.push(("assembled", reader.assembled().to_vec())),
                Some(Event::Pong) | None => {}
            }
            rest.drain(..done);
        }
        let expected: [(_, &[u8]); 4] = [
            ("message", b"Hello"),
            ("ping", b"!"),
            ("assembled", b"Hello"),
            ("close", b"\x03\xe8"),
        ];
        assert!(seen.iter().map(|(kind, text)| (*kind, &**text)).eq(expected), "{seen:?}");
    }

    #[test]
    fn what_a_server_may_not_send_is_refused() {
        for wire in
            [&b"\x81\x85\0\0\0\0Hello"[..], b"\xc1\x00", b"\x83\x00", b"\x82\x7f\x7f\0\0\0\0\0\0\0"]
        {
            assert!(Reader::default().read(wire).is_err(), "{wire:x?}");
        }
    }
}
