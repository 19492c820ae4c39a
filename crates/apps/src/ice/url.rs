//! The URLs of STUN and TURN servers.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The URL of a STUN server (RFC 7064) or a TURN server (RFC 7065): `stun:host`,
/// `turn:host:3478?transport=udp`, and with `stuns:` or `turns:` over TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct IceUrl {
    text: String,
    is_turn: bool,
}

impl IceUrl {
    /// Whether it names a TURN server, which needs credentials.
    pub fn is_turn(&self) -> bool {
        self.is_turn
    }

    /// The URL as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for IceUrl {
    type Err = IceUrlError;

    fn from_str(text: &str) -> Result<Self, IceUrlError> {
        let error = |problem| IceUrlError { url: text.chars().take(200).collect(), problem };
        let (scheme, rest) =
            text.split_once(':').ok_or(error("it begins with stun:, stuns:, turn: or turns:"))?;
        let is_turn = match scheme {
            "stun" | "stuns" => false,
            "turn" | "turns" => true,
            _ => return Err(error("it begins with stun:, stuns:, turn: or turns:")),
        };
        let (address, query) =
            rest.split_once('?').map_or((rest, None), |(address, query)| (address, Some(query)));
        match query {
            None => {}
            Some("transport=udp" | "transport=tcp") if is_turn => {}
            Some(_) if is_turn => {
                return Err(error("after ? stands transport=udp or transport=tcp"));
            }
            Some(_) => return Err(error("a STUN server's URL has no ?")),
        }
        if address.starts_with("//") {
            return Err(error("there are no slashes behind the scheme"));
        }
        is_address(address)
            .then(|| Self { text: text.to_owned(), is_turn })
            .ok_or(error("behind the scheme stands host or host:port"))
    }
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn is_address(address: &str) -> bool {
    let (is_host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, rest)) => match rest.strip_prefix(':') {
            Some(port) => (v6.parse::<Ipv6Addr>().is_ok(), Some(port)),
            None => (v6.parse::<Ipv6Addr>().is_ok() && rest.is_empty(), None),
        },
        None => match address.split_once(':') {
            Some((host, port)) => (is_name(host), Some(port)),
            None => (is_name(address), None),
        },
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    is_host && port.is_none_or(is_port)
}

fn is_name(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

impl TryFrom<String> for IceUrl {
    type Error = IceUrlError;

    fn try_from(text: String) -> Result<Self, IceUrlError> {
        text.parse()
    }
}

impl From<IceUrl> for String {
    fn from(url: IceUrl) -> Self {
        url.text
    }
}

impl fmt::Display for IceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The text is not the URL of a STUN or TURN server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url:?} is no STUN or TURN URL: {problem}")]
pub struct IceUrlError {
    url: String,
    problem: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_stun_and_turn_servers() {
        for (url, is_turn) in [
            ("stun:stun.example.org", false),
            ("stuns:stun.example.org:5349", false),
            ("stun:192.0.2.1:3478", false),
            ("stun:[2001:db8::1]:3478", false),
            ("turn:turn_1.example.org", true),
            ("turn:10.158.29.39:3478?transport=udp", true),
            ("turns:[::1]?transport=tcp", true),
        ] {
            let parsed: IceUrl = url.parse().expect("is one");
            assert_eq!((parsed.as_str(), parsed.is_turn()), (url, is_turn));
        }
        for url in [
            "",
            "stun",
            "stun:",
            "http://stun.example.org",
            "STUN:a",
            "stun://a",
            "stun:a b",
            "stun:a:",
            "stun:a:0",
            "stun:a:65536",
            "stun:a:+80",
            "stun:a?transport=udp",
            "turn:a?transport=sctp",
            "turn:a?",
            "turn:user@host",
            "stun:[::1",
            "stun:[::1]80",
            "stun:::1",
            " stun:a",
        ] {
            assert!(url.parse::<IceUrl>().is_err(), "{url}");
        }
    }
}
