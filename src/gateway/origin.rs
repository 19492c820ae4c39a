//! Which site a request comes from, as browsers tell it.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, Uri};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a page of another origin has caused this request. A form on any site can send a request,
/// with the cookies and from the network of the browser's user.
///
/// `Sec-Fetch-Site` decides where a browser sends it, for no page can set it and no proxy changes
/// it. `Origin` is compared with the host of the request otherwise. A request with neither comes
/// from a program.
pub fn is_foreign(uri: &Uri, headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        // `none` is the user: a bookmark, or the address bar.
        return site != "same-origin" && site != "none";
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => false,
        (Some(origin), None) => !is_own(origin, uri, headers),
        (Some(_), Some(_)) => true,
    }
}

/// Whether an origin is that of the host which the request names. `null`, the origin of sandboxed
/// and local pages, is never the host's.
fn is_own(origin: &HeaderValue, uri: &Uri, headers: &HeaderMap) -> bool {
    let Some((scheme, origin)) = origin.to_str().ok().and_then(|origin| origin.split_once("://"))
    else {
        return false;
    };
    // The scheme of the request is not known: a proxy may have ended TLS. The origin's scheme tells
    // the default port.
    let default = if scheme.eq_ignore_ascii_case("http") {
        80
    } else if scheme.eq_ignore_ascii_case("https") {
        443
    } else {
        return false;
    };
    // HTTP/2 names the host in the URI.
    let host = match uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => {
            headers.get(header::HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok())
        }
    };
    let (Ok(origin), Some(host)) = (origin.parse::<Authority>(), host) else { return false };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default);
    origin.host().eq_ignore_ascii_case(host.host()) && port(&origin) == port(&host)
}

#[cfg(test)]
mod tests {
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
