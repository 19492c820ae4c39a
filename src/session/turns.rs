//! The senders that wait for room, in the order they came.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use crate::wakers::{Waiter, Wakes, replace};

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

    /// All senders: the session takes no more messages.
    pub(super) fn wake_all(&mut self, wakes: &mut Wakes) {
        let Some(queue) = &mut self.0 else { return };
        queue.turns.drain(..).for_each(|mut turn| wakes.add(&mut turn.waker));
    }
}
