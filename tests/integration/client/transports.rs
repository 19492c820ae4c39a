//! The same on every transport, against our gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::apps;
use futures_util::{SinkExt, StreamExt};
use sockeye::client::{EndedBy, SendError, Transport};
use sockeye::{CloseReason, EndpointConfig, Gateway, Message, Session};
use tokio::sync::mpsc;

use super::rig::{ALL, connect, patient, text};
use common::server::serve;
use common::within;

async fn echo() -> std::net::SocketAddr {
    serve(Gateway::new().endpoint("/app", apps::echo)).await
}

/// Each session is the test's.
async fn sessions() -> (std::net::SocketAddr, mpsc::UnboundedReceiver<Session>) {
    sessions_of(EndpointConfig::new().binary(true)).await
}

async fn sessions_of(
    config: EndpointConfig,
) -> (std::net::SocketAddr, mpsc::UnboundedReceiver<Session>) {
    let (sender, sessions) = mpsc::unbounded_channel();
    let gateway = Gateway::new().endpoint_with("/app", config, move |session| {
        sender.send(session).expect("the test lives");
        std::future::ready(())
    });
    (serve(gateway).await, sessions)
}

/// Such delays mean never; a deadline that far away can't be computed.
#[tokio::test]
async fn delays_may_be_for_ever() {
    let (addr, ever) = (echo().await, Duration::MAX);
    for transport in ALL {
        let builder = patient()
            .info_timeout(ever)
            .connect_timeout(ever)
            .minimum_open_timeout(ever)
            .send_timeout(ever);
        let builder = builder.silence_timeout(ever).close_timeout(ever).transports([transport]);
        let mut connection = connect(builder, addr).await;
        connection.send("hello").await.expect("the session is open");
        assert_eq!(text(&mut connection).await, "hello", "{transport}");
        assert_eq!(
            within("the end", connection.close()).await.reason,
            CloseReason::NORMAL,
            "{transport}"
        );
    }
}

/// It ends at once, but as one that was silent for too long does, and with its reason.
#[tokio::test]
async fn no_silence_at_all_is_too_long() {
    let addr = echo().await;
    // Which side of the connection's task comes first is random.
    for _ in 0..20 {
        let builder = patient().silence_timeout(Duration::ZERO).transports([Transport::WebSocket]);
        let end = within("the end", connect(builder, addr).await.ended()).await;
        assert!(matches!(end.by, EndedBy::Transport(_)), "{end:?}");
    }
}

#[tokio::test]
async fn everything_comes_back_unchanged_and_in_order() {
    let addr = echo().await;
    let odd = [
        "",
        "100%",
        "%25%zz",
        "\"\\\n\r\t\0",
        "안녕 😀",
        "\u{2028}\u{200c}\u{ffff}",
        "<script>",
        "data: x\n\n",
    ];
    let long = "long ".repeat(12_000);
    let all: Vec<String> = odd
        .iter()
        .map(|&text| text.to_owned())
        .chain((0..300).map(|number| format!("message {number}")))
        .chain([long])
        .collect();
    for transport in ALL {
        let mut connection = connect(patient().transports([transport]), addr).await;
        assert_eq!(connection.transport(), transport);
        for message in &all {
            connection.send(message.as_str()).await.expect("the session is open");
        }
        for message in &all {
            assert_eq!(&text(&mut connection).await, message, "{transport}");
        }
        let end = within("the end", connection.close()).await;
        assert_eq!((end.reason, end.undelivered), (CloseReason::NORMAL, 0), "{transport}");
        assert_eq!(connection.recv().await, None);
    }
}

#[tokio::test]
async fn the_server_sees_which_transport_it_is() {
    let (addr, mut sessions) = sessions().await;
    let names = ["websocket", "xhr_streaming", "eventsource", "xhr", "rawwebsocket"];
    for (transport, name) in ALL.into_iter().zip(names) {
        let _connection = connect(patient().transports([transport]), addr).await;
        assert_eq!(sessions.recv().await.expect("a session").info().transport(), name);
    }
}

/// The server's code and reason arrive, behind all that it has sent before.
#[tokio::test]
async fn a_close_of_the_server_comes_after_its_messages() {
    let (addr, mut sessions) = sessions().await;
    for transport in ALL {
        let mut connection = connect(patient().transports([transport]), addr).await;
        let session = sessions.recv().await.expect("a session");
        session.send("last").await.expect("the client is there");
        session.close((3000, "Go away!"));
        assert_eq!(text(&mut connection).await, "last", "{transport}");
        assert_eq!(within("the end", connection.recv()).await, None);
        let end = connection.ended().await;
        assert_eq!(end.reason, CloseReason::new(3000, "Go away!"), "{transport}");
        assert!(matches!(end.by, EndedBy::Server), "{transport}: {end:?}");
        let error = connection.send("late").await.expect_err("it is over");
        assert!(
            matches!(&error, SendError::Closed(message) if message == "late"),
            "{transport}: {error:?}"
        );
    }
}

#[tokio::test]
async fn closing_sends_what_is_queued_and_the_server_learns_of_it() {
    let (addr, mut sessions) = sessions().await;
    for transport in ALL {
        let connection = connect(patient().transports([transport]), addr).await;
        let mut session = sessions.recv().await.expect("a session");
        for number in 0..100 {
            connection.try_send(number.to_string()).expect("there is room");
        }
        let end = within("the end", connection.close_with(CloseReason::new(3001, "bye")))
            .await
            .expect("a valid close");
        assert_eq!((end.reason.code(), end.undelivered), (3001, 0), "{transport}");
        drop(connection);
        for number in 0..100 {
            let message = within("a message", session.recv()).await;
            assert_eq!(message, Some(number.to_string().into()), "{transport}");
        }
        let end = within("the session's end", session.ended()).await;
        if transport == Transport::RawWebSocket {
            assert_eq!(end.reason, CloseReason::new(3001, "bye"), "nothing else carries it");
        }
    }
}

/// The server learns of it from the connection's end. No delay of the server's would tell it within
/// this test.
#[tokio::test]
async fn dropping_a_connection_ends_its_session_at_once() {
    let never = Duration::from_secs(3600);
    let config = EndpointConfig::new().disconnect_delay(never).heartbeat_delay(never);
    let (addr, mut sessions) = sessions_of(config).await;
    // Not polling: between two polls there is no connection whose end the server could see.
    for transport in ALL.into_iter().filter(|&transport| transport != Transport::XhrPolling) {
        let mut connection = connect(patient().transports([transport]), addr).await;
        let sender = connection.sender();
        let mut session = sessions.recv().await.expect("a session");
        // Now the client waits for the next frame.
        session.send("x").await.expect("the client is there");
        assert_eq!(text(&mut connection).await, "x");
        drop(connection);
        assert!(sender.is_closed());
        assert_eq!(within("the session's end", session.recv()).await, None, "{transport}");
    }
}

#[tokio::test]
async fn only_a_raw_websocket_carries_bytes() {
    let (addr, mut sessions) = sessions().await;
    for transport in ALL {
        let mut connection = connect(patient().transports([transport]), addr).await;
        let mut session = sessions.recv().await.expect("a session");
        let bytes = Message::binary(&b"\0\xff"[..]);
        let outcome = connection.send(bytes.clone()).await;
        if transport == Transport::RawWebSocket {
            outcome.expect("bytes are carried");
            assert_eq!(within("bytes", session.recv()).await, Some(bytes.clone()));
            session.send(bytes.clone()).await.expect("the client is there");
            assert_eq!(within("bytes", connection.recv()).await, Some(bytes));
        } else {
            let error = outcome.expect_err("text only");
            assert!(
                matches!(&error, SendError::NotCarried(message) if *message == bytes),
                "{transport}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_connection_is_a_stream_and_a_sink() {
    let addr = echo().await;
    for transport in ALL {
        let (mut sink, mut stream) = connect(patient().transports([transport]), addr).await.split();
        for number in 0..3 {
            sink.feed(Message::from(number.to_string())).await.expect("the session is open");
        }
        within("the flush", sink.flush()).await.expect("the session is open");
        for number in 0..3 {
            assert_eq!(within("an echo", stream.next()).await, Some(number.to_string().into()));
        }
        within("the close", sink.close()).await.expect("closing never fails");
        assert_eq!(within("the end", stream.next()).await, None, "{transport}");
    }
}

/// A server that writes more than its client reads is stopped, and nothing is lost.
#[tokio::test]
async fn an_application_that_does_not_receive_stops_the_server() {
    const COUNT: usize = 400;
    let (addr, mut sessions) = sessions().await;
    // Not polling, which has no receiver while the application is slow.
    for transport in ALL.into_iter().filter(|&transport| transport != Transport::XhrPolling) {
        let builder = patient().transports([transport]).inbound_messages(4);
        let mut connection = connect(builder, addr).await;
        let session = sessions.recv().await.expect("a session");
        let message = Message::from("x".repeat(60_000));
        let sent = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let sending = tokio::spawn(async move {
            for _ in 0..COUNT {
                session.send(message.clone()).await.expect("the client is there");
                count.fetch_add(1, Ordering::Relaxed);
            }
            session
        });
        standstill(&sent).await;
        assert!(sent.load(Ordering::Relaxed) < COUNT, "{transport}: 24 MB have gone somewhere");
        for _ in 0..COUNT {
            assert_eq!(text(&mut connection).await.len(), 60_000, "{transport}");
        }
        sending.await.expect("no panic");
    }
}

/// Waits until `count` stands still. On a slow machine it may return early, which makes the test
/// weaker, but never red.
async fn standstill(count: &AtomicUsize) {
    let (mut last, mut quiet) = (0, 0);
    while quiet < 10 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = count.load(Ordering::Relaxed);
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
    }
}
