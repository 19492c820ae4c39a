//! Which site a request comes from, as browsers tell it.

use http::header::{self, HeaderMap, HeaderName};
use http::uri::Uri;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a page of another origin has caused this request. A form on any site can send a request,
/// with the cookies and from the network of the browser's user.
///
/// `Sec-Fetch-Site` decides where a browser sends it, for no page can set it and no proxy changes
/// it. `Origin` is compared with the host of the request otherwise. A request with neither comes
/// from a program.
pub fn is_foreign(uri: &Uri, headers: &HeaderMap) -> bool {
    match Site::of(headers) {
        Site::Same | Site::None => return false,
        Site::Other => return true,
        Site::Untold => {}
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => false,
        (Some(origin), None) => {
            let origin = origin.to_str().ok().and_then(Origin::parse);
            !origin.is_some_and(|origin| origin.is_of(host(uri, headers)))
        }
        (Some(_), Some(_)) => true,
    }
}

/// Where the page that caused a request stands to its host, as the browser says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    Same,
    /// The user caused it: a bookmark, or the address bar.
    None,
    Other,
    Untold,
}

impl Site {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match headers.get(SEC_FETCH_SITE) {
            None => Self::Untold,
            Some(site) if site == "same-origin" => Self::Same,
            Some(site) if site == "none" => Self::None,
            Some(_) => Self::Other,
        }
    }
}

/// The origin of a page: scheme, host and port, as they were written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'o> {
    pub(super) scheme: &'o str,
    pub(super) host: &'o str,
    /// The scheme's own where none was written, if there is one.
    pub(super) port: Option<u16>,
}

impl<'o> Origin<'o> {
    /// `None` for `null`, the origin of sandboxed and local pages, and for what has more parts or
    /// fewer.
    pub(super) fn parse(text: &'o str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (host, port) = split(rest)?;
        Some(Self { scheme, host, port: port.or_else(|| default_port(scheme)) })
    }

    /// Whether it is that of a web page of this host. The scheme of the request is not known, for a
    /// proxy may have ended TLS; the origin's tells the default port.
    pub(super) fn is_of(&self, host: Option<&str>) -> bool {
        let Some(default) = default_port(self.scheme) else { return false };
        host.and_then(split).is_some_and(|(host, port)| {
            self.host.eq_ignore_ascii_case(host) && self.port == Some(port.unwrap_or(default))
        })
    }
}

pub(super) fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else {
        None
    }
}

/// The origin of a page's URL.
pub(super) fn origin_of(page: &str) -> Option<&str> {
    let authority = page.find("://")? + "://".len();
    let end = page[authority..].find(['/', '?', '#']).map_or(page.len(), |end| authority + end);
    Some(&page[..end])
}

/// The host that the request names, with its port. HTTP/2 names it in the URI.
pub(super) fn host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(header::HOST)?.to_str().ok(),
    }
}

/// Host and port, of which the port may be missing or empty.
fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let port = match port {
        "" => None,
        // `parse` would take a sign.
        _ if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
        _ => return None,
    };
    let name = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_name = match name {
        Some(address) => {
            address.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
        }
        // What ends a host, or begins another part, can't stand in it.
        None => host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@:[]\\\"".contains(&byte)),
    };
    (is_name && !host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    fn foreign(uri: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let pairs = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut map = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            map.append(name, value);
        });
        is_foreign(&uri.parse().expect("a URI"), &map)
    }

    #[test]
    fn browsers_that_tell_the_site_are_believed() {
        let own = ("origin", "http://a");
        for (site, expected) in [
            ("same-origin", false),
            ("none", false),
            ("same-site", true),
            ("cross-site", true),
            ("", true),
            ("something-new", true),
        ] {
            assert_eq!(foreign("/", &[("sec-fetch-site", site)]), expected, "{site}");
            assert_eq!(
                foreign("/", &[("sec-fetch-site", site), own, ("host", "a")]),
                expected,
                "{site}"
            );
        }
        // Behind a proxy that names another host.
        assert!(!foreign("/", &[("sec-fetch-site", "same-origin"), own, ("host", "b")]));
    }

    #[test]
    fn the_origin_is_compared_with_the_host() {
        for (origin, host, expected) in [
            ("http://a", "a", false),
            ("http://a", "A:80", false),
            ("http://a:80", "a", false),
            ("https://a", "a", false),
            ("https://A", "a:443", false),
            ("https://a:443", "a", false),
            ("http://a:8080", "a:8080", false),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", false),
            ("http://[::1]:8080", "[::1]:8080", false),
            ("http://a:8080", "a", true),
            ("http://a", "a:8080", true),
            ("http://a:80", "a:443", true),
            ("https://a", "a:80", true),
            ("http://a.b", "a", true),
            ("http://a", "a.b", true),
            ("http://evil", "a", true),
            ("http://a@evil", "a", true),
            ("http://[::1]", "[::2]", true),
            ("null", "a", true),
            ("null", "null", true),
            ("", "a", true),
            ("a", "a", true),
            ("file://", "a", true),
            ("chrome-extension://a", "a", true),
            ("http://a", "", true),
            ("http://a/", "a", true),
        ] {
            assert_eq!(
                foreign("/room", &[("origin", origin), ("host", host)]),
                expected,
                "{origin} to {host}"
            );
        }
        assert!(foreign("/", &[("origin", "http://a")]), "no host");
        assert!(
            foreign("/", &[("origin", "http://a"), ("origin", "http://a"), ("host", "a")]),
            "two of them"
        );
        // As HTTP/2 has it.
        assert!(!foreign("https://a/room", &[("origin", "https://a")]));
        assert!(foreign("https://a/room", &[("origin", "https://b")]));
        // Neither header: a program, which no page sends anywhere.
        assert!(!foreign("/room", &[("host", "a")]));
    }
}
