//! Back-pressure: a side that doesn't read stops the side that writes, and memory stays bounded.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt, stream};
use sockeye::{EndedBy, EndpointConfig, Rate, Session, TrySendError};

use super::rig::{Rig, end, end_of, interrupted, standstill};
use common::client::json;
use common::log::log;
use common::transport::Transport;
use common::websocket::Frame;
use common::within;

/// More than the sockets on the way hold: what a writer gets rid of in this many messages, somebody
/// keeps in memory.
const TOO_MANY: usize = 1000;
/// So much that `TOO_MANY` are 32 MiB.
const SIZE: usize = 32 * 1024;
/// What a queue holds here.
const QUEUE: usize = 8;

/// A large message that tells its number.
fn numbered(number: usize) -> String {
    format!("{number:0SIZE$}")
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn config() -> EndpointConfig {
    EndpointConfig::new()
        .inbound_messages(QUEUE)
        .outbound_messages(QUEUE)
        .send_wait(Duration::from_secs(60))
        // No frame is to end a stream here.
        .response_limit(usize::MAX)
}

pub(crate) async fn an_application_that_does_not_receive_stops_its_client(transport: Transport) {
    let (mut client, mut session) = Rig::with(transport, config()).await.open().await;
    let (sent, enough) = (AtomicUsize::new(0), AtomicUsize::new(TOO_MANY));
    let mut sending = pin!(async {
        while sent.load(Ordering::Relaxed) < enough.load(Ordering::Relaxed) {
            client.send(&[&numbered(sent.load(Ordering::Relaxed))]).await;
            sent.fetch_add(1, Ordering::Relaxed);
        }
    });
    tokio::select! {
        () = &mut sending => panic!("{TOO_MANY} messages are kept for an application that does not receive"),
        () = standstill(&sent) => {}
    }
    let taken = sent.load(Ordering::Relaxed);
    if !transport.is_socket() {
        assert!(taken <= QUEUE, "{taken} payloads were answered, but the queue holds {QUEUE}");
    }

    // The application receives again, and all goes on as if nothing had been.
    enough.store(taken + 2 * QUEUE, Ordering::Relaxed);
    let receiving = async {
        for expected in 0..taken + 2 * QUEUE {
            assert_eq!(
                number(session.recv().await.expect("a message").as_text().expect("text")),
                expected
            );
        }
    };
    tokio::join!(sending, receiving);
}

pub(crate) async fn an_application_that_never_receives_loses_its_client(transport: Transport) {
    // A WebSocket client can be left standing, with all that it has not sent yet still its own; a
    // payload that was posted can't.
    if transport.is_socket() {
        return;
    }
    const REASON: &str = "inbound queue full";
    let config = config().inbound_messages(2).send_wait(Duration::from_millis(50));
    let (mut client, mut session) = Rig::with(transport, config).await.open().await;
    client.send(&["a", "b"]).await;
    let refused = client.post(r#"["c","d"]"#).await;
    assert_eq!(refused.status(), 503, "{refused:?}");
    assert!(refused.text().contains("send_wait (50ms)"), "{refused:?}");
    assert_eq!(client.closed().await, (1008, REASON.to_owned()));

    assert_eq!(session.recv().await.expect("it was taken"), "a");
    assert_eq!(session.recv().await.expect("it was taken"), "b");
    assert_eq!(session.recv().await, None, "a payload is taken whole or not at all");
    assert_eq!(end_of(&session).await, end(1008, REASON, EndedBy::Gateway, 0));
}

/// The whole payload waits, though half of it would find room; and then comes whole.
pub(crate) async fn a_payload_is_admitted_whole(transport: Transport) {
    // Without payloads each message waits for itself.
    if transport.is_raw() {
        return;
    }
    let config = config().inbound_messages(3);
    let (mut client, mut session) = Rig::with(transport, config).await.open().await;
    let sending = async {
        client.send(&["a", "b"]).await;
        client.send(&["c", "d"]).await;
        client.send(&["larger", "than", "the", "whole", "queue"]).await;
    };
    let receiving = async {
        for expected in ["a", "b", "c", "d", "larger", "than", "the", "whole", "queue"] {
            assert_eq!(session.recv().await.expect("a message"), expected);
        }
    };
    tokio::join!(sending, receiving);
}

pub(crate) async fn a_client_that_does_not_read_stops_its_application(transport: Transport) {
    let (mut client, session) = Rig::with(transport, config()).await.open().await;
    let (sent, enough) = (AtomicUsize::new(0), AtomicUsize::new(TOO_MANY));
    let mut sending = pin!(async {
        while sent.load(Ordering::Relaxed) < enough.load(Ordering::Relaxed) {
            session
                .send(numbered(sent.load(Ordering::Relaxed)))
                .await
                .expect("the client is there");
            sent.fetch_add(1, Ordering::Relaxed);
        }
    });
    tokio::select! {
        () = &mut sending => panic!("{TOO_MANY} messages are kept for a client that does not read"),
        () = standstill(&sent) => {}
    }
    let taken = sent.load(Ordering::Relaxed);
    if transport.polls() {
        assert!(
            taken <= QUEUE,
            "nobody has come for any of {taken} messages, but the queue holds {QUEUE}"
        );
    }
    if taken >= QUEUE {
        match session.sender().try_send("not now") {
            Err(TrySendError::Full(message)) => assert_eq!(message, "not now"),
            other => panic!("a full queue says {other:?}"),
        }
    }

    // The client reads again, and all goes on as if nothing had been.
    enough.store(taken + 2 * QUEUE, Ordering::Relaxed);
    let reading = async {
        for expected in 0..taken + 2 * QUEUE {
            assert_eq!(number(&client.message().await), expected);
        }
    };
    tokio::join!(sending, reading);
}

/// The most frames that a server holds which its connection has not taken, and of which it tells:
/// hyper's output has 16 places.
fn on_the_way(transport: Transport) -> usize {
    if transport.is_socket() { 0 } else { 16 }
}

pub(crate) async fn what_no_transport_took_is_counted(transport: Transport) {
    let config = config().disconnect_delay(Duration::from_millis(300));
    let (client, session) = Rig::with(transport, config).await.open().await;
    let sent = AtomicUsize::new(0);
    let sending = async {
        while session.send(numbered(sent.load(Ordering::Relaxed))).await.is_ok() {
            sent.fetch_add(1, Ordering::Relaxed);
        }
    };
    let leaving = async {
        standstill(&sent).await;
        client.reset();
    };
    tokio::join!(sending, leaving);
    let sent = sent.load(Ordering::Relaxed);
    let told = end_of(&session).await;
    assert_eq!(told, interrupted(told.3));
    assert!(
        told.3 <= (QUEUE + on_the_way(transport)).min(sent),
        "{told:?} of {sent} that were sent"
    );
    if transport.polls() {
        assert_eq!(told.3, sent, "nobody came for any of them");
    }
}

/// A close must not wait forever for a client that never reads: neither the application's call, nor
/// the place that the session takes.
pub(crate) async fn a_client_that_never_reads_can_be_closed(transport: Transport) {
    let config = config().disconnect_delay(Duration::from_secs(1));
    let mut rig = Rig::with(transport, config).await;
    let (client, session) = rig.open().await;
    let sent = AtomicUsize::new(0);
    let sending = async {
        while session.send(numbered(sent.load(Ordering::Relaxed))).await.is_ok() {
            sent.fetch_add(1, Ordering::Relaxed);
        }
    };
    let closing = async {
        if transport.polls() {
            // No receiver is attached, so its time runs already.
            while sent.load(Ordering::Relaxed) < QUEUE {
                tokio::task::yield_now().await;
            }
        } else {
            standstill(&sent).await;
        }
        session.close((3000, "slow"));
    };
    tokio::join!(sending, closing);
    let told = end_of(&session).await;
    assert_eq!(told, end(3000, "slow", EndedBy::Application, told.3));
    assert!(told.3 <= QUEUE + on_the_way(transport), "{told:?}");
    rig.empty().await;
    drop(client);
}

/// The last messages of a client that is gone are the application's, also those that waited for
/// room.
pub(crate) async fn what_a_client_sent_before_it_went_is_received(transport: Transport) {
    if !transport.is_socket() {
        return;
    }
    let config = EndpointConfig::new().inbound_messages(2);
    let mut rig = Rig::with(transport, config).await;
    let texts = ["0", "1", "2", "3", "4", "5", "6", "7"];

    let (mut client, session) = rig.open().await;
    for text in texts {
        client.send(&[text]).await;
    }
    drop(client);
    hears_and_is_left(session, &texts).await;

    // The third one comes together with the end, when two have filled the queue.
    let (mut client, session) = rig.open().await;
    let text = |text: &str| {
        if transport.is_raw() { Frame::text(text) } else { Frame::text(&json(&[text])) }
    };
    client.write_all(&[text("0"), text("1"), text("2"), Frame::close()]).await;
    hears_and_is_left(session, &["0", "1", "2"]).await;
}

async fn hears_and_is_left(mut session: Session, texts: &[&str]) {
    for text in texts {
        assert_eq!(session.recv().await.expect("it was sent"), *text);
    }
    assert_eq!(session.recv().await, None);
    assert_eq!(end_of(&session).await, interrupted(0));
}

/// The socket is not read while the inbound queue is full, and so the end behind that was never
/// seen: a handler that waits only for `ended` held its session for ever.
pub(crate) async fn an_end_is_seen_while_the_application_does_not_receive(transport: Transport) {
    if !transport.is_socket() {
        return;
    }
    // The first is seen by looking ahead; the second lies behind more than that, and the system
    // tells of it (Linux).
    for (count, size) in [(QUEUE + 2, 1), (60, 1000)] {
        if size > 1 && !cfg!(target_os = "linux") {
            continue;
        }
        let (mut client, mut session) = Rig::with(transport, config()).await.open().await;
        let text = "x".repeat(size);
        for _ in 0..count {
            client.send(&[&text]).await;
        }
        drop(client);
        assert_eq!(end_of(&session).await, interrupted(0));
        for _ in 0..count {
            assert_eq!(session.recv().await.expect("it was sent before the end").len(), size);
        }
        assert_eq!(session.recv().await, None);
    }
}

/// A client goes, and more than is looked at lies behind a full queue. It is read while the
/// application makes room, but no longer than `disconnect_delay`; then the rest is dropped, and the
/// log tells so.
pub(crate) async fn the_rest_of_a_client_is_waited_for_no_longer_than_it_may(transport: Transport) {
    if !transport.is_socket() || !cfg!(target_os = "linux") {
        return;
    }
    const SENT: usize = 100;
    let log = log();
    let config = config().disconnect_delay(Duration::from_millis(300));
    let (mut client, mut session) = Rig::with(transport, config).await.open().await;
    for number in 0..SENT {
        client.send(&[&format!("{number:01000}")]).await;
    }
    drop(client);
    assert_eq!(end_of(&session).await, interrupted(0));
    const DROPPED: &str = "dropped messages of a client that has gone";
    within("a line in the log", async {
        while log.lines_of(session.id(), DROPPED).is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let line = &log.lines_of(session.id(), DROPPED)[0];
    assert_eq!(line.field("waited"), "300ms");
    assert!(line.field("messages").parse::<usize>().is_ok_and(|count| count > 0), "{line:?}");
    let mut received = 0;
    while let Some(message) = session.recv().await {
        assert_eq!(number(message.as_text().expect("text")), received, "in order");
        received += 1;
    }
    assert!((QUEUE..SENT / 2).contains(&received), "{received}");
}

/// A full queue and a sink that was told that there is room.
pub(crate) async fn a_sink_that_is_ready_takes_what_comes(transport: Transport) {
    // Room is counted in bytes here, and never fits.
    let config = config().outbound_bytes(SIZE + SIZE / 2).outbound_messages(1000);
    let (mut client, session) = Rig::with(transport, config).await.open().await;
    let sending = async {
        let (mut sink, stream) = session.split();
        let mut messages = stream::iter((0..40).map(|number| Ok(numbered(number).into())));
        sink.send_all(&mut messages).await.expect("a sink waits for room");
        sink.close().await.expect("closing waits for nothing");
        drop(stream);
    };
    let reading = async {
        for expected in 0..40 {
            assert_eq!(number(&client.message().await), expected);
        }
        assert_eq!(client.closed().await.0, 1000);
    };
    tokio::join!(sending, reading);
}

/// A large message waits for room while small ones come without end, of which each finds some. It
/// waited as long as they came.
pub(crate) async fn senders_get_room_in_turn(transport: Transport) {
    let config = config().outbound_bytes(SIZE).outbound_messages(1000);
    let (mut client, session) = Rig::with(transport, config).await.open().await;
    let (small, sender) = ("x".repeat(SIZE / 4), session.sender());
    let mut flood = pin!(async { while let Ok(()) = session.send(small.clone()).await {} });
    let mut large = pin!(async {
        // Sockets hold what they can; then the flood waits.
        while sender.try_send(small.clone()).is_ok() {
            tokio::task::yield_now().await;
        }
        sender.send("large".repeat(SIZE / 5)).await.expect("the client is there");
    });
    let mut reading = pin!(async { while !client.message().await.starts_with("large") {} });
    tokio::join!(&mut large, async {
        tokio::select! {
            () = &mut flood => panic!("the session has ended"),
            () = &mut reading => {}
        }
    });
}

/// Messages ahead of the rate wait, longer than `send_wait`, and then come in order: the session
/// goes on.
pub(crate) async fn a_client_over_its_rate_waits_and_loses_nothing(transport: Transport) {
    let rate = Rate::new(4, u32::MAX).burst(Duration::from_millis(500));
    let config = EndpointConfig::new()
        .inbound_rate(rate)
        .send_wait(Duration::from_millis(1))
        .pong_timeout(Duration::from_millis(1));
    let (mut client, mut session) = Rig::with(transport, config).await.open().await;
    let sending = async {
        for number in 0..6 {
            client.send(&[&number.to_string()]).await;
        }
    };
    let receiving = async {
        for expected in 0..6 {
            assert_eq!(session.recv().await.expect("a message"), *expected.to_string());
        }
    };
    tokio::join!(sending, receiving);
    session.send("as if nothing had been").await.expect("the client is there");
    assert_eq!(client.message().await, "as if nothing had been");
}

/// Queues that hold one message each, and an application in a task of its own: every message makes
/// somebody wait, and somebody be woken.
pub(crate) async fn a_small_queue_loses_nothing(transport: Transport) {
    let config = config().inbound_messages(1).outbound_messages(1);
    let (mut client, mut session) = Rig::with(transport, config).await.open().await;
    let application = tokio::spawn(async move {
        while let Some(message) = session.recv().await {
            for _ in 0..2 {
                session.send(message.clone()).await.expect("the client is there");
            }
            if message == "last" {
                break;
            }
        }
    });
    for number in 0..100 {
        let pair = [format!("{number}a"), format!("{number}b")];
        client.send(&[&pair[0], &pair[1]]).await;
        for expected in pair {
            assert_eq!(client.message().await, expected);
            assert_eq!(client.message().await, expected);
        }
    }
    client.send(&["last"]).await;
    for _ in 0..2 {
        assert_eq!(client.message().await, "last");
    }
    application.await.expect("no panic");
    assert_eq!(client.closed().await.0, 1000);
}
