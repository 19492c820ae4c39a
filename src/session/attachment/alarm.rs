//! The timer of an attachment.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::time::Sleep;

/// An attachment's one timer. Traffic does not move it: when it fires, the core tells the next
/// deadline.
pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// The waker that tokio's timer has. Comparing it here takes less time than polling the timer
    /// again.
    asked: Option<Waker>,
}

impl Alarm {
    pub(super) fn at(due: Instant) -> Self {
        Self { sleep: Box::pin(tokio::time::sleep_until(due.into())), asked: None }
    }

    /// Ready at an earlier deadline, which may be before `due`; after that, `due` is the deadline.
    pub(super) fn poll_by(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.sleep.is_elapsed() {
            self.set(due);
        }
        self.bring_forward(due);
        self.poll(cx)
    }

    /// Ready at `due`.
    pub(super) fn poll_at(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        self.set(due);
        self.poll(cx)
    }

    pub(super) fn bring_forward(&mut self, due: Instant) {
        if due < self.sleep.deadline().into_std() {
            self.set(due);
        }
    }

    /// The task of the earlier deadline is woken at this one, unless the timer has fired.
    fn set(&mut self, due: Instant) {
        self.sleep.as_mut().reset(due.into());
        self.asked = None;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.sleep.is_elapsed()
            && self.asked.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            return Poll::Pending;
        }
        // Without budget the timer is not even looked at.
        let has_budget = tokio::task::coop::has_budget_remaining();
        let fired = self.sleep.as_mut().poll(cx);
        self.asked = (fired.is_pending() && has_budget).then(|| cx.waker().clone());
        fired
    }
}
