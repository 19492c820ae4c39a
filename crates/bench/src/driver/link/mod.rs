//! A session as a client holds it, over any technique.

mod exchange;
mod http;
mod technique;
mod websocket;

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use self::exchange::Exchange;
use self::http::Http;
pub use self::technique::{Technique, TechniqueError};
use self::websocket::WebSocket;
use super::error::Error;
use super::target::Target;

/// One session.
pub(super) enum Link {
    // Boxed, for they are several times as large as a WebSocket.
    Http(Box<Http>),
    WebSocket(WebSocket),
    Exchange(Box<Exchange>),
}

impl Link {
    /// A session that [`poll_progress`](Self::poll_progress) opens.
    pub(super) fn new(target: &Target, technique: Technique) -> Self {
        match technique {
            Technique::ShortPolling(_)
            | Technique::LongPolling
            | Technique::XhrStreaming
            | Technique::EventSource => Self::Http(Box::new(Http::new(target, technique))),
            Technique::WebSocket => Self::WebSocket(WebSocket::new(target, true)),
            Technique::RawWebSocket => Self::WebSocket(WebSocket::new(target, false)),
            Technique::BareExchange => Self::Exchange(Box::new(Exchange::new(target))),
        }
    }

    /// Opens a session, within `patience`.
    pub(super) async fn open(
        target: &Target,
        technique: Technique,
        patience: Duration,
    ) -> Result<Self, Error> {
        let mut link = Self::new(target, technique);
        link.opened(patience).await?;
        Ok(link)
    }

    /// Waits until the session is open.
    pub(super) async fn opened(&mut self, patience: Duration) -> Result<(), Error> {
        let opening = poll_fn(|cx| {
            while !self.is_open() {
                std::task::ready!(self.poll_progress(cx, &mut |_| ()))?;
            }
            Poll::Ready(Ok(()))
        });
        let outcome = tokio::time::timeout(patience, opening).await;
        outcome.unwrap_or(Err(Error::Silence { step: "opening a session", after: patience }))
    }

    /// Starts another session over the connections of this one, as a browser does; a WebSocket
    /// starts a connection.
    pub(super) fn start_anew(&mut self, target: &Target) {
        match self {
            Self::Http(http) => http.start_anew(target),
            Self::WebSocket(websocket) => {
                *websocket = WebSocket::new(target, websocket.is_framed())
            }
            Self::Exchange(exchange) => exchange.start_anew(),
        }
    }

    /// Asks for the endpoint's `info`, as clients do before they open a session; not for
    /// WebSockets.
    pub(super) async fn info(&mut self, target: &Target, patience: Duration) -> Result<(), Error> {
        let asking = async {
            match self {
                Self::Http(http) => http.info(target).await,
                Self::Exchange(exchange) => exchange.poll_once().await,
                Self::WebSocket(_) => Ok(()),
            }
        };
        let outcome = tokio::time::timeout(patience, asking).await;
        outcome.unwrap_or(Err(Error::Silence { step: "asking for info", after: patience }))
    }

    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Http(http) => http.is_open(),
            Self::WebSocket(websocket) => websocket.is_open(),
            Self::Exchange(exchange) => exchange.is_open(),
        }
    }

    /// Takes a message to be sent; nothing in it may need escaping in JSON. It leaves by
    /// [`poll_progress`](Self::poll_progress), with all others that were taken meanwhile.
    pub(super) fn send(&mut self, text: &[u8]) {
        match self {
            Self::Http(http) => http.send(text),
            Self::WebSocket(websocket) => websocket.send(text),
            Self::Exchange(exchange) => exchange.send(text),
        }
    }

    /// Moves bytes both ways. Ready when something has arrived (all of whose messages were then
    /// handed to `received`), pending when there is nothing to do until the task is woken.
    pub(super) fn poll_progress(
        &mut self,
        cx: &mut Context<'_>,
        received: &mut dyn FnMut(&[u8]),
    ) -> Poll<Result<(), Error>> {
        match self {
            Self::Http(http) => http.poll_progress(cx, received),
            Self::WebSocket(websocket) => websocket.poll_progress(cx, received),
            Self::Exchange(exchange) => exchange.poll_progress(cx, received),
        }
    }

    /// Leaves the session without a connection, as a client does between two polls; a WebSocket
    /// stays.
    pub(super) fn leave(&mut self) {
        if let Self::Http(http) = self {
            http.leave();
        }
    }

    /// Keeps only the connection that it receives on.
    pub(super) fn rest(&mut self) {
        if let Self::Http(http) = self {
            http.rest();
        }
    }

    /// Polls again after [`leave`](Self::leave).
    pub(super) fn come_back(&mut self) {
        if let Self::Http(http) = self {
            http.come_back();
        }
    }

    /// Waits until something has arrived.
    pub(super) async fn progress(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_progress(cx, &mut |_| ())).await
    }

    /// Writes pending bytes, without waiting for an answer.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| {
            Poll::Ready(match self.poll_progress(cx, &mut |_| ()) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => Ok(()),
            })
        })
        .await
    }

    /// Ends the session as clients do: a WebSocket by its closing handshake, HTTP by asking for no
    /// more.
    pub(super) async fn close(&mut self, patience: Duration) -> Result<(), Error> {
        let Self::WebSocket(websocket) = self else { return self.finish(patience).await };
        let outcome = tokio::time::timeout(patience, poll_fn(|cx| websocket.poll_close(cx))).await;
        outcome.unwrap_or(Err(Error::Silence { step: "closing a WebSocket", after: patience }))
    }

    /// Waits until sent messages are answered; a WebSocket has nothing to wait for.
    pub(super) async fn finish(&mut self, patience: Duration) -> Result<(), Error> {
        let Self::Http(http) = self else { return Ok(()) };
        let outcome = tokio::time::timeout(patience, http.finish()).await;
        outcome.unwrap_or(Err(Error::Silence { step: "xhr_send", after: patience }))
    }
}
