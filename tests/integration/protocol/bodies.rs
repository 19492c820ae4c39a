//! Section 12: bodies without a use.

use std::io;

use bytes::Bytes;
use common::apps::echo;
use common::log::log;
use http_body_util::{BodyExt, Empty, StreamBody};
use sockeye::{EndpointConfig, Gateway, Origins};
use tower::ServiceExt;

use super::support::{Server, fresh};
use common::http::Request;

/// Payloads of a megabyte at most, and so many bytes that are thrown away.
async fn server(discard_limit: usize) -> Server {
    let config = EndpointConfig::new()
        .origins(Origins::any())
        .payload_size(1_000_000)
        .discard_limit(discard_limit);
    Server::with(Gateway::new().endpoint_with("/echo", config, echo)).await
}

#[tokio::test]
async fn a_body_for_nobody_is_read_so_that_its_answer_arrives() {
    let server = server(8_000_000).await;
    for transport in ["xhr_send", "jsonp_send"] {
        // More than sockets hold on the way.
        let request =
            Request::post(format!("{}/{transport}", fresh("/echo"))).body("x".repeat(7_000_000));
        let mut connection = server.connect().await;
        for _ in 0..2 {
            let answer = connection.exchange(&request).await;
            assert_eq!((answer.status(), answer.header("Connection")), (404, None), "{transport}");
        }
        // What is announced and too much is not waited for.
        let request = Request::post(format!("{}/{transport}", fresh("/echo")))
            .without_body()
            .header("Content-Length", "8000001");
        let mut connection = server.connect().await;
        let answer = connection.exchange(&request).await;
        assert_eq!(
            (answer.status(), answer.header("Connection")),
            (404, Some("close")),
            "{transport}"
        );
        connection.ends().await;
    }
}

#[tokio::test]
async fn a_poll_may_have_a_body() {
    for (discard_limit, length, status, connection_after) in [
        (8_000_000, 7_000_000, 200, None),
        (8_000_000, 8_000_001, 413, Some("close")),
        (0, 1_000_000, 200, None),
        (0, 1_000_001, 413, Some("close")),
    ] {
        let server = server(discard_limit).await;
        let request = Request::post(format!("{}/xhr", fresh("/echo"))).without_body();
        let request = request.header("Content-Length", length.to_string());
        let mut connection = server.connect().await;
        connection.write(request.to_bytes()).await;
        if status == 200 {
            connection.write("x".repeat(length)).await;
        }
        let answer = connection.response(&request).await;
        assert_eq!(
            (answer.status(), answer.header("Connection")),
            (status, connection_after),
            "{length}"
        );
    }
}

/// What the client gets before it has sent a byte of its body: `100 Continue` would invite it to
/// send what is refused then.
#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_told_at_once() {
    let server = server(8_000_000).await;
    let session = server.open("/echo").await;
    let ask = |path: String, length: &str| {
        Request::post(path)
            .without_body()
            .header("Expect", "100-continue")
            .header("Content-Length", length)
    };
    for (path, length, status) in [
        (format!("{session}/xhr_send"), "1000001", 413),
        (format!("{}/xhr_send", fresh("/echo")), "10", 404),
        (format!("{}/jsonp_send", fresh("/echo")), "10", 404),
        (format!("{}/xhr", fresh("/echo")), "8000001", 413),
    ] {
        let request = ask(path, length);
        let mut connection = server.connect().await;
        connection.write(request.to_bytes()).await;
        // The first head that comes, whichever it is.
        let answer = connection.response(&request).await;
        assert_eq!(
            (answer.status(), answer.header("Connection")),
            (status, Some("close")),
            "{request:?}"
        );
        connection.ends().await;
    }
    assert_eq!(
        server.poll(&session).await,
        "c[1009,\"Message too large\"]\n",
        "as for who sends it"
    );
    // What is wanted is asked for.
    let session = server.open("/echo").await;
    let request = ask(format!("{session}/xhr_send"), "5");
    let mut connection = server.connect().await;
    connection.write(request.to_bytes()).await;
    assert_eq!(connection.head().await.status, 100);
    connection.write("[\"a\"]").await;
    assert_eq!(connection.response(&request).await.status(), 204);
    assert_eq!(server.poll(&session).await, "a[\"a\"]\n");
}

/// What a refusal, or the error of a body, has in it may end its line of the log, and write a line
/// of its own: middleware that unpacks bodies tells in its errors what it found there.
#[tokio::test]
async fn a_refused_body_is_one_line_of_the_log() {
    const SAID: &str = "broken\n2026-11-21 INFO all is well\u{1b}[2J";
    let log = log();
    let config = EndpointConfig::new().payload_size(77);
    let gateway = Gateway::new().endpoint_with("/one_line", config, echo);
    let session = fresh("/one_line");
    let open = http::Request::post(format!("{session}/xhr")).body(Empty::<Bytes>::new());
    let opened = gateway.clone().oneshot(open.expect("a request")).await.expect("it can't fail");
    assert_eq!(opened.into_body().collect().await.expect("a frame").to_bytes(), "o\n");

    let fails =
        futures_util::stream::iter([Err::<http_body::Frame<Bytes>, _>(io::Error::other(SAID))]);
    let send = http::Request::post(format!("{session}/xhr_send")).body(StreamBody::new(fails));
    drop(gateway.clone().oneshot(send.expect("a request")).await.expect("it can't fail"));
    let told = |text, part: &str| -> Vec<_> {
        let errors = log.lines(text).into_iter().map(|line| line.field("error").to_owned());
        errors.filter(|error| error.contains(part)).collect()
    };
    let expected = "broken\\n2026-11-21 INFO all is well\\u{1b}[2J";
    assert_eq!(told("request body could not be read", "all is well"), [expected]);

    let large = http_body_util::Full::new(Bytes::from_static(&[b'x'; 78]));
    let send = http::Request::post(format!("{session}/xhr_send")).body(large);
    drop(gateway.oneshot(send.expect("a request")).await.expect("it can't fail"));
    let refused = told("payload refused", "payload_size is 77 bytes");
    assert!(refused.len() == 1 && !refused[0].contains('\n'), "{refused:?}");
}
