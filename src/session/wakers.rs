//! Who waits for a session, and is to be woken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

/// Those who wait for the same thing.
#[derive(Default)]
pub(super) struct Waiting(Vec<(Waiter, Waker)>);

/// One who waits, among all in the process: a task may wait in several places at once, and give up in one of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiter(u64);

impl Waiter {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(COUNT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Waiting {
    /// Each stands here once, however often it asks.
    pub(super) fn register(&mut self, waiter: Waiter, cx: &mut Context<'_>) {
        match self.0.iter_mut().find(|(other, _)| *other == waiter) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => self.0.push((waiter, cx.waker().clone())),
        }
    }

    /// Forgets one who has given up; its waker is dropped best where no lock is held.
    pub(super) fn leave(&mut self, waiter: Waiter) -> Option<Waker> {
        let at = self.0.iter().position(|(other, _)| *other == waiter)?;
        Some(self.0.swap_remove(at).1)
    }

    pub(super) fn wake(self) {
        self.0.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

/// Wakers taken under the lock, to be called after it.
#[derive(Default)]
pub(super) struct Wakes {
    one: [Option<Waker>; 2],
    many: Vec<Waker>,
}

impl Wakes {
    pub(super) fn add(&mut self, waker: &mut Option<Waker>) {
        let Some(waker) = waker.take() else { return };
        match self.one.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(waker),
            None => self.many.push(waker),
        }
    }

    pub(super) fn add_all(&mut self, waiting: &mut Waiting) {
        // As a rule nobody waits, and this is asked for every message.
        if !waiting.0.is_empty() {
            self.many.extend(waiting.0.drain(..).map(|(_, waker)| waker));
        }
    }

    pub(super) fn wake(self) {
        for waker in self.one.into_iter().flatten() {
            waker.wake();
        }
        for waker in self.many {
            waker.wake();
        }
    }
}

/// Puts a task into a place that has room for one.
pub(super) fn register(slot: &mut Option<Waker>, cx: &mut Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        _ => *slot = Some(cx.waker().clone()),
    }
}
