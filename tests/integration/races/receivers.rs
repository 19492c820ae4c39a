//! Receivers that come and go at the same time.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use http::StatusCode;
use sockeye::{EndedBy, Session};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::memory::{IN_USE, INTERRUPTED, Memory, messages};
use super::{echo, gateway, patient, poll_once};
use common::log::log;
use common::within;

/// Both come for a session that no client has opened yet, at the same moment. One of them opens it,
/// for both there is one session and one application, and the other one is told that the session
/// has a receiver.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_first_receivers() {
    const ROUNDS: usize = 500;
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    let config = patient().attach_wait(Duration::from_micros(100));
    let client = Memory(gateway(config, |session: Session| {
        STARTED.fetch_add(1, Ordering::Relaxed);
        echo(session)
    }));
    for round in 0..ROUNDS {
        let line = Arc::new(AtomicUsize::new(0));
        let contenders = [(); 2].map(|()| {
            let (client, line) = (client.clone(), Arc::clone(&line));
            tokio::task::spawn_blocking(move || {
                // No barrier: waking up would take longer than all that is raced for.
                line.fetch_add(1, Ordering::SeqCst);
                while line.load(Ordering::SeqCst) < 2 {
                    std::hint::spin_loop();
                }
                Handle::current().block_on(async move {
                    let mut stream = client.stream(&round.to_string()).await;
                    let first = stream.frame().await.expect("a frame");
                    (stream, first)
                })
            })
        });
        let [one, other] = contenders;
        let (one, other) = within("two answers", async { tokio::join!(one, other) }).await;
        let (one, other) = (one.expect("no panic"), other.expect("no panic"));
        let mut firsts = [&*one.1, &*other.1];
        firsts.sort_unstable();
        assert_eq!(firsts, [IN_USE, "o\n"], "round {round}");
    }
    within("all applications to start", async {
        while STARTED.load(Ordering::Relaxed) < ROUNDS {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(STARTED.load(Ordering::Relaxed), ROUNDS);
}

/// Two polls for the same open session. Whichever is second is turned away; the first one gets the
/// message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_receivers_of_an_open_session() {
    let config = patient().attach_wait(Duration::from_micros(100));
    let client = Memory(gateway(config, echo));
    assert_eq!(client.poll("s").await, "o\n");
    for round in 0..1_000 {
        let mut polls = JoinSet::new();
        for _ in 0..2 {
            let client = client.clone();
            polls.spawn(async move { client.poll("s").await });
        }
        let second = within("an answer", polls.join_next()).await.expect("two").expect("no panic");
        assert_eq!(second, IN_USE, "round {round}");
        assert_eq!(
            client.send("s", &[round]).await,
            StatusCode::INTERNAL_SERVER_ERROR,
            "a number is no message"
        );
        assert_eq!(client.send("s", &[round.to_string()]).await, StatusCode::NO_CONTENT);
        let first = within("an answer", polls.join_next()).await.expect("two").expect("no panic");
        assert_eq!(first, format!("a[\"{round}\"]\n"));
    }
}

/// The client aborts its receiver and is back before that was noticed. The newcomer waits until the
/// old receiver goes, and is then told that the session is over. It is the only one to be told:
/// after it the session's name is free, and the next receiver opens a new session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_with_the_next_receiver_at_the_door() {
    let config = patient().attach_wait(Duration::from_secs(60));
    let client = Memory(gateway(config, echo));
    for round in 0..2_000 {
        let name = round.to_string();
        let mut stream = client.stream(&name).await;
        assert_eq!(stream.frame().await.as_deref(), Some("o\n"));
        let next = tokio::spawn({
            let (client, name) = (client.clone(), name.clone());
            async move { client.poll(&name).await }
        });
        if round % 2 == 0 {
            // Half of them find the door open.
            tokio::task::yield_now().await;
        }
        drop(stream);
        assert_eq!(
            within("an answer", next).await.expect("no panic"),
            INTERRUPTED,
            "round {round}"
        );
        assert_eq!(client.poll(&name).await, "o\n", "round {round}: the name is free");
    }
}

/// The client goes in the middle of a poll or a stream, while the application goes on sending from
/// another thread. What was handed to the transport arrived here, because there is no socket to
/// lose it in; all else is counted. Nothing comes twice, nothing is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_while_the_application_sends() {
    let log = log();
    let (report, mut reports) = mpsc::unbounded_channel();
    let client = Memory(gateway(patient(), move |session: Session| {
        let report = report.clone();
        async move {
            let mut sent = 0;
            while session.send(sent.to_string()).await.is_ok() {
                sent += 1;
            }
            report.send((session.id(), sent, session.ended().await)).expect("the test waits");
        }
    }));
    for round in 0..400 {
        let (name, streams) = (format!("{round}"), round % 2 == 1);
        let mut received: Vec<String> = Vec::new();
        assert_eq!(client.poll(&name).await, "o\n");
        if streams {
            let mut stream = client.stream(&name).await;
            for _ in 0..round % 50 {
                received
                    .extend(messages(&within("a frame", stream.frame()).await.expect("no end")));
            }
        } else {
            for _ in 0..round % 7 {
                received.extend(messages(&within("a frame", client.poll(&name)).await));
            }
            // A poll that waits, and one that would be answered, are dropped alike.
            let mut poll = pin!(client.poll(&name));
            if let Poll::Ready(answer) = poll_once(poll.as_mut()).await {
                received.extend(messages(&answer));
                // It was answered, so its client vanishes with the next one.
                drop(pin!(client.stream(&name)).await);
            }
        }
        let (id, sent, end) = within("the end", reports.recv()).await.expect("a report");
        let expected: Vec<String> = (0..received.len()).map(|number| number.to_string()).collect();
        assert_eq!(received, expected, "round {round}: in order, each once");
        assert_eq!(
            received.len() + end.undelivered,
            sent,
            "round {round}: received and undelivered make sent"
        );
        assert_eq!((end.reason.code(), end.by), (1002, EndedBy::Peer));
        let lines = log.ends_of(id);
        let [line] = &lines[..] else { panic!("{lines:?} is not one line") };
        assert_eq!(line.field("sent"), received.len().to_string(), "round {round}");
        assert_eq!(line.field("undelivered"), end.undelivered.to_string(), "round {round}");

        assert_eq!(client.poll(&name).await, INTERRUPTED, "who comes next is told");
    }
}
