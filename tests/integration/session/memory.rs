//! One budget for all sessions: a client that hoards is stopped and then ended, and costs others
//! nothing.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sockeye::{Budget, EndedBy, EndpointConfig, Session};

use tokio::task::JoinSet;

use super::rig::{PREFIX, Rig, echo, end, end_of, serve_app, standstill};
use common::client::Client;
use common::log::log;
use common::transport::Transport;
use common::within;

const LIMIT: usize = 4 << 20;
const REASON: &str = "too much memory held";
/// 32 KiB, so that a payload of it is no burden.
const SIZE: usize = 32 * 1024;

fn config(budget: &Budget) -> EndpointConfig {
    EndpointConfig::new()
        .budget(budget.clone())
        // No other limit is met here.
        .inbound_bytes(64 << 20)
        .outbound_bytes(64 << 20)
        .message_size(4 << 20)
        .payload_size(8 << 20)
        // A client that polls has no receiver while it sends, and that takes a busy machine long.
        .disconnect_delay(Duration::from_secs(3600))
}

async fn back_to_nothing(budget: &Budget) {
    within("all memory to be given back", async {
        while budget.used() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// An application takes nothing of 64 messages, so that they stay in memory. When there is no more
/// of that, this session goes: with a word to its client, to its application and in the log. The
/// one beside it, on the same transport, does not notice.
pub(crate) async fn the_largest_holder_is_ended_by_name(transport: Transport) {
    let (log, budget) = (log(), Budget::new(LIMIT));
    let mut rig = Rig::with(transport, config(&budget)).await;
    let (mut good, mut session) = rig.open().await;
    let (mut hoarder, mut hoarded) = rig.open().await;
    for number in 0..64 {
        hoarder.send(&[&format!("{number:0SIZE$}")]).await;
    }
    within("2 MiB to come", async {
        while budget.used() < 2 << 20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;

    // Just below the limit no session is ended, though memory is short.
    let mut held = budget.hold(LIMIT - budget.used() - 64 * 1024);
    assert!(budget.is_short());
    both_ways(&mut good, &mut session, "beside a hoarder").await;
    assert_eq!(budget.ended(), 0);

    held.set(LIMIT * 3 / 4);
    let told = end_of(&hoarded).await;
    assert_eq!(told, end(1013, REASON, EndedBy::Gateway, 0));
    assert_eq!(hoarded.recv().await, None, "its memory is given back at once");
    assert_eq!(hoarder.closed().await, (1013, REASON.to_owned()));
    let line = &log.lines_of(hoarded.id(), "session ended: memory is full")[..];
    assert_eq!(line.len(), 1, "{line:?}");
    assert_eq!(line[0].field("transport"), transport.name());
    assert!(line[0].field("bytes").parse::<usize>().is_ok_and(|bytes| bytes > 2 << 20), "{line:?}");
    assert!(!line[0].field("peer").is_empty() || hoarded.info().peer().is_none(), "{line:?}");

    held.set(LIMIT / 2);
    both_ways(&mut good, &mut session, "and when it has gone").await;
    assert_eq!(budget.ended(), 1);

    drop((held, good, hoarder));
    session.close((1000, "done"));
    drop((session, hoarded, rig));
    if transport.is_socket() {
        back_to_nothing(&budget).await;
    }
}

/// What was queued for a client that does not read is counted as undelivered, and given back though
/// no client reads.
pub(crate) async fn what_a_hoarder_was_to_get_is_counted(transport: Transport) {
    let budget = Budget::new(LIMIT);
    let (client, session) = Rig::with(transport, config(&budget)).await.open().await;
    let message = "x".repeat(SIZE);
    let sent = AtomicUsize::new(0);
    // More than the sockets hold.
    while budget.ended() == 0 {
        match session.try_send(message.as_str()) {
            Ok(()) => _ = sent.fetch_add(1, Ordering::Relaxed),
            Err(error) => panic!("{error}"),
        }
        tokio::task::yield_now().await;
    }
    let told = end_of(&session).await;
    assert_eq!((told.0, told.2), (1013, EndedBy::Gateway));
    assert!(told.3 > 0 && told.3 <= sent.load(Ordering::Relaxed), "{told:?}");
    assert!(session.try_send("more").is_err());
    within("the queue to be given back", async {
        while budget.is_short() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    drop(client);
}

pub(crate) async fn new_sessions_are_refused_while_memory_is_short(transport: Transport) {
    let budget = Budget::new(LIMIT);
    let mut rig = Rig::with(transport, config(&budget)).await;
    let (mut client, mut session) = rig.open().await;
    let held = budget.hold(LIMIT * 4 / 5);
    assert_eq!(
        Client::new(rig.addr, PREFIX, transport).try_open().await,
        Err(503),
        "before any frame"
    );
    assert_eq!(budget.refused(), 1);
    both_ways(&mut client, &mut session, "undisturbed").await;

    drop(held);
    rig.open().await;
    assert_eq!((budget.refused(), budget.ended()), (1, 0));
}

/// A session that holds much already gets no more while memory is short: its client waits, and
/// nothing is lost.
pub(crate) async fn who_holds_much_is_read_no_further_while_memory_is_short(transport: Transport) {
    const MESSAGES: usize = 1000;
    let budget = Budget::new(100 << 20);
    let (mut client, mut session) = Rig::with(transport, config(&budget)).await.open().await;
    let held = budget.hold(80 << 20);
    let sent = AtomicUsize::new(0);
    let mut sending = pin!(async {
        for number in 0..MESSAGES {
            client.send(&[&format!("{number:0SIZE$}")]).await;
            sent.fetch_add(1, Ordering::Relaxed);
        }
    });
    tokio::select! {
        () = &mut sending => panic!("{MESSAGES} messages are taken though memory is short"),
        () = standstill(&sent) => {}
    }
    assert!(budget.used() < 84 << 20, "{} bytes", budget.used());
    assert_eq!(budget.ended(), 0);

    drop(held);
    let receiving = async {
        for number in 0..MESSAGES {
            let message = session.recv().await.expect("a message");
            assert_eq!(message.as_text().and_then(|text| text.parse().ok()), Some(number));
        }
    };
    tokio::join!(sending, receiving);
}

/// The abuse that took 4.8 GB, in small: WebSockets that send large messages to `/echo` and read
/// nothing. A client beside them is answered all the time.
pub(crate) async fn senders_that_read_nothing_cost_others_nothing(transport: Transport) {
    let budget = Budget::new(LIMIT);
    let addr = serve_app(config(&budget), echo).await;
    let mut good = Client::open(addr, PREFIX, transport).await;
    let large = "x".repeat(128 * 1024);
    let mut hoarders: JoinSet<()> = JoinSet::new();
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(Client::open(addr, PREFIX, Transport::WebSocket).await);
    }
    for mut hoarder in open {
        let large = large.clone();
        hoarders.spawn(async move {
            for _ in 0..8 {
                hoarder.send(&[&large]).await;
            }
            std::future::pending().await
        });
    }
    for number in 0..100 {
        let text = format!("{number}");
        good.send(&[&text]).await;
        assert_eq!(good.message().await, text);
        // What is read at a time, by one thread, comes on top.
        assert!(budget.used() < LIMIT + (2 << 20), "{} bytes", budget.used());
    }
    hoarders.shutdown().await;
}

async fn both_ways(client: &mut Client, session: &mut Session, text: &str) {
    client.send(&[text]).await;
    assert_eq!(within("the message", session.recv()).await.expect("a message"), text);
    session.send(text).await.expect("the client is there");
    assert_eq!(client.message().await, text);
}
