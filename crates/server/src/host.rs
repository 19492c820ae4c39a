//! The check of a request's `Host` (RFC 9112, Request Target; RFC 9110, Host).

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, Response, StatusCode, Version};

/// Whether its `Host` is as it must be: exactly one over HTTP/1.1, at most one before, and one that
/// can be a host. Two servers in a row that each believe another of two `Host`s have been made to
/// serve one site's answers as another's.
///
/// This check belongs to a server; a gateway mounted in one trusts its server's check.
pub(crate) fn is_right<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_host(host.as_bytes()),
        // HTTP/2 has `:authority` in its place.
        (None, _) => request.version() != Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// 400, and the end of the connection: the following bytes may be a smuggled request.
pub(crate) fn refusal() -> Response<Bytes> {
    let text = "A request needs one `Host` header, with a host and optionally a port in it.\n";
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// `uri-host [ ":" port ]`, and also empty, from a client whose URL has no host (RFC 9110, Host;
/// RFC 3986, Host).
fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !value.ends_with(b"]") => (&value[..colon], &value[colon + 1..]),
        _ => (value, &[][..]),
    };
    let in_brackets = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let is_name = match in_brackets {
        Some(address) => is_address(address),
        None => is_name(host),
    };
    is_name && port.iter().all(u8::is_ascii_digit) && port.len() <= 5
}

/// An IPv6 address, or one of a kind to come (RFC 3986, `IPvFuture`).
fn is_address(address: &[u8]) -> bool {
    let Ok(address) = std::str::from_utf8(address) else { return false };
    let future = || {
        let (version, rest) = address.strip_prefix(['v', 'V'])?.split_once('.')?;
        let is_version =
            !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_rest = !rest.is_empty()
            && rest.bytes().all(|byte| is_unreserved(byte) || is_delimiter(byte) || byte == b':');
        Some(is_version && is_rest)
    };
    address.parse::<std::net::Ipv6Addr>().is_ok() || future() == Some(true)
}

/// A name or an IPv4 address (RFC 3986, `reg-name`).
fn is_name(mut name: &[u8]) -> bool {
    while let [byte, rest @ ..] = name {
        name = match rest {
            [high, low, rest @ ..]
                if *byte == b'%' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest
            }
            _ if is_unreserved(*byte) || is_delimiter(*byte) => rest,
            _ => return false,
        };
    }
    true
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn is_delimiter(byte: u8) -> bool {
    b"!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_what_is_none() {
        for host in [
            "a",
            "a.example",
            "a.example:",
            "a.example:80",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:8080",
            "[v1.a:b]",
            "",
            "a_b",
            "%41",
            ":80",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "a b", "a/b", "a@b", "a:b", "a:80:80", "a:800000", "::1", "[::1", "::1]", "[]", "[a]",
            "[::1]a", "[::1]:a", "a,b:x", "%4", "%zz", "a\tb", "ä", "a?b", "a#b", "a\\b", "[v.a]",
            "[v1.]", "http://a",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
