//! What comes from the peer: messages into the session's queue, and pauses while it has no room.

use std::sync::MutexGuard;
use std::task::Context;

use super::Attachment;
use crate::Message;
use crate::budget::{Holder, UNPAUSED};
use crate::clock;
use crate::session::core::{NotAdmitted, Pause};
use crate::session::rate_timer::RateTimer;
use crate::session::shared::{Change, Shared, State};
use crate::wakers::Waiter;

impl Attachment {
    /// Whether the socket may be read now. If not, memory is short and the session holds much
    /// already; `cx` is woken when it may be.
    ///
    /// A session that holds little is read on: its messages are soon answered or gone, and it
    /// should not suffer for others.
    pub(crate) fn may_read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.shared.account().budget().is_short() && !self.ticket.is_taken() {
            return true;
        }
        let budget = self.shared.account().budget();
        if self.shared.held() > UNPAUSED && budget.poll_ease(&mut self.ticket, cx).is_pending() {
            let mut stale = None;
            let mut state = self.shared.lock();
            // It may come to hold less before memory is free.
            state.others.register(self.waiter, cx, &mut stale);
            state.core.reading_paused(Pause::MEMORY);
            drop(state);
            drop(stale);
            return false;
        }
        budget.stop_waiting(&mut self.ticket);
        let mut state = self.shared.lock();
        if state.core.is_reading_paused(Pause::MEMORY) {
            state.core.reading_resumed(clock::now(), &self.shared.limits, Pause::MEMORY);
        }
        true
    }

    /// Something arrived from the peer. Queues its messages for the application; false: there is no
    /// room, or the client is over its rate; they are left where they are, and `cx` is woken when
    /// they may be taken.
    ///
    /// The caller's task polls the application next, and the attachment before it rests: so it is
    /// not woken for either.
    pub(crate) fn hear(&mut self, cx: &mut Context<'_>, messages: &mut Vec<Message>) -> bool {
        let mut state = self.shared.lock();
        // Dropped when the lock is released, behind `push`.
        let _stale = state.attachment.take();
        state.core.heard();
        push(&self.shared, state, self.waiter, &mut self.rate_timer, cx, messages)
    }

    /// Offers messages again that were not taken.
    pub(crate) fn hear_again(&mut self, cx: &mut Context<'_>, messages: &mut Vec<Message>) -> bool {
        let state = self.shared.lock();
        push(&self.shared, state, self.waiter, &mut self.rate_timer, cx, messages)
    }

    /// Queues the client's last messages, room or not: they are in memory already, and the session
    /// ends.
    pub(crate) fn push_last(&self, messages: &mut Vec<Message>) {
        self.shared.with(|state, wakes| {
            state.core.push_last(messages);
            state.changed(Change::Inbound, &self.shared.limits, wakes);
        });
    }

    /// The peer has gone; its last bytes are read on. Called before the session is closed.
    pub(crate) fn expect_rest(&self) {
        self.shared.lock().core.expect_rest();
    }

    /// All of the rest is in, or dropped.
    pub(crate) fn rest_is_in(&self) {
        self.shared.with(|state, wakes| {
            state.core.rest_is_in();
            state.changed(Change::Inbound, &self.shared.limits, wakes);
        });
    }
}

fn push(
    shared: &Shared,
    mut state: MutexGuard<'_, State>,
    waiter: Waiter,
    rate_timer: &mut RateTimer,
    cx: &mut Context<'_>,
    messages: &mut Vec<Message>,
) -> bool {
    if let Err(held) = state.admit(&shared.limits, messages) {
        let mut stale = None;
        match held {
            NotAdmitted::Full => state.core.reading_paused(Pause::ROOM),
            NotAdmitted::OverRate(_) => state.core.reading_paused(Pause::RATE),
        }
        // Also over its rate: a session that closes takes all and drops it.
        state.others.register(waiter, cx, &mut stale);
        drop(state);
        if let NotAdmitted::OverRate(until) = held {
            rate_timer.wake_at(until, cx);
        }
        return false;
    }
    for reason in [Pause::ROOM, Pause::RATE] {
        if state.core.is_reading_paused(reason) {
            state.core.reading_resumed(clock::now(), &shared.limits, reason);
        }
    }
    let application = state.application.take();
    let charge = state.core.due_charge();
    drop(state);
    rate_timer.clear();
    if let Some(application) = application.filter(|waker| !waker.will_wake(cx.waker())) {
        application.wake();
    }
    shared.charge(charge);
    true
}
