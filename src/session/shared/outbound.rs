//! Messages from the application: admission to the queue, and waiting senders.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::{Change, Shared, State};
use crate::Message;
use crate::session::core::{Cargo, Kept};
use crate::session::queue::Key;
use crate::session::{SendError, TrySendError};
use crate::wakers::{Waiter, Wakes};

impl Shared {
    pub(crate) async fn send(&self, message: Message) -> Result<(), SendError> {
        let mut message = Some(message);
        let mut turn = SenderTurn { session: self, place: SenderPlace::default() };
        poll_fn(|cx| {
            // Empty only when polled again after it was ready, which an async fn never does.
            let Some(offered) = message.take() else { return Poll::Ready(Ok(())) };
            match self.offer_in_turn(offered, &mut turn.place, cx) {
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
    /// task is woken when to try again. All calls of a sender pass the same `place`, which
    /// [leaves the line](Self::leave_line) in the end.
    pub(in crate::session) fn offer_in_turn(
        &self,
        message: Message,
        place: &mut SenderPlace,
        cx: &mut Context<'_>,
    ) -> Result<(), TrySendError> {
        self.offer(message, RoomNeeded::WaitedFor(place, cx))
    }

    /// Gives up a sender's place among those that wait for room.
    pub(in crate::session) fn leave_line(&self, place: &mut SenderPlace) {
        // A sender that never had to wait leaves nothing behind.
        let Some(waiter) = place.waiter.take() else { return };
        let counted = place.counted.take();
        let mut wakes = Wakes::default();
        let mut state = self.lock();
        let stale = state.senders.leave(waiter);
        if let Some(cargo) = &counted {
            state.core.cargo_gone(cargo);
        }
        // The next sender may need less.
        state.changed(Change::OutboundRoom, &self.limits, &mut wakes);
        let charge = state.core.due_charge();
        drop(state);
        drop((stale, counted));
        wakes.wake();
        self.charge(charge);
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
            RoomNeeded::WaitedFor(place, _) => {
                state.senders.is_first(place.waiter)
                    && state.core.has_space(&self.limits, message.len())
            }
        };
        if !admitted {
            if let RoomNeeded::WaitedFor(place, cx) = room {
                let waiter = *place.waiter.get_or_insert_with(Waiter::new);
                state.senders.register(waiter, message.len(), cx, &mut stale);
                place.count(&mut state, &message);
            }
            let charge = state.core.due_charge();
            drop(state);
            self.charge(charge);
            return Err(TrySendError::Full(message));
        }
        if let RoomNeeded::WaitedFor(place, _) = room {
            // Before the queue counts it: a message in two places is counted with its line.
            place.uncount(&mut state);
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
    WaitedFor(&'a mut SenderPlace, &'a mut Context<'w>),
    /// Nothing more.
    Promised,
}

/// A sender's place among those that wait for room, from when it first had to wait, and its message,
/// which counts as the session's meanwhile.
#[derive(Default)]
pub(in crate::session) struct SenderPlace {
    waiter: Option<Waiter>,
    counted: Option<Cargo>,
}

impl SenderPlace {
    fn count(&mut self, state: &mut State, message: &Message) {
        if self.counted.is_none() {
            let cargo = Cargo::Shared(message.clone());
            state.core.cargo_leaves(&cargo);
            self.counted = Some(cargo);
        }
    }

    /// The caller has a handle of the message, so that none is freed under the lock.
    fn uncount(&mut self, state: &mut State) {
        if let Some(cargo) = self.counted.take() {
            state.core.cargo_gone(&cargo);
        }
    }
}

/// The place of a [`send`](Shared::send). Dropping it gives the place up.
struct SenderTurn<'s> {
    session: &'s Shared,
    place: SenderPlace,
}

impl Drop for SenderTurn<'_> {
    fn drop(&mut self) {
        self.session.leave_line(&mut self.place);
    }
}
