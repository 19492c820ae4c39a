//! The tasks of sessions: a drain waits for them, so that last frames and handlers come to their
//! end.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::sync::Notify;

/// Counts the tasks of an endpoint's sessions that run.
#[derive(Clone, Default)]
pub(crate) struct Works(Arc<Count>);

#[derive(Default)]
struct Count {
    running: AtomicUsize,
    idle: Notify,
}

impl Works {
    /// One more task, until it is dropped.
    pub(crate) fn begin(&self) -> Work {
        self.0.running.fetch_add(1, Ordering::Relaxed);
        Work(self.clone())
    }

    pub(crate) fn running(&self) -> usize {
        self.0.running.load(Ordering::Acquire)
    }

    /// Resolves when no task runs.
    pub(crate) async fn idle(&self) {
        loop {
            let mut idle = pin!(self.0.idle.notified());
            // Before the look, or the last task could end between the two.
            idle.as_mut().enable();
            if self.running() == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// A task's place in the count.
pub(crate) struct Work(Works);

impl Work {
    /// The same future, counted until it is dropped. It costs a pointer beside the future, where an
    /// `async` block would hold the future's arguments twice.
    pub(crate) fn during<F>(self, work: F) -> During<F> {
        During { work, _counted: self }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let Works(count) = &self.0;
        if count.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            count.idle.notify_waiters();
        }
    }
}

pin_project! {
    /// A counted future.
    pub(crate) struct During<F> {
        #[pin]
        work: F,
        _counted: Work,
    }
}

impl<F: Future> Future for During<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().work.poll(cx)
    }
}
