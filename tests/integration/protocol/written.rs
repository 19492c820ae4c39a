//! Section 9: what becomes of a session whose frames are written slowly, in part, or not at all. In
//! virtual time, by a server that holds the chunks of a body as hyper holds them.

use std::time::Duration;

use bytes::Buf;
use http::Method;
use http_body_util::BodyExt;
use sockeye::{Body, Chunk, EndedBy, EndpointConfig, Gateway, Origins, Session};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep};

use super::memory::{InMemory, soon};
use super::support::fresh;

const INTERRUPTED: &str = "c[1002,\"Connection interrupted\"]\n";
const STREAMS: [&str; 3] = ["xhr_streaming", "eventsource", "htmlfile?c=x"];
const RECEIVERS: [&str; 5] = ["xhr", "jsonp?c=x", "xhr_streaming", "eventsource", "htmlfile?c=x"];

/// A gateway that hands its sessions to the test.
fn handing_over(config: EndpointConfig) -> (InMemory, UnboundedReceiver<Session>) {
    let (give, sessions) = unbounded_channel();
    let config = config.origins(Origins::any());
    let gateway = Gateway::new().endpoint_with("/app", config, move |session| {
        give.send(session).expect("the test waits");
        std::future::ready(())
    });
    (InMemory(gateway), sessions)
}

/// A session, and a body that its messages go to: the open frame is written.
async fn opened(
    gateway: &InMemory,
    sessions: &mut UnboundedReceiver<Session>,
    receiver: &str,
) -> (String, Session, Body) {
    let path = fresh("/app");
    if STREAMS.contains(&receiver) {
        let mut body = gateway.stream(&path, receiver).await;
        written(chunk(&mut body).await);
        (path, soon(sessions.recv()).await.expect("the gateway lives"), body)
    } else {
        assert_eq!(gateway.poll(&path).await, "o\n");
        let session = soon(sessions.recv()).await.expect("the gateway lives");
        session.try_send("first").expect("there is room");
        let method = if receiver == "xhr" { Method::POST } else { Method::GET };
        let body = gateway.start(method, &format!("{path}/{receiver}"), "").await.into_body();
        (path, session, body)
    }
}

async fn chunk(body: &mut Body) -> Chunk {
    let frame = body.frame().await.expect("a frame").expect("bodies don't fail");
    frame.into_data().expect("bodies have no trailers")
}

fn written(mut chunk: Chunk) {
    chunk.advance(chunk.remaining());
}

/// hyper drops a body as soon as it has its last chunk, and the chunk when the connection dies: on
/// whatever thread that is.
#[tokio::test(start_paused = true)]
async fn a_frame_that_is_not_written_in_full_is_lost_and_told() {
    for receiver in RECEIVERS {
        for part in [0, 1, 7] {
            let config = EndpointConfig::new().response_limit(1);
            let (gateway, mut sessions) = handing_over(config);
            let (path, session, mut body) = opened(&gateway, &mut sessions, receiver).await;
            if STREAMS.contains(&receiver) {
                // The open frame has ended the response; the client is back.
                drop(body);
                let request = if receiver == "xhr_streaming" { Method::POST } else { Method::GET };
                body = gateway.start(request, &format!("{path}/{receiver}"), "").await.into_body();
                written(chunk(&mut body).await);
                session.try_send("first").expect("there is room");
            }
            let mut first = chunk(&mut body).await;
            drop(body);
            session.try_send("second").expect("the loss is not known yet");
            first.advance(part);
            std::thread::spawn(|| drop(first)).join().expect("no panic without a runtime");
            let end = soon(session.ended()).await;
            assert_eq!(
                (end.reason.code(), end.by, end.undelivered),
                (1002, EndedBy::Peer, 2),
                "{receiver}, {part}"
            );
            assert_eq!(gateway.poll(&path).await, INTERRUPTED, "{receiver}, {part}");
            assert_eq!(gateway.poll(&path).await, "o\n", "an end is told once");
        }
    }
}

/// A server that drops an answer, or its body, before it has asked it for a byte.
#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_writes_is_lost_and_told() {
    let (gateway, mut sessions) = handing_over(EndpointConfig::default());
    let (path, session, body) = opened(&gateway, &mut sessions, "xhr").await;
    drop(body);
    assert_eq!(soon(session.ended()).await.undelivered, 1);
    assert_eq!(gateway.poll(&path).await, INTERRUPTED);
}

/// A poll's frame that is larger than a piece goes out in pieces: each of them tells.
#[tokio::test(start_paused = true)]
async fn a_large_answer_is_lost_when_one_of_its_pieces_is() {
    for lost in 0..3 {
        let (gateway, mut sessions) = handing_over(EndpointConfig::default());
        let path = gateway.open("/app").await;
        let session = soon(sessions.recv()).await.expect("the gateway lives");
        session.try_send("x".repeat(40_000)).expect("there is room");
        let mut body = gateway.start(Method::POST, &format!("{path}/xhr"), "").await.into_body();
        for _ in 0..lost {
            written(chunk(&mut body).await);
        }
        assert!(!session.sender().is_closed());
        let piece = chunk(&mut body).await;
        drop((body, piece));
        assert_eq!(soon(session.ended()).await.undelivered, 1, "piece {lost}");
    }
}

/// The connection takes a little now and then, for two minutes; the client comes back when it has
/// read all.
#[tokio::test(start_paused = true)]
async fn a_session_does_not_expire_while_its_last_bytes_leave() {
    let config = EndpointConfig::new().response_limit(1).least_rate(100);
    for receiver in ["xhr", "jsonp?c=x"] {
        let (gateway, mut sessions) = handing_over(config.clone());
        let (path, session, body) = opened(&gateway, &mut sessions, receiver).await;
        let text = body.collect().await.expect("bodies don't fail").to_bytes();
        assert!(text.starts_with(b"a") || text.starts_with(b"/**/"));
        session.try_send("x".repeat(12_000)).expect("there is room");
        let method = if receiver == "xhr" { Method::POST } else { Method::GET };
        let mut body = gateway.start(method, &format!("{path}/{receiver}"), "").await.into_body();
        let mut slow = chunk(&mut body).await;
        drop(body);
        for _ in 0..12 {
            sleep(Duration::from_secs(10)).await;
            slow.advance(1000);
        }
        assert!(!session.sender().is_closed(), "{receiver}");
        written(slow);
        let begin = Instant::now();
        let end = soon(session.ended()).await;
        assert_eq!((end.reason.code(), end.undelivered), (1002, 0), "{receiver}");
        assert_eq!(begin.elapsed().as_secs(), 5, "nobody has come");
    }
}

/// A connection that takes a little now and then, but less than the least rate. Its client was told
/// that it did not read.
#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_too_little_is_given_up() {
    let config = EndpointConfig::new().least_rate(100);
    for receiver in ["xhr", "xhr_streaming"] {
        let (gateway, mut sessions) = handing_over(config.clone());
        let (path, session, mut body) = opened(&gateway, &mut sessions, receiver).await;
        if receiver == "xhr" {
            written(chunk(&mut body).await);
        }
        session.try_send("x".repeat(12_000)).expect("there is room");
        if receiver == "xhr" {
            body = gateway.start(Method::POST, &format!("{path}/xhr"), "").await.into_body();
        }
        let mut slow = chunk(&mut body).await;
        let begin = Instant::now();
        while !session.sender().is_closed() {
            sleep(Duration::from_secs(10)).await;
            slow.advance(100);
        }
        // 120 s at the least rate, the write timeout, and ten seconds between two looks here.
        assert!(
            (180..=195).contains(&begin.elapsed().as_secs()),
            "{receiver}: after {:?}",
            begin.elapsed()
        );
        let end = soon(session.ended()).await;
        let told = (end.reason.code(), end.reason.reason(), end.by, end.undelivered);
        assert_eq!(told, (1008, "the client reads too slowly", EndedBy::Gateway, 1), "{receiver}");
    }
}

/// Nothing asks the body of a connection that takes nothing, nor does the body's own timer count
/// then.
#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_nothing_is_given_up() {
    for receiver in RECEIVERS {
        let (gateway, mut sessions) = handing_over(EndpointConfig::default());
        let (path, session, mut body) = opened(&gateway, &mut sessions, receiver).await;
        if STREAMS.contains(&receiver) {
            session.try_send("first").expect("there is room");
        }
        let begin = Instant::now();
        let first = chunk(&mut body).await;
        let end = soon(session.ended()).await;
        let told = (end.reason.code(), end.reason.reason(), end.by, end.undelivered);
        assert_eq!(told, (1008, "the client does not read", EndedBy::Gateway, 1), "{receiver}");
        // Looked at each five seconds, the disconnect delay.
        assert!(
            (60..=65).contains(&begin.elapsed().as_secs()),
            "{receiver}: after {:?}",
            begin.elapsed()
        );
        assert_eq!(
            gateway.poll(&path).await,
            "c[1008,\"the client does not read\"]\n",
            "{receiver}"
        );
        drop((body, first));
    }
}
