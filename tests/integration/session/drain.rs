//! Drains: sessions are served to their end, and new ones find another server.

use std::time::Duration;

use sockeye::{DrainConfig, Drained, EndedBy, EndpointConfig, Gateway};
use tokio::task::JoinHandle;

use super::rig::{PREFIX, Rig, echo, end, end_of};
use common::client::Client;
use common::http::{Connection, Request};
use common::server::serve;
use common::transport::{Frame, Transport};
use common::within;

/// A drain that has begun, in a task of its own.
async fn drain(gateway: &Gateway, config: DrainConfig) -> JoinHandle<Drained> {
    let draining = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.drain(config).await }
    });
    within("the drain's begin", async {
        while !gateway.is_draining() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    draining
}

/// Told, not told, and messages not delivered.
async fn drained(draining: JoinHandle<Drained>) -> (usize, usize, usize) {
    let Drained { told, untold, undelivered, .. } =
        within("the end of the drain", draining).await.expect("no panic");
    (told, untold, undelivered)
}

/// The client that waits for a frame, and the client that is between two requests and comes back.
pub(crate) async fn what_is_queued_goes_before_the_reason(transport: Transport) {
    for waits in [false, true] {
        let mut rig = Rig::start(transport).await;
        let (mut client, mut session) = rig.open().await;
        if waits {
            client.attach().await.expect("the session lives");
        }
        session.send("one").await.expect("the client is there");
        session.send("two").await.expect("the client is there");
        let draining = drain(&rig.gateway, DrainConfig::default()).await;
        assert_eq!(session.recv().await, None);
        drop(session.send("late").await.expect_err("it is closed"));
        assert_eq!((client.message().await, client.message().await), ("one".into(), "two".into()));
        assert_eq!(client.closed().await, (1001, "Server shutting down".to_owned()));
        let told = end(1001, "Server shutting down", EndedBy::Gateway, 0);
        assert_eq!(end_of(&session).await, told);
        assert_eq!(drained(draining).await, (1, 0, 0), "waits: {waits}");
    }
}

/// An application must not lose what the gateway has taken for it.
pub(crate) async fn what_came_before_the_drain_is_received(transport: Transport) {
    // Without payloads a test can't know whether a second message has come already.
    if transport.is_raw() {
        return;
    }
    let mut rig = Rig::start(transport).await;
    let (mut client, mut session) = rig.open().await;
    client.send(&["one", "two", "three"]).await;
    assert_eq!(session.recv().await.expect("a message"), "one");
    let config = DrainConfig::new().reason((3001, "moving house"));
    let draining = drain(&rig.gateway, config).await;
    assert_eq!(client.closed().await, (3001, "moving house".to_owned()));
    assert_eq!(session.recv().await.expect("a message"), "two");
    assert_eq!(session.recv().await.expect("a message"), "three");
    assert_eq!(session.recv().await, None);
    assert_eq!(drained(draining).await, (1, 0, 0));
}

/// 503 and not 404: the client is to try another server, or this one later.
pub(crate) async fn no_session_opens_any_more(transport: Transport) {
    let mut rig = Rig::start(transport).await;
    // In the lead everything is as it was.
    let lead = DrainConfig::new().drain_lead(Duration::from_secs(3600));
    let leading = drain(&rig.gateway, lead).await;
    let (mut client, _session) = rig.open().await;
    leading.abort();

    let config = DrainConfig::new().retry_after(Duration::from_millis(6500));
    let draining = drain(&rig.gateway, config).await;
    assert_eq!(client.closed().await, (1001, "Server shutting down".to_owned()));
    let mut late = Client::new(rig.addr, PREFIX, transport);
    assert_eq!(late.try_open().await, Err(503));
    for request in [transport.request(late.session()), Request::get(format!("{PREFIX}/info"))] {
        let answer = Connection::open(rig.addr).await.exchange(&request).await;
        assert_eq!((answer.status(), answer.header("Retry-After")), (503, Some("7")), "{answer:?}");
        assert!(answer.text().contains("Try again later"), "{answer:?}");
    }
    assert_eq!(drained(draining).await, (1, 0, 0));
    assert_eq!(late.try_open().await.err(), Some(503), "afterwards too");
}

/// A client that has gone between two requests can't be told.
pub(crate) async fn a_client_that_does_not_come_back_is_counted(transport: Transport) {
    if !transport.polls() {
        return;
    }
    let config = EndpointConfig::new().disconnect_delay(Duration::from_millis(20));
    let mut rig = Rig::with(transport, config).await;
    let mut client = Client::new(rig.addr, PREFIX, transport);
    client.try_open().await.expect("there is room");
    let session = rig.session().await;
    session.send("lost").await.expect("it has not expired yet");
    let draining = drain(&rig.gateway, DrainConfig::default()).await;
    let untold = end(1001, "Server shutting down", EndedBy::Gateway, 1);
    assert_eq!(end_of(&session).await, untold);
    assert_eq!(drained(draining).await, (0, 1, 1));
    // Too late to be counted, and told all the same.
    assert_eq!(client.closed().await, (1001, "Server shutting down".to_owned()));
}

/// Last frames and the handlers' last work are not cut off with the process.
pub(crate) async fn a_drain_waits_for_handlers(transport: Transport) {
    let (give, mut working) = tokio::sync::mpsc::unbounded_channel();
    let gateway = Gateway::new().endpoint(PREFIX, move |session| {
        let give = give.clone();
        async move {
            echo(session).await;
            let (finish, finished) = tokio::sync::oneshot::channel::<()>();
            give.send(finish).expect("the test waits");
            drop(finished.await);
        }
    });
    let addr = serve(gateway.clone()).await;
    let mut client = Client::open(addr, PREFIX, transport).await;
    let mut draining = drain(&gateway, DrainConfig::default()).await;
    assert_eq!(client.closed().await, (1001, "Server shutting down".to_owned()));
    let finish = within("the handler", working.recv()).await.expect("it lives");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!draining.is_finished(), "the handler has not returned");
    drop(finish);
    within("the end of the drain", &mut draining).await.expect("no panic");
}

/// The way to move a client to another connection: its response ends, and its session doesn't.
pub(crate) async fn responses_end_in_order(transport: Transport) {
    let mut rig = Rig::start(transport).await;
    let (mut client, session) = rig.open().await;
    if transport.is_socket() {
        assert_eq!(rig.gateway.end_responses(), 0, "a WebSocket stays");
        session.send("here").await.expect("the client is there");
        assert_eq!(client.message().await, "here");
        return;
    }
    // The stream of the open frame is still there; a poll is answered and has gone.
    client.attach().await.expect("the session lives");
    within("a receiver", async {
        while rig.gateway.end_responses() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(client.frame().await, Frame::Heartbeat);
    assert_eq!(rig.gateway.end_responses(), 0, "the response has ended, and no other has begun");
    session.send("again").await.expect("the client is there");
    assert_eq!(client.message().await, "again", "by another response");
    // Whatever ends when, nothing is lost, or comes twice.
    let sending = tokio::spawn(async move {
        for number in 0..500 {
            session.send(number.to_string()).await.expect("the client is there");
            tokio::task::yield_now().await;
        }
        session
    });
    let ending = tokio::spawn({
        let gateway = rig.gateway.clone();
        async move {
            loop {
                gateway.end_responses();
                tokio::task::yield_now().await;
            }
        }
    });
    for number in 0..500 {
        assert_eq!(client.message().await, number.to_string());
    }
    ending.abort();
    let session = sending.await.expect("no panic");
    session.close((3000, "enough"));
    let last = loop {
        match client.frame().await {
            Frame::Heartbeat => {}
            last => break last,
        }
    };
    assert_eq!(last, Frame::Close(3000, "enough".to_owned()));
    assert_eq!(end_of(&session).await, end(3000, "enough", EndedBy::Application, 0));
}
