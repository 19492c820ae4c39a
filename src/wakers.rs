//! Waiters for changes of a state behind a lock, and their wakers.
//!
//! A waker that is dropped may drop its task, which may hold the very owner of the state. So no
//! waker is dropped under the lock: a function that replaces a waker moves the old one to `stale`,
//! which its caller declares before it locks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Waiters for the same change.
#[derive(Default)]
pub(crate) struct Waiters(Vec<(Waiter, Waker)>);

/// The id of a waiter, unique in the process: a task may wait in several places at once, and cancel
/// any of its waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiter(u64);

impl Waiter {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(COUNT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Waiters {
    /// A waiter registers once, however often it is polled.
    pub(crate) fn register(
        &mut self,
        waiter: Waiter,
        cx: &mut Context<'_>,
        stale: &mut Option<Waker>,
    ) {
        match self.0.iter_mut().find(|(other, _)| *other == waiter) {
            Some((_, waker)) => replace(waker, cx, stale),
            None => self.0.push((waiter, cx.waker().clone())),
        }
    }

    /// Registers a waiter that has had no reason to wait so far, or one that has.
    pub(crate) fn wait<T>(
        &mut self,
        waiter: &mut Option<Waiter>,
        cx: &mut Context<'_>,
        stale: &mut Option<Waker>,
    ) -> Poll<T> {
        self.register(*waiter.get_or_insert_with(Waiter::new), cx, stale);
        Poll::Pending
    }

    /// Deregisters a cancelled wait; the caller drops its waker after unlocking.
    pub(crate) fn leave(&mut self, waiter: Waiter) -> Option<Waker> {
        let at = self.0.iter().position(|(other, _)| *other == waiter)?;
        Some(self.0.swap_remove(at).1)
    }

    pub(crate) fn wake(self) {
        self.0.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

/// A wait for a change of a state. Cancelled waits deregister: a stored waker would keep its task's
/// memory.
pub(crate) struct Wait<'s, S> {
    state: &'s Mutex<S>,
    list: fn(&mut S) -> &mut Waiters,
    waiter: Option<Waiter>,
}

impl<'s, S> Wait<'s, S> {
    pub(crate) fn new(state: &'s Mutex<S>, list: fn(&mut S) -> &mut Waiters) -> Self {
        Self { state, list, waiter: None }
    }

    /// For a function that registers the waiter in the same list itself.
    #[cfg(feature = "client")]
    pub(crate) fn waiter(&mut self) -> &mut Option<Waiter> {
        &mut self.waiter
    }

    /// Has the task woken when something has happened.
    pub(crate) fn among<T>(
        &mut self,
        state: &mut S,
        cx: &mut Context<'_>,
        stale: &mut Option<Waker>,
    ) -> Poll<T> {
        (self.list)(state).wait(&mut self.waiter, cx, stale)
    }
}

impl<S> Drop for Wait<'_, S> {
    fn drop(&mut self) {
        // A wait that never registered leaves nothing behind.
        let Some(waiter) = self.waiter else { return };
        // A state that a panic has left half changed still has its waiters.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = (self.list)(&mut state).leave(waiter);
        drop(state);
        drop(waker);
    }
}

/// Wakers taken under the lock, to be called after it.
#[derive(Default)]
pub(crate) struct Wakes {
    one: [Option<Waker>; 2],
    many: Vec<Waker>,
}

impl Wakes {
    pub(crate) fn add(&mut self, waker: &mut Option<Waker>) {
        let Some(waker) = waker.take() else { return };
        match self.one.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(waker),
            None => self.many.push(waker),
        }
    }

    pub(crate) fn add_all(&mut self, waiters: &mut Waiters) {
        // As a rule the list is empty, and every message comes here.
        if !waiters.0.is_empty() {
            waiters.0.drain(..).for_each(|(_, waker)| self.add(&mut Some(waker)));
        }
    }

    pub(crate) fn wake(self) {
        for waker in self.one.into_iter().flatten() {
            waker.wake();
        }
        for waker in self.many {
            waker.wake();
        }
    }
}

/// Stores a task's waker in a place for a single waker.
pub(crate) fn register(slot: &mut Option<Waker>, cx: &mut Context<'_>, stale: &mut Option<Waker>) {
    match slot {
        Some(waker) => replace(waker, cx, stale),
        None => *slot = Some(cx.waker().clone()),
    }
}

pub(crate) fn replace(waker: &mut Waker, cx: &mut Context<'_>, stale: &mut Option<Waker>) {
    if !waker.will_wake(cx.waker()) {
        debug_assert!(
            stale.is_none(),
            "this place is for one waker, and dropping another here is what it is to prevent"
        );
        *stale = Some(std::mem::replace(waker, cx.waker().clone()));
    }
}
