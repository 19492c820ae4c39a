//! The memory of a session's queues: counted here, reported by its holder.

use crate::Message;

/// Bytes not yet reported to the budget.
#[derive(Debug, Default)]
pub(super) struct Charges {
    /// The budget, by the id that messages know.
    budget: u32,
    owed: isize,
}

/// Less than this is not worth telling, so that a message that comes and goes touches nothing that
/// other sessions use. A session's fixed cost has room for it.
const WORTH_TELLING: usize = 1024;

impl Charges {
    pub(super) fn of(budget: u32) -> Self {
        Self { budget, owed: 0 }
    }

    pub(super) fn enter(&mut self, message: &Message) {
        self.owed += message.enter(self.budget).cast_signed();
    }

    pub(super) fn leave(&mut self, message: &Message) {
        self.owed -= message.leave(self.budget).cast_signed();
    }

    /// Bytes that are no message's in a queue.
    pub(super) fn add(&mut self, bytes: usize) {
        self.owed += bytes.cast_signed();
    }

    pub(super) fn remove(&mut self, bytes: usize) {
        self.owed -= bytes.cast_signed();
    }

    /// The bytes to report now: none when they are few, unless it is the last report.
    pub(super) fn take(&mut self, last: bool) -> isize {
        if last || self.owed.unsigned_abs() >= WORTH_TELLING {
            std::mem::take(&mut self.owed)
        } else {
            0
        }
    }
}
