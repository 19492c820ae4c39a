//! Waiters for free memory.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::Budget;

/// A waiter's place, if it has one. A cancelled wait must [deregister](Budget::stop_waiting).
#[derive(Debug, Default)]
pub(crate) struct Ticket(Option<NonZeroU64>);

#[derive(Default)]
pub(super) struct Pauses {
    // Held for an entry; waiters are woken after it is released.
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    wakers: HashMap<NonZeroU64, Waker>,
    count: u64,
}

impl Pauses {
    /// All at once: each looks whether memory is short again before it takes any.
    pub(super) fn wake(&self) {
        let wakers = std::mem::take(&mut self.lock().wakers);
        wakers.into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Whether a waiter holds it, or did so a moment ago.
    pub(crate) fn is_taken(&self) -> bool {
        self.0.is_some()
    }
}

impl Budget {
    /// Ready while memory is not short. All calls of a waiter pass the same `ticket`.
    pub(crate) fn poll_ease(&self, ticket: &mut Ticket, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_short() {
            return Poll::Ready(());
        }
        let mut waiting = self.inner.pauses.lock();
        // Under the lock: the task that wakes all waiters clears the flag first, and then takes the
        // lock.
        if !self.inner.short.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        let ticket = *ticket.0.get_or_insert_with(|| {
            waiting.count += 1;
            NonZeroU64::new(waiting.count).expect("it has been counted up")
        });
        waiting.wakers.insert(ticket, cx.waker().clone());
        Poll::Pending
    }

    /// Deregisters a waiter.
    pub(crate) fn stop_waiting(&self, ticket: &mut Ticket) {
        if let Some(ticket) = ticket.0.take() {
            let waker = self.inner.pauses.lock().wakers.remove(&ticket);
            drop(waker);
        }
    }
}
