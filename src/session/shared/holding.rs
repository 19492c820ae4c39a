//! A session as a holder of the process's memory.

use std::sync::{Arc, PoisonError};

use super::written::shut;
use super::{Change, Shared};
use crate::budget::Holder;
use crate::protocol::close::CloseReason;

impl Shared {
    /// Reports a change of the queues' memory to the budget. It may end sessions, also this one, so
    /// the caller holds no session's lock.
    pub(in crate::session) fn charge(&self, bytes: isize) {
        if bytes != 0 {
            self.account.budget().charge(bytes);
        }
    }
}

impl Holder for Shared {
    fn held(&self) -> usize {
        self.account.held() + self.lock().core.held()
    }

    fn end(self: Arc<Self>, bytes: usize) -> bool {
        if !self.account.end() {
            return false;
        }
        tracing::warn!(
            session = %self.info.id(),
            transport = self.info.transport(),
            peer = self.info.peer().map(tracing::field::display),
            bytes,
            limit = self.account.budget().limit(),
            "session ended: memory is full, and it held the most (`--memory`, `Budget::set_limit`)"
        );
        let mut stuck = Vec::new();
        self.with(|state, wakes| {
            let flying = state.core.reclaim(CloseReason::TOO_MUCH_HELD);
            // Under the lock: from now on the account releases these bytes.
            self.account.take_over(flying);
            stuck = state.connections.all();
            // Its socket may take nothing, and is aborted all the same.
            state.changed(Change::Outbound, &self.limits, wakes);
            state.changed(Change::Inbound, &self.limits, wakes);
        });
        // Unwritten bytes are dropped only with their connection.
        shut(&stuck);
        true
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let charge =
            self.state.get_mut().unwrap_or_else(PoisonError::into_inner).core.last_charge();
        self.charge(charge);
    }
}
