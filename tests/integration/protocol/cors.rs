//! Sections 4 and 5: cross-origin headers and cookies.

use super::pages::assert_kept_long;
use super::support::{Server, fresh};
use common::http::{Head, Request};

/// One request to each path that answers other origins, its answers' heads, success or not.
async fn cross_origin_heads(server: Server, headers: &[(&str, &str)]) -> Vec<(String, Head)> {
    let open = server.open("/echo").await;
    let mut heads = Vec::new();
    for request in [
        Request::get("/echo/info"),
        Request::post(format!("{}/xhr", fresh("/echo"))),
        Request::post(format!("{}/xhr_streaming", fresh("/echo"))),
        Request::post(format!("{open}/xhr_send")).body("[]"),
        // Errors are answers, too: without these headers, the page would not see their status.
        Request::post(format!("{open}/xhr_send")).body("["),
        Request::post(format!("{}/xhr_send", fresh("/echo"))).body("[]"),
        Request::options("/echo/info"),
        Request::options(format!("{}/xhr", fresh("/echo"))),
        Request::options(format!("{}/xhr_streaming", fresh("/echo"))),
        Request::options(format!("{}/xhr_send", fresh("/echo"))),
    ] {
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(name, *value));
        heads.push((format!("{request:?}"), server.connect().await.start(&request).await));
    }
    heads
}

#[tokio::test]
async fn the_origin_is_echoed_with_credentials() {
    let server = Server::start().await;
    for origin in ["http://localhost", "https://example.org:8443", "null", "chrome-extension://abc"]
    {
        for (request, head) in cross_origin_heads(server, &[("Origin", origin)]).await {
            assert_eq!(head.header("Access-Control-Allow-Origin"), Some(origin), "{request}");
            assert_eq!(head.header("Access-Control-Allow-Credentials"), Some("true"), "{request}");
            assert_eq!(head.header("Vary"), Some("Origin"), "{request}");
        }
    }
}

#[tokio::test]
async fn without_an_origin_every_origin_may_read_without_credentials() {
    let server = Server::start().await;
    for (request, head) in cross_origin_heads(server, &[]).await {
        assert_eq!(head.header("Access-Control-Allow-Origin"), Some("*"), "{request}");
        assert_eq!(head.header("Access-Control-Allow-Credentials"), None, "{request}");
        assert_eq!(head.header("Vary"), Some("Origin"), "{request}");
    }
}

#[tokio::test]
async fn requested_headers_are_allowed_as_they_stand() {
    let server = Server::start().await;
    for asked in ["a, b, c", "X-One,x-two"] {
        for (request, head) in
            cross_origin_heads(server, &[("Access-Control-Request-Headers", asked)]).await
        {
            assert_eq!(head.header("Access-Control-Allow-Headers"), Some(asked), "{request}");
        }
    }
    for headers in [&[][..], &[("Access-Control-Request-Headers", "")]] {
        for (request, head) in cross_origin_heads(server, headers).await {
            assert_eq!(head.header("Access-Control-Allow-Headers"), None, "{request}");
        }
    }
}

#[tokio::test]
async fn eventsource_answers_other_origins() {
    let server = Server::start().await;
    for (origin, allowed, credentials) in [
        (Some("http://localhost"), "http://localhost", Some("true")),
        (Some("null"), "*", None),
        (None, "*", None),
    ] {
        let mut request = Request::get(format!("{}/eventsource", fresh("/echo")));
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        let head = server.connect().await.start(&request).await;
        assert_eq!(head.header("Access-Control-Allow-Origin"), Some(allowed));
        assert_eq!(head.header("Access-Control-Allow-Credentials"), credentials);
    }
}

#[tokio::test]
async fn other_paths_do_not_answer_other_origins() {
    let server = Server::start().await;
    let open = server.open("/echo").await;
    for request in [
        Request::get("/echo"),
        Request::get("/echo/iframe.html"),
        Request::get(format!("{}/htmlfile?c=x", fresh("/echo"))),
        Request::get(format!("{}/jsonp?c=x", fresh("/echo"))),
        Request::post(format!("{open}/jsonp_send")).body("d=[]"),
        common::websocket::handshake("/echo/websocket"),
    ] {
        let request = request
            .header("Origin", "http://localhost")
            .header("Access-Control-Request-Headers", "a");
        let head = server.connect().await.start(&request).await;
        for name in ["Origin", "Credentials", "Headers", "Methods"] {
            assert_eq!(head.header(&format!("Access-Control-Allow-{name}")), None, "{request:?}");
        }
    }
}

#[tokio::test]
async fn options_needs_no_session_and_opens_none() {
    let server = Server::start().await;
    for (transport, methods) in
        [("info", "GET"), ("xhr", "POST"), ("xhr_streaming", "POST"), ("xhr_send", "POST")]
    {
        let session = fresh("/echo");
        let path = if transport == "info" {
            "/echo/info".into()
        } else {
            format!("{session}/{transport}")
        };
        let answer = server
            .exchange(
                &Request::options(&path)
                    .header("Origin", "test")
                    .header("Access-Control-Request-Method", "POST"),
            )
            .await;
        assert_eq!(
            (answer.status(), answer.text(), answer.header("Content-Type")),
            (204, "", None),
            "{path}"
        );
        assert_kept_long(&answer);
        let allowed = answer.header("Access-Control-Allow-Methods").expect("methods").split(", ");
        let mut allowed: Vec<_> = allowed.collect();
        allowed.sort_unstable();
        assert_eq!(
            allowed,
            if methods == "GET" { ["GET", "OPTIONS"] } else { ["OPTIONS", "POST"] },
            "{path}"
        );
        assert_eq!(answer.header("Access-Control-Max-Age"), Some("31536000"), "{path}");

        assert_eq!(
            server.post(&format!("{session}/xhr_send"), "[]").await.status(),
            404,
            "{path} opened a session"
        );
        assert_eq!(server.poll(&session).await, "o\n");
    }
}

/// The heads of an answer on each path where a session lives, the requests with or without a
/// cookie.
async fn session_heads(server: Server, prefix: &str, cookie: Option<&str>) -> Vec<(String, Head)> {
    let open = server.open(prefix).await;
    let mut heads = Vec::new();
    for request in [
        Request::post(format!("{}/xhr", fresh(prefix))),
        Request::post(format!("{}/xhr_streaming", fresh(prefix))),
        Request::post(format!("{open}/xhr_send")).body("[]"),
        Request::get(format!("{}/eventsource", fresh(prefix))),
        Request::get(format!("{}/htmlfile?c=x", fresh(prefix))),
        Request::get(format!("{}/jsonp?c=x", fresh(prefix))),
        Request::post(format!("{open}/jsonp_send")).header("Content-Type", "text/plain").body("[]"),
        Request::options(format!("{prefix}/info")),
        Request::options(format!("{}/xhr", fresh(prefix))),
        Request::options(format!("{}/xhr_streaming", fresh(prefix))),
        Request::options(format!("{}/xhr_send", fresh(prefix))),
    ] {
        let request = match cookie {
            Some(cookie) => request.header("Cookie", cookie),
            None => request,
        };
        heads.push((format!("{request:?}"), server.connect().await.start(&request).await));
    }
    heads
}

#[tokio::test]
async fn the_cookie_is_echoed_or_a_dummy() {
    let server = Server::start().await;
    for (cookie, expected) in [
        (None, "JSESSIONID=dummy; path=/"),
        (Some("a=b"), "JSESSIONID=dummy; path=/"),
        (Some("XJSESSIONID=b"), "JSESSIONID=dummy; path=/"),
        (Some("JSESSIONID=abcdef"), "JSESSIONID=abcdef; path=/"),
        (Some("a=b; JSESSIONID=node-1.A_B; c=d"), "JSESSIONID=node-1.A_B; path=/"),
    ] {
        for (request, head) in session_heads(server, "/cookie_needed_echo", cookie).await {
            assert_eq!(head.header("Set-Cookie"), Some(expected), "{request}");
        }
    }
}

#[tokio::test]
async fn there_is_no_cookie_where_cookies_are_off() {
    let server = Server::start().await;
    for (request, head) in session_heads(server, "/echo", Some("JSESSIONID=abcdef")).await {
        assert_eq!(head.header("Set-Cookie"), None, "{request}");
    }
}

#[tokio::test]
async fn static_pages_info_and_websockets_set_no_cookie() {
    let server = Server::start().await;
    let prefix = "/cookie_needed_echo";
    for request in [
        Request::get(prefix),
        Request::get(format!("{prefix}/iframe.html")),
        Request::get(format!("{prefix}/info")),
        common::websocket::handshake(&format!("{prefix}/websocket")),
        common::websocket::handshake(&format!("{}/websocket", fresh(prefix))),
    ] {
        let head =
            server.connect().await.start(&request.header("Cookie", "JSESSIONID=abcdef")).await;
        assert_eq!(head.header("Set-Cookie"), None, "{head:?}");
    }
}
