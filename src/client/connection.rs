//! An open session, as the application has it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_sink::Sink;
use tokio::task::AbortHandle;
use tokio_stream::Stream;

use super::error::{Attempt, End, EndedBy, InvalidClose, SendError};
use super::link::Link;
use super::transport::Transport;
use crate::wakers::Waiter;
use crate::{CloseReason, Message};

/// A session with a SockJS server, over whichever transport got through.
///
/// It is also a [`Stream`] of messages and a [`Sink`] for them. Dropping it ends the session at
/// once; [`close`](Self::close) sends the queued messages first.
///
/// # Ordering
///
/// Messages arrive and leave in order, each at most once.
#[must_use = "dropping a connection ends its session"]
pub struct Connection {
    link: Arc<Link>,
    task: AbortHandle,
    opened: Opened,
    /// The sink has been told that there is room, and nothing was sent since.
    promised: bool,
    /// The stream and the sink, which wait as long as they are not polled again: they have no
    /// futures that could be dropped.
    stream: Option<Waiter>,
    sink: Option<Waiter>,
}

/// How a connection came about.
pub(super) struct Opened {
    pub(super) transport: Transport,
    pub(super) round_trip: Option<Duration>,
    pub(super) failed: Vec<Attempt>,
}

impl Connection {
    pub(super) fn new(link: Arc<Link>, task: AbortHandle, opened: Opened) -> Self {
        Self { link, task, opened, promised: false, stream: None, sink: None }
    }

    /// The next message from the server, or `None` when the session has ended and all that came
    /// before was taken.
    ///
    /// An application that does not call this fills the inbound queue; then nothing more is read
    /// from the server. A polling session survives that only for the server's disconnect delay (5 s
    /// by default), because it has no receiver meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a message is taken in the very poll that returns it.
    pub async fn recv(&mut self) -> Option<Message> {
        self.link.recv().await
    }

    /// Queues a message for the server, waiting while the outbound queue is full.
    ///
    /// `Ok` means queued, in order behind all earlier messages; the [`end`](Self::ended) tells how
    /// many never arrived.
    ///
    /// # Errors
    ///
    /// [`SendError`] gives the message back.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe in that the message is either queued or not; a cancelled call drops it when it
    /// was not.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.link.send(message.into()).await
    }

    /// Queues a message for the server if there is room now.
    ///
    /// # Errors
    ///
    /// [`SendError`] gives the message back and says why it was not taken.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.link.try_send(message.into())
    }

    /// Waits until all that was queued has reached the server, as far as the transport can tell:
    /// over HTTP it was answered, over a WebSocket it was handed to the socket. Also returns when
    /// the session has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn flush(&self) {
        self.link.flushed().await;
    }

    /// Sends the queued messages, leaves with 1000, and tells how the session ended.
    ///
    /// That takes at most [`close_timeout`](super::Builder::close_timeout). A session that has
    /// ended already stays as it is. Messages received before can still be taken.
    ///
    /// # Cancel safety
    ///
    /// A cancelled call closes all the same.
    pub async fn close(&self) -> End {
        self.link.leave(CloseReason::NORMAL);
        self.ended().await
    }

    /// As [`close`](Self::close), with a code and a reason of the application's.
    ///
    /// Only a raw WebSocket tells them to the server: SockJS has no frame for them (SockJS 0.3.3,
    /// close frames, are the server's).
    ///
    /// # Errors
    ///
    /// The code is not 1000 nor 3000 to 4999, or the reason is longer than 123 bytes, the most that
    /// a WebSocket can carry. Nothing is closed then.
    ///
    /// # Cancel safety
    ///
    /// As [`close`](Self::close).
    pub async fn close_with(&self, reason: CloseReason) -> Result<End, InvalidClose> {
        if !matches!(reason.code(), 1000 | 3000..=4999) || reason.reason().len() > 123 {
            return Err(InvalidClose(reason));
        }
        self.link.leave(reason);
        Ok(self.ended().await)
    }

    /// Waits for the end of the session.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; it may be called again.
    pub async fn ended(&self) -> End {
        self.link.ended().await
    }

    /// A handle that sends, to keep elsewhere.
    pub fn sender(&self) -> Sender {
        Sender { link: Arc::clone(&self.link) }
    }

    /// The transport that carries the session.
    pub fn transport(&self) -> Transport {
        self.opened.transport
    }

    /// The transports that were tried before, and why they failed.
    pub fn failed_attempts(&self) -> &[Attempt] {
        &self.opened.failed
    }

    /// How long the info request took, from which the time for opening was derived; `None` if only
    /// raw WebSocket was allowed, for then none is made.
    pub fn round_trip(&self) -> Option<Duration> {
        self.opened.round_trip
    }
}

/// Ends with `None` like [`Connection::recv`].
impl Stream for Connection {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let Self { link, stream, .. } = &mut *self;
        link.poll_recv(stream, cx)
    }
}

/// Ready while the outbound queue has room; then a message is taken, also when it makes the queue
/// larger than its limit. Flushing waits as [`Connection::flush`] does, and closing as
/// [`Connection::close`]; neither fails: [`Connection::ended`] tells how many messages were not
/// delivered.
///
/// # Errors
///
/// Only `start_send` fails: [`SendError`] gives the message back and says why it was not taken.
impl Sink<Message> for Connection {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if !self.promised {
            let Self { link, sink, promised, .. } = &mut *self;
            std::task::ready!(link.poll_room(sink, cx));
            *promised = true;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        match std::mem::take(&mut self.promised) {
            true => self.link.send_promised(message),
            false => self.link.try_send(message),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Self { link, sink, .. } = &mut *self;
        link.poll_flushed(sink, cx).map(Ok)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Self { link, sink, .. } = &mut *self;
        link.leave(CloseReason::NORMAL);
        link.poll_end(sink, cx).map(|_| Ok(()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.link.abandon();
        if self.link.is_ended() {
            // A WebSocket's task may still be saying good-bye; it has a limit of its own.
            return;
        }
        let end = self.link.end(CloseReason::NORMAL, EndedBy::Client);
        self.task.abort();
        if end.undelivered > 0 {
            tracing::warn!(
                undelivered = end.undelivered,
                "a connection was dropped with messages queued: close it first"
            );
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("transport", &self.opened.transport)
            .finish_non_exhaustive()
    }
}

/// Sends to a connection's server; cheap to clone, and keeps no session open.
#[derive(Clone)]
pub struct Sender {
    link: Arc<Link>,
}

impl Sender {
    /// As [`Connection::send`].
    ///
    /// # Errors
    ///
    /// [`SendError`] gives the message back.
    ///
    /// # Cancel safety
    ///
    /// As [`Connection::send`].
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.link.send(message.into()).await
    }

    /// As [`Connection::try_send`].
    ///
    /// # Errors
    ///
    /// [`SendError`] gives the message back and says why it was not taken.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.link.try_send(message.into())
    }

    /// Whether no more messages are taken.
    pub fn is_closed(&self) -> bool {
        self.link.is_closed()
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}
