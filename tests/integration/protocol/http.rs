//! Section 12: HTTP/1.0 and HTTP/1.1.

use super::support::{Server, Streaming, fresh};
use common::http::{Framing, Request};
use common::websocket::handshake;

#[tokio::test]
async fn http_1_0_static_pages() {
    let server = Server::start().await;
    for keep_alive in [false, true] {
        let mut request = Request::get("/echo").http_1_0();
        if keep_alive {
            request = request.header("Connection", "Keep-Alive");
        }
        let mut connection = server.connect().await;
        let answer = connection.exchange(&request).await;
        assert_eq!((answer.status(), answer.framing), (200, Framing::Length(19)));
        assert_eq!(answer.body, "Welcome to SockJS!\n");
        match answer.header("Connection").map(str::to_ascii_lowercase).as_deref() {
            None | Some("close") => connection.ends().await,
            Some("keep-alive") => assert_eq!(connection.exchange(&request).await.status(), 200),
            Some(other) => panic!("Connection: {other}"),
        }
    }
}

#[tokio::test]
async fn http_1_0_streams_end_with_the_connection() {
    let server = Server::start().await;
    for kind in Streaming::ALL {
        for keep_alive in [false, true] {
            let mut request = kind.request(&fresh("/close")).http_1_0();
            if keep_alive {
                request = request.header("Connection", "Keep-Alive");
            }
            let mut connection = server.connect().await;
            let head = connection.start(&request).await;
            assert_eq!(head.status, 200);
            assert_eq!(
                (head.header("Content-Length"), head.header("Transfer-Encoding")),
                (None, None),
                "{head:?}"
            );
            assert!(matches!(head.header("Connection"), None | Some("close")), "{head:?}");
            let body = connection.rest().await;
            let frames = kind.wrap("o") + &kind.wrap("c[3000,\"Go away!\"]");
            assert!(body.ends_with(frames.as_bytes()), "{kind:?}: {body:?}");
        }
    }
}

#[tokio::test]
async fn http_1_0_stream_bytes_come_as_they_are_sent() {
    let server = Server::start().await;
    for kind in Streaming::ALL {
        let session = fresh("/echo");
        let mut connection = server.connect().await;
        connection.start(&kind.request(&session).http_1_0()).await;
        let mut seen = Vec::new();
        while !seen.ends_with(kind.wrap("o").as_bytes()) {
            seen.extend_from_slice(&connection.take(1).await);
        }
        for message in ["a", "b"] {
            server.send(&session, format!("[\"{message}\"]")).await;
            let frame = kind.wrap(&format!("a[\"{message}\"]"));
            assert_eq!(connection.take(frame.len()).await, frame, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn http_1_0_polls() {
    let server = Server::start().await;
    for keep_alive in [false, true] {
        let session = fresh("/echo");
        let mut request = Request::post(format!("{session}/xhr")).http_1_0();
        if keep_alive {
            request = request.header("Connection", "Keep-Alive");
        }
        let mut connection = server.connect().await;
        let head = connection.start(&request).await;
        assert_eq!(head.header("Transfer-Encoding"), None);
        assert_eq!(connection.take(2).await, "o\n");
        match (
            head.header("Content-Length"),
            head.header("Connection").map(str::to_ascii_lowercase).as_deref(),
        ) {
            (Some("2"), Some("keep-alive")) => {
                assert_eq!(connection.exchange(&Request::get("/echo")).await.status(), 200);
            }
            (None | Some("2"), None | Some("close")) => connection.ends().await,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn http_1_1_connections_are_kept() {
    let server = Server::start().await;
    for header in [None, Some("keep-alive"), Some("Keep-Alive")] {
        let mut connection = server.connect().await;
        let session = fresh("/echo");
        for (request, status) in [
            (Request::get("/echo"), 200),
            (Request::get("/echo/info"), 200),
            (Request::options("/echo/info"), 204),
            (Request::get("/nothing"), 404),
            (Request::post("/echo").body("ignored"), 405),
            (Request::post(format!("{session}/xhr_send")).body("[]"), 404),
            (Request::post(format!("{session}/xhr")), 200),
            (Request::post(format!("{session}/xhr_send")).body("["), 500),
            (Request::post(format!("{session}/xhr_send")).body("[\"a\"]"), 204),
            (Request::post(format!("{session}/xhr")), 200),
            (
                Request::post(format!("{session}/jsonp_send"))
                    .header("Content-Type", "text/plain")
                    .body("[\"a\"]"),
                200,
            ),
            (Request::get(format!("{session}/jsonp?c=x")), 200),
            (Request::get(format!("{session}/jsonp")), 500),
            (Request::get("/echo/websocket"), 400),
            (Request::get("/echo"), 200),
        ] {
            let request = match header {
                Some(value) => request.header("Connection", value),
                None => request,
            };
            let answer = connection.exchange(&request).await;
            assert_eq!(answer.status(), status, "{request:?}");
            assert_eq!(answer.head.version, "HTTP/1.1");
            let kept = answer.header("Connection").map(str::to_ascii_lowercase);
            assert!(matches!(kept.as_deref(), None | Some("keep-alive")), "{request:?}: {kept:?}");
        }
    }
}

#[tokio::test]
async fn http_1_1_connections_are_kept_after_a_stream() {
    let server = Server::start().await;
    for kind in Streaming::ALL {
        let mut connection = server.connect().await;
        for _ in 0..2 {
            let answer = connection.exchange(&kind.request(&fresh("/close"))).await;
            assert_eq!((answer.status(), answer.framing), (200, Framing::Chunked));
        }
    }
}

#[tokio::test]
async fn a_client_that_asks_for_close_gets_it() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let answer = connection.exchange(&Request::get("/echo").header("Connection", "close")).await;
    assert_eq!(answer.status(), 200);
    connection.ends().await;
}

#[tokio::test]
async fn a_post_without_length_has_an_empty_body() {
    let server = Server::start().await;
    let session = fresh("/echo");
    let mut connection = server.connect().await;
    let poll = Request::post(format!("{session}/xhr")).without_body();
    assert_eq!(connection.exchange(&poll).await.body, "o\n");
    let send = Request::post(format!("{session}/xhr_send")).without_body();
    let answer = connection.exchange(&send).await;
    assert_eq!((answer.status(), answer.text()), (500, "Payload expected."));
    assert_eq!(
        connection.exchange(&Request::post(format!("{}/xhr", fresh("/echo"))).body("")).await.body,
        "o\n"
    );
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Server::start().await;
    let session = fresh("/echo");
    let requests = [
        Request::post(format!("{session}/xhr")),
        Request::post(format!("{session}/xhr_send")).body("[\"a\"]"),
        Request::post(format!("{session}/xhr")),
        Request::get("/echo"),
    ];
    let mut connection = server.connect().await;
    connection.write(requests.iter().flat_map(Request::to_bytes).collect::<Vec<_>>()).await;
    for (request, body) in requests.iter().zip(["o\n", "", "a[\"a\"]\n", "Welcome to SockJS!\n"]) {
        assert_eq!(connection.response(request).await.body, body);
    }
}

#[tokio::test]
async fn http_1_0_has_no_websockets() {
    let server = Server::start().await;
    for path in [format!("{}/websocket", fresh("/echo")), "/echo/websocket".into(), "/echo".into()]
    {
        let answer = server.exchange(&handshake(&path).http_1_0()).await;
        assert_eq!(answer.status(), 400, "{path}");
        assert!(answer.text().contains("HTTP/1.1"), "{path}");
    }
}
