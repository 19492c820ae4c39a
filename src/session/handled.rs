//! Sessions that are dropped by their handlers: how such a session ends depends on the handler's
//! outcome, which is known only when the handler's poll has returned.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

use super::shared::Shared;

/// The session whose handler is polled on this thread.
#[derive(Clone, Copy)]
struct Handled {
    /// Compared, and never followed.
    session: *const Shared,
    /// The handler has dropped it during this poll.
    left: bool,
}

thread_local! {
    static HANDLED: Cell<Handled> = const { Cell::new(Handled { session: ptr::null(), left: false }) };
}

/// Polls a session's handler. True: the handler has dropped its [`Session`](super::Session)
/// meanwhile, and the caller is to [abandon](Shared::abandon) it.
///
/// `poll` must not unwind.
pub(crate) fn while_handled<T>(session: *const Shared, poll: impl FnOnce() -> T) -> (T, bool) {
    // A handler may poll another handler: one that calls a gateway in memory does.
    let outer = HANDLED.replace(Handled { session, left: false });
    let result = poll();
    let inner = HANDLED.replace(outer);
    (result, inner.left)
}

/// Whether the session is dropped within its handler's poll, whose caller then ends it.
pub(super) fn leaves_to_handler(session: &Arc<Shared>) -> bool {
    let handled = HANDLED.get();
    let within = ptr::eq(handled.session, Arc::as_ptr(session));
    if within {
        HANDLED.set(Handled { left: true, ..handled });
    }
    within
}
