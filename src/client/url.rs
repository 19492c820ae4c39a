//! Where an endpoint is, and the URLs below it.

use std::fmt;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use rand::RngExt;

use super::error::UrlError;

/// The URL of an endpoint, as written for `new SockJS(…)`: a path without slashes at its end, and a
/// query that stays on every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    path: String,
    /// With its question mark, or empty.
    query: String,
}

/// Letters of session ids: thirty-two, so that each is five bits.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";

/// Eighty bits. sockjs-client takes eight letters; but a party that knows the id can read and write
/// the session.
const ID_LETTERS: usize = 16;

impl BaseUrl {
    pub(super) fn parse(url: &str) -> Result<Self, UrlError> {
        if url.contains('#') {
            return Err(UrlError::Fragment);
        }
        let uri: Uri = url.parse().map_err(|_| UrlError::Malformed)?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(UrlError::Malformed);
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(UrlError::Scheme);
        }
        if authority.as_str().contains('@') {
            return Err(UrlError::User);
        }
        if authority.host().is_empty() {
            return Err(UrlError::Malformed);
        }
        let path = parts
            .path_and_query
            .as_ref()
            .map_or("", PathAndQuery::path)
            .trim_end_matches('/')
            .to_owned();
        let query = parts.path_and_query.as_ref().and_then(PathAndQuery::query);
        Ok(Self {
            scheme,
            authority,
            path,
            query: query.map(|query| format!("?{query}")).unwrap_or_default(),
        })
    }

    /// The meaning of a `base_url` in the server's info: a URL of its own, or a path on the same
    /// origin.
    pub(super) fn join(&self, base_url: &str) -> Result<Self, UrlError> {
        match base_url.starts_with('/') && !base_url.starts_with("//") {
            true => Self::parse(&format!("{}://{}{base_url}", self.scheme, self.authority)),
            false => Self::parse(base_url),
        }
    }

    pub(super) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    pub(super) fn info(&self) -> Result<Uri, UrlError> {
        self.below("/info")
    }

    pub(super) fn raw_websocket(&self) -> Result<Uri, UrlError> {
        self.below("/websocket")
    }

    /// A session with a new random id.
    pub(super) fn session(&self) -> SessionUrl {
        let mut random = rand::rng();
        let server = random.random_range(0..1000);
        let id: String = (0..ID_LETTERS)
            .map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())]))
            .collect();
        SessionUrl { base: self.clone(), path: format!("/{server:03}/{id}") }
    }

    pub(super) fn origin(&self) -> Origin {
        Origin { scheme: self.scheme.clone(), authority: self.authority.clone() }
    }

    fn below(&self, path: &str) -> Result<Uri, UrlError> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(format!("{}{path}{}", self.path, self.query))
            .build()
            .map_err(|_| UrlError::Malformed)
    }
}

impl fmt::Display for BaseUrl {
    /// Without the query, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

/// One session's place below an endpoint.
#[derive(Debug)]
pub(super) struct SessionUrl {
    base: BaseUrl,
    path: String,
}

impl SessionUrl {
    /// The URL of one of its transports.
    pub(super) fn of(&self, transport: &str) -> Result<Uri, UrlError> {
        self.base.below(&format!("{}/{transport}", self.path))
    }
}

/// Scheme, host and port, which may see a client's credentials.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    scheme: Scheme,
    authority: Authority,
}

impl Origin {
    pub(super) fn is_of(&self, uri: &Uri) -> bool {
        uri.scheme() == Some(&self.scheme)
            && uri.host().is_some_and(|host| host.eq_ignore_ascii_case(self.authority.host()))
            && port(uri) == self.authority.port_u16().unwrap_or_else(|| default_port(&self.scheme))
    }
}

/// The port that a request to this URL goes to.
pub(super) fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or_else(|| uri.scheme().map_or(80, default_port))
}

fn default_port(scheme: &Scheme) -> u16 {
    if *scheme == Scheme::HTTPS { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> BaseUrl {
        BaseUrl::parse(url).expect(url)
    }

    #[test]
    fn queries_stay_and_slashes_at_the_end_go() {
        for (url, info) in [
            ("http://h/echo", "http://h/echo/info"),
            ("http://h/echo//", "http://h/echo/info"),
            ("http://h", "http://h/info"),
            ("https://h:8443/a/b?x=1&y=2", "https://h:8443/a/b/info?x=1&y=2"),
            ("http://[::1]:1/?x", "http://[::1]:1/info?x"),
        ] {
            assert_eq!(parse(url).info().expect("a URL").to_string(), info);
        }
        let session = parse("http://h/echo?a=1").session().of("xhr").expect("a URL").to_string();
        assert!(
            session.starts_with("http://h/echo/") && session.ends_with("/xhr?a=1"),
            "{session}"
        );
    }

    #[test]
    fn ids_are_fresh_and_of_the_protocols_letters() {
        let path = parse("http://h/echo").session().path;
        let segments: Vec<&str> = path.split('/').collect();
        let [_, server, id] = segments[..] else { panic!("{path}") };
        assert!(server.len() == 3 && server.bytes().all(|byte| byte.is_ascii_digit()), "{path}");
        assert!(id.len() == 16 && id.bytes().all(|byte| LETTERS.contains(&byte)), "{path}");
        assert_ne!(parse("http://h/echo").session().path, path);
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for (url, error) in [
            ("", UrlError::Malformed),
            ("/echo", UrlError::Malformed),
            ("http://", UrlError::Malformed),
            ("http:// h/", UrlError::Malformed),
            ("ws://h/echo", UrlError::Scheme),
            ("ftp://h/echo", UrlError::Scheme),
            ("http://h/echo#x", UrlError::Fragment),
            ("http://u:p@h/echo", UrlError::User),
        ] {
            assert_eq!(BaseUrl::parse(url), Err(error), "{url}");
        }
    }

    #[test]
    fn a_base_url_is_absolute_or_on_the_same_origin() {
        let base = parse("https://h:1/echo?a=1");
        assert_eq!(base.join("/other").expect("a URL"), parse("https://h:1/other"));
        assert_eq!(base.join("http://x/y").expect("a URL"), parse("http://x/y"));
        assert_eq!(base.join("//x/y"), Err(UrlError::Malformed));
        assert_eq!(base.join("y"), Err(UrlError::Malformed));
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = parse("https://host/echo").origin();
        for (url, same) in [
            ("https://host:443/x", true),
            ("https://HOST/", true),
            ("http://host/", false),
            ("https://host:8443/", false),
            ("https://other/", false),
        ] {
            assert_eq!(origin.is_of(&url.parse().expect("a URL")), same, "{url}");
        }
    }
}
