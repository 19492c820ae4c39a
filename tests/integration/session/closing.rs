//! Ends: the side that closed, the reason that the other side gets, and undelivered messages.

use sockeye::{CloseReason, EndedBy, SendError};

use super::rig::{Rig, end, end_of, interrupted};
use common::client::{Client, Event};
use common::log::log;
use common::transport::Transport;
use common::within;

pub(crate) async fn the_application_closes(transport: Transport) {
    let (mut client, mut session) = Rig::start(transport).await.open().await;
    session.send("one").await.expect("the client is there");
    session.send("two").await.expect("the client is there");
    session.close((3000, "Go away!"));
    session.close((3001, "the first close counts"));
    let error = session.send("late").await.expect_err("it is closed");
    assert!(matches!(&error, SendError::Closed(message) if *message == "late"), "{error:?}");

    assert_eq!(client.message().await, "one");
    assert_eq!(client.message().await, "two");
    assert_eq!(client.closed().await, (3000, "Go away!".to_owned()));
    assert_eq!(session.recv().await, None);
    assert_eq!(end_of(&session).await, end(3000, "Go away!", EndedBy::Application, 0));
}

/// What clients look at to come back at once, later or never.
pub(crate) async fn the_constants_for_applications_reach_clients_as_their_codes(
    transport: Transport,
) {
    let mut rig = Rig::start(transport).await;
    for (constant, code, text) in [
        (CloseReason::NORMAL, 1000, "Normal closure"),
        (CloseReason::GOING_AWAY, 1001, "Server shutting down"),
        (CloseReason::POLICY_VIOLATION, 1008, "Policy violation"),
        (CloseReason::SERVICE_RESTART, 1012, "Service restart"),
        (CloseReason::TRY_AGAIN_LATER, 1013, "Try again later"),
    ] {
        let (mut client, session) = rig.open().await;
        session.close(constant);
        assert_eq!(client.closed().await, (code, text.to_owned()));
        assert_eq!(end_of(&session).await, end(code, text, EndedBy::Application, 0));
    }
}

pub(crate) async fn somebody_closes_through_a_sender(transport: Transport) {
    let (mut client, mut session) = Rig::start(transport).await.open().await;
    session.sender().close((4001, "ünïcode \u{2028} \"reason\""));
    assert_eq!(session.recv().await, None, "the application hears of it");
    assert_eq!(client.closed().await, (4001, "ünïcode \u{2028} \"reason\"".to_owned()));
    assert_eq!(end_of(&session).await.2, EndedBy::Application);
}

/// An application that closes wants no more messages.
pub(crate) async fn what_was_not_received_before_the_close_is_dropped(transport: Transport) {
    // Without payloads the test can't know whether a second message has come already.
    if transport.is_raw() {
        return;
    }
    let (mut client, mut session) = Rig::start(transport).await.open().await;
    client.send(&["received", "dropped"]).await;
    assert_eq!(session.recv().await.expect("a message"), "received");
    session.close((3000, "enough"));
    assert_eq!(session.recv().await, None);
    assert_eq!(client.closed().await, (3000, "enough".to_owned()));
}

/// The answers to payloads of a client that can't know yet are what they always were.
pub(crate) async fn a_closed_session_still_takes_and_drops(transport: Transport) {
    if transport.is_socket() {
        return;
    }
    let (mut client, mut session) = Rig::start(transport).await.open().await;
    session.close((3000, "enough"));
    client.send(&["late"]).await;
    assert_eq!(session.recv().await, None);
    assert_eq!(client.closed().await, (3000, "enough".to_owned()));
    client.send(&["very late"]).await;
}

pub(crate) async fn the_client_closes(transport: Transport) {
    let (mut client, mut session) = Rig::start(transport).await.open().await;
    client.send(&["last words"]).await;
    client.attach().await.expect("the session lives");
    client.leave(3001, "bye").await;
    assert_eq!(session.recv().await.expect("it came before the end"), "last words");
    assert_eq!(session.recv().await, None);
    // sockjs-client's reason stays with the client: SockJS has no frame for it.
    let told = if transport.is_raw() { end(3001, "bye", EndedBy::Peer, 0) } else { interrupted(0) };
    assert_eq!(end_of(&session).await, told);
    let error = session.send("late").await.expect_err("it has ended");
    assert_eq!(error.into_message(), "late");
}

/// A reason with line breaks and terminal sequences would write lines of its own into the log, or
/// clear the operator's screen.
pub(crate) async fn what_a_client_says_stays_one_line_of_the_log(transport: Transport) {
    // No other client says why it goes.
    if !transport.is_raw() {
        return;
    }
    let log = log();
    let (client, session) = Rig::start(transport).await.open().await;
    client.leave(3001, "bye\n2026-11-21 INFO all is well\u{1b}[2J").await;
    let reason = end_of(&session).await.1;
    assert_eq!(
        reason, "bye\n2026-11-21 INFO all is well\u{1b}[2J",
        "the application gets it as it came"
    );
    let line = within("the line", async {
        loop {
            match log.ends_of(session.id()).pop() {
                Some(line) => break line,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert_eq!(line.field("reason"), "3001 bye\\n2026-11-21 INFO all is well\\u{1b}[2J");
}

pub(crate) async fn the_client_aborts(transport: Transport) {
    for reset in [false, true] {
        let mut rig = Rig::start(transport).await;
        let (mut client, mut session) = rig.open().await;
        client.send(&["last words"]).await;
        assert_eq!(session.recv().await.expect("a message"), "last words");
        client.attach().await.expect("the session lives");
        if reset {
            client.reset()
        } else {
            drop(client)
        }
        assert_eq!(session.recv().await, None);
        assert_eq!(end_of(&session).await, interrupted(0));
        rig.empty().await;
    }
}

pub(crate) async fn an_end_is_one_line_in_the_log(transport: Transport) {
    let log = log();
    let mut rig = Rig::start(transport).await;
    let (mut client, mut session) = rig.open().await;
    client.send(&["in"]).await;
    session.recv().await.expect("a message");
    for message in ["out", "out", "out"] {
        session.send(message).await.expect("the client is there");
        client.message().await;
    }
    session.close((3000, "Go away!"));
    assert_eq!(client.closed().await, (3000, "Go away!".to_owned()));
    end_of(&session).await;
    let id = session.id();
    drop(session);
    drop(client);

    let lines = within("the line", async {
        // The waiter for the end is woken first.
        while log.ends_of(id).is_empty() {
            tokio::task::yield_now().await;
        }
        log.ends_of(id)
    })
    .await;
    let [line] = &lines[..] else { panic!("{lines:?} is not one line") };
    assert_eq!(line.level, tracing::Level::DEBUG);
    for (field, value) in [
        ("session", &*id.to_string()),
        ("transport", transport.name()),
        ("received", "1"),
        ("sent", "3"),
        ("undelivered", "0"),
        ("reason", "3000 Go away!"),
        ("by", "Application"),
    ] {
        assert_eq!(line.field(field), value, "{field} of {line:?}");
    }
    assert!(line.field("age").ends_with('s'), "{line:?}");
    assert!(line.field("peer").starts_with("127.0.0.1:"), "{line:?}");
}

pub(crate) async fn a_second_receiver_is_turned_away_and_logged(transport: Transport) {
    if transport.is_socket() || transport.polls() {
        return;
    }
    let log = log();
    let mut rig = Rig::start(transport).await;
    let (mut client, session) = rig.open().await;
    let mut second = Client::of_session(rig.addr, client.session(), transport);
    assert_eq!(second.recv().await, Event::Close(2010, "Another connection still open".to_owned()));
    assert_eq!(log.lines_of(session.id(), "receiver refused with 2010").len(), 1);
    session.send("the first one goes on").await.expect("it is there");
    assert_eq!(client.message().await, "the first one goes on");
}

/// Later receivers of a closed session are told so each time; the socket of a WebSocket is gone.
pub(crate) async fn a_closed_session_tells_everyone_who_comes(transport: Transport) {
    if transport.is_socket() {
        return;
    }
    let mut rig = Rig::start(transport).await;
    let (mut client, session) = rig.open().await;
    session.close((3000, "Go away!"));
    assert_eq!(client.closed().await, (3000, "Go away!".to_owned()));
    for _ in 0..3 {
        let mut late = Client::of_session(rig.addr, client.session(), transport);
        assert_eq!(late.recv().await, Event::Close(3000, "Go away!".to_owned()));
    }
}
