//! Waiting until a client is within its rate again.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Instant;

use tokio::time::Sleep;

/// A timer that exists only while a client is over its rate.
#[derive(Default)]
pub(super) struct RateTimer(Option<Pin<Box<Sleep>>>);

impl RateTimer {
    /// Has the task woken then.
    pub(super) fn wake_at(&mut self, until: Instant, cx: &mut Context<'_>) {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until.into())));
        if sleep.deadline().into_std() != until {
            sleep.as_mut().reset(until.into());
        }
        if sleep.as_mut().poll(cx).is_ready() {
            // It has come meanwhile.
            cx.waker().wake_by_ref();
        }
    }

    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}
