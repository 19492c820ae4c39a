//! Sessions without sockets: the application's end as it is, and a client to hold the other.

use std::future::poll_fn;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::ConnectInfo;
use super::attachment::Attachment;
use super::core::{Limits, Liveness, SessionEnd, Step};
use super::shared::{Carries, Inbound, Owner, Shared};
#[cfg(any(test, feature = "micro"))]
use super::{ConnectInfoParts, QueueLimit, Session};
use crate::Message;
use crate::budget::Budget;
use crate::protocol::close::CloseReason;
use crate::protocol::frame::Frame;

/// Limits that no test meets by chance.
#[cfg(any(test, feature = "micro"))]
pub(crate) fn limits() -> Limits {
    let queue = QueueLimit { messages: 4096, bytes: 1 << 20 };
    Limits {
        inbound: queue,
        inbound_rate: None,
        outbound: queue,
        outbound_keys: 256,
        payloads: 4,
        heartbeat_delay: Duration::from_secs(25),
        disconnect_delay: Duration::from_secs(5),
        pong_timeout: Duration::from_secs(10),
        write_timeout: Duration::from_secs(60),
        least_rate: 1024,
    }
}

/// A session and its client.
#[cfg(any(test, feature = "micro"))]
pub(crate) fn session() -> (Session, Client) {
    session_with(limits())
}

/// A session with limits of the test's own, and its client.
#[cfg(any(test, feature = "micro"))]
pub(crate) fn session_with(limits: Limits) -> (Session, Client) {
    connect(shared(limits))
}

#[cfg(any(test, feature = "micro"))]
fn connect(shared: Arc<Shared>) -> (Session, Client) {
    (Session::new(Arc::clone(&shared)), Client::of(shared))
}

/// A session without an application and without a client.
#[cfg(any(test, feature = "micro"))]
pub(crate) fn shared(limits: Limits) -> Arc<Shared> {
    shared_of(test_info(), Carries::Text, limits)
}

#[cfg(any(test, feature = "micro"))]
fn test_info() -> ConnectInfo {
    ConnectInfo::new(ConnectInfoParts {
        peer: None,
        local: None,
        transport: "test",
        subprotocol: None,
        prefix: "/test".len(),
        path: "/test".into(),
        query: None,
        headers: Box::default(),
        extensions: http::Extensions::new(),
    })
}

/// The same, opened by a given request.
pub(crate) fn shared_of(info: ConnectInfo, carries: Carries, limits: Limits) -> Arc<Shared> {
    Shared::new(info, None, carries, Arc::new(limits), Arc::new(KeepsNone))
}

/// A session that counts in a budget of the test's own.
#[cfg(test)]
pub(crate) fn shared_in(budget: &Budget, limits: Limits) -> Arc<Shared> {
    let owner = Counting(budget.clone());
    Shared::new(test_info(), None, Carries::Text, Arc::new(limits), Arc::new(owner))
}

/// The client of a session. Dropping it is a connection that breaks. It takes messages only when a
/// test asks for them.
pub(crate) struct Client {
    shared: Arc<Shared>,
    attachment: Option<Attachment>,
    /// Messages of a frame that no test has asked for yet, newest first.
    heard: Vec<Message>,
}

impl Client {
    /// Attaches to a session that has no client.
    pub(crate) fn of(shared: Arc<Shared>) -> Self {
        let attachment = Attachment::first(Arc::clone(&shared), Liveness::Heartbeats);
        Self { shared, attachment: Some(attachment), heard: Vec::new() }
    }

    /// Sends a message to the application.
    pub(crate) async fn say(&self, message: impl Into<Message>) {
        let outcome = self.shared.deliver(vec![message.into()], Duration::from_secs(60), 1).await;
        assert_eq!(outcome, Inbound::Taken, "the application does not receive");
    }

    /// The next message, or the reason of the close.
    pub(crate) async fn next(&mut self) -> Result<Message, CloseReason> {
        let mut heartbeats = 0;
        loop {
            if let Some(message) = self.heard.pop() {
                return Ok(message);
            }
            let attachment = self.attachment.as_mut().expect("asked for a message after the close");
            match poll_fn(|cx| attachment.poll_step(cx)).await {
                Step::Frame(Frame::Message(message)) => return Ok(message),
                Step::Frame(Frame::Messages(messages)) => {
                    self.heard.extend(messages.into_iter().rev())
                }
                Step::Frame(Frame::Close(reason)) => {
                    self.attachment = None;
                    return Err(reason);
                }
                // Under a paused clock a test would wait forever, without a word.
                Step::Frame(Frame::Heartbeat) => {
                    heartbeats += 1;
                    assert!(heartbeats < 1000, "{heartbeats} heartbeats came, and no message");
                }
                Step::Frame(Frame::Open) | Step::Ping => {}
            }
        }
    }

    /// The next message's text.
    pub(crate) async fn hear(&mut self) -> String {
        match self.next().await {
            Ok(message) => message.as_text().expect("a text message").to_owned(),
            Err(reason) => panic!("the session closed before a message came: {reason}"),
        }
    }

    /// The texts of all messages until every task waits. Needs a paused clock.
    pub(crate) async fn hear_all(&mut self) -> Vec<String> {
        let mut heard = Vec::new();
        // A paused clock advances only when every task waits.
        while let Ok(message) = tokio::time::timeout(Duration::from_millis(1), self.hear()).await {
            heard.push(message);
        }
        heard
    }

    /// Disconnects in order, as a polling client does after each response: the session waits for the
    /// next connection.
    pub(crate) fn let_go(&mut self) {
        if let Some(mut attachment) = self.attachment.take() {
            attachment.finish();
        }
    }

    /// Closes with a reason, as the client of a raw WebSocket can.
    pub(crate) fn leave(&mut self, reason: CloseReason) {
        if let Some(mut attachment) = self.attachment.take() {
            attachment.peer_closed(reason);
        }
    }

    /// Connects again after [`let_go`](Self::let_go).
    pub(crate) fn come_back(&mut self) {
        self.attachment = Some(Attachment::first(Arc::clone(&self.shared), Liveness::Heartbeats));
    }

    /// Waits for the session's end.
    pub(crate) async fn ended(&self) -> SessionEnd {
        self.shared.ended().await
    }

    /// How the session ended, if it has.
    pub(crate) fn end(&self) -> Option<SessionEnd> {
        self.shared.end()
    }
}

/// An owner that keeps no session.
struct KeepsNone;

impl Owner for KeepsNone {
    fn budget(&self) -> &Budget {
        static BUDGET: LazyLock<Budget> = LazyLock::new(Budget::process);
        &BUDGET
    }

    fn parked(&self, _: &Arc<Shared>, _: Instant) {}
    fn over(&self, _: &Arc<Shared>) {}
}

/// The same, with a budget.
#[cfg(test)]
struct Counting(Budget);

#[cfg(test)]
impl Owner for Counting {
    fn budget(&self) -> &Budget {
        &self.0
    }

    fn parked(&self, _: &Arc<Shared>, _: Instant) {}
    fn over(&self, _: &Arc<Shared>) {}
}
