//! Waiters for changes of a session, and their wakers.
//!
//! A waker that is dropped may drop its task, which may hold the very session. So no waker is
//! dropped under the session's lock: a function that replaces a waker moves the old one to `stale`,
//! which its caller declares before it locks.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

/// Waiters for the same change.
#[derive(Default)]
pub(super) struct Waiters(Vec<(Waiter, Waker)>);

/// The id of a waiter, unique in the process: a task may wait in several places at once, and cancel
/// any of its waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiter(u64);

impl Waiter {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(COUNT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Waiters {
    /// A waiter registers once, however often it is polled.
    pub(super) fn register(
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

    /// Deregisters a cancelled wait; the caller drops its waker after unlocking.
    pub(super) fn leave(&mut self, waiter: Waiter) -> Option<Waker> {
        let at = self.0.iter().position(|(other, _)| *other == waiter)?;
        Some(self.0.swap_remove(at).1)
    }

    pub(super) fn wake(self) {
        self.0.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

/// Senders that wait for room in the outbound queue, first come, first served: a message that needs
/// much room would otherwise wait as long as smaller ones come.
#[derive(Default)]
// Boxed, because in most sessions no sender ever waits.
pub(super) struct Turns(Option<Box<TurnQueue>>);

#[derive(Default)]
struct TurnQueue {
    turns: VecDeque<Turn>,
    /// The sink has had its turn, and was not asked since.
    granted: bool,
}

struct Turn {
    waiter: Waiter,
    /// The bytes of its message.
    bytes: usize,
    /// `None` once it has been woken.
    waker: Option<Waker>,
    is_sink: bool,
}

impl Turns {
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|queue| queue.turns.is_empty())
    }

    /// Whether no sender came before this one.
    pub(super) fn is_first(&self, waiter: Option<Waiter>) -> bool {
        let first = self.0.as_ref().and_then(|queue| queue.turns.front());
        first.is_none_or(|first| Some(first.waiter) == waiter)
    }

    /// Takes the last place for a sender, or keeps the one that it has.
    pub(super) fn register(
        &mut self,
        waiter: Waiter,
        bytes: usize,
        cx: &mut Context<'_>,
        stale: &mut Option<Waker>,
    ) {
        self.place(waiter, bytes, false, cx, stale);
    }

    /// The same for the sink, which needs room for any message.
    pub(super) fn register_sink(
        &mut self,
        waiter: Waiter,
        cx: &mut Context<'_>,
        stale: &mut Option<Waker>,
    ) {
        self.place(waiter, 0, true, cx, stale);
    }

    fn place(
        &mut self,
        waiter: Waiter,
        bytes: usize,
        is_sink: bool,
        cx: &mut Context<'_>,
        stale: &mut Option<Waker>,
    ) {
        let turns = &mut self.0.get_or_insert_default().turns;
        match turns.iter_mut().find(|turn| turn.waiter == waiter) {
            Some(Turn { waker: Some(waker), .. }) => replace(waker, cx, stale),
            Some(Turn { waker, .. }) => *waker = Some(cx.waker().clone()),
            None => {
                turns.push_back(Turn { waiter, bytes, waker: Some(cx.waker().clone()), is_sink })
            }
        }
    }

    /// Deregisters a sender that has had its turn, or was cancelled: the next sender may find room.
    pub(super) fn leave(&mut self, waiter: Waiter) -> Option<Waker> {
        let turns = &mut self.0.as_mut()?.turns;
        let at = turns.iter().position(|turn| turn.waiter == waiter)?;
        turns.remove(at)?.waker
    }

    /// Whether the sink has had its turn since it last asked.
    pub(super) fn take_grant(&mut self) -> bool {
        self.0.as_mut().is_some_and(|queue| std::mem::take(&mut queue.granted))
    }

    /// Wakes the first sender if its message finds room; the next sender is woken after that
    /// sender's turn.
    ///
    /// The sink's turn is over at once: its caller may never ask again, and must not hold up those
    /// behind it.
    pub(super) fn wake_first(&mut self, fits: impl Fn(usize) -> bool, wakes: &mut Wakes) {
        let Some(queue) = &mut self.0 else { return };
        while let Some(first) = queue.turns.front_mut().filter(|first| fits(first.bytes)) {
            wakes.add(&mut first.waker);
            if !first.is_sink {
                return;
            }
            queue.granted = true;
            queue.turns.pop_front();
        }
    }

    fn wake_all(&mut self, wakes: &mut Wakes) {
        let Some(queue) = &mut self.0 else { return };
        queue.turns.drain(..).for_each(|mut turn| wakes.add(&mut turn.waker));
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

    pub(super) fn add_all(&mut self, waiters: &mut Waiters) {
        // As a rule the list is empty, and every message comes here.
        if !waiters.0.is_empty() {
            self.many.extend(waiters.0.drain(..).map(|(_, waker)| waker));
        }
    }

    /// All senders: the session takes no more messages.
    pub(super) fn add_senders(&mut self, senders: &mut Turns) {
        senders.wake_all(self);
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

/// Stores a task's waker in a place for a single waker.
pub(super) fn register(slot: &mut Option<Waker>, cx: &mut Context<'_>, stale: &mut Option<Waker>) {
    match slot {
        Some(waker) => replace(waker, cx, stale),
        None => *slot = Some(cx.waker().clone()),
    }
}

fn replace(waker: &mut Waker, cx: &mut Context<'_>, stale: &mut Option<Waker>) {
    if !waker.will_wake(cx.waker()) {
        debug_assert!(
            stale.is_none(),
            "this place is for one waker, and dropping another here is what it is to prevent"
        );
        *stale = Some(std::mem::replace(waker, cx.waker().clone()));
    }
}
