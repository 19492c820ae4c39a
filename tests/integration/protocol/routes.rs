//! Section 1: the URL space.

use super::support::{Server, fresh};
use common::http::Request;
use common::websocket::handshake;

#[tokio::test]
async fn a_prefix_may_have_any_depth() {
    let server = Server::start().await;
    for path in
        ["/a/deep/prefix", "/a/deep/prefix/", "/a/deep/prefix/info", "/a/deep/prefix/iframe.html"]
    {
        assert_eq!(server.get(path).await.status(), 200, "{path}");
    }
    server.open("/a/deep/prefix").await;
    for path in ["/a", "/a/deep", "/a/deep/info", "/a/deep/prefixes", "/a/deep/prefix2/info"] {
        assert_eq!(server.get(path).await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn paths_are_matched_with_their_case() {
    let server = Server::start().await;
    for path in ["/ECHO", "/Echo/info", "/echo/INFO", "/echo/Iframe.html", "/echo/WebSocket"] {
        assert_eq!(server.get(path).await.status(), 404, "{path}");
    }
    for path in ["/echo/a/b/XHR", "/echo/a/b/xhr_Streaming", "/ECHO/a/b/xhr"] {
        assert_eq!(server.post(path, "").await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn queries_are_ignored() {
    let server = Server::start().await;
    for query in ["?", "?t=1700000000000", "?a=1&t=2", "?/echo/x/y/z", "?a/b//c", "?%00%zz", "?c"] {
        assert_eq!(
            server.get(&format!("/echo{query}")).await.body,
            "Welcome to SockJS!\n",
            "{query}"
        );
        assert_eq!(server.get(&format!("/echo/info{query}")).await.status(), 200, "{query}");
        assert_eq!(server.get(&format!("/echo/iframe.html{query}")).await.status(), 200, "{query}");
        let session = fresh("/echo");
        assert_eq!(server.post(&format!("{session}/xhr{query}"), "").await.body, "o\n", "{query}");
        assert_eq!(
            server.post(&format!("{session}/xhr_send{query}"), "[]").await.status(),
            204,
            "{query}"
        );
        assert_eq!(
            server.post(&format!("{session}/jsonp_send{query}"), "d=[]").await.status(),
            500,
            "{query}"
        );
        assert_eq!(
            server.get(&format!("{session}/websocket{query}")).await.status(),
            400,
            "{query}"
        );
    }
}

#[tokio::test]
async fn server_and_session_segments_hold_anything_but_slash_and_dot() {
    let server = Server::start().await;
    for segments in [
        "/a/a",
        "/_/_",
        "/1/1",
        "/-/-",
        "/abcdefgh_i-j%20/abcdefgh_i-j%20",
        "/%2F/%2E",
        "/~!$&'()*+,;=:@/~",
    ] {
        // Its own id each, as the session is found by the last segment alone.
        let path = format!("/echo{segments}{}/xhr", fresh("").replace('/', "_"));
        assert_eq!(server.post(&path, "").await.body, "o\n", "{path}");
    }
}

#[tokio::test]
async fn other_numbers_of_segments_and_dots_are_not_found() {
    let server = Server::start().await;
    let paths = [
        "/", "//", "///", "/a", "/a/", "//a", "/a//", "/./.", "/a./a", "/a/a.", "/.a/a", "/a/b/c",
        "/a//b", "//a/b",
    ];
    for path in paths {
        for transport in [
            "xhr",
            "xhr_streaming",
            "xhr_send",
            "eventsource",
            "htmlfile",
            "jsonp",
            "jsonp_send",
            "websocket",
        ] {
            let target = format!("/echo{path}/{transport}?c=x");
            assert_eq!(server.get(&target).await.status(), 404, "GET {target}");
            assert_eq!(server.post(&target, "").await.status(), 404, "POST {target}");
        }
    }
    for path in [
        "//",
        "//info",
        "/./info",
        "/info//",
        "/x/../info",
        "//iframe.html",
        "//websocket",
        "//a/b/xhr",
    ] {
        assert_eq!(server.get(&format!("/echo{path}")).await.status(), 404, "GET {path}");
        assert_eq!(server.post(&format!("/echo{path}"), "").await.status(), 404, "POST {path}");
    }
}

#[tokio::test]
async fn the_server_segment_does_not_matter() {
    let server = Server::start().await;
    let id = fresh("").replace('/', "_");
    assert_eq!(server.poll(&format!("/echo/000/{id}")).await, "o\n");
    server.send(&format!("/echo/123/{id}"), r#"["a"]"#).await;
    assert_eq!(server.poll(&format!("/echo/999/{id}")).await, "a[\"a\"]\n");
}

#[tokio::test]
async fn iframe_names() {
    let server = Server::start().await;
    let names = [
        "iframe.html",
        "iframe-.html",
        "iframe-a.html",
        "iframe-0.1.2.html",
        "iframe-0.1.2abc-dirty.2144.html",
        "iframe_0.html",
        "iframea.html",
        "iframe..html",
        "iframe.html.html",
    ];
    let first = server.get("/echo/iframe.html").await;
    for name in names {
        for query in ["", "?t=qweqweasd"] {
            let page = server.get(&format!("/echo/{name}{query}")).await;
            assert_eq!((page.status(), &page.body), (200, &first.body), "{name}{query}");
        }
    }
    let others = [
        "iframe",
        "iframe.htm",
        "iframe.xml",
        "iframe.HTML",
        "IFRAME",
        "IFRAME.HTML",
        "Iframe.html",
        "iframe-A.html",
        "iframe-/.html",
        "iframe-%41.html",
        "iframe-+.html",
        "iframehtml",
        "iframe/html",
        "iframe.html.",
        "xiframe.html",
    ];
    for name in others {
        assert_eq!(server.get(&format!("/echo/{name}")).await.status(), 404, "{name}");
    }
}

#[tokio::test]
async fn one_trailing_slash_is_accepted_and_two_are_not() {
    let server = Server::start().await;
    for (method, path, status) in [
        ("GET", "/echo", 200),
        ("GET", "/echo/info", 200),
        ("GET", "/echo/iframe.html", 200),
        ("GET", "/echo/websocket", 400),
        ("GET", "/echo/a/SID/websocket", 400),
        ("POST", "/echo/a/SID/xhr", 200),
        ("POST", "/echo/a/SID/xhr_send", 404),
        ("POST", "/echo/a/SID/jsonp_send", 404),
        ("GET", "/echo/a/SID/jsonp", 500),
        ("GET", "/echo/a/SID/htmlfile", 500),
    ] {
        let path = path.replace("SID", &fresh("").replace('/', "_"));
        let body = if path.ends_with("_send") { "[]" } else { "" };
        let request =
            |path: &str| Request::new(method, path).header("Content-Type", "text/plain").body(body);
        for (slashes, expected) in [("/", status), ("//", 404)] {
            let path = format!("{path}{slashes}");
            assert_eq!(
                server.exchange(&request(&path)).await.status(),
                expected,
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn unknown_paths_are_404() {
    let server = Server::start().await;
    for path in [
        "/",
        "/nothing",
        "/echofoo",
        "/echo2/info",
        "/echo/x",
        "/echo/infos",
        "/echo/x/y",
        "/echo/a/b/xhr_",
        "/echo/a/b/c/d",
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = server.exchange(&Request::new(method, path).body("")).await;
            assert_eq!(answer.status(), 404, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_with_the_right_ones_and_nothing_else() {
    let server = Server::start().await;
    for (path, allowed) in [
        ("/echo", "GET"),
        ("/echo/", "GET"),
        ("/echo/iframe.html", "GET"),
        ("/echo/info", "OPTIONS, GET"),
        ("/echo/websocket", "GET"),
        ("/echo/a/b/websocket", "GET"),
        ("/echo/a/b/xhr", "POST, OPTIONS"),
        ("/echo/a/b/xhr_streaming", "POST, OPTIONS"),
        ("/echo/a/b/xhr_send", "POST, OPTIONS"),
        ("/echo/a/b/eventsource", "GET"),
        ("/echo/a/b/htmlfile", "GET"),
        ("/echo/a/b/jsonp", "GET"),
        ("/echo/a/b/jsonp_send", "POST"),
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
            if allowed.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let answer = server.exchange(&Request::new(method, path).body("")).await;
            assert_eq!(
                (answer.status(), answer.header("Allow")),
                (405, Some(allowed)),
                "{method} {path}"
            );
            assert_eq!(
                (answer.header("Content-Type"), answer.text()),
                (None, ""),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn head_is_answered_as_get_without_the_body() {
    let server = Server::start().await;
    for path in ["/echo", "/echo/", "/echo/iframe.html", "/echo/info"] {
        let mut connection = server.connect().await;
        let get = connection.exchange(&Request::get(path)).await;
        let head = connection.exchange(&Request::new("HEAD", path)).await;
        assert_eq!(head.status(), 200, "{path}");
        // The number in info's body has not always as many digits.
        let headers = |answer: &common::http::Response| {
            let mut headers = answer.head.stable_headers();
            headers.retain(|(name, _)| path != "/echo/info" || name != "content-length");
            headers
        };
        assert_eq!(headers(&head), headers(&get), "{path}");
        // Had there been a body, it would stand before this answer.
        assert_eq!(connection.exchange(&Request::get("/echo")).await.body, "Welcome to SockJS!\n");
    }
}

/// The id of a session that has ended is remembered for a while: ten thousand of 60 KB were.
#[tokio::test]
async fn a_session_segment_of_more_than_128_bytes_is_not_found() {
    let server = Server::start().await;
    for (length, found) in [(128, true), (129, false)] {
        let unique = fresh("");
        let session = format!("/echo{unique:x<0$}", length + "/000/".len());
        assert_eq!(session.rsplit('/').next().map(str::len), Some(length));
        for (request, status) in [
            (Request::post(format!("{session}/xhr")), 200),
            (Request::post(format!("{session}/xhr_send")).body("[\"a\"]"), 204),
            (Request::get(format!("{session}/jsonp?c=x")), 200),
            (handshake(&format!("{session}/websocket")), 101),
        ] {
            let answer = server.connect().await.start(&request).await.status;
            assert_eq!(answer, if found { status } else { 404 }, "{request:?}");
        }
    }
}
