//! JSON string quoting with the escapes that SockJS adds: every byte an application sends passes
//! through here.

/// Appends `text` as a JSON string, quotes included (SockJS 0.3.3, message frames).
///
/// Escapes the characters that JSON demands, U+200C-200F, U+2028-202F, U+2060-206F, U+FFF0-FFFF,
/// and, as two surrogates, all above U+FFFF; everything else leaves as UTF-8. Hexadecimal digits
/// are lower-case.
pub(crate) fn quote_into(text: &str, out: &mut Vec<u8>) {
    quote::<false>(text.as_bytes(), out);
}

/// Appends an encoded frame as a string literal for a script: the argument of a JSONP callback, or
/// of htmlfile's `p(…)`.
///
/// `escape_lt` writes `<` as `\u003c`, so that no message can end the script element that htmlfile
/// sends it in. JSONP's answer is a script of its own and has no need of that.
pub(crate) fn quote_script_into(frame: &[u8], escape_lt: bool, out: &mut Vec<u8>) {
    if escape_lt { quote::<true>(frame, out) } else { quote::<false>(frame, out) }
}

fn quote<const LT: bool>(bytes: &[u8], out: &mut Vec<u8>) {
    let special = const { &special_bytes(LT) };
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut copied = 0;
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let block_end = match rest.first_chunk() {
            Some(block) if is_plain::<LT>(block) => {
                at += BLOCK;
                continue;
            }
            Some(_) => at + BLOCK,
            None => bytes.len(),
        };
        // A block with a special byte is walked once, not searched anew after each escape: JSON
        // within JSON has one in every five to ten bytes.
        while at < block_end {
            if !special[usize::from(bytes[at])] {
                at += 1;
                continue;
            }
            // These two, the ones that JSON within JSON is full of, go past the match over all
            // kinds of escapes.
            if let byte @ (b'"' | b'\\') = bytes[at] {
                out.extend_from_slice(&bytes[copied..at]);
                out.extend_from_slice(&[b'\\', byte]);
                at += 1;
                copied = at;
                continue;
            }
            let Some(escape) = Escape::at(&bytes[at..]) else {
                at += 1;
                continue;
            };
            out.extend_from_slice(&bytes[copied..at]);
            at += escape.write(out);
            copied = at;
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Bytes looked at together. The fold over a block becomes a few vector comparisons, which for
/// plain text is five times as fast as a table and three times as fast as eight bytes in a `u64`.
const BLOCK: usize = 32;

/// Whether the whole block can be copied as it is.
#[inline]
fn is_plain<const LT: bool>(block: &[u8; BLOCK]) -> bool {
    !block.iter().fold(false, |found, &byte| found | is_special(byte, LT))
}

const fn special_bytes(escape_lt: bool) -> [bool; 256] {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        special[byte] = is_special(byte as u8, escape_lt);
        byte += 1;
    }
    special
}

/// Whether an escape may begin with this byte.
///
/// 0xE2 and 0xEF lead the characters that SockJS escapes beyond JSON's own (and many that it
/// doesn't), 0xF0 and above those beyond U+FFFF.
const fn is_special(byte: u8, escape_lt: bool) -> bool {
    // `|`, not `||`: branches would keep `is_plain` from being vectorised.
    (byte < 0x20)
        | (byte == b'"')
        | (byte == b'\\')
        | (byte == 0xe2)
        | (byte >= 0xef)
        | (escape_lt & (byte == b'<'))
}

/// The escape of a character, and how many bytes the character has.
enum Escape {
    /// A backslash and this letter.
    Short(u8),
    /// One UTF-16 unit as `\uXXXX`, for so many bytes.
    Unit(u16, usize),
    /// A surrogate pair.
    Pair(u16, u16),
}

impl Escape {
    /// The escape for the character at the start, `None` if it goes out as it is.
    #[inline]
    fn at(bytes: &[u8]) -> Option<Self> {
        Some(match *bytes {
            [0x08, ..] => Self::Short(b'b'),
            [b'\t', ..] => Self::Short(b't'),
            [b'\n', ..] => Self::Short(b'n'),
            [0x0c, ..] => Self::Short(b'f'),
            [b'\r', ..] => Self::Short(b'r'),
            [byte @ (..0x20 | b'<'), ..] => Self::Unit(byte.into(), 1),
            // U+200C-200F, U+2028-202F
            [0xe2, 0x80, last @ (0x8c..=0x8f | 0xa8..=0xaf), ..] => {
                Self::Unit(0x2000 | low_six(last), 3)
            }
            // U+2060-206F
            [0xe2, 0x81, last @ 0xa0..=0xaf, ..] => Self::Unit(0x2040 | low_six(last), 3),
            // U+FFF0-FFFF
            [0xef, 0xbf, last @ 0xb0..=0xbf, ..] => Self::Unit(0xffc0 | low_six(last), 3),
            // Above U+FFFF. Less 0x10000, the high ten bits make the first surrogate, the low ten
            // the second.
            [lead @ 0xf0..=0xf4, second, third, last, ..] => {
                let high = (u16::from(lead & 7) << 8) + (low_six(second) << 2) - 0x40
                    + (low_six(third) >> 4);
                Self::Pair(0xd800 + high, 0xdc00 + ((low_six(third) & 0xf) << 6) + low_six(last))
            }
            _ => return None,
        })
    }

    /// Appends the escape; returns how many bytes of input it stands for.
    #[inline]
    fn write(self, out: &mut Vec<u8>) -> usize {
        match self {
            Self::Short(letter) => {
                out.extend_from_slice(&[b'\\', letter]);
                1
            }
            Self::Unit(unit, len) => {
                write_unit(unit, out);
                len
            }
            Self::Pair(high, low) => {
                write_unit(high, out);
                write_unit(low, out);
                4
            }
        }
    }
}

fn low_six(byte: u8) -> u16 {
    u16::from(byte & 0x3f)
}

fn write_unit(unit: u16, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |shift: u16| DIGITS[usize::from(unit >> shift & 0xf)];
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> String {
        let mut out = Vec::new();
        quote_into(text, &mut out);
        String::from_utf8(out).expect("UTF-8 in, UTF-8 out")
    }

    fn literal(frame: &str, escape_lt: bool) -> String {
        let mut out = Vec::new();
        quote_script_into(frame.as_bytes(), escape_lt, &mut out);
        String::from_utf8(out).expect("UTF-8 in, UTF-8 out")
    }

    /// SockJS 0.3.3, message frames: each text beside its bytes on the wire.
    #[test]
    fn escapes_what_json_and_sockjs_demand() {
        let table = [
            ("", r#""""#),
            ("x", r#""x""#),
            // JSON's own.
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("\u{8}\t\n\u{c}\r", r#""\b\t\n\f\r""#),
            ("\0\u{1}\u{7}\u{b}\u{e}\u{1f}", r#""\u0000\u0001\u0007\u000b\u000e\u001f""#),
            // Not escaped: the slash, DEL, C1 controls, `<`, other non-ASCII.
            (" /<\u{7f}\u{80}\u{9f}", "\" /<\u{7f}\u{80}\u{9f}\""),
            ("äß안녕ﬀ", "\"äß안녕ﬀ\""),
            // The edges of SockJS's ranges.
            ("\u{200b}\u{200c}\u{200f}\u{2010}", "\"\u{200b}\\u200c\\u200f\u{2010}\""),
            (
                "\u{2027}\u{2028}\u{2029}\u{202f}\u{2030}",
                "\"\u{2027}\\u2028\\u2029\\u202f\u{2030}\"",
            ),
            ("\u{205f}\u{2060}\u{206f}\u{2070}", "\"\u{205f}\\u2060\\u206f\u{2070}\""),
            ("\u{ffef}\u{fff0}\u{ffff}", "\"\u{ffef}\\ufff0\\uffff\""),
            ("\u{d7ff}\u{e000}\u{fffd}", "\"\u{d7ff}\u{e000}\\ufffd\""),
            // Above U+FFFF: two surrogates.
            (
                "\u{10000}\u{1f600}\u{fffff}\u{10ffff}",
                r#""\ud800\udc00\ud83d\ude00\udbbf\udfff\udbff\udfff""#,
            ),
        ];
        for (text, wire) in table {
            assert_eq!(quoted(text), wire, "{text:?}");
        }
    }

    /// A block is looked at as a whole and its end may fall into a character: an escape must come
    /// out wherever it stands.
    #[test]
    fn finds_an_escape_at_every_position_of_a_block() {
        for (text, wire) in [
            ("\"", "\\\""),
            ("\u{2028}", "\\u2028"),
            ("😀", "\\ud83d\\ude00"),
            ("“", "“"),
            ("안", "안"),
        ] {
            for before in 0..=2 * BLOCK {
                for after in [0, 1, BLOCK] {
                    let (before, after) = ("a".repeat(before), "b".repeat(after));
                    let expected = format!("\"{before}{wire}{after}\"");
                    assert_eq!(quoted(&format!("{before}{text}{after}")), expected);
                }
            }
        }
    }

    /// SockJS 0.3.3, htmlfile and JSONP: a frame as the argument of a call.
    #[test]
    fn a_frame_becomes_a_script_literal() {
        assert_eq!(literal("o", true), r#""o""#);
        assert_eq!(literal(r#"a["x"]"#, true), r#""a[\"x\"]""#);
        assert_eq!(literal(r#"a["\u2028안"]"#, false), r#""a[\"\\u2028안\"]""#);
        assert_eq!(literal("a[\"</script>\"]", false), r#""a[\"</script>\"]""#);
        assert_eq!(literal("a[\"</script>\"]", true), r#""a[\"\u003c/script>\"]""#);
        let long = "-".repeat(BLOCK);
        assert_eq!(literal(&format!("{long}<{long}"), true), format!("\"{long}\\u003c{long}\""));
    }

    #[test]
    fn appends_to_what_is_there() {
        let mut out = b"a[".to_vec();
        quote_into("x", &mut out);
        assert_eq!(out, b"a[\"x\"");
    }
}
