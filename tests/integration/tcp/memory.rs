//! A TCP endpoint counts in a budget as a gateway does.

use std::sync::Arc;
use std::time::Duration;

use common::apps::echo;
use common::records::{Client, record};
use sockeye::{Budget, EndedBy, Session, SessionEnd, TcpConfig, TcpEndpoint};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Notify;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep};

const LIMIT: usize = 1 << 20;

fn config(budget: &Budget) -> TcpConfig {
    TcpConfig::new().budget(budget.clone()).inbound_bytes(64 << 20)
}

fn connect(endpoint: &TcpEndpoint) -> DuplexStream {
    let (client, server) = duplex(4096);
    let endpoint = endpoint.clone();
    tokio::spawn(async move { endpoint.serve(server, None).await });
    client
}

async fn is_answered(client: &mut DuplexStream) {
    client.write_all(&record("hello")).await.expect("it reads");
    assert_eq!(client.bytes(7).await, record("hello"));
}

/// From 80 % on a client that comes is refused by an end without a byte; those that are there go
/// on.
#[tokio::test(start_paused = true)]
async fn new_clients_are_refused_while_memory_is_short() {
    let budget = Budget::new(LIMIT);
    let endpoint = TcpEndpoint::with_config(config(&budget), echo);
    let mut there = connect(&endpoint);
    is_answered(&mut there).await;

    let held = budget.hold(LIMIT * 4 / 5);
    assert_eq!(connect(&endpoint).rest().await, b"");
    assert_eq!((budget.refused(), endpoint.sessions()), (1, 1));
    is_answered(&mut there).await;

    drop(held);
    is_answered(&mut connect(&endpoint)).await;
    assert_eq!((budget.refused(), budget.ended()), (1, 0));
}

/// At 100 % the session goes whose application takes nothing of what its client sends; the client
/// beside it does not notice.
#[tokio::test(start_paused = true)]
async fn the_largest_holder_is_ended() {
    let budget = Budget::new(LIMIT);
    let (told, mut ends) = unbounded_channel::<SessionEnd>();
    let deaf = TcpEndpoint::with_config(config(&budget), move |session: Session| {
        let told = told.clone();
        async move { told.send(session.ended().await).expect("the test waits") }
    });
    let other = TcpEndpoint::with_config(config(&budget), echo);
    let (mut hoarder, mut good) = (connect(&deaf), connect(&other));
    is_answered(&mut good).await;
    let text = record(&"x".repeat(50_000));
    for _ in 0..10 {
        hoarder.write_all(&text).await.expect("it reads");
    }
    assert!(budget.used() > LIMIT / 3, "{}", budget.used());
    assert_eq!(budget.ended(), 0);

    let held = budget.hold(LIMIT * 3 / 4);
    assert_eq!(hoarder.rest().await, b"", "FIN");
    let end = ends.recv().await.expect("it has ended");
    assert_eq!((end.reason.code(), end.by), (1013, EndedBy::Gateway));
    is_answered(&mut good).await;
    assert_eq!(budget.ended(), 1);

    drop((held, good, hoarder));
    while budget.used() > 0 {
        tokio::task::yield_now().await;
    }
}

/// A record has begun when memory runs short, and its session holds so much that its socket is not
/// read. No time counts against the client meanwhile: it has the whole `message_timeout` when
/// reading goes on.
#[tokio::test(start_paused = true)]
async fn a_record_is_not_late_while_memory_is_short() {
    const LIMIT: usize = 10 << 20;
    let (budget, receive) = (Budget::new(LIMIT), Arc::new(Notify::new()));
    let (told, mut lengths) = unbounded_channel();
    let config = config(&budget).message_timeout(Duration::from_secs(60));
    let endpoint = TcpEndpoint::with_config(config, {
        let receive = Arc::clone(&receive);
        move |mut session: Session| {
            let (receive, told) = (Arc::clone(&receive), told.clone());
            async move {
                receive.notified().await;
                while let Some(message) = session.recv().await {
                    told.send(message.len()).expect("the test waits");
                }
            }
        }
    });
    let mut client = connect(&endpoint);
    for _ in 0..2 {
        client.write_all(&record(&"x".repeat(50_000))).await.expect("it reads");
    }
    let slow = record(&"x".repeat(200));
    let mut held = None;
    for (index, byte) in slow.iter().enumerate() {
        match index {
            6 => held = Some(budget.hold(LIMIT * 9 / 10)),
            // 50 seconds before its last byte.
            _ if index + 10 == slow.len() => drop(held.take()),
            _ => {}
        }
        sleep(Duration::from_secs(5)).await;
        client.write_all(&[*byte]).await.expect("it is connected");
    }
    receive.notify_one();
    for expected in [50_000, 50_000, 200] {
        assert_eq!(lengths.recv().await, Some(expected));
    }
}

/// The same for a session that a handler has handed to another task: then only the end itself can
/// wake the task of the connection.
#[tokio::test(start_paused = true)]
async fn the_largest_holder_is_ended_though_its_handler_has_returned() {
    let budget = Budget::new(LIMIT);
    let (hand_over, mut sessions) = unbounded_channel::<Session>();
    let deaf = TcpEndpoint::with_config(config(&budget), move |session: Session| {
        let hand_over = hand_over.clone();
        async move { drop(hand_over.send(session)) }
    });
    let mut hoarder = connect(&deaf);
    let text = record(&"x".repeat(50_000));
    for _ in 0..10 {
        hoarder.write_all(&text).await.expect("it reads");
    }
    let session = sessions.recv().await.expect("a session");
    // The clock of the test moves only when all tasks are idle: nothing is left to read then, which
    // would wake the connection's task as well.
    sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    let held = budget.hold(LIMIT * 3 / 4);
    assert_eq!(hoarder.rest().await, b"", "FIN");
    assert_eq!(session.ended().await.reason.code(), 1013);
    assert!(begun.elapsed() < Duration::from_secs(1), "a timer may wake it later");
    drop((held, session));
}
