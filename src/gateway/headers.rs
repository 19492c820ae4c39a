//! Header groups: caching, cross-origin access, the cookie.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::config::{CookieConfig, SameSite};
use super::origin::Origins;
use crate::clock;

/// For answers made for a single client at a single time (SockJS 0.3.3, caching).
/// `X-Accel-Buffering` asks nginx to pass bytes on at once.
pub(super) fn no_cache(headers: &mut HeaderMap) {
    const NO_CACHE: HeaderValue =
        HeaderValue::from_static("no-store, no-cache, no-transform, must-revalidate, max-age=0");
    headers.insert(header::CACHE_CONTROL, NO_CACHE);
    const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
}

/// For answers that stay the same for a year (SockJS 0.3.3, caching).
pub(super) fn long_cache(headers: &mut HeaderMap) {
    const YEAR: Duration = Duration::from_secs(31_536_000);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000"));
    if let Some(expires) = expires(clock::date(), YEAR) {
        headers.insert(header::EXPIRES, expires);
    }
}

/// The date `age` after `now`; `None` where HTTP has no way to write it, before 1970 and after
/// 9999. The machine's clock can be set to anything, and `Cache-Control` says the same without a
/// date.
fn expires(now: SystemTime, age: Duration) -> Option<HeaderValue> {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let date = now.checked_add(age)?;
    date.duration_since(UNIX_EPOCH).ok().filter(|since| *since <= LAST)?;
    // An HTTP date is plain ASCII, which a header value takes.
    HeaderValue::try_from(httpdate::fmt_http_date(date)).ok()
}

/// Access from pages of other origins that the endpoint has admitted (SockJS 0.3.3, CORS). The
/// origin is echoed, `null` as well, because browsers refuse `*` for requests with credentials, and
/// sockjs-client's are.
pub(super) struct Cors {
    pub(super) origin: Option<HeaderValue>,
    /// Whether pages of any origin may read an answer to a request that has no origin.
    any: bool,
    wanted_headers: Option<HeaderValue>,
}

impl Cors {
    /// The access that a request asks for. Its headers are copied: hyper's are slices of the
    /// connection's read buffer, and a slice would keep its 8 KiB for as long as a poll waits.
    pub(super) fn of(request: &HeaderMap, origins: &Origins) -> Self {
        let wanted =
            request.get(header::ACCESS_CONTROL_REQUEST_HEADERS).filter(|wanted| !wanted.is_empty());
        Self {
            origin: request.get(header::ORIGIN).and_then(copy),
            any: origins.is_any(),
            wanted_headers: wanted.and_then(copy),
        }
    }

    pub(super) fn apply(self, response: &mut HeaderMap) {
        response.insert(header::VARY, HeaderValue::from_static("Origin"));
        match self.origin {
            Some(origin) => {
                response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                response.insert(
                    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                    HeaderValue::from_static("true"),
                );
            }
            None if self.any => {
                response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            None => {}
        }
        if let Some(wanted) = self.wanted_headers {
            response.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
        }
    }
}

/// A value that shares nothing.
pub(super) fn copy(value: &HeaderValue) -> Option<HeaderValue> {
    // A header value's bytes are a header value again.
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

/// The headers of a preflight answer beside [`Cors`] and [`long_cache`].
pub(super) fn preflight(methods: &'static str, response: &mut HeaderMap) {
    response.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    response.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("31536000"));
}

/// `Set-Cookie`: `JSESSIONID` with the value that the client sent, or `dummy` (SockJS 0.3.3,
/// cookies).
pub(super) fn cookie(config: CookieConfig, request: &HeaderMap) -> Option<HeaderValue> {
    let value = request.get_all(header::COOKIE).iter().find_map(session_cookie).unwrap_or("dummy");
    let mut cookie = format!("JSESSIONID={value}; path=/");
    cookie.push_str(match config.same_site {
        Some(SameSite::Strict) => "; SameSite=Strict",
        Some(SameSite::Lax) => "; SameSite=Lax",
        Some(SameSite::None) => "; SameSite=None",
        None => "",
    });
    if config.secure {
        cookie.push_str("; Secure");
    }
    // The value has been found to be a cookie's, the rest is ours.
    HeaderValue::try_from(cookie).ok()
}

/// The cookie's value, if it holds nothing that could end it or its header (RFC 6265,
/// cookie-octet).
fn session_cookie(header: &HeaderValue) -> Option<&str> {
    let pairs = header.to_str().ok()?.split(';');
    let value = pairs.filter_map(|pair| pair.trim().strip_prefix("JSESSIONID=")).next()?;
    let octet =
        |byte: u8| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    (!value.is_empty() && value.bytes().all(octet)).then_some(value)
}

/// Whether `If-None-Match` names this tag: a list of tags, weak ones too, or `*` (RFC 9110,
/// If-None-Match).
pub(super) fn matches(request: &HeaderMap, tag: &str) -> bool {
    request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(
        |value| {
            value
                .split(',')
                .map(str::trim)
                .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
        },
    )
}

/// Whether a header with a list of words holds `word`, in any case.
pub(super) fn lists(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_cookie_is_echoed_only_when_it_is_one() {
        for (sent, set) in [
            ("JSESSIONID=abc", "JSESSIONID=abc; path=/"),
            ("a=b; JSESSIONID=x_y-1.node; c=d", "JSESSIONID=x_y-1.node; path=/"),
            ("JSESSIONID=a b", "JSESSIONID=dummy; path=/"),
            ("JSESSIONID=\"quoted\"", "JSESSIONID=dummy; path=/"),
            ("JSESSIONID=", "JSESSIONID=dummy; path=/"),
            ("XJSESSIONID=abc", "JSESSIONID=dummy; path=/"),
        ] {
            let cookie = cookie(CookieConfig::default(), &headers(header::COOKIE, sent));
            assert_eq!(
                cookie.as_ref().and_then(|cookie| cookie.to_str().ok()),
                Some(set),
                "{sent}"
            );
        }
    }

    #[test]
    fn cookie_attributes_follow_the_path() {
        let config = CookieConfig { same_site: Some(SameSite::None), secure: true };
        let cookie = cookie(config, &HeaderMap::new()).expect("a header value");
        assert_eq!(cookie, "JSESSIONID=dummy; path=/; SameSite=None; Secure");
    }

    #[test]
    fn entity_tags_match_in_lists_weakly_and_by_star() {
        for (value, expected) in [
            ("\"t\"", true),
            ("W/\"t\"", true),
            ("\"a\", \"t\"", true),
            ("*", true),
            ("\"a\"", false),
            ("t", false),
        ] {
            assert_eq!(
                matches(&headers(header::IF_NONE_MATCH, value), "\"t\""),
                expected,
                "{value}"
            );
        }
    }

    /// httpdate panics outside of 1970 to 9999, and a clock may stand anywhere.
    #[test]
    fn a_clock_that_stands_anywhere_makes_no_panic() {
        let hour = Duration::from_secs(3600);
        for (now, expected) in [
            (UNIX_EPOCH, Some("Thu, 01 Jan 1970 01:00:00 GMT")),
            (UNIX_EPOCH - Duration::from_secs(1), Some("Thu, 01 Jan 1970 00:59:59 GMT")),
            (UNIX_EPOCH - hour * 2, None),
            (UNIX_EPOCH + Duration::from_secs(253_402_300_799), None),
        ] {
            let expires = expires(now, hour);
            assert_eq!(expires.as_ref().and_then(|date| date.to_str().ok()), expected, "{now:?}");
        }
    }

    #[test]
    fn words_in_lists() {
        let headers = headers(header::CONNECTION, "keep-alive, Upgrade");
        assert!(lists(&headers, header::CONNECTION, "upgrade"));
        assert!(!lists(&headers, header::CONNECTION, "up"));
    }
}
