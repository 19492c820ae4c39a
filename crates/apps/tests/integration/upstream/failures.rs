//! No backend, or none that can be used.

use sockeye::EndpointConfig;
use sockeye_apps::UpstreamConfig;
use tokio::io::AsyncWriteExt;

use super::backend::{PREFIX, Rig, SHORT, gateway, listener, read_head};
use common::client::Client;
use common::transport::Transport;

pub(crate) async fn nobody_listens(transport: Transport) {
    let (backend, at) = listener().await;
    drop(backend);
    let addr =
        gateway(&format!("ws://{at}"), UpstreamConfig::default(), EndpointConfig::default()).await;
    let mut client = Client::open(addr, PREFIX, transport).await;
    assert_eq!(client.closed().await, (1011, "backend down: connection refused".to_owned()));
}

pub(crate) async fn the_backend_refuses(transport: Transport) {
    let rig = Rig::start(transport).await;
    for (status, reason) in [
        ("403 Forbidden", "backend refused: 403 Forbidden"),
        ("200 OK", "backend refused: 200 OK"),
        ("302 Found\r\nLocation: http://elsewhere/", "backend refused: 302 Found"),
        ("503 Too Busy", "backend refused: 503 Service Unavailable"),
    ] {
        let answer = async {
            let mut connection = rig.connection().await;
            read_head(&mut connection).await;
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno");
            connection.write_all(answer.as_bytes()).await.expect("the gateway reads");
        };
        let (mut client, ()) = tokio::join!(Client::open(rig.addr, PREFIX, transport), answer);
        assert_eq!(client.closed().await, (1011, reason.to_owned()));
    }
}

pub(crate) async fn the_backend_does_not_answer(transport: Transport) {
    let config = UpstreamConfig::new().connect_timeout(SHORT);
    let rig = Rig::with(transport, config, EndpointConfig::default()).await;
    let mut client = Client::open(rig.addr, PREFIX, transport).await;
    let _silent = rig.connection().await;
    assert_eq!(client.closed().await, (1011, "backend down: no answer within 100ms".to_owned()));
}

pub(crate) async fn the_backend_speaks_something_else(transport: Transport) {
    let rig = Rig::start(transport).await;
    let wrong_key = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n";
    for answer in ["220 mail.example.com ESMTP\r\n\r\n", wrong_key] {
        let answer = async {
            let mut connection = rig.connection().await;
            read_head(&mut connection).await;
            connection.write_all(answer.as_bytes()).await.expect("the gateway reads");
            connection
        };
        let (mut client, _connection) =
            tokio::join!(Client::open(rig.addr, PREFIX, transport), answer);
        assert_eq!(
            client.closed().await,
            (1011, "backend down: it does not speak WebSocket".to_owned())
        );
    }
}

#[tokio::test]
async fn a_backend_that_breaks_the_protocol_is_told_so() {
    let rig = Rig::start(Transport::WebSocket).await;
    let (mut client, mut backend) = rig.open().await;
    backend.send("fine").await;
    let stream = backend.socket.get_mut();
    // A reserved bit without the extension that gives it a meaning.
    stream.write_all(b"\xF1\x01x").await.expect("the gateway reads");
    assert_eq!(client.message().await, "fine");
    assert_eq!(client.closed().await, (1011, "backend broke the WebSocket protocol".to_owned()));
    assert_eq!(backend.closed().await.0, 1002);
}

/// One client's refusal is no other's.
#[tokio::test]
async fn a_backend_that_comes_back_serves_again() {
    let (first, at) = listener().await;
    drop(first);
    let addr =
        gateway(&format!("ws://{at}"), UpstreamConfig::default(), EndpointConfig::default()).await;
    let mut client = Client::open(addr, PREFIX, Transport::Xhr).await;
    assert_eq!(client.closed().await.0, 1011);
    let again = tokio::net::TcpListener::bind(at).await.expect("the port is still free");
    let client = Client::open(addr, PREFIX, Transport::Xhr).await;
    let mut backend = super::backend::accept(again.accept().await.expect("a connection").0).await;
    let mut client = client;
    client.send(&["hello"]).await;
    assert_eq!(backend.message().await, "hello");
}
