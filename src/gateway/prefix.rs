//! Where an endpoint lives: the path that its URLs begin with.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The path under which an endpoint lives: `/echo`, `/api/v1/chat` (SockJS 0.3.3, URLs).
///
/// One segment or more, each after a slash, and no slash at the end. It is compared with the raw
/// path of a request, segment by segment and case-sensitively, so it is written as browsers send
/// it: characters outside ASCII are percent-encoded.
///
/// ```
/// use sockeye::Prefix;
///
/// let prefix: Prefix = "/echo".parse()?;
/// assert_eq!(prefix.as_str(), "/echo");
///
/// let error = "echo/".parse::<Prefix>().unwrap_err();
/// assert_eq!(error.to_string(), r#"prefix "echo/" does not begin with a slash: write "/echo""#);
/// # Ok::<(), sockeye::PrefixError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Prefix(Arc<str>);

impl Prefix {
    /// The prefix as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The rest of a request's raw path after this prefix: empty, or `/` and more. `None` for a
    /// path that isn't below it, such as `/echofoo` for `/echo`.
    pub(crate) fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(&*self.0).filter(|below| below.is_empty() || below.starts_with('/'))
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(prefix: &str) -> Result<Self, PrefixError> {
        match Problem::of(prefix) {
            None => Ok(Self(prefix.into())),
            Some(problem) => Err(PrefixError { prefix: prefix.into(), problem }),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no [`Prefix`]. The message tells the mistake and its remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PrefixError {
    prefix: Box<str>,
    problem: Problem,
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefix, problem } = self;
        let trimmed = prefix.trim_matches('/');
        write!(f, "prefix {prefix:?} ")?;
        match problem {
            Problem::Root => write!(
                f,
                "would take every path of the server: name a segment, for example \"/sockjs\""
            ),
            Problem::NoSlash => write!(f, "does not begin with a slash: write \"/{trimmed}\""),
            Problem::SlashAtEnd => write!(f, "ends in a slash: write \"/{trimmed}\""),
            Problem::EmptySegment => {
                write!(f, "has an empty segment: write one slash between two segments")
            }
            Problem::DotSegment => {
                write!(
                    f,
                    "has a segment \".\" or \"..\", which browsers resolve before they send it: write the path without it"
                )
            }
            Problem::Percent => {
                write!(
                    f,
                    "has a \"%\" without two hexadecimal digits: write \"%25\" for the character itself"
                )
            }
            Problem::Character(character) => {
                let mut utf8 = [0; 4];
                let encoded =
                    utf8_percent_encode(character.encode_utf8(&mut utf8), NON_ALPHANUMERIC);
                write!(
                    f,
                    "holds {character:?}, which no path can: leave it out, or write \"{encoded}\""
                )
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    Root,
    NoSlash,
    SlashAtEnd,
    EmptySegment,
    DotSegment,
    Percent,
    Character(char),
}

impl Problem {
    /// The first problem of a prefix, as it is read.
    fn of(prefix: &str) -> Option<Self> {
        if prefix.bytes().all(|byte| byte == b'/') {
            return Some(Self::Root);
        }
        let Some(path) = prefix.strip_prefix('/') else { return Some(Self::NoSlash) };
        if path.ends_with('/') {
            return Some(Self::SlashAtEnd);
        }
        path.split('/').find_map(Self::of_segment)
    }

    fn of_segment(segment: &str) -> Option<Self> {
        if segment.is_empty() {
            return Some(Self::EmptySegment);
        }
        if let Some(character) = segment.chars().find(|&character| !may_stand_in_path(character)) {
            return Some(Self::Character(character));
        }
        let is_escape = |rest: &str| {
            rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
        };
        if !segment.split('%').skip(1).all(is_escape) {
            return Some(Self::Percent);
        }
        // Decoded, because browsers resolve `%2e` as well.
        let decoded: Vec<u8> = percent_decode_str(segment).collect();
        matches!(&*decoded, b"." | b"..").then_some(Self::DotSegment)
    }
}

/// RFC 3986, `pchar`; and `%`, whose digits are looked at elsewhere.
fn may_stand_in_path(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().expect("a prefix")
    }

    fn problem(text: &str) -> Problem {
        text.parse::<Prefix>().expect_err(text).problem
    }

    #[test]
    fn any_depth_is_taken_as_written() {
        for text in [
            "/echo",
            "/a/b/c",
            "/v1.2/chat",
            "/a..b/...",
            "/%ED%95%9C",
            "/-._~!$&'()*+,;=:@",
            "/Echo",
            "/%252e",
        ] {
            assert_eq!(prefix(text).to_string(), text);
        }
    }

    #[test]
    fn what_no_request_could_match_is_refused() {
        let table = [
            ("", Problem::Root),
            ("/", Problem::Root),
            ("//", Problem::Root),
            ("echo", Problem::NoSlash),
            (" /echo", Problem::NoSlash),
            ("/echo/", Problem::SlashAtEnd),
            ("/echo//", Problem::SlashAtEnd),
            ("//echo", Problem::EmptySegment),
            ("/a//b", Problem::EmptySegment),
            ("/.", Problem::DotSegment),
            ("/a/../b", Problem::DotSegment),
            ("/%2e", Problem::DotSegment),
            ("/a/.%2E", Problem::DotSegment),
            ("/a%", Problem::Percent),
            ("/a%2", Problem::Percent),
            ("/%2/a", Problem::Percent),
            ("/%%25", Problem::Percent),
            ("/%zz", Problem::Percent),
            ("/echo?a=1", Problem::Character('?')),
            ("/echo#", Problem::Character('#')),
            ("/a b", Problem::Character(' ')),
            ("/a\n", Problem::Character('\n')),
            ("/a\0", Problem::Character('\0')),
            ("/\u{7f}", Problem::Character('\u{7f}')),
            ("/a\\b", Problem::Character('\\')),
            ("/{room}", Problem::Character('{')),
            ("/한", Problem::Character('한')),
        ];
        for (text, expected) in table {
            assert_eq!(problem(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_message_tells_what_to_write() {
        let message = |text: &str| text.parse::<Prefix>().expect_err(text).to_string();
        assert!(message("").ends_with(r#"for example "/sockjs""#));
        assert_eq!(message("/echo/"), r#"prefix "/echo/" ends in a slash: write "/echo""#);
        assert!(message("/한").ends_with(r#"write "%ED%95%9C""#));
        assert!(message("/a?b").ends_with(r#"write "%3F""#));
    }

    /// SockJS 0.3.3, URLs: segment by segment, case-sensitive, the path as it stands.
    #[test]
    fn matches_whole_segments() {
        let echo = prefix("/echo");
        assert_eq!(echo.below("/echo"), Some(""));
        assert_eq!(echo.below("/echo/"), Some("/"));
        assert_eq!(echo.below("/echo//"), Some("//"));
        assert_eq!(echo.below("/echo/a/b/xhr"), Some("/a/b/xhr"));
        for other in
            ["", "/", "/ech", "/echofoo", "/echo%2Finfo", "/Echo", "//echo", "/a/echo", "echo/info"]
        {
            assert_eq!(echo.below(other), None, "{other}");
        }
        assert_eq!(prefix("/a/b").below("/a/b/info"), Some("/info"));
        assert_eq!(prefix("/a/b").below("/a/c/info"), None);
    }
}
