use http::{HeaderName, Method, Request, StatusCode};

use super::*;
use crate::gateway::route::route;
use crate::{EndpointConfig, Gateway, Session, Transports};

fn head(headers: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
        );
    }
    map
}

fn admitted(
    origins: &Origins,
    (method, below): (Method, &str),
    headers: &[(&'static str, &'static str)],
) -> bool {
    let route = route(&method, below).expect("a route");
    let mut headers = head(headers);
    headers.append(header::HOST, HeaderValue::from_static("gw.example:8080"));
    origins.admit(route, &Uri::from_static("/"), &headers).is_ok()
}

const INFO: (Method, &str) = (Method::GET, "/info");
const PREFLIGHT: (Method, &str) = (Method::OPTIONS, "/0/a/xhr");
const SOCKET: (Method, &str) = (Method::GET, "/0/a/websocket");
const RAW: (Method, &str) = (Method::GET, "/websocket");
const XHR: (Method, &str) = (Method::POST, "/0/a/xhr");
const STREAM: (Method, &str) = (Method::POST, "/0/a/xhr_streaming");
const SEND: (Method, &str) = (Method::POST, "/0/a/xhr_send");
const EVENTS: (Method, &str) = (Method::GET, "/0/a/eventsource");
const HTMLFILE: (Method, &str) = (Method::GET, "/0/a/htmlfile");
const JSONP: (Method, &str) = (Method::GET, "/0/a/jsonp");
const JSONP_SEND: (Method, &str) = (Method::POST, "/0/a/jsonp_send");
const ALL: [(Method, &str); 11] =
    [INFO, PREFLIGHT, SOCKET, RAW, XHR, STREAM, SEND, EVENTS, HTMLFILE, JSONP, JSONP_SEND];

/// Headers; and whether same-origin, the list and the predicate admit them.
type Row = (&'static [(&'static str, &'static str)], [bool; 3]);

/// What each policy makes of a page, on every route.
#[test]
fn a_page_passes_by_its_origin_or_its_referer() {
    let any = Origins::any();
    let same = Origins::same_origin();
    let list = Origins::list(["https://app.example", "https://*.example.org"]).expect("origins");
    let predicate = Origins::predicate(|origin, head| {
        origin == "https://app.example" && head.contains_key(header::HOST)
    });
    const SITE: &str = "sec-fetch-site";
    const OWN: &str = "http://gw.example:8080";
    let rows: &[Row] = &[
        (&[("origin", "http://gw.example:8080")], [true; 3]),
        // A bare proxy has put another host there.
        (&[(SITE, "same-origin"), ("origin", "https://public.example")], [true; 3]),
        (&[(SITE, "same-origin")], [true; 3]),
        (&[(SITE, "same-origin"), ("origin", "null")], [true; 3]),
        // The same host, and another scheme: only the browser knows that.
        (&[(SITE, "cross-site"), ("origin", OWN)], [false; 3]),
        (&[(SITE, "same-site"), ("origin", OWN)], [false; 3]),
        (&[("origin", "https://app.example")], [false, true, true]),
        (&[(SITE, "cross-site"), ("origin", "https://app.example")], [false, true, true]),
        (&[("origin", "https://a.b.example.org")], [false, true, false]),
        (&[("origin", "https://example.org")], [false; 3]),
        (&[("origin", "https://evil.example")], [false; 3]),
        (&[("origin", "http://gw.example")], [false; 3]),
        (&[("origin", "http://gw.example:8081")], [false; 3]),
        (&[("origin", "http://evil.gw.example:8080")], [false; 3]),
        (&[("origin", "null")], [false; 3]),
        (&[("origin", "")], [false; 3]),
        (&[("origin", "null"), ("referer", "http://gw.example:8080/")], [false; 3]),
        (&[("origin", "https://evil.example"), ("referer", "http://gw.example:8080/")], [false; 3]),
        (&[("origin", "https://app.example"), ("origin", "https://app.example")], [false; 3]),
        (&[("referer", "http://gw.example:8080/chat?a=b")], [true; 3]),
        (&[("referer", "https://app.example/"), (SITE, "cross-site")], [false, true, true]),
        (&[("referer", "https://app.example")], [false, true, true]),
        (&[("referer", "https://evil.example/http://gw.example:8080/")], [false; 3]),
        (&[("referer", "https://evil.example?http://gw.example:8080")], [false; 3]),
        (&[("referer", "http://gw.example:8080@evil.example/")], [false; 3]),
        (&[("referer", "about:blank")], [false; 3]),
        (&[("referer", "")], [false; 3]),
        // A sandboxed frame of the endpoint's own site.
        (&[("referer", "http://gw.example:8080/upload.html"), (SITE, "cross-site")], [false; 3]),
        // A page that hides itself.
        (&[(SITE, "cross-site")], [false; 3]),
        (&[(SITE, "same-site"), ("sec-fetch-mode", "no-cors")], [false; 3]),
        (&[("sec-fetch-mode", "no-cors")], [false; 3]),
        (&[("origin", "http://\u{fc}")], [false; 3]),
    ];
    for way in ALL {
        for (headers, expected) in rows {
            assert!(admitted(&any, way.clone(), headers), "any: {way:?} {headers:?}");
            for (policy, expected) in [&same, &list, &predicate].into_iter().zip(expected) {
                assert_eq!(
                    admitted(policy, way.clone(), headers),
                    *expected,
                    "{policy:?}: {way:?} {headers:?}"
                );
            }
        }
    }
}

/// A page of any site can load a script or a frame, and a browser may tell nothing of that page:
/// over plain HTTP there is no `Sec-Fetch-Site`, and the page hides the `Referer`.
#[test]
fn clients_other_than_browsers_pass_where_no_page_can_look_like_one() {
    for policy in [Origins::same_origin(), Origins::list(["https://a"]).expect("an origin")] {
        for way in ALL {
            let loaded = [HTMLFILE, JSONP, JSONP_SEND].contains(&way);
            assert_eq!(admitted(&policy, way.clone(), &[]), !loaded, "{way:?}");
            // The user's own doing: the address of /info in the address bar.
            let typed = admitted(&policy, way.clone(), &[("sec-fetch-site", "none")]);
            assert_eq!(typed, way == INFO, "{way:?}");
        }
    }
    assert!(ALL.into_iter().all(|way| admitted(&Origins::any(), way, &[])));
}

#[test]
fn an_origin_of_the_list_is_compared_as_browsers_write_it() {
    for (listed, origin, expected) in [
        ("https://a.example", "https://a.example", true),
        ("HTTPS://A.Example:443", "https://a.example", true),
        ("https://a.example", "https://a.example:443", true),
        ("http://a.example:80", "http://a.example", true),
        ("https://a.example", "http://a.example", false),
        ("https://a.example", "https://a.example:8443", false),
        ("https://a.example:8443", "https://a.example", false),
        ("https://a.example", "https://b.a.example", false),
        ("https://a.example", "https://a.example.evil", false),
        ("https://*.a.example", "https://b.a.example", true),
        ("https://*.a.example", "https://c.b.a.example", true),
        ("https://*.a.example", "https://a.example", false),
        ("https://*.a.example", "https://evila.example", false),
        ("https://*.a.example", "https://b.a.example.evil", false),
        ("https://*.a.example", "https://b.a.example:8443", false),
        ("https://*.a.example:8443", "https://b.a.example:8443", true),
        ("https://*.a.example", "https://\u{fc}.a.example", false),
        ("http://[::1]:3000", "http://[::1]:3000", true),
        ("http://127.0.0.1", "http://127.0.0.1", true),
        ("capacitor://localhost", "capacitor://localhost", true),
        ("capacitor://localhost", "http://localhost", false),
        ("https://a.example", "null", false),
    ] {
        let pattern: Pattern = listed.parse().expect(listed);
        let matches = Origin::parse(origin).is_some_and(|origin| pattern.matches(&origin));
        assert_eq!(matches, expected, "{listed}: {origin}");
    }
    let list = Origins::list(["HTTPS://A.Example:443", "http://*.b:81"]).expect("origins");
    assert_eq!(list.to_string(), "https://a.example, http://*.b:81");
}

#[test]
fn what_no_browser_sends_is_refused_with_the_remedy() {
    for (listed, remedy) in [
        ("", "write \"https://example.org\""),
        ("a.example", "write \"https://a.example\""),
        ("//a.example", "write \"https://example.org\""),
        ("https://a.example/", "write \"https://a.example\""),
        ("https://user@a.example", "write \"https://a.example\""),
        ("https://a.example?x", "write \"https://a.example\""),
        ("wss://a.example", "write \"https://a.example\""),
        ("ws://a.example:1", "write \"http://a.example:1\""),
        ("file://", "admit all origins"),
        ("null", "admit all origins"),
        ("*", "admit any"),
        ("any", "admit any"),
        ("https://*", "\"https://*.example.org\""),
        ("https://a.*.example", "\"https://*.example.org\""),
        ("https://*a.example", "\"https://*.example.org\""),
        ("https://a.example:*", "\"https://*.example.org\""),
        ("https://", "write a name"),
        ("https://a..example", "write a name"),
        ("https://a.example.", "write a name"),
        ("https://*.", "write a name"),
        ("https://*..a", "write a name"),
        ("https://한.example", "xn--"),
        ("https://a b", "write a name"),
        ("https://a;script-src", "write a name"),
        ("https://a,https://b", "has more than"),
        ("https://a:0x1", "write a name"),
        ("https://a:65536", "write a name"),
        ("https://a:+80", "write a name"),
        ("https://::1", "write a name"),
        ("https://[a]", "write a name"),
        ("https://*.[::1]", "write a name"),
    ] {
        let error = Origins::list(["https://good.example", listed]).expect_err(listed).to_string();
        assert!(error.starts_with(&format!("origin {listed:?} ")), "{error}");
        assert!(error.contains(remedy), "{error}");
    }
}

/// Inside the page of the iframe transports, requests are those of the endpoint's own origin.
#[tokio::test]
async fn the_iframe_page_tells_whose_frames_it_may_be_in() {
    let list = Origins::list(["https://App.example:443", "http://*.example.org:81"]);
    for (origins, policy) in [
        (Origins::any(), None),
        (Origins::default(), Some("frame-ancestors 'self'")),
        (Origins::predicate(|_, _| true), Some("frame-ancestors 'self'")),
        (
            list.expect("origins"),
            Some("frame-ancestors 'self' https://app.example http://*.example.org:81"),
        ),
    ] {
        let gateway = gateway(EndpointConfig::new().origins(origins));
        let mut tag = HeaderValue::from_static("none");
        for status in [StatusCode::OK, StatusCode::NOT_MODIFIED] {
            let page = Request::get("/app/iframe.html")
                .header(header::ORIGIN, "https://evil.example")
                .header(header::IF_NONE_MATCH, &tag);
            let page = gateway.handle(page.body(empty()).expect("a request")).await;
            assert_eq!(page.status(), status);
            let value = |name| page.headers().get(name).map(|value| value.to_str().expect("ASCII"));
            assert_eq!(value(header::CONTENT_SECURITY_POLICY), policy);
            let caching = if policy.is_some() { "no-cache" } else { "public, max-age=31536000" };
            assert_eq!(value(header::CACHE_CONTROL), Some(caching));
            assert_eq!(value(header::EXPIRES).is_some(), policy.is_none());
            tag = page.headers()[header::ETAG].clone();
        }
    }
}

/// A page that may use the endpoint reads its answers; a page that may not can't even read why.
#[tokio::test]
async fn cors_headers_are_for_admitted_pages() {
    let list = Origins::list(["https://app.example"]).expect("an origin");
    let gateway = gateway(EndpointConfig::new().origins(list));
    for method in [Method::GET, Method::OPTIONS] {
        for (origin, status, echoed) in [
            (Some("https://app.example"), 200, Some("https://app.example")),
            (Some("https://evil.example"), 403, None),
            (None, 200, None),
        ] {
            let mut info = Request::builder().method(&method).uri("/app/info");
            if let Some(origin) = origin {
                info = info.header(header::ORIGIN, origin);
            }
            let answer = gateway.handle(info.body(empty()).expect("a request")).await;
            let status = if method == Method::OPTIONS && status == 200 { 204 } else { status };
            assert_eq!(answer.status(), status, "{method} {origin:?}");
            let value =
                |name| answer.headers().get(name).map(|value| value.to_str().expect("ASCII"));
            assert_eq!(value(header::ACCESS_CONTROL_ALLOW_ORIGIN), echoed, "{method} {origin:?}");
            let credentials = echoed.map(|_| "true");
            assert_eq!(value(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), credentials);
            assert_eq!(value(header::VARY), Some("Origin"));
        }
    }
}

/// The greeting is no secret; a WebSocket there is a session.
#[tokio::test]
async fn the_greeting_is_for_all_and_its_upgrade_is_not() {
    let config = EndpointConfig::new();
    let off = config.clone().transports(Transports::HTTP);
    for (config, upgrade, status) in
        [(config.clone(), false, 200), (config, true, 403), (off, true, 200)]
    {
        let mut greeting =
            Request::get("/app").header("origin", "https://evil.example").header("host", "a");
        if upgrade {
            greeting = greeting.header("upgrade", "websocket").header("connection", "upgrade");
        }
        let greeting = greeting.body(empty()).expect("a request");
        assert_eq!(gateway(config).handle(greeting).await.status(), status);
    }
}

#[test]
fn a_refusal_names_the_origin_the_host_and_the_setting() {
    for (headers, texts) in [
        (
            &[("origin", "https://evil.example"), ("host", "a:80")][..],
            &["\"https://evil.example\"", "\"a:80\"", "`origins` (--origin https://evil.example)"]
                [..],
        ),
        (&[("origin", "null"), ("host", "a")], &["\"null\"", "any (--origin any)"]),
        (&[("referer", "https://b/c"), ("host", "a")], &["\"https://b\"", "--origin https://b)"]),
        (&[("host", "a")], &["does not tell which page", "Referrer-Policy", "`origins`"]),
        (&[("origin", "http://\u{9b}"), ("host", "a")], &["does not tell"]),
    ] {
        let headers = head(headers);
        let uri = Uri::from_static("/");
        let told = Foreign::new(&Claim::of(&headers), &uri, &headers).to_string();
        assert!(texts.iter().all(|text| told.contains(text)), "{told}");
    }
    // A peer's text is a short text on one line.
    let long = format!("https://{}", "a".repeat(20_000));
    let told = Foreign::new(&Claim::Origin(&long), &Uri::from_static("/"), &HeaderMap::new());
    assert!(told.to_string().len() < 1200, "{told}");
    let sly = Claim::Origin("https://a\u{1b}[2J\nb");
    let told = Foreign::new(&sly, &Uri::from_static("/"), &HeaderMap::new()).to_string();
    assert!(told.contains("a\\u{1b}[2J\\nb"), "{told}");
}

fn gateway(config: EndpointConfig) -> Gateway {
    Gateway::new().endpoint_with("/app", config, async |_: Session| {})
}

fn empty() -> http_body_util::Empty<bytes::Bytes> {
    http_body_util::Empty::new()
}
