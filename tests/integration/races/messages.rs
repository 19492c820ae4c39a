//! Messages that come from everywhere.

use std::time::Duration;

use http::StatusCode;
use sockeye::{EndedBy, Session};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::memory::{INTERRUPTED, Memory, messages};
use super::{Order, gateway, patient, poll_once};
use common::within;

/// The client sends for the last time just when its time is over. A payload that was taken came in
/// time, or the session had ended already and its client is told so by its next receiver; it never
/// comes out of order, or twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_while_the_session_expires() {
    let config = patient().disconnect_delay(Duration::from_millis(1));
    let (report, mut reports) = mpsc::unbounded_channel();
    let client = Memory(gateway(config, move |mut session: Session| {
        let report = report.clone();
        async move {
            let mut received = Vec::new();
            while let Some(message) = session.recv().await {
                received.push(message.as_text().expect("text").to_owned());
            }
            report.send((received, session.ended().await)).expect("the test waits");
        }
    }));
    for round in 0..300 {
        let name = round.to_string();
        assert_eq!(client.poll(&name).await, "o\n");
        let mut taken = Vec::new();
        loop {
            let message = taken.len().to_string();
            match client.send(&name, &[&message]).await {
                StatusCode::NO_CONTENT => taken.push(message),
                StatusCode::NOT_FOUND => break,
                other => panic!("{other}"),
            }
            tokio::task::yield_now().await;
        }
        let (received, end) = within("the end", reports.recv()).await.expect("a report");
        assert_eq!(received, taken[..received.len()], "round {round}");
        assert_eq!((end.reason.code(), end.by), (1002, EndedBy::Peer));
        assert_eq!(client.poll(&name).await, INTERRUPTED);
    }
}

/// The handler panics while receivers come and go. The attached receiver is told 1011, a receiver
/// that comes just then too, and none waits forever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_while_a_receiver_attaches() {
    quiet_panics();
    let client = Memory(gateway(patient(), |session: Session| async move {
        let _session = session;
        tokio::task::yield_now().await;
        panic!("{ASKED_FOR}");
    }));
    const FAILED: &str = "c[1011,\"Internal error\"]\n";
    for round in 0..500 {
        let name = round.to_string();
        let stream = tokio::spawn({
            let (client, name) = (client.clone(), name.clone());
            async move {
                let (mut stream, mut frames) = (client.stream(&name).await, Vec::new());
                while let Some(frame) = stream.frame().await {
                    frames.push(frame);
                }
                frames
            }
        });
        let poll = tokio::spawn({
            let (client, name) = (client.clone(), name.clone());
            async move { client.poll(&name).await }
        });
        let (stream, poll) = within("both answers", async { tokio::join!(stream, poll) }).await;
        let (stream, poll) = (stream.expect("no panic"), poll.expect("no panic"));
        match &*poll {
            // The poll opened the session, and the stream may have come before the panic or after
            // it.
            "o\n" => assert_eq!(stream, [FAILED], "round {round}"),
            // It waited for the stream to go.
            other => {
                assert_eq!(other, FAILED, "round {round}");
                assert_eq!(stream, ["o\n", FAILED], "round {round}");
            }
        }
        assert_eq!(client.poll(&name).await, FAILED, "and who comes later");
    }
}

/// Many payloads come at the same time for an application that is busy. They are admitted in the
/// order in which they came, each in one piece, though a small late one would find room before a
/// large early one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payloads_that_wait_keep_their_order() {
    const PAYLOADS: usize = 40;
    let config = patient().inbound_messages(7).waiting_payloads(PAYLOADS);
    let (give, mut sessions) = mpsc::unbounded_channel();
    let client = Memory(gateway(config, move |session| {
        give.send(session).expect("the test waits");
        std::future::ready(())
    }));
    for round in 0..50 {
        let name = round.to_string();
        assert_eq!(client.poll(&name).await, "o\n");
        let mut session = within("a session", sessions.recv()).await.expect("the gateway lives");
        let payloads: Vec<Vec<String>> = (0..PAYLOADS)
            .map(|number| (0..1 + number % 5).map(|part| format!("{number}.{part}")).collect())
            .collect();
        let mut answers = JoinSet::new();
        for payload in payloads.clone() {
            let (client, name) = (client.clone(), name.clone());
            let mut answer = Box::pin(async move { client.send(&name, &payload).await });
            // Once, in order, so that it stands in the queue; the rest is for the threads to
            // settle.
            if poll_once(answer.as_mut()).await.is_pending() {
                answers.spawn(answer);
            }
        }
        for expected in payloads.iter().flatten() {
            let message = within("a message", session.recv()).await.expect("it was sent");
            assert_eq!(message, expected.as_str(), "round {round}");
        }
        for status in within("the answers", answers.join_all()).await {
            assert_eq!(status, StatusCode::NO_CONTENT);
        }
    }
}

/// Queues that hold one message each, three senders on either side, and an application that gives
/// up receiving again and again to do something else. Each message makes somebody wait and somebody
/// be woken, and one wake-up that is lost stops everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_forgotten() {
    const SENDERS: usize = 3;
    const EACH: usize = 400;
    let config = patient().inbound_messages(1).outbound_messages(1).waiting_payloads(2 * SENDERS);
    let (give, mut sessions) = mpsc::unbounded_channel();
    let client = Memory(gateway(config, move |session| {
        give.send(session).expect("the test waits");
        std::future::ready(())
    }));
    for streams in [false, true] {
        let name: &'static str = if streams { "stream" } else { "poll" };
        assert_eq!(client.poll(name).await, "o\n");
        let mut session: Session =
            within("a session", sessions.recv()).await.expect("the gateway lives");
        let mut tasks = JoinSet::new();
        for sender in 0..SENDERS {
            let to_client = session.sender();
            tasks.spawn(async move {
                for number in 0..EACH {
                    to_client
                        .send(format!("{sender}:{number}"))
                        .await
                        .expect("the client is there");
                }
                (None, None)
            });
            let from_client = client.clone();
            tasks.spawn(async move {
                for number in 0..EACH {
                    let status = from_client.send(name, &[format!("{sender}:{number}")]).await;
                    assert_eq!(status, StatusCode::NO_CONTENT);
                }
                (None, None)
            });
        }
        let receiver = client.clone();
        tasks.spawn(async move {
            let (mut order, mut stream) = (Order::default(), None);
            if streams {
                stream = Some(receiver.stream(name).await);
            }
            while order.count < SENDERS * EACH {
                let frame = match &mut stream {
                    Some(stream) => match stream.frame().await {
                        Some(frame) => frame,
                        None => {
                            *stream = receiver.stream(name).await;
                            continue;
                        }
                    },
                    None => receiver.poll(name).await,
                };
                messages(&frame).iter().for_each(|message| order.check(message));
            }
            // Kept until all is done: the session would end with it, as it would with the
            // application's side.
            (stream, None)
        });
        tasks.spawn(async move {
            let mut order = Order::default();
            while order.count < SENDERS * EACH {
                tokio::select! {
                    biased;
                    message = session.recv() => order.check(message.expect("more is to come").as_text().expect("text")),
                    () = tokio::task::yield_now() => {}
                }
            }
            (None, Some(session))
        });
        within("everybody", tasks.join_all()).await;
    }
}

/// What a panic says that is part of a test.
const ASKED_FOR: &str = "the test asked for this";

/// Keeps hundreds of wanted panics out of the output.
fn quiet_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some(ASKED_FOR) {
            hook(panic);
        }
    }));
}
