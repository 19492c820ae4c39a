//! A server whose application is the test itself.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sockeye::{EndedBy, EndpointConfig, Gateway, Handler, Session};
use tokio::sync::mpsc;

use common::client::Client;
use common::server::serve;
use common::transport::Transport;
use common::within;

pub(crate) const PREFIX: &str = "/app";

/// Hands each session to the test, which so holds both ends of it.
pub(crate) struct Rig {
    pub(crate) transport: Transport,
    pub(crate) addr: SocketAddr,
    pub(crate) gateway: Gateway,
    sessions: mpsc::UnboundedReceiver<Session>,
}

impl Rig {
    pub(crate) async fn start(transport: Transport) -> Self {
        Self::with(transport, EndpointConfig::default()).await
    }

    pub(crate) async fn with(transport: Transport, config: EndpointConfig) -> Self {
        let (sender, sessions) = mpsc::unbounded_channel();
        let gateway = Gateway::new().endpoint_with(PREFIX, config, move |session| {
            // A test that has ended wants no more sessions.
            let _ = sender.send(session);
            std::future::ready(())
        });
        Self { transport, addr: serve(gateway.clone()).await, gateway, sessions }
    }

    /// A session, from both sides.
    pub(crate) async fn open(&mut self) -> (Client, Session) {
        let client = Client::open(self.addr, PREFIX, self.transport).await;
        (client, self.session().await)
    }

    /// The session that was opened next.
    pub(crate) async fn session(&mut self) -> Session {
        within("a session", self.sessions.recv()).await.expect("the gateway lives")
    }

    /// Waits until the endpoint holds no session any more.
    pub(crate) async fn empty(&self) {
        within("all sessions to be forgotten", async {
            while self.gateway.sessions() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

/// Serves one application.
pub(crate) async fn serve_app(config: EndpointConfig, handler: impl Handler) -> SocketAddr {
    serve(Gateway::new().endpoint_with(PREFIX, config, handler)).await
}

pub(crate) async fn echo(mut session: Session) {
    while let Some(message) = session.recv().await {
        if session.send(message).await.is_err() {
            break;
        }
    }
}

/// Code, reason, the side that ended it, and the number of undelivered messages.
pub(crate) async fn end_of(session: &Session) -> (u16, String, EndedBy, usize) {
    let end = within("the end of the session", session.ended()).await;
    (end.reason.code(), end.reason.reason().to_owned(), end.by, end.undelivered)
}

pub(crate) fn end(
    code: u16,
    reason: &str,
    by: EndedBy,
    undelivered: usize,
) -> (u16, String, EndedBy, usize) {
    (code, reason.to_owned(), by, undelivered)
}

/// What the application is told when its client went without a word.
pub(crate) fn interrupted(undelivered: usize) -> (u16, String, EndedBy, usize) {
    end(1002, "Connection interrupted", EndedBy::Peer, undelivered)
}

/// Waits until `count` stands still.
///
/// That nothing happens is no event to wait for. On a slow machine this may return too early, which
/// makes the test that uses it weaker, but never red.
pub(crate) async fn standstill(count: &AtomicUsize) {
    let (mut last, mut quiet) = (count.load(Ordering::Relaxed), 0);
    while quiet < 10 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = count.load(Ordering::Relaxed);
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
    }
}
