//! State that a connection and its transport's task share: two bounded queues, and the end.

mod inbound;
pub(super) mod outbound;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::error::{End, EndedBy};
use crate::CloseReason;
use crate::session::{Queue, QueueLimit};
use crate::wakers::{Wait, Waiter, Waiters, Wakes};

/// The limits of a connection's queues and payloads.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkLimits {
    pub(super) inbound: QueueLimit,
    pub(super) outbound: QueueLimit,
    /// Bytes of one payload.
    pub(super) payload_size: usize,
    /// Messages of one payload.
    pub(super) messages_per_payload: usize,
}

/// How a transport writes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PayloadFormat {
    /// Text, as JSON.
    Json,
    /// Text and bytes as they are.
    Plain,
}

/// One mutex, held for a push or a pop and never across an await; wakers are called after it was
/// released.
pub(super) struct Link {
    limits: LinkLimits,
    format: PayloadFormat,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    inbound: Queue,
    outbound: Queue,
    /// Messages of the payload whose answer is awaited.
    in_flight: usize,
    /// The application wants to leave once `outbound` is empty.
    leaving: Option<CloseReason>,
    end: Option<End>,
    /// The application has dropped its connection: no message can be received any more.
    abandoned: bool,
    /// The application waits for a message.
    receivers: Waiters,
    /// Senders, and waiters for the last message's arrival or for the end.
    others: Waiters,
    /// The transport's receiving side waits for room.
    downlink: Waiters,
    /// The transport's sending side waits for messages, or for the wish to leave.
    uplink: Waiters,
}

impl Link {
    pub(super) fn new(limits: LinkLimits, format: PayloadFormat) -> Self {
        Self { limits, format, state: Mutex::default() }
    }

    /// No more messages are taken; queued ones are still sent. The first reason counts.
    pub(super) fn leave(&self, reason: CloseReason) {
        self.with(|state, wakes| {
            state.leaving.get_or_insert(reason);
            wakes.add_all(&mut state.uplink);
            wakes.add_all(&mut state.others);
        });
    }

    /// The connection has ended, or ended before. Messages received and not yet taken stay; unsent
    /// messages are counted.
    pub(super) fn end(&self, reason: CloseReason, by: EndedBy) -> End {
        self.with(|state, wakes| {
            if let Some(end) = &state.end {
                return end.clone();
            }
            let end = End { reason, by, undelivered: state.undelivered() };
            state.outbound.clear();
            state.end = Some(end.clone());
            wakes.add_all(&mut state.others);
            wakes.add_all(&mut state.receivers);
            end
        })
    }

    /// The application receives no more, even if it keeps a sender.
    pub(super) fn abandon(&self) {
        let freed_after_unlocking = self.with(|state, _| {
            state.abandoned = true;
            std::mem::take(&mut state.inbound)
        });
        drop(freed_after_unlocking);
    }

    pub(super) async fn ended(&self) -> End {
        let mut wait = self.wait(|state| &mut state.others);
        std::future::poll_fn(|cx| self.poll_end(wait.waiter(), cx)).await
    }

    /// All calls of a waiter pass the same `waiter`, here and below.
    pub(super) fn poll_end(&self, waiter: &mut Option<Waiter>, cx: &mut Context<'_>) -> Poll<End> {
        let mut stale = None;
        let mut state = self.state();
        match &state.end {
            Some(end) => Poll::Ready(end.clone()),
            None => state.others.wait(waiter, cx, &mut stale),
        }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.state().end.is_some()
    }

    pub(super) fn is_closed(&self) -> bool {
        !self.state().takes_messages()
    }

    /// Runs `change` under the lock, then wakes the waiters that it has added to the `Wakes`.
    fn with<T>(&self, change: impl FnOnce(&mut State, &mut Wakes) -> T) -> T {
        let mut wakes = Wakes::default();
        let result = change(&mut self.state(), &mut wakes);
        wakes.wake();
        result
    }

    /// A wait among the waiters of a list.
    fn wait(&self, list: fn(&mut State) -> &mut Waiters) -> Wait<'_, State> {
        Wait::new(&self.state, list)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock can panic half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn takes_messages(&self) -> bool {
        self.leaving.is_none() && self.end.is_none()
    }

    fn undelivered(&self) -> usize {
        self.outbound.len() + self.in_flight
    }
}

#[cfg(test)]
mod tests;
