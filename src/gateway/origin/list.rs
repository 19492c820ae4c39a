//! Origins as an operator lists them.

use std::fmt;
use std::str::FromStr;

use super::site::{Origin, default_port};

/// One origin, or all subdomains of one.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    scheme: Box<str>,
    /// Lower case. For subdomains, it begins with the dot.
    host: Box<str>,
    subdomains: bool,
    /// `None` is the scheme's own.
    port: Option<u16>,
}

impl Pattern {
    pub(super) fn matches(&self, origin: &Origin<'_>) -> bool {
        // No page has a host that begins with a dot, so that what the star stands for is not empty.
        let host_matches = match origin.host.len().checked_sub(self.host.len()) {
            Some(0) => !self.subdomains && origin.host.eq_ignore_ascii_case(&self.host),
            // The bytes, for a character may begin before the end.
            Some(more) if self.subdomains => {
                origin.host.as_bytes()[more..].eq_ignore_ascii_case(self.host.as_bytes())
            }
            _ => false,
        };
        host_matches && origin.scheme.eq_ignore_ascii_case(&self.scheme) && origin.port == self.port
    }
}

impl FromStr for Pattern {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let error = |problem| OriginError { origin: text.into(), problem };
        if matches!(text, "*" | "null" | "any" | "same-origin") {
            return Err(error(Problem::Word));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| error(Problem::NoScheme))?;
        let scheme = scheme.to_ascii_lowercase();
        if !is_scheme(&scheme) {
            return Err(error(Problem::NoScheme));
        }
        if matches!(&*scheme, "ws" | "wss" | "file") {
            return Err(error(Problem::Scheme));
        }
        if rest.contains(['/', '?', '#', '@']) {
            return Err(error(Problem::Path));
        }
        let (plain, subdomains) = match rest.strip_prefix("*.") {
            Some(_) => (&rest[1..], true),
            None => (rest, false),
        };
        if plain.contains('*') {
            return Err(error(Problem::Star));
        }
        let whole = format!("{scheme}://{}", plain.strip_prefix('.').unwrap_or(plain));
        let origin = Origin::parse(&whole).ok_or_else(|| error(Problem::Host))?;
        let in_brackets = origin.host.starts_with('[');
        let is_host = match in_brackets {
            true => origin.host[1..origin.host.len() - 1].parse::<std::net::Ipv6Addr>().is_ok(),
            // One dot stands between two labels; more, or one at an end, are not what browsers send.
            false => origin.host.split('.').all(is_label),
        };
        if !is_host || (in_brackets && subdomains) {
            return Err(error(Problem::Host));
        }
        let dot = if subdomains { "." } else { "" };
        let host = format!("{dot}{}", origin.host.to_ascii_lowercase()).into();
        Ok(Self { host, subdomains, port: origin.port, scheme: scheme.into() })
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// As browsers write it, and `frame-ancestors` takes it.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.subdomains { "*" } else { "" };
        write!(f, "{}://{star}{}", self.scheme, self.host)?;
        match self.port {
            Some(port) if Some(port) != default_port(&self.scheme) => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

/// A text that is no origin. The message tells the mistake and its remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct OriginError {
    origin: Box<str>,
    problem: Problem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    Word,
    NoScheme,
    Scheme,
    Path,
    Star,
    Host,
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, problem } = self;
        let (scheme, rest) = origin.split_once("://").unwrap_or(("https", origin));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        write!(f, "origin {origin:?} ")?;
        match problem {
            Problem::Word if &**origin == "null" => write!(
                f,
                "is that of every sandboxed and every local page, and can't be listed: admit all origins, or use a predicate"
            ),
            Problem::Word => write!(
                f,
                "is no origin, and can't stand in a list: list origins such as \"https://example.org\", or admit any"
            ),
            Problem::NoScheme => write!(
                f,
                "does not begin with a scheme: write \"https://{}\"",
                if authority.is_empty() { "example.org" } else { authority }
            ),
            Problem::Scheme if scheme.eq_ignore_ascii_case("file") => {
                write!(
                    f,
                    "is that of no page, for browsers send null: admit all origins, or use a predicate"
                )
            }
            Problem::Scheme => {
                let of_page = if scheme.eq_ignore_ascii_case("ws") { "http" } else { "https" };
                write!(f, "is that of no page: write \"{of_page}://{authority}\"")
            }
            Problem::Path => {
                write!(
                    f,
                    "has more than scheme, host and port, which browsers leave out: write \"{scheme}://{authority}\""
                )
            }
            Problem::Star => write!(
                f,
                "has a star that does not stand for all subdomains of a host: write \"{scheme}://*.example.org\", or each origin by itself"
            ),
            Problem::Host => write!(
                f,
                "has no host and port as browsers write them: write a name in ASCII (\"xn--…\"), an IPv4 address, or an IPv6 address in brackets, and a port from 1 to 65535 behind a colon, if any"
            ),
        }
    }
}
