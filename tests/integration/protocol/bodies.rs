//! Section 12: bodies without a use.

use common::apps::echo;
use sockeye::{EndpointConfig, Gateway};

use super::support::{Server, fresh};
use common::http::Request;

/// Payloads of a megabyte at most, and so many bytes that are thrown away.
async fn server(discard_limit: usize) -> Server {
    let config = EndpointConfig::new().payload_size(1_000_000).discard_limit(discard_limit);
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
