//! When messages are due, independently of when earlier ones are answered.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use crate::alarm::Alarm;
use crate::os;

/// One session's due messages, and the way to wake it.
#[derive(Debug, Default)]
pub(super) struct Lane(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    due: VecDeque<u64>,
    waker: Option<Waker>,
}

impl Lane {
    /// Says that a message is due, and wakes the session.
    pub(super) fn push(&self, due: u64) {
        let mut inner = self.inner();
        inner.due.push_back(due);
        let waker = inner.waker.take();
        drop(inner);
        waker.into_iter().for_each(Waker::wake);
    }

    /// The message that is due for the longest time.
    pub(super) fn pop(&self) -> Option<u64> {
        self.inner().due.pop_front()
    }

    /// Has the session woken by the next [`push`](Self::push) or [`wake`](Self::wake).
    pub(super) fn register(&self, cx: &Context<'_>) {
        let mut inner = self.inner();
        match &inner.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => inner.waker = Some(cx.waker().clone()),
        }
    }

    pub(super) fn wake(&self) {
        let waker = self.inner().waker.take();
        waker.into_iter().for_each(Waker::wake);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes `per_second` messages due, evenly in time and in turn over the lanes, until it is dropped.
pub(super) async fn pace(lanes: &[Arc<Lane>], per_second: f64) {
    let start = os::monotonic();
    let mut alarm = Alarm::new();
    for number in 0_u64.. {
        let due = start + (number as f64 / per_second * 1e9) as u64;
        if due > os::monotonic() {
            alarm.wait_until(due).await;
        }
        lanes[number as usize % lanes.len()].push(due);
        // A pacer that lags behind still lets the answers be read.
        if number % 64 == 63 {
            tokio::task::yield_now().await;
        }
    }
}
