//! Bytes of a session that its transport holds.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::shared::Shared;
use crate::budget::{Holder, Ticket, UNPAUSED};

/// The bytes of one session that a transport holds on their way, in and out, as the budget counts
/// them. Dropping it releases them.
pub(crate) struct Buffered {
    session: Arc<Shared>,
    bytes: usize,
}

/// Less than this, more or less, is not worth telling: so small messages touch nothing that other
/// sessions use.
const WORTH_TELLING: usize = 4 * 1024;

impl Buffered {
    pub(crate) fn of(session: &Arc<Shared>) -> Self {
        Self { session: Arc::clone(session), bytes: 0 }
    }

    /// Sets the bytes held now. May end sessions, so the caller holds no session's lock.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes.abs_diff(self.bytes) >= WORTH_TELLING {
            self.tell(bytes);
        }
    }

    fn tell(&mut self, bytes: usize) {
        self.session.account().add(bytes.cast_signed() - self.bytes.cast_signed());
        self.bytes = bytes;
    }
}

/// Whether a body of a session may be read on. Dropping it deregisters the wait.
pub(crate) struct ReadingPause<'s> {
    session: &'s Shared,
    ticket: Ticket,
}

impl<'s> ReadingPause<'s> {
    pub(crate) fn of(session: &'s Shared) -> Self {
        Self { session, ticket: Ticket::default() }
    }

    /// Ready while memory is not short, or the session holds little of it.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let budget = self.session.account().budget();
        if budget.is_short() && self.session.held() > UNPAUSED {
            budget.poll_ease(&mut self.ticket, cx)
        } else {
            Poll::Ready(())
        }
    }
}

impl Drop for ReadingPause<'_> {
    fn drop(&mut self) {
        self.session.account().budget().stop_waiting(&mut self.ticket);
    }
}

impl Drop for Buffered {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.tell(0);
        }
    }
}
