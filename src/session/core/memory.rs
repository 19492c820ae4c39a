//! What a session's queues hold, and how it is given back.

use super::{Core, EndedBy};
use crate::protocol::close::CloseReason;

impl Core {
    /// What the queues hold, in bytes, as if they shared no message with others.
    pub(crate) fn held(&self) -> usize {
        self.inbound.held()
            + self.outbound.held()
            + self.latest.as_ref().map_or(0, |latest| latest.held())
    }

    /// What the budget is to count now, or to count no more: since the last time, and nothing if
    /// that is little.
    pub(crate) fn due_charge(&mut self) -> isize {
        self.charges.take(false)
    }

    /// Nobody holds the session any more: drops what it has left. The rest of what the budget is to
    /// count no more.
    pub(crate) fn last_charge(&mut self) -> isize {
        self.drop_inbound();
        self.drop_outbound();
        self.charges.take(true)
    }

    /// Ends the session to have its memory back: in both directions nothing is left.
    pub(crate) fn reclaim(&mut self, reason: CloseReason) {
        self.drop_inbound();
        self.rest_comes = false;
        self.end(reason, EndedBy::Gateway);
    }

    pub(super) fn drop_inbound(&mut self) {
        self.inbound.drain().for_each(|message| self.charges.leave(&message));
    }

    /// How many messages that were.
    pub(super) fn drop_outbound(&mut self) -> usize {
        let dropped = self.outbound.len();
        self.outbound.drain().for_each(|message| self.charges.leave(&message));
        let Some(latest) = self.latest.take() else { return dropped };
        latest.iter().for_each(|message| self.charges.leave(message));
        dropped + latest.len()
    }
}
