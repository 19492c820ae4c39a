//! Sections 2 and 3: greeting, iframe page, info, and how long they may be kept.

use common::apps::echo;
use serde_json::Value;
use sockeye::{EndpointConfig, Gateway};

use super::support::{HTML, JSON, NO_CACHE, PLAIN, Server, fresh};
use common::http::{Request, Response};

#[tokio::test]
async fn greeting() {
    let server = Server::start().await;
    for path in ["/echo", "/echo/", "/cookie_needed_echo"] {
        let answer = server.exchange(&Request::get(path).header("Cookie", "JSESSIONID=x")).await;
        assert_eq!((answer.status(), answer.header("Content-Type")), (200, Some(PLAIN)), "{path}");
        assert_eq!(answer.body, "Welcome to SockJS!\n");
        assert_eq!(answer.header("Set-Cookie"), None, "{path}");
    }
}

#[tokio::test]
async fn iframe_page() {
    const PAGE: &str = r#"<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src="CLIENT_URL"></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>"#;
    let server = Server::start().await;
    for path in ["/echo/iframe.html", "/cookie_needed_echo/iframe.html"] {
        let page = server.get(path).await;
        assert_eq!((page.status(), page.header("Content-Type")), (200, Some(HTML)));
        assert_eq!(
            page.text().trim(),
            PAGE.replace("CLIENT_URL", "http://localhost/sockjs.min.js")
        );
        assert_kept_long(&page);
        for absent in ["Set-Cookie", "X-Frame-Options", "Content-Security-Policy"] {
            assert_eq!(page.header(absent), None, "{absent}");
        }
    }
}

#[test]
fn a_client_url_that_would_break_the_page_is_refused() {
    let endpoint = |client_url: &str| {
        let config = EndpointConfig::new().client_url(client_url);
        std::panic::catch_unwind(|| Gateway::new().endpoint_with("/echo", config, echo))
    };
    for sound in ["/sockjs.js", "//cdn.example.org/s.js?v=1&x='y'", "http://a/b", "https://a/b"] {
        assert!(endpoint(sound).is_ok(), "{sound}");
    }
    for broken in ["", "sockjs.js", "javascript:alert(1)", "/a\"b", "/a b", "/a>b", "/</script>"] {
        assert!(endpoint(broken).is_err(), "{broken}");
    }
}

#[tokio::test]
async fn iframe_page_has_a_stable_etag() {
    let server = Server::start().await;
    let first = server.get("/echo/iframe.html").await;
    let etag = first.header("ETag").expect("an ETag");
    assert!(etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'), "{etag} is quoted");
    assert_eq!(server.get("/echo/iframe-1.2.html?x").await.header("ETag"), Some(etag));
}

#[tokio::test]
async fn iframe_page_is_304_for_one_who_has_it() {
    let server = Server::start().await;
    let page = server.get("/echo/iframe.html").await;
    let etag = page.header("ETag").expect("an ETag");
    let conditional = async |value: &str| {
        server.exchange(&Request::get("/echo/iframe.html").header("If-None-Match", value)).await
    };
    let list = format!("\"other\", {etag}");
    let weak = format!("W/{etag}");
    let weak_list = format!("W/\"a,b\" , W/{etag},\"c\"");
    for value in [etag, "*", &list, &weak, &weak_list] {
        let answer = conditional(value).await;
        assert_eq!((answer.status(), answer.text()), (304, ""), "{value}");
        assert_eq!(answer.header("Content-Type"), None, "{value}");
        assert_eq!(answer.header("ETag"), Some(etag), "{value}");
        assert_kept_long(&answer);
    }
    for value in ["\"other\"", "", "\"a\", \"b\"", &etag[1..etag.len() - 1]] {
        let answer = conditional(value).await;
        assert_eq!((answer.status(), &answer.body), (200, &page.body), "{value}");
    }
}

#[tokio::test]
async fn info() {
    let server = Server::start().await;
    for (prefix, websocket, cookie_needed) in [
        ("/echo", true, false),
        ("/disabled_websocket_echo", false, false),
        ("/cookie_needed_echo", true, true),
    ] {
        let answer = server.get(&format!("{prefix}/info")).await;
        assert_eq!((answer.status(), answer.header("Content-Type")), (200, Some(JSON)), "{prefix}");
        assert_eq!(answer.header("Set-Cookie"), None, "{prefix}");
        assert_not_kept(&answer);
        let info: Value = serde_json::from_slice(&answer.body).expect("info is JSON");
        assert_eq!(info["websocket"], websocket, "{prefix}");
        assert_eq!(info["cookie_needed"], cookie_needed, "{prefix}");
        assert_eq!(info["origins"], serde_json::json!(["*:*"]), "{prefix}");
        assert_eq!(info.get("base_url"), None, "{prefix}");
    }
}

#[tokio::test]
async fn info_entropy_is_a_new_32_bit_number_each_time() {
    let server = Server::start().await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..16 {
        let info: Value =
            serde_json::from_slice(&server.get("/echo/info").await.body).expect("info is JSON");
        let entropy = info["entropy"].as_u64().expect("entropy is a number without a sign");
        assert!(entropy <= u64::from(u32::MAX), "{entropy}");
        seen.insert(entropy);
    }
    // Sixteen draws of four thousand million meet once in thirty-five million times.
    assert_eq!(seen.len(), 16);
}

#[tokio::test]
async fn what_changes_is_not_kept() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    server.send(&session, r#"["a"]"#).await;
    for request in [
        Request::get("/echo/info"),
        Request::post(format!("{session}/xhr")),
        Request::post(format!("{session}/xhr_send")).body("[]"),
        Request::post(format!("{session}/jsonp_send"))
            .header("Content-Type", "text/plain")
            .body("[]"),
        Request::get(format!("{}/jsonp?c=x", fresh("/echo"))),
        // And the errors.
        Request::post(format!("{session}/xhr_send")).body("["),
        Request::post(format!("{session}/jsonp_send")).body("["),
        Request::post(format!("{}/xhr_send", fresh("/echo"))).body("[]"),
        Request::get(format!("{session}/htmlfile")),
        Request::get(format!("{session}/jsonp")),
    ] {
        assert_not_kept(&server.exchange(&request).await);
    }
    for transport in ["xhr_streaming", "eventsource", "htmlfile?c=x"] {
        let method = if transport == "xhr_streaming" { "POST" } else { "GET" };
        let request = Request::new(method, format!("{}/{transport}", fresh("/close"))).body("");
        assert_not_kept(&server.exchange(&request).await);
    }
}

/// The answer may not be stored.
fn assert_not_kept(answer: &Response) {
    assert_eq!(answer.header("Cache-Control"), Some(NO_CACHE), "{answer:?}");
    assert_eq!(
        (answer.header("Expires"), answer.header("Last-Modified")),
        (None, None),
        "{answer:?}"
    );
}

/// The answer may be kept by anyone for at least eleven days.
pub(crate) fn assert_kept_long(answer: &Response) {
    let control = answer.header("Cache-Control").expect("Cache-Control");
    let mut directives = control.split(',').map(str::trim);
    assert!(directives.clone().any(|directive| directive == "public"), "{control}");
    let age = directives.find_map(|directive| directive.strip_prefix("max-age=")).expect("max-age");
    assert!(
        age.len() >= 7 && !age.starts_with('0') && age.bytes().all(|byte| byte.is_ascii_digit()),
        "{control}"
    );
    let expires = answer.header("Expires").expect("Expires");
    assert!(
        expires.ends_with(" GMT") && expires.len() == "Sun, 06 Nov 1994 08:49:37 GMT".len(),
        "{expires}"
    );
    assert_eq!(answer.header("Last-Modified"), None);
}
