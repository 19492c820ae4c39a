//! Messages both ways.

use sockeye::EndpointConfig;
use sockeye_apps::UpstreamConfig;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message as Packet;

use futures_util::SinkExt;

use super::backend::{PREFIX, Rig, accept, stay};
use common::client::{Client, Event};
use common::transport::Transport;
use common::websocket::Frame;

pub(crate) async fn text_keeps_its_order_both_ways(transport: Transport) {
    let rig = Rig::start(transport).await;
    let (mut client, mut backend) = rig.open().await;
    let texts: Vec<String> =
        (0..1000).map(|n| format!("{n} 안녕 \u{0} 😀 {}", "x".repeat(n % 50))).collect();
    let from_backend = texts.clone();
    let backend = tokio::spawn(async move {
        for (n, text) in from_backend.iter().enumerate() {
            backend.send(text).await;
            if n % 2 == 0 {
                assert_eq!(backend.message().await, from_backend[n / 2]);
            }
        }
        for text in &from_backend[500..] {
            assert_eq!(backend.message().await, *text);
        }
        backend
    });
    for (n, text) in texts.iter().enumerate() {
        client.send(&[text]).await;
        assert_eq!(client.message().await, texts[n]);
    }
    drop(backend.await.expect("in order"));
}

pub(crate) async fn what_is_said_before_the_backend_answers_waits(transport: Transport) {
    let rig = Rig::start(transport).await;
    let mut client = Client::open(rig.addr, PREFIX, transport).await;
    let connection = rig.connection().await;
    stay(&mut client).await;
    for n in 0..100 {
        client.send(&[&format!("early {n}")]).await;
    }
    let mut backend = accept(connection).await;
    for n in 0..100 {
        assert_eq!(backend.message().await, format!("early {n}"));
    }
}

pub(crate) async fn binary_travels_where_it_can(transport: Transport) {
    let config = EndpointConfig::new().binary(true);
    let rig = Rig::with(transport, UpstreamConfig::default(), config).await;
    let (mut client, mut backend) = rig.open().await;
    backend.send("before").await;
    backend.socket.send(Packet::binary(&b"\x00\xff"[..])).await.expect("the gateway is there");
    assert_eq!(client.message().await, "before");
    if transport.is_raw() {
        assert_eq!(client.recv().await, Event::Binary((&b"\x00\xff"[..]).into()));
        client.write(&Frame::new(Frame::BINARY, &b"\xfe\x01"[..])).await;
        assert_eq!(backend.packet().await, Packet::binary(&b"\xfe\x01"[..]));
        return;
    }
    let reason = "the backend sent binary, which this transport does not carry";
    assert_eq!(client.closed().await, (1003, reason.to_owned()));
    assert_eq!(backend.closed().await, (1003, reason.to_owned()));
}

#[tokio::test]
async fn a_ping_of_the_backend_is_answered() {
    let rig = Rig::start(Transport::Xhr).await;
    let (_client, mut backend) = rig.open().await;
    backend.socket.send(Packet::Ping((&b"there?"[..]).into())).await.expect("the gateway is there");
    assert_eq!(backend.packet().await, Packet::Pong((&b"there?"[..]).into()));
}

#[tokio::test]
async fn a_message_may_be_as_large_as_message_size_and_no_larger() {
    let config = UpstreamConfig::new().message_size(100_000);
    let rig = Rig::with(Transport::RawWebSocket, config, EndpointConfig::default()).await;
    let (mut client, mut backend) = rig.open().await;
    let largest = "x".repeat(100_000);
    backend.send(&largest).await;
    assert_eq!(client.message().await, largest);
    backend.send(&format!("{largest}y")).await;
    let reason = "a message of the backend is larger than message_size, 100000 bytes".to_owned();
    assert_eq!(client.closed().await, (1009, reason.clone()));
    assert_eq!(backend.closed().await, (1009, reason));
}

/// Over TCP a client's transport has a limit of its own.
#[tokio::test]
async fn a_message_may_be_too_large_for_the_client() {
    let (listener, at) = super::backend::listener().await;
    let upstream = sockeye_apps::Upstream::new(&format!("ws://{at}"), UpstreamConfig::default())
        .expect("a good URL");
    let (mut client, server) = tokio::io::duplex(100);
    let endpoint = sockeye::TcpEndpoint::new(upstream);
    let serving = tokio::spawn(async move { endpoint.serve(server, None).await });
    client.write_all(b"\0\x02hi").await.expect("it reads");
    let mut backend = accept(listener.accept().await.expect("a connection").0).await;
    assert_eq!(backend.header("x-sockeye-transport"), ["tcp"]);
    assert!(backend.header("x-forwarded-for").is_empty(), "the client's address is unknown");
    assert_eq!(backend.message().await, "hi");
    backend.send(&"x".repeat(65_536)).await;
    assert_eq!(
        backend.closed().await,
        (1009, "a message of the backend is larger than this transport can carry".to_owned())
    );
    drop(client);
    serving.await.expect("no panic");
}
