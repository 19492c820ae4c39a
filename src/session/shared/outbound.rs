//! Messages from the application: admission to the queue, and waiting senders.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::{Change, Shared};
use crate::Message;
use crate::session::core::Kept;
use crate::session::queue::Key;
use crate::session::wakers::{Waiter, Wakes};
use crate::session::{SendError, TrySendError};

impl Shared {
    pub(crate) async fn send(&self, message: Message) -> Result<(), SendError> {
        let mut message = Some(message);
        let mut turn = SenderTurn { session: self, waiter: None };
        poll_fn(|cx| {
            // Empty only when polled again after it was ready, which an async fn never does.
            let Some(offered) = message.take() else { return Poll::Ready(Ok(())) };
            match self.offer_in_turn(offered, &mut turn.waiter, cx) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(TrySendError::Closed(message)) => Poll::Ready(Err(SendError::Closed(message))),
                Err(TrySendError::NotCarried(message)) => {
                    Poll::Ready(Err(SendError::NotCarried(message)))
                }
                Err(TrySendError::TooLarge(message)) => {
                    Poll::Ready(Err(SendError::TooLarge(message)))
                }
                Err(TrySendError::Full(refused)) => {
                    message = Some(refused);
                    Poll::Pending
                }
            }
        })
        .await
    }

    pub(crate) fn try_send(&self, message: Message) -> Result<(), TrySendError> {
        self.offer(message, RoomNeeded::Now)
    }

    /// Queues a message if there is room and it is this sender's turn; else it is `Full`, and the
    /// task is woken when to try again. All calls of a waiter pass the same `waiter`, which
    /// [leaves the line](Self::leave_line) in the end.
    pub(in crate::session) fn offer_in_turn(
        &self,
        message: Message,
        waiter: &mut Option<Waiter>,
        cx: &mut Context<'_>,
    ) -> Result<(), TrySendError> {
        self.offer(message, RoomNeeded::WaitedFor(waiter, cx))
    }

    /// Gives up a sender's place among those that wait for room.
    pub(in crate::session) fn leave_line(&self, waiter: Waiter) {
        let mut wakes = Wakes::default();
        let mut state = self.lock();
        let stale = state.senders.leave(waiter);
        // The next sender may need less.
        state.changed(Change::OutboundRoom, &self.limits, &mut wakes);
        drop(state);
        drop(stale);
        wakes.wake();
    }

    /// As [`try_send`](Self::try_send), also while senders wait for more room than there is.
    ///
    /// For publications, which close a session without room. They can't keep a sender waiting
    /// forever: if they come faster than the client reads, they fill the queue; if more slowly,
    /// they leave room.
    pub(crate) fn try_send_past_senders(&self, message: Message) -> Result<(), TrySendError> {
        self.offer(message, RoomNeeded::NowPastSenders)
    }

    /// Queues a message for which [`poll_space`](Self::poll_space) has said that there is room,
    /// however large it turns out to be up to the whole queue, and whatever other senders have sent
    /// meanwhile.
    pub(crate) fn send_promised(&self, message: Message) -> Result<(), TrySendError> {
        self.offer(message, RoomNeeded::Promised)
    }

    /// Ready when there is room for a message; all calls of a waiter pass the same `waiter`.
    pub(in crate::session) fn poll_space(
        &self,
        waiter: &mut Option<Waiter>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let mut stale = None;
        let mut wakes = Wakes::default();
        let mut state = self.lock();
        if !state.core.is_open() || state.senders.take_grant() {
            return Poll::Ready(());
        }
        if !state.senders.is_first(*waiter) || !state.core.has_space(&self.limits, 0) {
            state.senders.register_sink(*waiter.get_or_insert_with(Waiter::new), cx, &mut stale);
            return Poll::Pending;
        }
        if let Some(waiter) = *waiter {
            stale = state.senders.leave(waiter);
            state.changed(Change::OutboundRoom, &self.limits, &mut wakes);
        }
        drop(state);
        drop(stale);
        wakes.wake();
        Poll::Ready(())
    }

    /// Queues a message if there is room, also while senders wait for more; else it waits behind
    /// the queue, as the newest of its key.
    pub(crate) fn send_latest(&self, key: Key, message: Message) -> Result<Kept, TrySendError> {
        let message = self.carries.accept(message)?;
        if message.len() > self.limits.outbound.bytes {
            return Err(TrySendError::TooLarge(message));
        }
        let mut state = self.lock();
        if !state.core.is_open() {
            return Err(TrySendError::Closed(message));
        }
        let kept = state.core.send_latest(&self.limits, key, message);
        // The attachment of a full queue has been woken.
        let attachment = if kept == Kept::Queued { state.attachment.take() } else { None };
        let charge = state.core.due_charge();
        drop(state);
        if let Some(attachment) = attachment {
            attachment.wake();
        }
        self.charge(charge);
        Ok(kept)
    }

    fn offer(&self, message: Message, room: RoomNeeded<'_, '_>) -> Result<(), TrySendError> {
        let message = self.carries.accept(message)?;
        if message.len() > self.limits.outbound.bytes {
            return Err(TrySendError::TooLarge(message));
        }
        let mut stale = None;
        let mut state = self.lock();
        if !state.core.is_open() {
            return Err(TrySendError::Closed(message));
        }
        let admitted = match &room {
            RoomNeeded::Promised => true,
            RoomNeeded::NowPastSenders => state.core.has_space(&self.limits, message.len()),
            RoomNeeded::Now => {
                state.senders.is_empty() && state.core.has_space(&self.limits, message.len())
            }
            RoomNeeded::WaitedFor(waiter, _) => {
                state.senders.is_first(**waiter)
                    && state.core.has_space(&self.limits, message.len())
            }
        };
        if !admitted {
            if let RoomNeeded::WaitedFor(waiter, cx) = room {
                let waiter = *waiter.get_or_insert_with(Waiter::new);
                state.senders.register(waiter, message.len(), cx, &mut stale);
            }
            return Err(TrySendError::Full(message));
        }
        state.core.send(message);
        let attachment = state.attachment.take();
        let charge = state.core.due_charge();
        drop(state);
        if let Some(attachment) = attachment {
            attachment.wake();
        }
        self.charge(charge);
        Ok(())
    }
}

/// The room that a message needs in the outbound queue.
enum RoomNeeded<'a, 'w> {
    /// Room now, and no waiting sender, which it would pass.
    Now,
    /// Room now.
    NowPastSenders,
    /// Room in its turn. If there is none, the task is to be woken when there may be.
    WaitedFor(&'a mut Option<Waiter>, &'a mut Context<'w>),
    /// Nothing more.
    Promised,
}

/// A sender's place among those that wait for room, from when it first had to wait. Dropping it
/// gives the place up.
struct SenderTurn<'s> {
    session: &'s Shared,
    waiter: Option<Waiter>,
}

impl Drop for SenderTurn<'_> {
    fn drop(&mut self) {
        // A sender that never had to wait leaves nothing behind.
        if let Some(waiter) = self.waiter {
            self.session.leave_line(waiter);
        }
    }
}
