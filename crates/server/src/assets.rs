//! The static files that the binary carries: the demo pages and the files that they load.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use rust_embed::{EmbeddedFile, RustEmbed};

/// The sockjs-client that the pages load, and the iframe page as well: a path on this server or a
/// CDN's URL.
pub(crate) const CLIENT_URL: &str = env!("SOCKEYE_CLIENT_URL");

/// The files under `static/`, assembled by build.rs.
#[derive(RustEmbed)]
#[folder = "$OUT_DIR/site"]
struct Embedded;

/// Every static file by its path on the server: `index.html` is `/`, `NAME.html` is `/NAME`, others
/// are `/static/FILE`.
pub(crate) struct Assets {
    by_path: BTreeMap<String, Asset>,
    /// The page in place of one that isn't there. It has no path of its own.
    not_found: Asset,
}

const NOT_FOUND: &str = "404.html";

struct Asset {
    body: Bytes,
    headers: HeaderMap,
    etag: String,
    is_page: bool,
}

impl Assets {
    pub(crate) fn embedded() -> Self {
        let files = Embedded::iter()
            .filter(|name| name != NOT_FOUND)
            .filter_map(|name| Some((Embedded::get(&name)?, name)));
        let not_found = Embedded::get(NOT_FOUND).expect("static/404.html is embedded");
        Self {
            by_path: files.map(|(file, name)| (path_of(&name), Asset::new(&name, file))).collect(),
            not_found: Asset::new(NOT_FOUND, not_found),
        }
    }

    /// The paths of the pages, in order.
    pub(crate) fn pages(&self) -> impl Iterator<Item = &str> {
        self.by_path.iter().filter(|(_, asset)| asset.is_page).map(|(path, _)| path.as_str())
    }

    /// The answer to a request for `path`; `None` when no file is there.
    pub(crate) fn respond(
        &self,
        method: &Method,
        path: &str,
        request: &HeaderMap,
    ) -> Option<Response<Bytes>> {
        let asset = self.by_path.get(path)?;
        if method != Method::GET && method != Method::HEAD {
            return Some(method_not_allowed());
        }

        let fresh = request.get_all(IF_NONE_MATCH).iter().any(|tags| names(tags, &asset.etag));
        let (status, body) = match fresh {
            true => (StatusCode::NOT_MODIFIED, Bytes::new()),
            // For a HEAD, hyper takes the length from the body and sends none of it.
            false => (StatusCode::OK, asset.body.clone()),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = asset.headers.clone();
        if fresh {
            response.headers_mut().remove(CONTENT_TYPE);
        }
        Some(response)
    }

    /// 404, with a page that leads on.
    pub(crate) fn not_found(&self) -> Response<Bytes> {
        let mut response = Response::new(self.not_found.body.clone());
        *response.status_mut() = StatusCode::NOT_FOUND;
        *response.headers_mut() = self.not_found.headers.clone();
        // The path may be served after the next start.
        response.headers_mut().remove(ETAG);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// 405 for a path that can only be read.
pub(crate) fn method_not_allowed() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(b"This path takes GET and HEAD only.\n"));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

impl Asset {
    fn new(name: &str, file: EmbeddedFile) -> Self {
        let is_page = is_page(name);
        let etag = format!("\"{}\"", hex(&file.metadata.sha256_hash()[..16]));

        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type(file.metadata.mimetype()));
        headers.insert(ETAG, header(&etag));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache_control(name)));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if is_page {
            headers.insert(CONTENT_SECURITY_POLICY, header(&page_policy()));
            headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        }
        let body = match file.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        Self { body, headers, etag, is_page }
    }
}

fn path_of(name: &str) -> String {
    match name.strip_suffix(".html").filter(|_| is_page(name)) {
        Some("index") => "/".to_owned(),
        Some(page) => format!("/{page}"),
        None => format!("/static/{name}"),
    }
}

fn is_page(name: &str) -> bool {
    name.ends_with(".html") && !name.contains('/')
}

/// Files under `lib/` have their version in their names and never change; all else changes with the
/// binary.
fn cache_control(name: &str) -> &'static str {
    if name.starts_with("lib/") { "public, max-age=31536000, immutable" } else { "no-cache" }
}

fn content_type(mimetype: &str) -> HeaderValue {
    let is_text = mimetype.starts_with("text/") || mimetype == "application/json";
    if is_text { header(&format!("{mimetype}; charset=utf-8")) } else { header(mimetype) }
}

/// The least that the demo pages need. JSONP polling loads scripts from this origin and posts a
/// form to it, the iframe transports frame it; `ws:` is named because in browsers before 2022
/// `'self'` does not cover it.
fn page_policy() -> String {
    let cdn = origin(CLIENT_URL).map(|origin| format!(" {origin}")).unwrap_or_default();
    format!(
        "default-src 'self'; script-src 'self'{cdn}; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; \
         connect-src 'self' ws: wss:; frame-src 'self'; frame-ancestors 'self'; form-action 'self'; \
         base-uri 'none'; object-src 'none'"
    )
}

/// The origin of an absolute URL; `None` for a path.
fn origin(url: &str) -> Option<&str> {
    let host = url.find("://")? + 3;
    let end = url[host..].find('/').map_or(url.len(), |length| host + length);
    Some(&url[..end])
}

/// Whether an `If-None-Match` value, a list of tags or `*`, names this tag; by weak comparison (RFC
/// 9110, 13.1.2).
fn names(tags: &HeaderValue, etag: &str) -> bool {
    let tags = tags.to_str().unwrap_or_default();
    tags.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

fn header(value: &str) -> HeaderValue {
    HeaderValue::from_str(value)
        .expect("made of constants, file types and hex digits, which are visible ASCII")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, if_none_match: &[&'static str]) -> Option<Response<Bytes>> {
        let mut headers = HeaderMap::new();
        for tags in if_none_match {
            headers.append(IF_NONE_MATCH, HeaderValue::from_static(tags));
        }
        Assets::embedded().respond(&Method::GET, path, &headers)
    }

    #[test]
    fn file_names_become_paths() {
        let table = [
            ("index.html", "/"),
            ("chat.html", "/chat"),
            ("style.css", "/static/style.css"),
            ("lib/sockjs-1.6.1.min.js", "/static/lib/sockjs-1.6.1.min.js"),
            ("licenses/index.html", "/static/licenses/index.html"),
        ];
        for (name, path) in table {
            assert_eq!(path_of(name), path);
        }
    }

    #[test]
    fn pages_are_served_with_a_policy_and_revalidated() {
        let page = get("/", &[]).expect("there is an index page");
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(page.headers()[CACHE_CONTROL], "no-cache");
        assert!(page.headers().contains_key(CONTENT_SECURITY_POLICY));

        assert_eq!(get("/", &["*"]).map(|page| page.status()), Some(StatusCode::NOT_MODIFIED));
        assert_eq!(
            get("/", &["\"other\", W/\"another\""]).map(|page| page.status()),
            Some(StatusCode::OK)
        );
    }

    #[test]
    fn the_page_for_what_is_not_there_has_no_path_and_is_not_kept() {
        assert!(get("/404", &[]).is_none());
        assert!(Assets::embedded().pages().all(|path| path != "/404"));
        let page = Assets::embedded().not_found();
        assert_eq!(page.status(), StatusCode::NOT_FOUND);
        assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(page.headers()[CACHE_CONTROL], "no-store");
        assert!(!page.headers().contains_key(ETAG));
        assert!(page.headers().contains_key(CONTENT_SECURITY_POLICY));
    }

    #[test]
    fn only_what_is_meant_to_be_served_is_embedded() {
        for path in
            ["/static/package.json", "/static/package-lock.json", "/static/sockjs-client.json"]
        {
            assert!(get(path, &[]).is_none(), "{path}");
        }
        assert!(Embedded::iter().all(|name| !name.contains("node_modules")));
    }

    #[test]
    fn no_page_is_left_with_a_placeholder() {
        let assets = Assets::embedded();
        assert!(assets.pages().any(|path| path == "/chat"));
        for path in assets.pages() {
            let body = String::from_utf8_lossy(&assets.by_path[path].body);
            for placeholder in ["<!-- sockjs-client -->", "<!-- transports -->"] {
                assert!(!body.contains(placeholder), "{path}: {placeholder}");
            }
        }
    }

    #[test]
    fn if_none_match_takes_lists_weak_tags_and_a_star() {
        let table = [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("\"b\",W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("", false),
        ];
        for (tags, expected) in table {
            assert_eq!(names(&HeaderValue::from_static(tags), "\"a\""), expected, "{tags}");
        }
    }

    #[test]
    fn an_origin_is_scheme_and_host() {
        assert_eq!(origin("https://cdn.example/npm/a.js"), Some("https://cdn.example"));
        assert_eq!(origin("https://cdn.example"), Some("https://cdn.example"));
        assert_eq!(origin("/static/a.js"), None);
    }
}
