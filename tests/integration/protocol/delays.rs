//! Section 9: what the life of a session owes to time, in virtual time.

use std::time::Duration;

use common::apps::echo;
use http::Method;
use sockeye::{CloseReason, EndedBy, EndpointConfig, Gateway, Origins, Session, SessionEnd};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep};

use super::endpoints;
use super::memory::{InMemory, frame, text};
use super::support::{fresh, next};

const INTERRUPTED: &str = "c[1002,\"Connection interrupted\"]\n";
const AWAY: &str = "c[3000,\"Go away!\"]\n";

fn conformance() -> InMemory {
    InMemory(endpoints::gateway("http://localhost/sockjs.min.js"))
}

/// An echo at `/echo`, and how its sessions end.
fn reporting(config: EndpointConfig) -> (InMemory, UnboundedReceiver<SessionEnd>) {
    let (report, ends) = unbounded_channel();
    let handler = move |mut session: Session| {
        let report = report.clone();
        async move {
            while let Some(message) = session.recv().await {
                if session.send(message).await.is_err() {
                    break;
                }
            }
            // The receiver is gone when a test has ended.
            let _ = report.send(session.ended().await);
        }
    };
    let config = config.origins(Origins::any());
    (InMemory(Gateway::new().endpoint_with("/echo", config, handler)), ends)
}

#[tokio::test(start_paused = true)]
async fn heartbeats_come_each_25_seconds() {
    let gateway = conformance();
    let session = gateway.open("/echo").await;
    let begin = Instant::now();
    assert_eq!(gateway.poll(&session).await, "h\n", "a heartbeat ends a poll");
    assert_eq!(begin.elapsed().as_secs(), 25);

    for (transport, heartbeat) in [
        ("xhr_streaming", "h\n"),
        ("eventsource", "data: h\r\n\r\n"),
        ("htmlfile?c=x", "<script>\np(\"h\");\n</script>\r\n"),
    ] {
        let begin = Instant::now();
        let mut stream = gateway.stream(&fresh("/echo"), transport).await;
        frame(&mut stream).await.expect("the open frame");
        for count in 1..=3 {
            assert_eq!(frame(&mut stream).await.expect("a heartbeat"), heartbeat, "{transport}");
            assert_eq!(begin.elapsed().as_secs(), 25 * count, "{transport}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn heartbeats_count_from_the_last_frame() {
    let gateway = conformance();
    let session = fresh("/echo");
    let mut stream = gateway.stream(&session, "xhr_streaming").await;
    frame(&mut stream).await.expect("the open frame");
    let send = async {
        sleep(Duration::from_secs(20)).await;
        gateway.send(&session, r#"["a"]"#).await;
        Instant::now()
    };
    let (sent, message) = tokio::join!(send, frame(&mut stream));
    assert_eq!(message.as_deref(), Some("a[\"a\"]\n"));
    assert_eq!(frame(&mut stream).await.as_deref(), Some("h\n"));
    assert_eq!(sent.elapsed().as_secs(), 25);
}

#[tokio::test(start_paused = true)]
async fn a_session_waits_five_seconds_for_its_client() {
    let (gateway, mut ends) = reporting(EndpointConfig::default());
    let session = gateway.open("/echo").await;
    sleep(Duration::from_millis(4500)).await;
    // A send does not prolong it.
    assert_eq!(gateway.send(&session, r#"["lost"]"#).await, 204);
    sleep(Duration::from_millis(1000)).await;
    assert_eq!(gateway.send(&session, r#"["too late"]"#).await, 404);
    let end = next(&mut ends).await;
    assert_eq!((end.reason, end.by, end.undelivered), (CloseReason::INTERRUPTED, EndedBy::Peer, 1));
}

#[tokio::test(start_paused = true)]
async fn a_receiver_prolongs_the_wait() {
    let gateway = conformance();
    let session = gateway.open("/echo").await;
    for _ in 0..3 {
        sleep(Duration::from_millis(4500)).await;
        assert_eq!(gateway.send(&session, r#"["a"]"#).await, 204);
        assert_eq!(gateway.poll(&session).await, "a[\"a\"]\n");
    }
    // And while it is attached, there is nothing to wait for: this poll ends after 25 s.
    assert_eq!(gateway.poll(&session).await, "h\n");
    assert_eq!(gateway.send(&session, "[]").await, 204);
}

#[tokio::test(start_paused = true)]
async fn the_disconnect_delay_can_be_set() {
    let config = EndpointConfig::new().disconnect_delay(Duration::from_secs(60));
    let (gateway, mut ends) = reporting(config);
    let session = gateway.open("/echo").await;
    let begin = Instant::now();
    sleep(Duration::from_secs(59)).await;
    assert_eq!(gateway.send(&session, "[]").await, 204);
    next(&mut ends).await;
    assert_eq!(begin.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn an_expired_session_is_told_once_and_its_id_is_free() {
    let gateway = conformance();
    for told in ["xhr", "xhr_streaming", "eventsource"] {
        let session = gateway.open("/echo").await;
        sleep(Duration::from_secs(6)).await;
        // No send can take the answer away.
        assert_eq!(gateway.send(&session, "[]").await, 404);
        match told {
            "xhr" => assert_eq!(gateway.poll(&session).await, INTERRUPTED),
            _ => {
                let mut stream = gateway.stream(&session, told).await;
                let close = frame(&mut stream).await.expect("the close frame");
                assert!(close.contains(INTERRUPTED.trim()), "{close}");
                assert_eq!(frame(&mut stream).await, None);
            }
        }
        assert_eq!(gateway.poll(&session).await, "o\n");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_is_remembered_for_a_minute() {
    let gateway = conformance();
    for (seconds, answer) in [(64, INTERRUPTED), (66, "o\n")] {
        let session = gateway.open("/echo").await;
        // Five of them until it expires.
        sleep(Duration::from_secs(seconds)).await;
        assert_eq!(gateway.poll(&session).await, answer, "after {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_of_ends_can_be_set() {
    let config =
        EndpointConfig::new().remembered_for(Duration::from_secs(10)).remembered_sessions(1);
    let (gateway, mut ends) = reporting(config);
    for (seconds, answer) in [(9, INTERRUPTED), (11, "o\n")] {
        let session = gateway.open("/echo").await;
        next(&mut ends).await;
        sleep(Duration::from_secs(seconds)).await;
        assert_eq!(gateway.poll(&session).await, answer, "{seconds} s after its end");
        sleep(Duration::from_secs(60)).await;
    }
    let (first, second) = (gateway.open("/echo").await, gateway.open("/echo").await);
    sleep(Duration::from_secs(6)).await;
    let mut answers = [gateway.poll(&first).await, gateway.poll(&second).await];
    answers.sort();
    assert_eq!(answers, [INTERRUPTED, "o\n"], "one of them was forgotten for the other");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_ends_are_remembered() {
    let gateway = conformance();
    let mut sessions = Vec::new();
    for _ in 0..=10_000 {
        sessions.push(gateway.open("/echo").await);
        // Apart, so that it is known which is the oldest.
        tokio::time::advance(Duration::from_micros(1)).await;
    }
    sleep(Duration::from_secs(6)).await;
    assert_eq!(gateway.poll(&sessions[0]).await, "o\n");
    for session in [&sessions[1], &sessions[10_000]] {
        assert_eq!(gateway.poll(session).await, INTERRUPTED);
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_session_is_kept_five_seconds_after_its_last_receiver() {
    let gateway = conformance();
    let session = gateway.open("/close").await;
    for _ in 0..3 {
        assert_eq!(gateway.poll(&session).await, AWAY);
        sleep(Duration::from_millis(4500)).await;
        assert_eq!(gateway.send(&session, "[\"dropped\"]").await, 204);
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(gateway.send(&session, "[]").await, 404);
    // Its own reason, once more, to a late receiver.
    assert_eq!(gateway.poll(&session).await, AWAY);
    assert_eq!(gateway.poll(&session).await, "o\n");
}

#[tokio::test(start_paused = true)]
async fn a_lost_close_frame_is_told_late() {
    let gateway = conformance();
    // The application closed before the client came back, and it did not come in time.
    let session = gateway.open("/close").await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(gateway.poll(&session).await, AWAY);
    assert_eq!(gateway.poll(&session).await, "o\n");
}

#[tokio::test(start_paused = true)]
async fn the_application_is_told_when_a_receiver_vanishes() {
    let (gateway, mut ends) = reporting(EndpointConfig::default());
    let session = fresh("/echo");
    let mut stream = gateway.stream(&session, "xhr_streaming").await;
    frame(&mut stream).await.expect("the open frame");
    let begin = Instant::now();
    drop(stream);
    let end = next(&mut ends).await;
    assert_eq!((end.reason, end.by, end.undelivered), (CloseReason::INTERRUPTED, EndedBy::Peer, 0));
    assert_eq!(begin.elapsed(), Duration::ZERO, "at once");
    assert_eq!(gateway.send(&session, "[]").await, 404);
    assert_eq!(gateway.poll(&session).await, INTERRUPTED);
    assert_eq!(gateway.poll(&session).await, "o\n");
}

#[tokio::test(start_paused = true)]
async fn a_second_receiver_waits_a_moment_for_the_first_to_go() {
    let config = EndpointConfig::new().attach_wait(Duration::from_secs(1));
    let gateway = InMemory(Gateway::new().endpoint_with("/echo", config, echo));
    let session = fresh("/echo");
    let mut first = gateway.stream(&session, "xhr_streaming").await;
    frame(&mut first).await.expect("the open frame");
    let begin = Instant::now();
    assert_eq!(gateway.poll(&session).await, "c[2010,\"Another connection still open\"]\n");
    assert_eq!(begin.elapsed().as_secs(), 1);
    // The first one goes within the second's wait: its end, not 2010, is what the second hears of.
    let leave = async {
        sleep(Duration::from_millis(999)).await;
        drop(first);
    };
    let ((), second) = tokio::join!(leave, gateway.poll(&session));
    assert_eq!(second, INTERRUPTED);
}

fn short_polls() -> InMemory {
    InMemory(Gateway::new().endpoint_with("/echo", EndpointConfig::new().short_poll(true), echo))
}

#[tokio::test(start_paused = true)]
async fn a_short_poll_waits_no_longer_than_it_says() {
    let gateway = short_polls();
    let session = gateway.open("/echo").await;
    for (query, milliseconds) in [
        ("?sockeye_wait=0.25", 250),
        ("?t=1&sockeye_wait=3", 3_000),
        ("?sockeye_wait=0", 0),
        // The heartbeat's time comes first.
        ("?sockeye_wait=1000", 25_000),
    ] {
        let begin = Instant::now();
        assert_eq!(gateway.poll_with(&session, query).await, "h\n", "{query}");
        assert_eq!(begin.elapsed().as_millis(), milliseconds, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_poll_brings_what_there_is_and_loses_nothing() {
    let gateway = short_polls();
    let session = gateway.open("/echo").await;
    assert_eq!(gateway.send(&session, r#"["a","b"]"#).await, 204);
    // The echo has its turn.
    sleep(Duration::from_millis(1)).await;
    assert_eq!(gateway.poll_with(&session, "?sockeye_wait=0").await, "a[\"a\",\"b\"]\n");

    let begin = Instant::now();
    let send = async {
        sleep(Duration::from_secs(1)).await;
        gateway.send(&session, r#"["c"]"#).await
    };
    let (poll, _) = tokio::join!(gateway.poll_with(&session, "?sockeye_wait=2"), send);
    assert_eq!((poll.as_str(), begin.elapsed().as_secs()), ("a[\"c\"]\n", 1));
    // What no poll waited for is there for the next one.
    assert_eq!(gateway.poll_with(&session, "?sockeye_wait=0.1").await, "h\n");
    assert_eq!(gateway.send(&session, r#"["d"]"#).await, 204);
    assert_eq!(gateway.poll(&session).await, "a[\"d\"]\n");
}

#[tokio::test(start_paused = true)]
async fn a_short_poll_of_no_time_opens_no_session() {
    let gateway = short_polls();
    let session = fresh("/echo");
    let response =
        gateway.start(Method::POST, &format!("{session}/xhr?sockeye_wait=soon"), "").await;
    assert_eq!(response.status(), 400);
    assert!(text(response).await.contains("sockeye_wait"));
    assert_eq!(gateway.send(&session, "[]").await, 404);
}

#[tokio::test(start_paused = true)]
async fn short_polls_are_off_until_switched_on() {
    let gateway = conformance();
    let session = gateway.open("/echo").await;
    let begin = Instant::now();
    assert_eq!(gateway.poll_with(&session, "?sockeye_wait=0").await, "h\n");
    assert_eq!(begin.elapsed().as_secs(), 25);
}
