//! The application's side of a session.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::protocol::close::CloseReason;
use crate::session::{EndedBy, Session, Shared};

/// An application, which runs for each session.
///
/// Every `Fn(Session) -> impl Future<Output = ()>` is a handler. The future runs in a task of its
/// own (over WebSocket, in the connection's task), so it must not block the thread. A panic in it
/// closes its session with 1011 and touches no other.
///
/// # Ordering
///
/// Everything up to the future's first wait is done before the client sees the open frame: a topic
/// that it joins there gives the client all messages published from then on. A WebSocket without
/// frames has no open frame; its client may be connected a moment before.
pub trait Handler: Send + Sync + 'static {
    /// Starts the application for a new session.
    fn handle(&self, session: Session) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

impl<F, Fut> Handler for F
where
    F: Fn(Session) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    fn handle(&self, session: Session) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self(session))
    }
}

/// A handler at work, whose panics end its own session only.
pub(crate) struct Contained {
    // Started inside the first poll: a handler may panic before its future exists.
    work: Work,
    shared: Arc<Shared>,
}

enum Work {
    Ready(Arc<dyn Handler>),
    Running(Pin<Box<dyn Future<Output = ()> + Send>>),
    Done,
}

impl Contained {
    pub(crate) fn new(handler: Arc<dyn Handler>, shared: Arc<Shared>) -> Self {
        Self { work: Work::Ready(handler), shared }
    }

    /// Runs in a task of its own. The first poll happens here: everything up to the handler's first
    /// wait must be done before its client hears that the session is open.
    pub(crate) fn start(mut self) {
        // The task polls the future again, and so registers its own waker.
        if Pin::new(&mut self).poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            tokio::spawn(self);
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Work::Ready(handler) = &self.work {
            let session = Session::new(Arc::clone(&self.shared));
            self.work = Work::Running(handler.handle(session));
        }
        match &mut self.work {
            Work::Running(future) => future.as_mut().poll(cx),
            Work::Ready(_) | Work::Done => Poll::Ready(()),
        }
    }
}

impl Future for Contained {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // State that a panic leaves behind is dropped here, and no code sees it: the session itself
        // is behind a lock that no handler holds.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.step(cx)));
        let Ok(Poll::Pending) = outcome else {
            if let Err(panic) = outcome {
                tracing::error!(session = %self.shared.info().id(), panic = text(&*panic), "the handler panicked; its session closes with 1011");
                self.shared.close(CloseReason::HANDLER_FAILED, EndedBy::Application);
            }
            self.work = Work::Done;
            return Poll::Ready(());
        };
        Poll::Pending
    }
}

fn text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without text")
}
