//! Handlers that do as they like.

use std::time::Duration;

use sockeye::{EndedBy, EndpointConfig, SendError, Session};
use tokio::sync::mpsc;

use super::rig::{PREFIX, Rig, end_of, serve_app};
use common::client::Client;
use common::log::log;
use common::transport::Transport;
use common::within;

pub(crate) async fn a_panic_ends_its_session_and_no_other(transport: Transport) {
    let addr = serve_app(EndpointConfig::default(), |mut session: Session| async move {
        while let Some(message) = session.recv().await {
            session.send(message.clone()).await.expect("the client is there");
            assert!(message != "panic", "as the test asked for");
        }
    })
    .await;
    let mut neighbour = Client::open(addr, PREFIX, transport).await;
    let mut client = Client::open(addr, PREFIX, transport).await;
    client.send(&["panic"]).await;
    assert_eq!(client.message().await, "panic", "what was sent before the panic still arrives");
    assert_eq!(client.closed().await, (1011, "Internal error".to_owned()));

    neighbour.send(&["undisturbed"]).await;
    assert_eq!(neighbour.message().await, "undisturbed");
    let mut later = Client::open(addr, PREFIX, transport).await;
    later.send(&["served as ever"]).await;
    assert_eq!(later.message().await, "served as ever");
}

pub(crate) async fn a_panic_before_the_first_await(transport: Transport) {
    let addr = serve_app(EndpointConfig::default(), |session: Session| async move {
        assert!(session.info().transport().is_empty(), "as the test wants it");
    })
    .await;
    let mut client = Client::open(addr, PREFIX, transport).await;
    assert_eq!(client.closed().await, (1011, "Internal error".to_owned()));
}

pub(crate) async fn a_panic_before_there_is_a_future(transport: Transport) {
    let addr = serve_app(EndpointConfig::default(), |session: Session| {
        assert!(session.info().transport().is_empty(), "as the test wants it");
        std::future::ready(())
    })
    .await;
    let mut client = Client::open(addr, PREFIX, transport).await;
    assert_eq!(client.closed().await, (1011, "Internal error".to_owned()));
}

/// A session that was moved out of its handler is not the handler's any more.
pub(crate) async fn a_handler_returns_and_its_session_lives_elsewhere(transport: Transport) {
    let (mut client, mut session) = Rig::start(transport).await.open().await;
    client.send(&["in"]).await;
    assert_eq!(session.recv().await.expect("a message"), "in");
    session.send("out").await.expect("the client is there");
    assert_eq!(client.message().await, "out");
}

pub(crate) async fn a_handler_returns_at_once(transport: Transport) {
    let addr = serve_app(EndpointConfig::default(), |session: Session| async move {
        session.send("hello and goodbye").await.expect("there is room");
    })
    .await;
    let mut client = Client::open(addr, PREFIX, transport).await;
    assert_eq!(client.message().await, "hello and goodbye");
    assert_eq!(client.closed().await, (1000, "Normal closure".to_owned()));
}

/// A ticker, say: it learns of the end when it sends.
pub(crate) async fn a_handler_that_never_receives(transport: Transport) {
    let (report, mut reports) = mpsc::unbounded_channel();
    let config = EndpointConfig::new().disconnect_delay(Duration::from_secs(2));
    let addr = serve_app(config, move |session: Session| {
        let report = report.clone();
        async move {
            while session.send("tick").await.is_ok() {
                tokio::task::yield_now().await;
            }
            report.send(end_of(&session).await).expect("the test waits");
        }
    })
    .await;
    let mut client = Client::open(addr, PREFIX, transport).await;
    client.send(&["nobody", "hears", "this"]).await;
    for _ in 0..20 {
        assert_eq!(client.message().await, "tick");
    }
    if transport.polls() {
        // Its answer is there at once, so only the delay tells that no poll comes for the next.
        drop(client);
    } else {
        client.reset();
    }
    let (code, _, by, _) = within("the end", reports.recv()).await.expect("a report");
    assert_eq!((code, by), (1002, EndedBy::Peer));
}

pub(crate) async fn the_session_knows_where_its_client_came_from(transport: Transport) {
    let mut rig = Rig::start(transport).await;
    let (client, session) = rig.open().await;
    let info = session.info();
    assert_eq!(info.transport(), transport.name());
    assert_eq!(info.id(), session.id());
    assert!(info.peer().is_some_and(|peer| peer.ip().is_loopback()), "{info:?}");
    assert_eq!(info.local(), Some(rig.addr));
    assert_eq!(info.prefix(), PREFIX);
    assert!(info.path().starts_with(client.session()), "{}", info.path());
    assert_eq!(info.header("Host").map(|value| value.as_bytes()), Some(&b"localhost"[..]));
    assert_eq!(info.header("Content-Length"), None, "only what is worth keeping is kept");
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the order {0:?} can't be saved")]
    Save(String, #[source] std::io::Error),
    #[error("the client can't be told")]
    Tell(#[from] SendError),
}

/// `?` in a handler: the client hears what was sent before it, and that is all; the operator reads
/// the cause with its causes, on one line whatever a client has written.
pub(crate) async fn an_error_ends_its_session_and_is_logged(transport: Transport) {
    let log = log();
    let (report, mut ids) = mpsc::unbounded_channel();
    let addr = serve_app(EndpointConfig::default(), move |mut session: Session| {
        report.send(session.id()).expect("the test waits");
        async move {
            while let Some(message) = session.recv().await {
                session.send(message.clone()).await?;
                if message != "fine" {
                    let full = std::io::Error::other("disk full\nINFO all is well");
                    return Err(Failure::Save("7".to_owned(), full));
                }
            }
            Ok(())
        }
    })
    .await;
    let mut neighbour = Client::open(addr, PREFIX, transport).await;
    let mut client = Client::open(addr, PREFIX, transport).await;
    ids.recv().await.expect("the neighbour's");
    let id = ids.recv().await.expect("the client's");
    client.send(&["order"]).await;
    assert_eq!(client.message().await, "order", "what was sent before still arrives");
    assert_eq!(client.closed().await, (1011, "Internal error".to_owned()));
    neighbour.send(&["fine"]).await;
    assert_eq!(neighbour.message().await, "fine");

    let lines = log.lines_of(id, "the handler failed");
    let [line] = &lines[..] else { panic!("{lines:?} is not one line") };
    assert_eq!(line.level, tracing::Level::ERROR);
    let expected = r#"the order "7" can't be saved: disk full\nINFO all is well"#;
    assert_eq!(line.field("error"), expected);
}

/// Each client leaves one day, and `session.send(…).await?` ends its handler then. An operator must
/// not be called for it.
pub(crate) async fn a_client_that_leaves_is_no_failure_of_its_handler(transport: Transport) {
    let log = log();
    let (report, mut reports) = mpsc::unbounded_channel();
    let config = EndpointConfig::new().disconnect_delay(Duration::from_millis(500));
    let addr = serve_app(config, move |session: Session| {
        let report = report.clone();
        async move {
            let sent = async {
                loop {
                    session.send("tick").await?;
                    tokio::task::yield_now().await;
                }
            };
            let sent: Result<(), Failure> = sent.await;
            report.send(session.sender()).expect("the test waits");
            sent
        }
    })
    .await;
    let mut client = Client::open(addr, PREFIX, transport).await;
    assert_eq!(client.message().await, "tick");
    if transport.polls() {
        drop(client);
    } else {
        client.reset();
    }
    let sender = within("the end", reports.recv()).await.expect("a report");
    let lines = within("a line", async {
        // The handler reports before it returns.
        while log.lines_of(sender.id(), "the handler returned because").is_empty() {
            tokio::task::yield_now().await;
        }
        log.lines_of(sender.id(), "the handler")
    })
    .await;
    assert!(lines.iter().all(|line| line.level == tracing::Level::DEBUG), "{lines:?}");
}

/// A handler that drops its session and goes on, for ever or to a failure, has ended it in order.
pub(crate) async fn a_dropped_session_ends_before_its_handler(transport: Transport) {
    let addr = serve_app(EndpointConfig::default(), async |session: Session| {
        let (id, sender) = (session.id(), session.sender());
        session.send("bye").await.expect("there is room");
        drop(session);
        sender.ended().await;
        Err::<(), _>(format!("{id} is nobody's any more"))
    })
    .await;
    let mut client = Client::open(addr, PREFIX, transport).await;
    assert_eq!(client.message().await, "bye");
    assert_eq!(client.closed().await, (1000, "Normal closure".to_owned()));
}
