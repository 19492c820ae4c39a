//! How messages leave over HTTP, and what becomes of those that don't.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sockeye::client::{EndedBy, SendError, Transport, TransportError};
use sockeye::{CloseReason, Message};

use super::rig::{Asked, Scripted, answer, connect, endless, info, patient};
use common::within;

/// A server whose answer to the first payload takes long, and which counts how many it works on.
#[tokio::test]
async fn one_payload_is_in_flight_and_the_next_holds_all_that_waits() {
    static SENDS: AtomicUsize = AtomicUsize::new(0);
    let server = Scripted::start_delayed(|asked: &Asked| match asked.transport() {
        "info" => (Duration::ZERO, info()),
        "xhr_send" => {
            let delay = if SENDS.fetch_add(1, Ordering::Relaxed) == 0 { 300 } else { 0 };
            (Duration::from_millis(delay), answer(204, ""))
        }
        _ => (Duration::ZERO, endless("o\n")),
    })
    .await;
    let connection = connect(patient(), server.addr).await;
    connection.send("first").await.expect("the session is open");
    while server.payloads().is_empty() {
        tokio::task::yield_now().await;
    }
    for text in ["a", "\"b\"", "c\u{2028}"] {
        connection.send(text).await.expect("the session is open");
    }
    within("the answers", connection.flush()).await;
    assert_eq!(server.payloads(), [r#"["first"]"#, r#"["a","\"b\"","c\u2028"]"#]);
    let sends: Vec<Asked> =
        server.asked().into_iter().filter(|asked| asked.transport() == "xhr_send").collect();
    assert_eq!(sends[0].headers["content-type"], "text/plain;charset=UTF-8");
    assert_eq!(sends[0].method, "POST");
}

#[tokio::test]
async fn a_payload_that_is_not_taken_ends_the_session_and_is_counted() {
    for (status, body) in [(404, ""), (500, "Broken JSON encoding."), (503, "")] {
        let server = Scripted::start(move |asked: &Asked| match asked.transport() {
            "info" => info(),
            "xhr_send" => answer(status, body),
            _ => endless("o\n"),
        })
        .await;
        let connection = connect(patient().messages_per_payload(2), server.addr).await;
        for text in ["a", "b", "c"] {
            connection.try_send(text).expect("there is room");
        }
        let end = within("the end", connection.ended()).await;
        assert_eq!(end.undelivered, 3, "{status}: {end:?}");
        assert_eq!(end.reason.code(), 1006);
        assert!(end.reason.reason().starts_with("Sending error: the server answered"), "{end:?}");
        assert!(
            matches!(&end.by, EndedBy::Transport(error) if matches!(**error, TransportError::Sending(_))),
            "{end:?}"
        );
        let EndedBy::Transport(error) = end.by else { continue };
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
    }
}

/// The server has closed the session and forgotten it: the close frame arrives after the 404 that
/// the send got, and tells why.
#[tokio::test]
async fn a_close_frame_on_its_way_is_waited_for() {
    let (closed, closing) = tokio::sync::watch::channel(false);
    let server = Scripted::start(move |asked: &Asked| match asked.transport() {
        "info" => info(),
        "xhr_send" => {
            closed.send_replace(true);
            answer(404, "")
        }
        _ => {
            use futures_util::{StreamExt, stream};
            let mut closing = closing.clone();
            let close = stream::once(async move {
                let _ = closing.wait_for(|&closed| closed).await;
                tokio::time::sleep(Duration::from_millis(10)).await;
                bytes::Bytes::from_static(b"c[3000,\"Go away!\"]\n")
            });
            super::rig::streaming(Box::pin(
                stream::iter([bytes::Bytes::from_static(b"o\n")]).chain(close),
            ))
        }
    })
    .await;
    let connection = connect(patient(), server.addr).await;
    connection.send("x").await.expect("the session is open");
    let end = within("the end", connection.ended()).await;
    assert_eq!((end.reason, end.undelivered), (CloseReason::new(3000, "Go away!"), 1));
}

/// A server that takes no payload: every wait on this side has an end.
#[tokio::test]
async fn a_server_that_does_not_answer_holds_nobody() {
    let stuck = async || {
        Scripted::start_delayed(|asked: &Asked| match asked.transport() {
            "info" => (Duration::ZERO, info()),
            "xhr_send" => (Duration::from_secs(600), answer(204, "")),
            _ => (Duration::ZERO, endless("o\n")),
        })
        .await
    };
    let server = stuck().await;
    let connection = connect(patient().send_timeout(Duration::from_millis(50)), server.addr).await;
    connection.send("x").await.expect("the session is open");
    let end = within("the end", connection.ended()).await;
    assert!(end.reason.reason().contains("50ms (send_timeout)"), "{end:?}");

    let server = stuck().await;
    let connection = connect(patient().close_timeout(Duration::from_millis(50)), server.addr).await;
    connection.send("x").await.expect("the session is open");
    let end = within("the end", connection.close()).await;
    assert_eq!((end.reason, end.undelivered), (CloseReason::NORMAL, 1));
    assert!(matches!(end.by, EndedBy::Client));
}

/// What waits to be sent is bounded, by count and by bytes.
#[tokio::test]
async fn a_full_queue_says_so_and_gives_the_message_back() {
    let server = Scripted::start_delayed(|asked: &Asked| match asked.transport() {
        "info" => (Duration::ZERO, info()),
        "xhr_send" => (Duration::from_secs(600), answer(204, "")),
        _ => (Duration::ZERO, endless("o\n")),
    })
    .await;
    for builder in [patient().outbound_messages(2), patient().outbound_bytes(2)] {
        let before = server.payloads().len();
        let connection = connect(builder, server.addr).await;
        connection.send("0").await.expect("the session is open");
        while server.payloads().len() == before {
            tokio::task::yield_now().await;
        }
        for text in ["1", "2"] {
            connection.try_send(text).expect("there is room");
        }
        let error = connection.try_send("3").expect_err("two wait");
        assert!(matches!(&error, SendError::Full(message) if message == "3"), "{error:?}");
        let sender = connection.sender();
        let waiting = tokio::spawn(async move { sender.send("4").await });
        tokio::task::yield_now().await;
        drop(connection);
        let error =
            within("the waiting send", waiting).await.expect("no panic").expect_err("it is over");
        assert!(matches!(&error, SendError::Closed(message) if message == "4"), "{error:?}");
    }
}

#[tokio::test]
async fn a_message_that_fits_no_payload_comes_back() {
    let server = Scripted::start(|asked: &Asked| match asked.transport() {
        "info" => info(),
        "xhr_send" => answer(204, ""),
        _ => endless("o\n"),
    })
    .await;
    let connection = connect(patient().payload_size(14), server.addr).await;
    let error = connection.send("12345678901").await.expect_err("15 bytes as JSON");
    assert!(error.to_string().contains("14 bytes: raise payload_size"), "{error}");
    assert_eq!(error.into_message(), Message::from("12345678901"));
    connection.send("1234567890").await.expect("14 bytes as JSON");
    within("the answer", connection.flush()).await;
    assert_eq!(server.payloads(), [r#"["1234567890"]"#]);
}

#[tokio::test]
async fn a_close_that_no_client_may_ask_for_changes_nothing() {
    let server = Scripted::start(|asked: &Asked| match asked.transport() {
        "info" => info(),
        "xhr_send" => answer(204, ""),
        _ => endless("o\n"),
    })
    .await;
    let connection = connect(patient().transports([Transport::XhrStreaming]), server.addr).await;
    for reason in [
        CloseReason::new(1001, ""),
        CloseReason::new(5000, ""),
        CloseReason::new(3000, "x".repeat(124)),
    ] {
        let error = connection.close_with(reason.clone()).await.expect_err("not allowed");
        assert_eq!(error.0, reason);
    }
    connection.send("still open").await.expect("the session is open");
}
