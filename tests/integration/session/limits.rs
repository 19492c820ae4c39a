//! Limits: what is over one is refused with a word, and nothing else is lost.

use std::time::Duration;

use sockeye::{EndedBy, EndpointConfig, SendError, TrySendError};
use tokio::task::JoinSet;

use super::rig::{PREFIX, Rig, echo, end, end_of, serve_app};
use common::client::{Client, json};
use common::log::log;
use common::transport::Transport;
use common::within;

pub(crate) async fn a_message_over_message_size(transport: Transport) {
    let config = EndpointConfig::new().message_size(1000);
    let (largest, too_large) = ("é".repeat(500), "x".repeat(1001));
    let (client, session) = Rig::with(transport, config).await.open().await;
    refused_for_its_size(transport, client, session, &[&largest], &[&too_large]).await;
}

pub(crate) async fn too_many_messages_in_a_payload(transport: Transport) {
    // Without payloads there is nothing to count.
    if transport.is_raw() {
        return;
    }
    let config = EndpointConfig::new().messages_per_payload(3);
    let (client, session) = Rig::with(transport, config).await.open().await;
    refused_for_its_size(transport, client, session, &["1", "2", "3"], &["1", "2", "3", "4"]).await;
}

pub(crate) async fn a_payload_over_payload_size(transport: Transport) {
    // A raw WebSocket's payload is its message.
    if transport.is_raw() {
        return;
    }
    let config = EndpointConfig::new().payload_size(1000);
    let (client, session) = Rig::with(transport, config).await.open().await;
    // A form holds quotes and brackets as three bytes each.
    let largest = if transport == Transport::Jsonp {
        "x".repeat(1000 - 2 - 4 * 3)
    } else {
        "x".repeat(1000 - 4)
    };
    let too_large = format!("{largest}x");
    refused_for_its_size(transport, client, session, &[&largest], &[&too_large]).await;
}

/// What is at the limit arrives; what is over it closes the session with 1009, behind all that came
/// before.
async fn refused_for_its_size(
    transport: Transport,
    mut client: Client,
    mut session: sockeye::Session,
    largest: &[&str],
    too_large: &[&str],
) {
    const REASON: &str = "Message too large";
    session.send("on its way").await.expect("the client is there");
    client.send(largest).await;
    if transport.is_socket() {
        client.send(too_large).await;
    } else {
        let answer = client.post(&json(too_large)).await;
        assert_eq!(answer.status(), 413, "{answer:?}");
        assert!(
            answer.text().contains("too large") || answer.text().contains("Too many"),
            "{answer:?}"
        );
    }
    for message in largest {
        assert_eq!(session.recv().await.expect("it was not too large"), *message);
    }
    assert_eq!(session.recv().await, None);
    assert_eq!(client.message().await, "on its way");
    assert_eq!(client.closed().await, (1009, REASON.to_owned()));
    assert_eq!(end_of(&session).await, end(1009, REASON, EndedBy::Gateway, 0));
}

pub(crate) async fn one_session_too_many(transport: Transport) {
    let config = EndpointConfig::new().sessions(2);
    let mut rig = Rig::with(transport, config).await;
    let (mut client, mut session) = rig.open().await;
    let (other, other_session) = rig.open().await;
    assert_eq!(
        Client::new(rig.addr, PREFIX, transport).try_open().await,
        Err(503),
        "before any frame"
    );

    client.send(&["undisturbed"]).await;
    assert_eq!(session.recv().await.expect("a message"), "undisturbed");
    other_session.close((1000, "room for another one"));
    drop(other);
    session.close((1000, "and one more"));
    // A closed session stands until its client has been told, or does not come.
    assert_eq!(client.closed().await.0, 1000);
    if transport.is_socket() {
        rig.empty().await;
        rig.open().await;
    }
}

pub(crate) async fn too_many_payloads_wait(transport: Transport) {
    // A WebSocket has no second payload before the first was taken.
    if transport.is_socket() {
        return;
    }
    let patient = Duration::from_secs(60);
    let config = EndpointConfig::new()
        .inbound_messages(1)
        .waiting_payloads(2)
        .message_timeout(Duration::from_secs(1))
        .send_wait(patient);
    let log = log();
    let (mut client, mut session) = Rig::with(transport, config).await.open().await;
    client.send(&["fills the queue"]).await;
    let mut posts = JoinSet::new();
    for payload in [["waits"], ["waits"], ["waits"]] {
        let uplink = client.uplink();
        posts.spawn(async move { uplink.post(&json(&payload)).await });
    }
    let refused =
        within("the payload too many", posts.join_next()).await.expect("three").expect("no panic");
    assert_eq!(refused.status(), 503, "{refused:?}");
    assert!(refused.text().contains("waiting_payloads is 2"), "{refused:?}");
    assert_eq!(
        log.lines_of(session.id(), "payload refused").len(),
        1,
        "what is lost is not lost in silence"
    );

    assert_eq!(session.recv().await.expect("a message"), "fills the queue");
    for _ in 0..2 {
        assert_eq!(session.recv().await.expect("a message"), "waits");
    }
    for answer in posts.join_all().await {
        assert!(answer.is_taken(), "{answer:?}");
    }
    session.send("the session goes on").await.expect("the client is there");
    assert_eq!(client.message().await, "the session goes on");
}

/// An empty queue takes one message, so a limit of zero messages means one at a time and no
/// standstill.
pub(crate) async fn queues_without_room_pass_on_one_thing_at_a_time(transport: Transport) {
    let config = EndpointConfig::new()
        .inbound_messages(0)
        .inbound_bytes(0)
        .outbound_messages(0)
        .outbound_bytes("three".len())
        .waiting_payloads(0);
    let mut client = Client::open(serve_app(config, echo).await, PREFIX, transport).await;
    for message in ["one", "two", "three"] {
        client.send(&[message]).await;
        assert_eq!(client.message().await, message);
    }
}

/// A message that is larger than the whole queue is given back, also by an empty one, and the
/// session goes on.
pub(crate) async fn a_message_larger_than_the_outbound_queue(transport: Transport) {
    let config = EndpointConfig::new().outbound_bytes(1000);
    let (mut client, session) = Rig::with(transport, config).await.open().await;
    let (largest, too_large) = ("x".repeat(1000), "x".repeat(1001));
    match session.send(too_large.clone()).await {
        Err(SendError::TooLarge(message)) => assert_eq!(message, *too_large),
        other => panic!("{other:?}"),
    }
    session.send(largest.clone()).await.expect("as large as the queue");
    match session.try_send(too_large.clone()) {
        Err(TrySendError::TooLarge(message)) => assert_eq!(message, *too_large),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.message().await, largest);
    session.close((3000, "enough"));
    assert_eq!(client.closed().await, (3000, "enough".to_owned()));
    assert_eq!(end_of(&session).await, end(3000, "enough", EndedBy::Application, 0));
}

/// Such delays mean never; a deadline that far away can't be computed.
pub(crate) async fn delays_may_be_for_ever(transport: Transport) {
    let ever = Duration::MAX;
    let config = EndpointConfig::new()
        .message_timeout(ever)
        .send_wait(ever)
        .heartbeat_delay(ever)
        .disconnect_delay(ever)
        .pong_timeout(ever)
        .attach_wait(ever)
        .remembered_for(ever);
    let (mut client, mut session) = Rig::with(transport, config).await.open().await;
    client.send(&["hello"]).await;
    assert_eq!(session.recv().await.expect("a message"), "hello");
    session.send("hello yourself").await.expect("the client is there");
    assert_eq!(client.message().await, "hello yourself");
    session.close((3000, "Go away!"));
    assert_eq!(client.closed().await, (3000, "Go away!".to_owned()));
    assert_eq!(end_of(&session).await, end(3000, "Go away!", EndedBy::Application, 0));
}
