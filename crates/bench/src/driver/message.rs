//! The messages of a load: each says which session it is of, its number, when it was due, and
//! carries a check of all of it.

/// Bytes of a message without filler.
pub(super) const LEAST: usize = FILLER;

const SESSION: usize = 0;
const NUMBER: usize = 9;
const DUE: usize = 18;
const CHECK: usize = 35;
const FILLER: usize = 44;

/// The content of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The session that sent it.
    pub session: u32,
    /// Its place among that session's messages, from 0.
    pub number: u32,
    /// When it was to be sent, on [`monotonic`](crate::os::monotonic)'s clock.
    pub due: u64,
}

/// Writes messages of one session into a buffer of its own.
///
/// Their text is made of letters, digits and dots: nothing that JSON, a URL or an event stream
/// would escape, so that their bytes on the wire are the same under every framing.
pub(super) struct Stationery {
    text: Vec<u8>,
}

impl Stationery {
    /// For messages of `size` bytes, at least [`LEAST`].
    pub(super) fn new(session: u32, size: usize) -> Self {
        let mut text: Vec<u8> = (b'a'..=b'z').cycle().take(size.max(LEAST)).collect();
        for dot in [NUMBER, DUE, CHECK, FILLER] {
            text[dot - 1] = b'.';
        }
        hex(&mut text[SESSION..SESSION + 8], session.into());
        Self { text }
    }

    /// The next message's text, until the next call.
    pub(super) fn write(&mut self, number: u32, due: u64) -> &[u8] {
        hex(&mut self.text[NUMBER..NUMBER + 8], number.into());
        hex(&mut self.text[DUE..DUE + 16], due);
        let check = check(&self.text);
        hex(&mut self.text[CHECK..CHECK + 8], check.into());
        &self.text
    }
}

/// Reads a message; `None` when a byte of it was changed.
pub(super) fn read(text: &[u8]) -> Option<Stamp> {
    if text.len() < LEAST || unhex(&text[CHECK..CHECK + 8])? != u64::from(check(text)) {
        return None;
    }
    Some(Stamp {
        session: u32::try_from(unhex(&text[SESSION..SESSION + 8])?).ok()?,
        number: u32::try_from(unhex(&text[NUMBER..NUMBER + 8])?).ok()?,
        due: unhex(&text[DUE..DUE + 16])?,
    })
}

/// A message and the time of its arrival at the server, which the server added.
pub(super) fn split_stamp(text: &[u8]) -> (&[u8], Option<u64>) {
    let Some(space) = memchr::memrchr(b' ', text) else { return (text, None) };
    let nanos = str::from_utf8(&text[space + 1..]).ok().and_then(|digits| digits.parse().ok());
    (&text[..space], nanos)
}

/// Over all but the check itself.
fn check(text: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&text[..CHECK]);
    hasher.update(&text[CHECK + 8..]);
    hasher.finalize()
}

fn hex(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

fn unhex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for size in [0, LEAST, 64, 1000] {
            let mut stationery = Stationery::new(0x00c0_ffee, size);
            for (number, due) in [(0, 0), (7, 1_234_567), (u32::MAX, u64::MAX)] {
                let text = stationery.write(number, due).to_vec();
                assert_eq!(text.len(), size.max(LEAST));
                assert_eq!(read(&text), Some(Stamp { session: 0x00c0_ffee, number, due }));
            }
        }
    }

    #[test]
    fn any_changed_byte_shows() {
        let text = Stationery::new(1, 64).write(2, 3).to_vec();
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            assert_eq!(read(&changed), None, "byte {at}");
        }
        assert_eq!(read(&text[..63]), None);
        assert_eq!(read(b""), None);
    }

    #[test]
    fn a_servers_stamp_is_split_off() {
        assert_eq!(split_stamp(b"a.b 123"), (&b"a.b"[..], Some(123)));
        assert_eq!(split_stamp(b"a.b x"), (&b"a.b"[..], None));
        assert_eq!(split_stamp(b"a.b"), (&b"a.b"[..], None));
    }

    #[test]
    fn nothing_in_it_is_ever_escaped() {
        let text = Stationery::new(u32::MAX, 200).write(u32::MAX, u64::MAX).to_vec();
        assert!(text.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'.'), "{text:?}");
    }
}
