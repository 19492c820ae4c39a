//! Modified UTF-8 and its records, as Java's `writeUTF` writes and `readUTF` reads them.
//!
//! A record is a length of two bytes, big-endian, and as many bytes of text. The text is UTF-8 but
//! for two things: U+0000 is `C0 80`, and a character above U+FFFF stands as its two surrogates,
//! three bytes each.
//!
//! The decoder reads exactly the bytes that a JDK reads, longer forms than needed included. Only a
//! surrogate without its other half, which Java's strings may hold and text can't, becomes U+FFFD.

use bytes::{Buf, BufMut, BytesMut};

/// The most bytes of text that a record can hold.
pub(crate) const LONGEST: usize = u16::MAX as usize;

const PREFIX: usize = 2;

/// A text takes more than [`LONGEST`] bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Appends the record of `text`, or nothing.
pub(crate) fn write_record(text: &str, out: &mut BytesMut) -> Result<(), TooLong> {
    let length = u16::try_from(encoded_len(text)).map_err(|_| TooLong)?;
    out.reserve(PREFIX + usize::from(length));
    out.put_u16(length);
    if usize::from(length) == text.len() {
        out.put_slice(text.as_bytes());
        return Ok(());
    }
    let mut utf8 = [0; 4];
    for character in text.chars() {
        match character {
            '\0' => out.put_slice(&[0xC0, 0x80]),
            '\u{10000}'.. => character
                .encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| put_surrogate(*unit, out)),
            _ => out.put_slice(character.encode_utf8(&mut utf8).as_bytes()),
        }
    }
    Ok(())
}

/// How many bytes the text of a record takes.
pub(crate) fn encoded_len(text: &str) -> usize {
    let more = |byte| match byte {
        0 => 1,
        // The first of four bytes, which become six.
        0xF0.. => 2,
        _ => 0,
    };
    text.len() + text.bytes().map(more).sum::<usize>()
}

fn put_surrogate(unit: u16, out: &mut BytesMut) {
    let [high, low] = unit.to_be_bytes();
    out.put_slice(&[0xE0 | high >> 4, 0x80 | (high & 0x0F) << 2 | low >> 6, 0x80 | low & 0x3F]);
}

/// Cuts arriving pieces into records, wherever the pieces end.
#[derive(Debug, Default)]
pub(crate) struct Records {
    bytes: BytesMut,
}

/// Why there is no next record; nothing behind it can be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RecordError {
    /// The text would be larger than the limit.
    TooLarge,
    /// The bytes are no modified UTF-8.
    Malformed,
}

impl Records {
    /// Takes the next piece. To hold no more than a record and a piece, take all records out
    /// before.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    /// The memory held, in bytes.
    pub(crate) fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Bytes that no record has been made of yet.
    pub(crate) fn waiting(&self) -> usize {
        self.bytes.len()
    }

    /// The next record's text, or `None` when its end has not arrived. `largest` is in bytes of
    /// UTF-8.
    pub(crate) fn next(&mut self, largest: usize) -> Result<Option<String>, RecordError> {
        let Some((prefix, rest)) = self.bytes.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*prefix));
        // Three bytes of a record are at least one byte of UTF-8, so this much can't be within the
        // limit, and need not be kept till then.
        if length.div_ceil(3) > largest {
            return Err(RecordError::TooLarge);
        }
        let Some(text) = rest.get(..length) else { return Ok(None) };
        let text = decode(text).ok_or(RecordError::Malformed)?;
        if text.len() > largest {
            return Err(RecordError::TooLarge);
        }
        self.bytes.advance(PREFIX + length);
        if self.bytes.is_empty() {
            // A client that is silent for an hour shall not keep the room of its longest record.
            self.bytes = BytesMut::new();
        }
        Ok(Some(text))
    }

    /// Whether bytes have arrived that are in no record yet.
    pub(crate) fn has_begun(&self) -> bool {
        !self.bytes.is_empty()
    }
}

fn decode(bytes: &[u8]) -> Option<String> {
    if bytes.is_ascii() {
        return std::str::from_utf8(bytes).ok().map(str::to_owned);
    }
    let mut text = String::with_capacity(bytes.len());
    let mut units = Units { rest: bytes };
    for character in char::decode_utf16(units.by_ref()) {
        text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    units.rest.is_empty().then_some(text)
}

/// The UTF-16 units of a text; they end early, with a `rest`, where it is malformed.
struct Units<'a> {
    rest: &'a [u8],
}

impl Iterator for Units<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let (unit, rest) = match *self.rest {
            [a @ ..0x80, ref rest @ ..] => (u16::from(a), rest),
            [a @ 0xC0..0xE0, b @ 0x80..0xC0, ref rest @ ..] => {
                (bits(a, 0x1F) << 6 | bits(b, 0x3F), rest)
            }
            [a @ 0xE0..0xF0, b @ 0x80..0xC0, c @ 0x80..0xC0, ref rest @ ..] => {
                (bits(a, 0x0F) << 12 | bits(b, 0x3F) << 6 | bits(c, 0x3F), rest)
            }
            _ => return None,
        };
        self.rest = rest;
        Some(unit)
    }
}

fn bits(byte: u8, mask: u8) -> u16 {
    u16::from(byte & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Vec<u8> {
        let mut out = BytesMut::new();
        write_record(text, &mut out).expect("short enough");
        out.to_vec()
    }

    /// All records of `pieces`, read as they arrive.
    fn read<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
        largest: usize,
    ) -> Result<Vec<String>, RecordError> {
        let (mut records, mut texts) = (Records::default(), Vec::new());
        for piece in pieces {
            records.push(piece);
            while let Some(text) = records.next(largest)? {
                texts.push(text);
            }
        }
        assert!(!records.has_begun(), "a record has not ended");
        Ok(texts)
    }

    fn framed(bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len()).expect("short enough");
        [&length.to_be_bytes(), bytes].concat()
    }

    fn hex(digits: &str) -> Vec<u8> {
        let digits = digits.trim_matches('.').as_bytes();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn units(digits: &str) -> Vec<u16> {
        hex(digits).chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    }

    /// Vectors that a JDK writes and reads, printed by `crates/apps/tests/java/Vectors.java`.
    #[test]
    fn a_jdk_agrees() {
        let mut lines = 0;
        for line in include_str!("../../tests/java/modified_utf8.txt").lines() {
            let [kind, left, right] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            lines += 1;
            match kind {
                "write" => {
                    let text = String::from_utf16_lossy(&units(left));
                    assert_eq!(read([&hex(right)[..]], LONGEST), Ok(vec![text.clone()]), "{line}");
                    // A string with a lone surrogate is none of ours to write.
                    if String::from_utf16(&units(left)).is_ok() {
                        assert_eq!(record(&text), hex(right), "{line}");
                    }
                }
                _ => {
                    let expected = match right {
                        "-" => Err(RecordError::Malformed),
                        right => Ok(vec![String::from_utf16_lossy(&units(right))]),
                    };
                    assert_eq!(read([&framed(&hex(left))[..]], LONGEST), expected, "{line}");
                }
            }
        }
        assert!(lines > 40, "only {lines} lines");
    }

    #[test]
    fn a_text_may_take_as_many_bytes_as_its_length_can_tell() {
        for (unit, most) in
            [("x", 65_535), ("\0", 32_767), ("é", 32_767), ("한", 21_845), ("😀", 10_922)]
        {
            let longest = unit.repeat(most);
            assert_eq!(record(&longest).len(), 2 + encoded_len(&longest));
            assert_eq!(
                read([&record(&longest)[..]], usize::MAX).map(|texts| texts.concat()),
                Ok(longest)
            );
            let mut out = BytesMut::from("before");
            assert_eq!(write_record(&unit.repeat(most + 1), &mut out), Err(TooLong));
            assert_eq!(out, "before", "nothing is written of what does not fit");
        }
    }

    #[test]
    fn limits_count_utf8() {
        for (text, encoded) in [("aaaa", 4), ("\0\0\0\0", 8), ("😀", 6), ("한x", 4)] {
            assert_eq!(encoded_len(text), encoded);
            assert_eq!(read([&record(text)[..]], 4), Ok(vec![text.to_owned()]));
            assert_eq!(read([&record(text)[..]], 3), Err(RecordError::TooLarge));
        }
    }

    /// A client that announces more than it may send is refused before it has sent it.
    #[test]
    fn what_can_only_be_too_large_is_not_waited_for() {
        assert_eq!(read([&[0xFF, 0xFF][..]], 21_844), Err(RecordError::TooLarge));
        let mut records = Records::default();
        records.push(&[0xFF, 0xFF]);
        assert_eq!(records.next(21_845), Ok(None));
    }

    #[test]
    fn an_empty_reader_keeps_no_room() {
        let mut records = Records::default();
        records.push(&record(&"x".repeat(60_000)));
        records.push(&record("y")[..1]);
        assert!(records.next(LONGEST).expect("well formed").is_some());
        assert!(records.has_begun());
        records.push(&record("y")[1..]);
        assert!(records.next(LONGEST).expect("well formed").is_some());
        assert_eq!((records.has_begun(), records.bytes.capacity()), (false, 0));
    }
}
