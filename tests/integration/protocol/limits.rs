//! Section 10, the limits and the switches of this server.

use std::time::Duration;

use common::apps::echo;
use sockeye::{CookieConfig, EndpointConfig, Gateway, Origins, SameSite, Session, Transports};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::support::{Server, Streaming, fresh, next};
use common::http::Request;
use common::websocket::{Frame, WebSocket, handshake};

const TOO_LARGE: &str = "c[1009,\"Message too large\"]";

/// One endpoint, an echo.
async fn echo_with(config: EndpointConfig) -> Server {
    let config = config.origins(Origins::any());
    Server::with(Gateway::new().endpoint_with("/echo", config, echo)).await
}

/// Limits that a short text is over.
fn small() -> EndpointConfig {
    EndpointConfig::new().message_size(10).payload_size(60).messages_per_payload(3)
}

#[tokio::test]
async fn a_stream_ends_after_the_frame_that_reaches_the_response_limit() {
    let server = Server::start().await;
    let session = fresh("/echo");
    let mut stream = server.stream(&session, Streaming::Xhr).await;
    assert_eq!(stream.chunk().await.expect("the open frame"), "o\n");
    // Frames of 134 bytes: with the open frame, 2 + 30 * 134 = 4022 bytes don't reach 4096, and 31
    // frames do.
    let message = "x".repeat(128);
    for count in 1..=31 {
        server.send(&session, format!("[\"{message}\"]")).await;
        assert_eq!(
            stream.chunk().await.expect("the frame"),
            format!("a[\"{message}\"]\n"),
            "frame {count}"
        );
    }
    assert_eq!(stream.chunk().await, None);
    // The session goes on with the next receiver.
    server.send(&session, r#"["next"]"#).await;
    assert_eq!(server.poll(&session).await, "a[\"next\"]\n");
}

#[tokio::test]
async fn the_response_limit_counts_wrapped_frames_and_no_prelude() {
    for kind in Streaming::ALL {
        let open = kind.wrap("o").len();
        let message = kind.wrap("a[\"x\"]").len();
        // Reached by the second message to the byte, and missed by one byte.
        for (response_limit, messages) in [(open + 2 * message, 2), (open + 2 * message + 1, 3)] {
            let server = echo_with(EndpointConfig::new().response_limit(response_limit)).await;
            let session = fresh("/echo");
            let mut stream = server.stream(&session, kind).await;
            assert_eq!(stream.chunk().await.expect("the open frame"), kind.wrap("o"));
            for _ in 0..messages {
                server.send(&session, r#"["x"]"#).await;
                assert_eq!(stream.chunk().await.expect("a frame"), kind.wrap("a[\"x\"]"));
            }
            assert_eq!(stream.chunk().await, None, "{kind:?}, {response_limit}");
        }
    }
}

#[tokio::test]
async fn the_response_limit_is_128_kib_by_default() {
    let server = Server::with(Gateway::new().endpoint("/echo", echo)).await;
    let session = fresh("/echo");
    let mut stream = server.stream(&session, Streaming::Xhr).await;
    assert_eq!(stream.chunk().await.expect("the open frame"), "o\n");
    // Three frames of 32 KiB, and what is missing then but for one byte.
    for length in [32 * 1024, 32 * 1024, 32 * 1024, 32 * 1024 - 3, 6] {
        let message = "x".repeat(length - 6);
        server.send(&session, format!("[\"{message}\"]")).await;
        assert_eq!(stream.chunk().await.expect("a frame").len(), length);
    }
    assert_eq!(stream.chunk().await, None);
}

#[tokio::test]
async fn one_great_frame_is_not_split() {
    let server = Server::start().await;
    for kind in Streaming::ALL {
        let session = fresh("/echo");
        let mut stream = server.stream(&session, kind).await;
        assert_eq!(stream.chunk().await.expect("the open frame"), kind.wrap("o"));
        let message = "x".repeat(100_000);
        server.send(&session, format!("[\"{message}\"]")).await;
        assert_eq!(
            stream.chunk().await.expect("the frame"),
            kind.wrap(&format!("a[\"{message}\"]")),
            "{kind:?}"
        );
        assert_eq!(stream.chunk().await, None, "{kind:?}");
        server.send(&session, r#"["next"]"#).await;
        assert_eq!(server.poll(&session).await, "a[\"next\"]\n", "{kind:?}");
    }
}

#[tokio::test]
async fn sends_over_a_limit_are_413_and_close_the_session_with_1009() {
    let server = echo_with(small()).await;
    let escaped = format!("[\"{}\"]", "\\u0078".repeat(9));
    for fits in ["[\"1234567890\"]", "[\"1\",\"2\",\"3\"]", &escaped, "[\"ääääa\"]"] {
        let session = server.open("/echo").await;
        assert_eq!(
            server.post(&format!("{session}/xhr_send"), fits.to_owned()).await.status(),
            204,
            "{fits}"
        );
    }
    let long = format!("[\"{}\"]", " ".repeat(57));
    for too_large in ["[\"12345678901\"]", "[\"äääääa\"]", "[\"1\",\"2\",\"3\",\"4\"]", &long]
    {
        for transport in ["xhr_send", "jsonp_send"] {
            let session = server.open("/echo").await;
            server.send(&session, r#"["before"]"#).await;
            let request = Request::post(format!("{session}/{transport}"))
                .header("Content-Type", "text/plain");
            let mut connection = server.connect().await;
            let answer = connection.exchange(&request.body(too_large.to_owned())).await;
            assert_eq!(answer.status(), 413, "{too_large}");
            assert!(
                answer.text().contains("_size is ") || answer.text().contains("_payload is "),
                "{answer:?}"
            );
            assert_eq!(server.poll(&session).await, "a[\"before\"]\n");
            assert_eq!(server.poll(&session).await, format!("{TOO_LARGE}\n"), "{too_large}");
        }
    }
}

#[tokio::test]
async fn websocket_messages_over_a_limit_close_with_1009() {
    let server = echo_with(small()).await;
    let long = format!("[\"{}\"]", " ".repeat(57));
    for too_large in ["[\"12345678901\"]", "\"12345678901\"", "[\"1\",\"2\",\"3\",\"4\"]", &long] {
        let mut socket =
            WebSocket::open(server.addr, &format!("{}/websocket", fresh("/echo"))).await;
        assert_eq!(socket.text().await, "o");
        socket.send("[\"1234567890\"]").await;
        assert_eq!(socket.text().await, "a[\"1234567890\"]");
        socket.send(too_large).await;
        assert_eq!(socket.text().await, TOO_LARGE, "{too_large}");
        assert_eq!(socket.closed().await, (Some(1000), "Normal closure".into()));
        socket.ends().await;
    }
    for path in ["/echo/websocket", "/echo"] {
        let mut socket = WebSocket::open(server.addr, path).await;
        socket.send("1234567890").await;
        assert_eq!(socket.text().await, "1234567890");
        socket.send("12345678901").await;
        assert_eq!(socket.closed().await, (Some(1009), "Message too large".into()));
        socket.ends().await;
    }
}

#[tokio::test]
async fn binary_messages_close_with_1003_unless_they_are_accepted() {
    let server = Server::with(Gateway::new().endpoint("/text", echo).endpoint_with(
        "/binary",
        EndpointConfig::new().binary(true),
        echo,
    ))
    .await;
    let binary = Frame::new(Frame::BINARY, &b"[\"bin\xff\"]"[..]);
    // SockJS frames carry text only, whatever the endpoint says.
    for prefix in ["/text", "/binary"] {
        let mut socket =
            WebSocket::open(server.addr, &format!("{}/websocket", fresh(prefix))).await;
        assert_eq!(socket.text().await, "o");
        socket.write(&binary).await;
        assert_eq!(socket.text().await, "c[1003,\"Binary messages are not accepted\"]");
        assert_eq!(socket.closed().await, (Some(1000), "Normal closure".into()));
        socket.ends().await;
    }
    for path in ["/text/websocket", "/text"] {
        let mut socket = WebSocket::open(server.addr, path).await;
        socket.write(&binary).await;
        assert_eq!(socket.closed().await, (Some(1003), "Binary messages are not accepted".into()));
        socket.ends().await;
    }
    for path in ["/binary/websocket", "/binary"] {
        let mut socket = WebSocket::open(server.addr, path).await;
        for frame in [binary.clone(), Frame::text("text"), Frame::new(Frame::BINARY, "")] {
            socket.write(&frame).await;
            assert_eq!(socket.frame().await, frame);
        }
    }
}

/// An endpoint that tells the test what its application receives.
async fn listening(config: EndpointConfig) -> (Server, UnboundedReceiver<String>) {
    let (report, received) = unbounded_channel();
    let handler = move |mut session: Session| {
        let report = report.clone();
        async move {
            while let Some(message) = session.recv().await {
                // The receiver is gone when a test has ended.
                let _ = report.send(message.as_text().unwrap_or("binary").to_owned());
            }
            let _ = report.send("the end".into());
        }
    };
    (Server::with(Gateway::new().endpoint_with("/listen", config, handler)).await, received)
}

#[tokio::test]
async fn what_was_sent_before_a_refused_message_reaches_the_application() {
    let config = EndpointConfig::new().message_size(10);
    let refused = [
        Frame::new(Frame::BINARY, "binary"),
        Frame::text("[\"12345678901\"]"),
        Frame::text("nonsense"),
        Frame::new(Frame::TEXT, &b"\xff"[..]),
        Frame::close(),
    ];
    for last in refused {
        let (server, mut received) = listening(config.clone()).await;
        let mut socket =
            WebSocket::open(server.addr, &format!("{}/websocket", fresh("/listen"))).await;
        assert_eq!(socket.text().await, "o");
        // In one write, so that the server reads them together.
        let frames = [Frame::text("[\"one\"]"), Frame::text("[\"two\",\"three\"]"), last.clone()];
        socket.write_all(&frames).await;
        for expected in ["one", "two", "three", "the end"] {
            assert_eq!(next(&mut received).await, expected, "before {last:?}");
        }
    }
}

#[tokio::test]
async fn a_client_over_the_limit_of_sessions_is_503_before_any_frame() {
    let server = echo_with(EndpointConfig::new().sessions(1)).await;
    let open = server.open("/echo").await;
    let mut refused = vec![
        Request::post(format!("{}/xhr", fresh("/echo"))),
        Request::get(format!("{}/jsonp?c=x", fresh("/echo"))),
        handshake(&format!("{}/websocket", fresh("/echo"))),
        handshake("/echo/websocket"),
        handshake("/echo"),
    ];
    refused.extend(Streaming::ALL.map(|kind| kind.request(&fresh("/echo"))));
    for request in refused {
        assert_eq!(server.exchange(&request).await.status(), 503, "{request:?}");
    }
    // A client that has a session already is served.
    server.send(&open, r#"["a"]"#).await;
    assert_eq!(server.poll(&open).await, "a[\"a\"]\n");
    assert_eq!(server.get("/echo/info").await.status(), 200);
}

/// The requests that open a session, on every transport.
fn openings(session: &str, query: &str) -> Vec<Request> {
    vec![
        Request::post(format!("{session}/xhr?{query}")),
        Request::post(format!("{session}/xhr_streaming?{query}")),
        Request::get(format!("{session}/eventsource?{query}")),
        Request::get(format!("{session}/htmlfile?c=x&{query}")),
        Request::get(format!("{session}/jsonp?c=x&{query}")),
        handshake(&format!("{session}/websocket?{query}")),
        handshake(&format!("/echo/websocket?{query}")),
        handshake(&format!("/echo?{query}")),
    ]
}

/// What a session keeps of its request counts a hundred thousand times.
#[tokio::test]
async fn a_session_keeps_no_more_of_its_request_than_is_set() {
    let server = echo_with(EndpointConfig::new()).await;
    let cookie =
        |length: usize| "x".repeat(length - "cookie".len() - "host".len() - "localhost".len());
    for number in 0..8 {
        let status = async |query: &str, cookies: &[String]| {
            let request = openings(&fresh("/echo"), query).swap_remove(number);
            let request = cookies.iter().fold(request, |it, cookie| it.header("Cookie", cookie));
            (server.connect().await.start(&request).await.status, request)
        };
        let (fine, request) = status("", &[cookie(8 * 1024)]).await;
        assert!(fine == 200 || fine == 101, "{request:?}: {fine}");
        for (query, cookies, refused) in [
            ("", vec![cookie(8 * 1024 + 1)], 431),
            ("", vec![cookie(5 * 1024), cookie(5 * 1024)], 431),
            (&*"x".repeat(8 * 1024), vec![], 414),
        ] {
            let (status, request) = status(query, &cookies).await;
            assert_eq!(status, refused, "{request:?}");
        }
    }
}

#[tokio::test]
async fn a_send_that_finds_no_room_is_503_and_closes_the_session() {
    let config = EndpointConfig::new()
        .origins(Origins::any())
        .inbound_messages(1)
        .send_wait(Duration::from_millis(20));
    // An application that receives nothing.
    let server =
        Server::with(Gateway::new().endpoint_with("/deaf", config, async |session: Session| {
            session.ended().await;
        }))
        .await;
    for transport in ["xhr_send", "jsonp_send"] {
        let session = server.open("/deaf").await;
        server.send(&session, r#"["fits"]"#).await;
        let request =
            Request::post(format!("{session}/{transport}")).header("Content-Type", "text/plain");
        let answer = server.exchange(&request.body(r#"["waits"]"#)).await;
        assert_eq!(answer.status(), 503);
        assert!(answer.text().contains("send_wait"), "{}", answer.text());
        assert_eq!(server.poll(&session).await, "c[1008,\"inbound queue full\"]\n");
    }
}

#[tokio::test]
async fn transports_can_be_switched_off_one_by_one() {
    const ALL: Transports = Transports::ALL;
    let cases = [
        ("xhr", "POST", ALL.xhr(false)),
        ("xhr_streaming", "POST", ALL.xhr_streaming(false)),
        ("eventsource", "GET", ALL.eventsource(false)),
        ("htmlfile?c=x", "GET", ALL.htmlfile(false)),
        ("jsonp?c=x", "GET", ALL.jsonp(false)),
        ("websocket", "GET", ALL.websocket(false)),
        ("../websocket", "GET", ALL.raw_websocket(false)),
    ];
    for (off, _, transports) in cases {
        let server = echo_with(EndpointConfig::new().transports(transports)).await;
        for (transport, method, _) in cases {
            let request = match transport {
                "websocket" => handshake(&format!("{}/websocket", fresh("/echo"))),
                "../websocket" => handshake("/echo/websocket"),
                _ => Request::new(method, format!("{}/{transport}", fresh("/echo"))).body(""),
            };
            let status = server.connect().await.start(&request).await.status;
            let on = if transport.contains("websocket") { 101 } else { 200 };
            assert_eq!(
                status,
                if transport == off { 404 } else { on },
                "{transport}, {off} is off"
            );
        }
        let raw = server.connect().await.start(&handshake("/echo")).await.status;
        assert_eq!(raw == 101, off != "../websocket");
        let info: serde_json::Value =
            serde_json::from_slice(&server.get("/echo/info").await.body).expect("JSON");
        assert_eq!(info["websocket"], off != "websocket");
        let session = fresh("/echo");
        let open = if off == "xhr" { "eventsource" } else { "xhr" };
        let open =
            Request::new(if off == "xhr" { "GET" } else { "POST" }, format!("{session}/{open}"))
                .body("");
        let mut receiver = server.connect().await;
        assert_eq!(receiver.start(&open).await.status, 200);
        let jsonp_send = server.post(&format!("{session}/jsonp_send"), "[]").await.status();
        assert_eq!(jsonp_send == 404, off == "jsonp?c=x");
    }
}

#[tokio::test]
async fn info_names_another_base_url_where_one_is_set() {
    let base_url = "https://sockets.example.org/echo".to_owned();
    let server = echo_with(EndpointConfig::new().base_url(base_url.clone())).await;
    let info: serde_json::Value =
        serde_json::from_slice(&server.get("/echo/info").await.body).expect("JSON");
    assert_eq!(info["base_url"], base_url);
}

#[tokio::test]
async fn cookies_have_the_attributes_that_are_set_and_no_bad_value() {
    for (config, attributes) in [
        (CookieConfig::default(), ""),
        (CookieConfig::new().same_site(SameSite::Lax), "; SameSite=Lax"),
        (CookieConfig::new().same_site(SameSite::Strict), "; SameSite=Strict"),
        (CookieConfig::new().same_site(SameSite::None).secure(true), "; SameSite=None; Secure"),
    ] {
        let server = echo_with(EndpointConfig::new().cookies(config)).await;
        for (sent, value) in [
            ("JSESSIONID=abc", "abc"),
            ("JSESSIONID=a b", "dummy"),
            ("JSESSIONID=a,b", "dummy"),
            ("JSESSIONID=\"a\"", "dummy"),
            ("JSESSIONID=a\\b", "dummy"),
            ("JSESSIONID=\u{e4}", "dummy"),
            ("JSESSIONID=", "dummy"),
        ] {
            let request = Request::post(format!("{}/xhr", fresh("/echo"))).header("Cookie", sent);
            let answer = server.exchange(&request).await;
            let expected = format!("JSESSIONID={value}; path=/{attributes}");
            assert_eq!(answer.header("Set-Cookie"), Some(expected.as_str()), "{sent}");
        }
    }
}

#[test]
fn heartbeats_are_faster_than_the_patience_of_jsonp_clients() {
    let config = EndpointConfig::default();
    assert_eq!(config.heartbeat_delay, Duration::from_secs(25));
    assert_eq!(config.disconnect_delay, Duration::from_secs(5));
}

#[tokio::test]
async fn a_refused_body_is_read_so_that_the_answer_arrives() {
    let server = echo_with(EndpointConfig::new().payload_size(1_000_000)).await;
    let session = server.open("/echo").await;
    // Far more than sockets hold on the way: a client that sends all of it before it reads must not
    // be cut off.
    let request = Request::post(format!("{session}/xhr_send")).body("x".repeat(7_000_000));
    let mut connection = server.connect().await;
    let answer = connection.exchange(&request).await;
    assert_eq!((answer.status(), answer.header("Connection")), (413, None));
    assert_eq!(connection.exchange(&Request::get("/echo")).await.status(), 200);

    // Not so what would take too long: a gigabyte, announced but not sent, and a body without end.
    let announced = Request::post(format!("{session}/xhr_send"))
        .without_body()
        .header("Content-Length", "1000000000");
    let mut connection = server.connect().await;
    let answer = connection.exchange(&announced).await;
    assert_eq!((answer.status(), answer.header("Connection")), (413, Some("close")));
    connection.ends().await;

    let config = EndpointConfig::new().payload_size(1000).discard_limit(8000);
    let server = echo_with(config).await;
    let session = server.open("/echo").await;
    let endless = Request::post(format!("{session}/xhr_send"))
        .without_body()
        .header("Transfer-Encoding", "chunked");
    let mut connection = server.connect().await;
    let chunk = format!("{:x}\r\n{}", 100_000, "x".repeat(100_000));
    connection.write([endless.to_bytes(), chunk.into_bytes()].concat()).await;
    let answer = connection.response(&endless).await;
    assert_eq!((answer.status(), answer.header("Connection")), (413, Some("close")));
}

#[tokio::test]
async fn how_much_is_read_of_a_refused_body_can_be_set() {
    for (discard_limit, connection_after) in
        [(0, Some("close")), (1999, Some("close")), (2000, None)]
    {
        let config = EndpointConfig::new().payload_size(1000).discard_limit(discard_limit);
        let server = echo_with(config).await;
        let session = server.open("/echo").await;
        let request = Request::post(format!("{session}/xhr_send")).body("x".repeat(2000));
        let answer = server.connect().await.exchange(&request).await;
        assert_eq!(
            (answer.status(), answer.header("Connection")),
            (413, connection_after),
            "{discard_limit}"
        );
    }
}

/// A client that begins a request and never ends it must not hold its connection for ever.
#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let config =
        EndpointConfig::new().message_timeout(Duration::from_millis(100)).payload_size(100);
    let server = echo_with(config).await;
    let session = server.open("/echo").await;
    // Of the last one more comes than is kept, but not all of what would be thrown away.
    for (path, length, part) in
        [("xhr_send", 20, "[\"lost"), ("xhr", 20, ""), ("xhr_send", 500, &*"x".repeat(150))]
    {
        let request = Request::post(format!("{session}/{path}"))
            .without_body()
            .header("Content-Length", length.to_string());
        let mut connection = server.connect().await;
        connection.write([request.to_bytes(), part.as_bytes().to_vec()].concat()).await;
        let answer = connection.response(&request).await;
        assert_eq!((answer.status(), answer.header("Connection")), (408, Some("close")), "{path}");
        assert!(answer.text().contains("message_timeout (100ms)"), "{answer:?}");
        connection.ends().await;
    }
    server.send(&session, "[\"the session goes on\"]").await;
    assert_eq!(server.poll(&session).await, "a[\"the session goes on\"]\n");
}
