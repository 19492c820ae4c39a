//! The URL space of an endpoint, in one table: method and path to a [`Route`], or 404, or 405.

use http::Method;

/// The route of a request below a prefix (SockJS 0.3.3, URLs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'p> {
    Greeting,
    Iframe,
    Info,
    /// OPTIONS where CORS wants it: `methods` is the answer's `Access-Control-Allow-Methods`.
    Preflight {
        methods: &'static str,
    },
    RawWebSocket,
    /// `server` is for load balancers; the session is found by `session` alone. Both as they stand
    /// in the path.
    Session {
        server: &'p str,
        session: &'p str,
        resource: Resource,
    },
}

/// The ways into one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    WebSocket,
    Xhr,
    XhrStreaming,
    XhrSend,
    EventSource,
    HtmlFile,
    Jsonp,
    JsonpSend,
}

/// Why a request has no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    /// 404, whatever the method.
    NotFound,
    /// 405, with the value of `Allow`.
    MethodNotAllowed { allow: &'static str },
}

/// Finds the route of a request. `below` is the raw path after the prefix, without the query:
/// empty, or `/` and more.
///
/// The path must not have been normalised: `//`, `/./` and `%20` are taken literally.
pub(crate) fn route<'p>(method: &Method, below: &'p str) -> Result<Route<'p>, NoRoute> {
    let (methods, route) = find(below).ok_or(NoRoute::NotFound)?;
    let Methods { answered, preflight, allow } = methods;
    if answered.contains(method) {
        Ok(route)
    } else if preflight && method == Method::OPTIONS {
        Ok(Route::Preflight { methods: allow })
    } else {
        Err(NoRoute::MethodNotAllowed { allow })
    }
}

struct Methods {
    answered: &'static [Method],
    preflight: bool,
    allow: &'static str,
}

/// HEAD is answered for pages only. Elsewhere it would open a session, or take a session's messages
/// without delivering them.
const PAGE: Methods =
    Methods { answered: &[Method::GET, Method::HEAD], preflight: false, allow: "GET" };
const INFO: Methods =
    Methods { answered: &[Method::GET, Method::HEAD], preflight: true, allow: "OPTIONS, GET" };
const GET: Methods = Methods { answered: &[Method::GET], preflight: false, allow: "GET" };
const XHR: Methods = Methods { answered: &[Method::POST], preflight: true, allow: "POST, OPTIONS" };
const POST: Methods = Methods { answered: &[Method::POST], preflight: false, allow: "POST" };

/// The table. Every path may have one more slash at its end, as sockjs-node takes it.
fn find(below: &str) -> Option<(Methods, Route<'_>)> {
    if below.is_empty() || below == "/" {
        return Some((PAGE, Route::Greeting));
    }
    let path = below.strip_prefix('/')?;
    let mut segments = path.strip_suffix('/').unwrap_or(path).split('/');
    let row = match [segments.next(), segments.next(), segments.next(), segments.next()] {
        [Some("info"), None, ..] => (INFO, Route::Info),
        [Some("websocket"), None, ..] => (GET, Route::RawWebSocket),
        [Some(page), None, ..] if is_iframe(page) => (PAGE, Route::Iframe),
        [Some(server), Some(session), Some(resource), None]
            if is_id(server) && is_session(session) =>
        {
            let (methods, resource) = match resource {
                "websocket" => (GET, Resource::WebSocket),
                "xhr" => (XHR, Resource::Xhr),
                "xhr_streaming" => (XHR, Resource::XhrStreaming),
                "xhr_send" => (XHR, Resource::XhrSend),
                "eventsource" => (GET, Resource::EventSource),
                "htmlfile" => (GET, Resource::HtmlFile),
                "jsonp" => (GET, Resource::Jsonp),
                "jsonp_send" => (POST, Resource::JsonpSend),
                _ => return None,
            };
            (methods, Route::Session { server, session, resource })
        }
        _ => return None,
    };
    Some(row)
}

/// `iframe`, then any of `0-9 a-z - . _`, then `.html`.
fn is_iframe(segment: &str) -> bool {
    let version = segment.strip_prefix("iframe").and_then(|rest| rest.strip_suffix(".html"));
    version.is_some_and(|version| {
        version.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'-' | b'.' | b'_'))
    })
}

/// A server or session segment: one character or more, no dot.
fn is_id(segment: &str) -> bool {
    !segment.is_empty() && !segment.contains('.')
}

/// A session segment: as above, and at most 128 bytes. It is kept for as long as the session is
/// remembered; sockjs-client's has 8.
fn is_session(segment: &str) -> bool {
    is_id(segment) && segment.len() <= 128
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(below: &str) -> Result<Route<'_>, NoRoute> {
        route(&Method::GET, below)
    }

    fn session(resource: Resource) -> Result<Route<'static>, NoRoute> {
        Ok(Route::Session { server: "000", session: "abc", resource })
    }

    const METHODS: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::OPTIONS,
        Method::PUT,
        Method::DELETE,
        Method::CONNECT,
    ];

    /// SockJS 0.3.3, URLs: each path, the methods it takes, and `Allow` for all others.
    #[test]
    fn every_path_takes_its_methods_and_no_other() {
        use Resource::*;
        let page: &[Method] = &[Method::GET, Method::HEAD];
        let get: &[Method] = &[Method::GET];
        let post: &[Method] = &[Method::POST];
        let table = [
            ("", page, Ok(Route::Greeting), "GET"),
            ("/", page, Ok(Route::Greeting), "GET"),
            ("/iframe.html", page, Ok(Route::Iframe), "GET"),
            ("/info", page, Ok(Route::Info), "OPTIONS, GET"),
            ("/websocket", get, Ok(Route::RawWebSocket), "GET"),
            ("/000/abc/websocket", get, session(WebSocket), "GET"),
            ("/000/abc/xhr", post, session(Xhr), "POST, OPTIONS"),
            ("/000/abc/xhr_streaming", post, session(XhrStreaming), "POST, OPTIONS"),
            ("/000/abc/xhr_send", post, session(XhrSend), "POST, OPTIONS"),
            ("/000/abc/eventsource", get, session(EventSource), "GET"),
            ("/000/abc/htmlfile", get, session(HtmlFile), "GET"),
            ("/000/abc/jsonp", get, session(Jsonp), "GET"),
            ("/000/abc/jsonp_send", post, session(JsonpSend), "POST"),
        ];
        for (below, answered, expected, allow) in table {
            for method in METHODS {
                let expected = if answered.contains(&method) {
                    expected
                } else if method == Method::OPTIONS && allow.contains("OPTIONS") {
                    Ok(Route::Preflight { methods: allow })
                } else {
                    Err(NoRoute::MethodNotAllowed { allow })
                };
                assert_eq!(route(&method, below), expected, "{method} {below}");
                if below.len() > 1 {
                    assert_eq!(route(&method, &format!("{below}/")), expected, "{method} {below}/");
                }
            }
        }
    }

    /// SockJS 0.3.3, URLs: 404 for every method.
    #[test]
    fn other_paths_are_not_found() {
        let paths = [
            // Two slashes after the prefix, or anywhere.
            "//",
            "///",
            "//info",
            "/info//",
            "//websocket",
            "//iframe.html",
            "/websocket//",
            "/000/abc/xhr//",
            "//000/abc/xhr",
            // Empty segments, segments with a dot, more and fewer segments.
            "//abc/xhr",
            "/000//xhr",
            "/000/abc/",
            "/000/abc//",
            "/000/abc",
            "/000/",
            "/000",
            "/a./b/xhr",
            "/a/b./xhr",
            "/./b/xhr",
            "/a/../xhr",
            "/000/abc/xhr/more",
            "/000/abc/def/xhr",
            "/000/abc/info",
            "/000/abc/iframe.html",
            "/000/info",
            "/info/websocket",
            // Case, and names that only begin like others.
            "/INFO",
            "/Info",
            "/websockets",
            "/WebSocket",
            "/000/abc/XHR",
            "/000/abc/xhr_",
            "/000/abc/xhrs",
            "/000/abc/%78hr",
            "/%69nfo",
            "/info%2F",
            "/000%2Fabc%2Fxhr",
            "/000/abc/poll",
            // No slash after the prefix: not below it.
            "info",
            "foo/bar/xhr",
        ];
        for below in paths {
            for method in METHODS {
                assert_eq!(route(&method, below), Err(NoRoute::NotFound), "{method} {below}");
            }
        }
    }

    /// SockJS 0.3.3, URLs: anything but `/` and `.`, and as it stands in the path.
    #[test]
    fn server_and_session_are_taken_as_they_stand() {
        for (server, session) in [
            ("a", "b"),
            ("_", "-"),
            ("%20", "a%2eb"),
            ("999", "ab c"),
            ("안", "~"),
            ("info", "websocket"),
        ] {
            let below = format!("/{server}/{session}/xhr");
            let expected = Ok(Route::Session { server, session, resource: Resource::Xhr });
            assert_eq!(route(&Method::POST, &below), expected);
        }
    }

    /// The server segment is not kept.
    #[test]
    fn a_session_segment_has_at_most_128_bytes() {
        for (session, found) in
            [("x".repeat(128), true), ("x".repeat(129), false), ("안".repeat(43), false)]
        {
            for (method, resource) in
                [(Method::POST, "xhr"), (Method::GET, "websocket"), (Method::POST, "jsonp_send")]
            {
                let below = format!("/{}/{session}/{resource}", "y".repeat(200));
                assert_eq!(route(&method, &below).is_ok(), found, "{below}");
            }
        }
    }

    /// SockJS 0.3.3, iframe page: names that match, and names that don't.
    #[test]
    fn iframe_names() {
        for name in [
            "iframe.html",
            "iframe-.html",
            "iframe-a.html",
            "iframe0_9.html",
            "iframe-0.1.2abc-dirty.2144.html",
            "iframe..html",
        ] {
            assert_eq!(get(&format!("/{name}")), Ok(Route::Iframe), "{name}");
        }
        let others = [
            "iframe",
            "iframe.htm",
            "iframe.xml",
            "iframe.HTML",
            "IFRAME",
            "IFRAME.HTML",
            "IFRAME.html",
            "iframe-A.html",
            "iframe-/.html",
            "iframe%20.html",
            "iframe-ü.html",
            "xiframe.html",
            "iframe.html.",
            "ifram.html",
            "iframehtml",
            "iframe.html/x",
        ];
        for name in others {
            assert_eq!(get(&format!("/{name}")), Err(NoRoute::NotFound), "{name}");
        }
    }
}
