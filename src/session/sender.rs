//! Handles of a session that send to it and close it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_sink::Sink;

use super::shared::{SenderPlace, Shared};
use super::{ConnectInfo, EndedBy, Kept, Key, SendError, SessionEnd, SessionId, TrySendError};
use crate::Message;
#[cfg(doc)]
use crate::Session;
use crate::protocol::close::CloseReason;

/// Sends to a session and closes it; cheap to clone, and keeps no session alive that has ended.
///
/// For code that wants a [`Sink`] there is [`into_sink`](Self::into_sink).
#[derive(Clone)]
pub struct Sender {
    // One pointer, of which a hub keeps as many as it has subscriptions.
    shared: Arc<Shared>,
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// As [`Session::send`].
    ///
    /// # Errors
    ///
    /// [`SendError`] gives the message back.
    ///
    /// # Cancel safety
    ///
    /// As [`Session::send`].
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.shared.send(message.into()).await
    }

    /// As [`Session::try_send`].
    ///
    /// # Errors
    ///
    /// [`TrySendError`] gives the message back and says why it was not taken.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), TrySendError> {
        self.shared.try_send(message.into())
    }

    /// Ends the session as [`Session::close`] does.
    pub fn close(&self, reason: impl Into<CloseReason>) {
        self.shared.close(reason.into(), EndedBy::Application);
    }

    /// As [`try_send`](Self::try_send), also while other senders wait for more room than there is.
    pub(crate) fn try_publish(&self, message: Message) -> Result<(), TrySendError> {
        self.shared.try_send_past_senders(message)
    }

    /// As [`try_publish`](Self::try_publish), but a message that finds no room is kept, if it is
    /// the newest of its key, until there is some.
    pub(crate) fn publish_latest(&self, key: Key, message: Message) -> Result<Kept, TrySendError> {
        self.shared.send_latest(key, message)
    }

    /// Ends the session because of a limit, as [`Session::close`] does, but the application still
    /// receives messages that the client has sent. False when it was closed already.
    pub(crate) fn give_up(&self, reason: CloseReason) -> bool {
        self.shared.close(reason, EndedBy::Gateway)
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.shared.info().id()
    }

    /// As [`Session::info`].
    pub fn info(&self) -> &ConnectInfo {
        self.shared.info()
    }

    /// As [`Session::ended`], also after the [`Session`] was dropped.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; it may be called again.
    pub async fn ended(&self) -> SessionEnd {
        self.shared.ended().await
    }

    /// A [`Sink`] for messages to this session. Each sink has its own place among the senders that
    /// wait for room, so several tasks can forward streams to one session.
    pub fn into_sink(self) -> SenderSink {
        SenderSink { shared: self.shared, waiting: None, place: SenderPlace::default() }
    }

    /// Whether binary messages can be sent on this session.
    pub fn carries_binary(&self) -> bool {
        self.shared.carries_binary()
    }

    /// Whether a transport holds the session now. A polling transport lets go of it for a moment
    /// with every message.
    pub fn is_attached(&self) -> bool {
        self.shared.is_attached()
    }

    /// Whether the session takes no more messages.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.id()).finish()
    }
}

/// A [`Sink`] for messages to a session: [`Sender::into_sink`].
///
/// It takes a message when the outbound queue has room for it, and holds at most one that waits for
/// room, in line with other senders ([`Session::send`](Session::send)). Flushing waits until
/// that message is queued; dropping the sink drops it. A sink with a waiting message that is no
/// longer polled holds up the senders behind it: drop it. Closing the sink closes the session with
/// 1000 behind what was sent; `send_all` leaves it open, `forward` closes it.
///
/// # Errors
///
/// [`TrySendError`] gives the message back and says why it was not taken: `Full` only for a message
/// that is offered without asking `poll_ready` first.
pub struct SenderSink {
    shared: Arc<Shared>,
    /// The message that found no room.
    waiting: Option<Message>,
    place: SenderPlace,
}

impl SenderSink {
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TrySendError>> {
        let Some(message) = self.waiting.take() else { return Poll::Ready(Ok(())) };
        match self.shared.offer_in_turn(message, &mut self.place, cx) {
            Err(TrySendError::Full(message)) => {
                self.waiting = Some(message);
                Poll::Pending
            }
            outcome => {
                self.shared.leave_line(&mut self.place);
                Poll::Ready(outcome)
            }
        }
    }
}

impl Sink<Message> for SenderSink {
    type Error = TrySendError;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TrySendError>> {
        self.poll_waiting(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), TrySendError> {
        if self.waiting.is_some() {
            return Err(TrySendError::Full(message));
        }
        match self.shared.try_send(message) {
            Err(TrySendError::Full(message)) => self.waiting = Some(message),
            outcome => outcome?,
        }
        Ok(())
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TrySendError>> {
        self.poll_waiting(cx)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TrySendError>> {
        std::task::ready!(self.poll_waiting(cx))?;
        self.shared.close(CloseReason::NORMAL, EndedBy::Application);
        Poll::Ready(Ok(()))
    }
}

impl Drop for SenderSink {
    fn drop(&mut self) {
        self.shared.leave_line(&mut self.place);
    }
}

impl fmt::Debug for SenderSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SenderSink").field(&self.shared.info().id()).finish()
    }
}
