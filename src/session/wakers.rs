//! Who waits for a session, and is to be woken.

use std::task::{Context, Waker};

/// Tasks that wait for the same thing.
#[derive(Default)]
pub(super) struct Waiting(Vec<Waker>);

impl Waiting {
    /// A task stands here once, however often it asks: a `select!` loop that drops its `send` each turn must not grow the list.
    pub(super) fn register(&mut self, cx: &mut Context<'_>) {
        if !self.0.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.0.push(cx.waker().clone());
        }
    }

    pub(super) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
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
        if !waiting.0.is_empty() {
            self.many.append(&mut waiting.0);
        }
    }

    pub(super) fn wake(self) {
        self.one.into_iter().flatten().chain(self.many).for_each(Waker::wake);
    }
}

/// Puts a task into a place that has room for one.
pub(super) fn register(slot: &mut Option<Waker>, cx: &mut Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        _ => *slot = Some(cx.waker().clone()),
    }
}
