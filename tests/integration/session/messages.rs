//! Messages: order, batches, text of any kind, bytes.

use futures_util::{SinkExt, StreamExt, stream};
use sockeye::{CloseReason, EndedBy, EndpointConfig, Message, SendError, Session, TrySendError};
use tokio::sync::mpsc;

use super::rig::{PREFIX, interrupted};
use super::rig::{Rig, echo, end, end_of, serve_app};
use common::client::{Client, Event};
use common::transport::{Frame, Transport};
use common::websocket;
use common::within;

pub(crate) async fn order_is_kept_both_ways(transport: Transport) {
    const COUNT: usize = 10_000;
    let numbers: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
    let (report, mut reports) = mpsc::unbounded_channel();
    let addr = serve_app(EndpointConfig::default(), move |mut session: Session| {
        let report = report.clone();
        async move {
            let sender = session.sender();
            let send = async {
                for number in 0..COUNT {
                    sender.send(number.to_string()).await.expect("the client reads to the end");
                }
            };
            let receive = async {
                let mut received = Vec::new();
                while received.len() < COUNT {
                    received.push(session.recv().await.expect("the client sends to the end"));
                }
                received
            };
            let ((), received) = tokio::join!(send, receive);
            report.send(received).expect("the test waits");
        }
    })
    .await;

    let mut client = Client::open(addr, PREFIX, transport).await;
    for batch in numbers.chunks(100) {
        client.send(&batch.iter().map(String::as_str).collect::<Vec<_>>()).await;
        for number in batch {
            assert_eq!(client.message().await, *number);
        }
    }
    assert_eq!(client.closed().await, (1000, "Normal closure".to_owned()));
    let received: Vec<Message> = reports.recv().await.expect("a report");
    assert!(
        received.iter().zip(&numbers).all(|(message, number)| *message == number.as_str()),
        "order or text is lost"
    );
}

pub(crate) async fn what_was_queued_between_receivers_is_one_frame(transport: Transport) {
    // Each frame ends a streaming response, so that these come and go as polls do.
    let config = EndpointConfig::new().response_limit(1);
    let (mut client, session) = Rig::with(transport, config).await.open().await;
    for message in ["a", "b", "c"] {
        session.try_send(message).expect("there is room");
    }
    if transport.is_socket() {
        for message in ["a", "b", "c"] {
            assert_eq!(client.frame().await, Frame::messages(&[message]));
        }
    } else {
        assert_eq!(client.frame().await, Frame::messages(&["a", "b", "c"]));
    }
    session.try_send("d").expect("there is room");
    assert_eq!(client.frame().await, Frame::messages(&["d"]));
}

pub(crate) async fn an_empty_message_is_a_message(transport: Transport) {
    let (mut client, mut session) = Rig::start(transport).await.open().await;
    client.send(&["", "then", ""]).await;
    for expected in ["", "then", ""] {
        assert_eq!(session.recv().await.expect("a message"), expected);
        session.send(expected).await.expect("the client is there");
    }
    for expected in ["", "then", ""] {
        assert_eq!(client.message().await, expected);
    }
    client.send(&[]).await;
    client.send(&["after nothing"]).await;
    assert_eq!(session.recv().await.expect("a message"), "after nothing");
}

pub(crate) async fn every_code_point_is_echoed(transport: Transport) {
    let addr = serve_app(EndpointConfig::default(), echo).await;
    let mut client = Client::open(addr, PREFIX, transport).await;
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    assert_eq!(all.len(), 0x11_0000 - 0x800, "all but the surrogates");
    // Eight messages of 1,024 code points in each payload.
    for batch in all.chunks(8 * 1024) {
        let texts: Vec<String> = batch.chunks(1024).map(String::from_iter).collect();
        client.send(&texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
        for text in &texts {
            let echoed = client.message().await;
            assert!(echoed == *text, "{:?} and what follows it is altered", text.chars().next());
        }
    }
}

/// The ranges that browsers or proxies are known to alter leave the gateway escaped, whatever wraps
/// the frame.
pub(crate) async fn fragile_characters_are_escaped_on_the_way(transport: Transport) {
    let (mut client, session) = Rig::start(transport).await.open().await;
    let fragile: String =
        "\u{0}\u{1f}\u{200c}\u{200f}\u{2028}\u{202f}\u{2060}\u{206f}\u{fff0}\u{ffff}".into();
    session.send(fragile.clone()).await.expect("the client is there");
    assert_eq!(client.message().await, fragile);
    if !transport.is_raw() {
        let escaped = r#"a["\u0000\u001f\u200c\u200f\u2028\u202f\u2060\u206f\ufff0\uffff"]"#;
        assert_eq!(client.last, escaped);
    }
}

pub(crate) async fn surrogates_find_their_partners_or_are_replaced(transport: Transport) {
    let (mut client, mut session) = Rig::start(transport).await.open().await;
    for (json, text) in [
        (r#"["\ud83d\ude00"]"#, "😀"),
        (r#"["\uD800\uDC00\udbff\udfff"]"#, "\u{10000}\u{10ffff}"),
        (r#"["a\ud800"]"#, "a\u{fffd}"),
        (r#"["\udc00b"]"#, "\u{fffd}b"),
        (r#"["\ud800\ud83d\ude00\udc00"]"#, "\u{fffd}😀\u{fffd}"),
        (r#"["\\ud800"]"#, r"\ud800"),
    ] {
        client.send_json(json).await;
        // Without frames there is no JSON, and nothing to unescape: the text arrives as it was
        // written.
        let expected = if transport.is_raw() { json } else { text };
        assert_eq!(session.recv().await.expect("a message"), expected);
    }
}

/// What ends a script element, a URI, an event or a string.
pub(crate) async fn text_that_means_something_to_a_wrapping_is_only_text(transport: Transport) {
    let (mut client, mut session) = Rig::start(transport).await.open().await;
    let nasty = [
        "100%",
        "%41%",
        "</script><script>",
        "<!--",
        "\r\n\r\ndata: h",
        "\"]\n",
        "\\",
        "'+&=d",
        "c[3000,\"x\"]",
    ];
    client.send(&nasty).await;
    for expected in nasty {
        let message = session.recv().await.expect("a message");
        assert_eq!(message, expected);
        session.send(message).await.expect("the client is there");
        assert_eq!(client.message().await, expected);
    }
}

pub(crate) async fn bytes_travel_where_they_can(transport: Transport) {
    let config = EndpointConfig::new().binary(true);
    let (mut client, mut session) = Rig::with(transport, config).await.open().await;
    assert_eq!(session.carries_binary(), transport.is_raw());
    assert_eq!(session.sender().carries_binary(), transport.is_raw());
    let bytes = Message::binary(&b"\0\xff\x80"[..]);
    if transport.is_raw() {
        client.write(&websocket::Frame::new(websocket::Frame::BINARY, &b"\0\xff\x80"[..])).await;
        assert_eq!(session.recv().await, Some(bytes.clone()));
        session.send(bytes).await.expect("raw WebSockets carry bytes");
        assert_eq!(client.recv().await, Event::Binary(b"\0\xff\x80"[..].into()));
    } else {
        let error = session.send(bytes.clone()).await.expect_err("no bytes in SockJS frames");
        assert!(matches!(&error, SendError::NotCarried(message) if *message == bytes), "{error:?}");
        let error = session.try_send(bytes.clone()).expect_err("no bytes in SockJS frames");
        assert!(
            matches!(&error, TrySendError::NotCarried(message) if *message == bytes),
            "{error:?}"
        );
    }
    session.send("text goes on").await.expect("the client is there");
    assert_eq!(client.message().await, "text goes on");
}

pub(crate) async fn bytes_that_nobody_wants_close_the_session(transport: Transport) {
    let (mut client, mut session) = Rig::start(transport).await.open().await;
    if !transport.is_socket() {
        return;
    }
    client.send(&["before"]).await;
    client.write(&websocket::Frame::new(websocket::Frame::BINARY, "[\"bytes\"]")).await;
    assert_eq!(session.recv().await.expect("it came first"), "before");
    assert_eq!(session.recv().await, None);
    let reason = "Binary messages are not accepted";
    assert_eq!(client.closed().await, (1003, reason.to_owned()));
    assert_eq!(end_of(&session).await, end(1003, reason, EndedBy::Gateway, 0));
}

pub(crate) async fn a_session_is_a_stream_and_a_sink(transport: Transport) {
    let (report, mut reports) = mpsc::unbounded_channel();
    let addr = serve_app(EndpointConfig::default(), move |session: Session| {
        let report = report.clone();
        async move {
            let (sink, stream) = session.split();
            let forwarded = stream.map(Ok).forward(sink).await;
            report.send(forwarded.is_ok()).expect("the test waits");
        }
    })
    .await;
    let mut client = Client::open(addr, PREFIX, transport).await;
    for batch in [&["a", "b"][..], &["c"]] {
        client.send(batch).await;
        for message in batch {
            assert_eq!(client.message().await, *message);
        }
    }
    // Attached, else a poll's client would be missed only when its time is over.
    client.attach().await.expect("the session lives");
    drop(client);
    assert_eq!(reports.recv().await, Some(true), "the stream ends with the session");
}

pub(crate) async fn closing_the_sink_closes_the_session(transport: Transport) {
    let (mut client, mut session) = Rig::start(transport).await.open().await;
    SinkExt::send(&mut session, "last".into()).await.expect("there is room");
    SinkExt::close(&mut session).await.expect("closing waits for nothing");
    let error = SinkExt::send(&mut session, "late".into()).await.expect_err("it is closed");
    assert!(matches!(&error, TrySendError::Closed(message) if *message == "late"), "{error:?}");
    assert_eq!(client.message().await, "last");
    assert_eq!(client.closed().await, (1000, "Normal closure".to_owned()));
    assert_eq!(session.next().await, None);
}

pub(crate) async fn a_sender_outlives_its_session(transport: Transport) {
    let (mut client, session) = Rig::start(transport).await.open().await;
    let sender = session.sender().clone();
    assert_eq!(sender.id(), session.id());
    sender.send("from elsewhere").await.expect("the client is there");
    assert!(!sender.is_closed());
    assert_eq!(client.message().await, "from elsewhere");
    client.attach().await.expect("the session lives");
    drop(client);
    assert_eq!(end_of(&session).await, interrupted(0));
    drop(session);

    assert!(sender.is_closed());
    assert_eq!(within("the end", sender.ended()).await.reason, CloseReason::INTERRUPTED);
    assert_eq!(sender.info().transport(), transport.name());
    let error = sender.send("late").await.expect_err("it has ended");
    assert!(matches!(&error, SendError::Closed(message) if *message == "late"), "{error:?}");
    assert_eq!(error.into_message(), "late");
    let error = sender.try_send("late").expect_err("it has ended");
    assert!(matches!(&error, TrySendError::Closed(message) if *message == "late"), "{error:?}");
    assert_eq!(error.into_message(), "late");
}

/// A stream is forwarded by a task that has only a sender, while the handler has the session.
pub(crate) async fn a_sender_is_a_sink_for_other_tasks(transport: Transport) {
    let (mut client, mut session) = Rig::start(transport).await.open().await;
    let lines = stream::iter(["a", "b", "c"]).map(|line| Ok(line.into()));
    let forwarding = tokio::spawn(lines.forward(session.sender().into_sink()));
    for line in ["a", "b", "c"] {
        assert_eq!(client.message().await, line);
    }
    assert!(forwarding.await.expect("no panic").is_ok());
    assert_eq!(client.closed().await, (1000, "Normal closure".to_owned()), "the stream has ended");
    assert_eq!(session.recv().await, None);
}
