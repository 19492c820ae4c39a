//! How one side's end becomes the other's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sockeye::EndpointConfig;
use sockeye_apps::UpstreamConfig;
use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::Message as Packet;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::backend::{PREFIX, Rig, SHORT, accept, read_head, stay};
use super::pressure::standstill;
use common::client::Client;
use common::transport::Transport;
use common::within;

pub(crate) async fn the_backend_closes(transport: Transport) {
    let rig = Rig::start(transport).await;
    let longest = "é".repeat(61);
    for (code, reason) in
        [(1000, ""), (1001, "going away"), (1013, "later"), (3000, "안녕"), (4999, &*longest)]
    {
        let (mut client, mut backend) = rig.open().await;
        backend.send("last words").await;
        backend.close(code, reason).await;
        assert_eq!(client.message().await, "last words");
        assert_eq!(client.closed().await, (code, reason.to_owned()));
    }
}

/// 1005: there is nothing to pass on.
pub(crate) async fn the_backend_closes_without_a_code(transport: Transport) {
    let rig = Rig::start(transport).await;
    let (mut client, mut backend) = rig.open().await;
    backend.socket.close(None).await.expect("the gateway is there");
    assert_eq!(client.closed().await, (1011, "backend closed without a code".to_owned()));
}

/// 1006: the process died, say.
pub(crate) async fn the_backend_drops_its_connection(transport: Transport) {
    let rig = Rig::start(transport).await;
    let (mut client, mut backend) = rig.open().await;
    backend.send("last words").await;
    drop(backend);
    assert_eq!(client.message().await, "last words");
    assert_eq!(client.closed().await, (1011, "backend gone: no close frame".to_owned()));

    let (mut client, backend) = rig.open().await;
    backend.socket.get_ref().set_zero_linger().expect("open");
    drop(backend);
    assert_eq!(client.closed().await, (1011, "backend gone: connection reset".to_owned()));
}

pub(crate) async fn the_client_closes(transport: Transport) {
    let rig = Rig::with(transport, UpstreamConfig::default(), brief()).await;
    let (client, mut backend) = rig.open().await;
    client.leave(4001, "bye").await;
    // Only a raw WebSocket's client says why it goes.
    let expected = if transport.is_raw() { (4001, "bye") } else { (1001, "client gone") };
    assert_eq!(backend.closed().await, (expected.0, expected.1.to_owned()));

    let (client, mut backend) = rig.open().await;
    client.reset();
    assert_eq!(backend.closed().await, (1001, "client gone".to_owned()));
}

/// A client that has sent nothing causes no connection to the backend.
pub(crate) async fn the_client_is_gone_before_the_backend_answers(transport: Transport) {
    let patient = UpstreamConfig::new().connect_timeout(Duration::from_secs(3600));
    let rig = Rig::with(transport, patient, brief()).await;
    let client = Client::open(rig.addr, PREFIX, transport).await;
    let mut connection = rig.connection().await;
    read_head(&mut connection).await;
    client.reset();
    assert_eq!(within("the end", connection.read(&mut [0])).await.expect("FIN"), 0);
}

/// But its messages are not lost.
pub(crate) async fn the_client_says_something_and_is_gone_before_the_backend_answers(
    transport: Transport,
) {
    let rig = Rig::start(transport).await;
    let mut client = Client::open(rig.addr, PREFIX, transport).await;
    let connection = rig.connection().await;
    stay(&mut client).await;
    client.send(&["one", "two"]).await;
    client.leave(4001, "bye").await;
    rig.empty().await;
    let mut backend = accept(connection).await;
    assert_eq!(backend.message().await, "one");
    assert_eq!(backend.message().await, "two");
    let (code, _) = backend.closed().await;
    assert_eq!(code, if transport.is_raw() { 4001 } else { 1001 });
}

pub(crate) async fn what_the_client_said_last_arrives_before_its_end(transport: Transport) {
    let rig = Rig::start(transport).await;
    let (mut client, mut backend) = rig.open().await;
    stay(&mut client).await;
    let texts: Vec<String> = (0..50).map(|n| format!("{n} {}", "x".repeat(10_000))).collect();
    for text in &texts {
        client.send(&[text]).await;
    }
    client.leave(1000, "done").await;
    for text in texts {
        assert_eq!(backend.message().await, text);
    }
    backend.closed().await;
}

/// The backend gets the client's code and reason.
pub(crate) async fn a_limit_of_the_gateway_closes(transport: Transport) {
    let config = EndpointConfig::new().message_size(10);
    let rig = Rig::with(transport, UpstreamConfig::default(), config).await;
    let (mut client, mut backend) = rig.open().await;
    client.send(&["short"]).await;
    if transport.is_socket() {
        client.send(&["longer than ten"]).await;
    } else {
        assert_eq!(client.post(r#"["longer than ten"]"#).await.status(), 413);
    }
    assert_eq!(client.closed().await, (1009, "Message too large".to_owned()));
    assert_eq!(backend.message().await, "short");
    assert_eq!(backend.closed().await, (1009, "Message too large".to_owned()));
}

/// The client vanishes while the backend's messages wait for it, and the backend goes on sending.
/// Bytes that it sends are read and dropped: an end with bytes unread would be a reset, which can
/// destroy the close frame.
#[tokio::test]
async fn a_backend_that_does_not_stop_sending_sees_the_end() {
    for _ in 0..10 {
        let rig = Rig::start(Transport::RawWebSocket).await;
        let (client, backend) = rig.open().await;
        let (mut sink, mut stream) = backend.socket.split();
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let flood = tokio::spawn(async move {
            while sink.send("x".repeat(60_000).into()).await.is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            sink
        });
        standstill(&sent).await;
        client.reset();
        match within("a close frame", stream.next()).await {
            Some(Ok(Packet::Close(Some(frame)))) => {
                assert_eq!((frame.code.into(), frame.reason.as_str()), (1001, "client gone"));
            }
            other => panic!("a close frame is due, not {other:?}"),
        }
        let _sink = within("the end of the flood", flood).await.expect("no panic");
        let rest = within("the end of the connection", stream.next()).await;
        assert!(rest.is_none(), "in order, not with {rest:?}");
    }
}

/// The backend closes and is gone at once, with messages of the client's unread: our writes fail,
/// with EPIPE or a reset, and may do so before the close frame is read. It counts all the same.
#[tokio::test]
async fn a_close_counts_when_writing_fails_first() {
    for _ in 0..100 {
        let rig = Rig::start(Transport::RawWebSocket).await;
        let (mut client, mut backend) = rig.open().await;
        let hello = "x".repeat(1000);
        client.send(&[&*hello; 20]).await;
        backend.message().await;
        backend.send("last words").await;
        backend
            .socket
            .send(Packet::Close(Some(CloseFrame { code: 4000.into(), reason: "bye".into() })))
            .await
            .expect("sent");
        drop(backend);
        client.send(&[&*hello; 20]).await;
        assert_eq!(client.message().await, "last words");
        assert_eq!(client.closed().await, (4000, "bye".to_owned()));
    }
}

/// A backend that never answers a close is left after `close_timeout`.
#[tokio::test]
async fn a_backend_that_does_not_finish_closing_is_left() {
    let config = UpstreamConfig::new().close_timeout(SHORT);
    let rig = Rig::with(Transport::RawWebSocket, config, EndpointConfig::default()).await;
    let client = Client::open(rig.addr, PREFIX, Transport::RawWebSocket).await;
    let backend = rig.accept().await;
    client.leave(4001, "bye").await;
    // Below the library: it would answer.
    let mut stream = backend.socket.into_inner();
    let mut rest = Vec::new();
    within("the end of the connection", stream.read_to_end(&mut rest)).await.expect("FIN");
    assert_eq!(rest[0], 0x88, "a close frame, and then the end");
}

fn brief() -> EndpointConfig {
    EndpointConfig::new().disconnect_delay(Duration::from_millis(200))
}
