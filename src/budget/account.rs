//! A holder's account with a budget.

use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Budget, Holder, signed};

/// A session that holds no more than this is read also when memory is short: its messages go
/// through while others wait.
pub(crate) const UNPAUSED: usize = 64 * 1024;

/// A holder's place in a budget, and its bytes outside queues.
pub(crate) struct Account {
    budget: Budget,
    key: usize,
    /// With [`LEAVING`].
    held: AtomicUsize,
}

/// The holder has been ended: its memory is about to be released, and no other holder may be ended
/// for it.
const LEAVING: usize = 1 << (usize::BITS - 1);

impl Account {
    /// Enters a holder that holds `fixed` as long as it lives. Locks may be held: it ends no
    /// session.
    pub(crate) fn new(budget: &Budget, holder: Weak<dyn Holder>, fixed: usize) -> Self {
        budget.charge_quietly(signed(fixed));
        Self {
            key: budget.inner.holders.enter(holder),
            budget: budget.clone(),
            held: AtomicUsize::new(fixed),
        }
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The bytes held outside the queues.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed) & !LEAVING
    }

    /// Counts more of it, or less. No lock of a session or of a registry is held.
    pub(crate) fn add(&self, bytes: isize) {
        let before = self.held.fetch_add(bytes.cast_unsigned(), Ordering::SeqCst);
        if before & LEAVING != 0 {
            self.budget.inner.leaving.fetch_add(bytes, Ordering::SeqCst);
        }
        self.budget.charge(bytes);
    }

    /// A holder that has been ended holds so many bytes of what is counted already.
    pub(crate) fn take_over(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::SeqCst);
        self.budget.inner.leaving.fetch_add(signed(bytes), Ordering::SeqCst);
    }

    /// Marks the holder as ended: its memory counts as released. False when it was ended before.
    pub(crate) fn end(&self) -> bool {
        let before = self.held.fetch_or(LEAVING, Ordering::SeqCst);
        if before & LEAVING != 0 {
            return false;
        }
        self.budget.inner.leaving.fetch_add(signed(before), Ordering::SeqCst);
        true
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.budget.inner.holders.leave(self.key);
        let rest = *self.held.get_mut();
        if rest & LEAVING != 0 {
            self.budget.inner.leaving.fetch_sub(signed(rest & !LEAVING), Ordering::SeqCst);
        }
        // Quietly: the last handle may be dropped under a lock, and a release ends no session.
        self.budget.charge(-signed(rest & !LEAVING));
    }
}

/// Memory that counts in a [`Budget`] as long as this lives.
#[derive(Debug)]
#[must_use = "dropping it gives the memory back"]
pub struct Held {
    budget: Budget,
    bytes: usize,
}

impl Held {
    pub(super) fn new(budget: Budget, bytes: usize) -> Self {
        budget.charge(signed(bytes));
        Self { budget, bytes }
    }

    /// Counts so many bytes from now on. Sessions may be ended for it, so call it where no lock is
    /// held that a handler or a backplane takes.
    pub fn set(&mut self, bytes: usize) {
        if self.bytes != bytes {
            self.budget.charge(signed(bytes) - signed(self.bytes));
            self.bytes = bytes;
        }
    }

    /// The same under locks: no session is ended for it, but by the next charge of another holder.
    pub fn set_quietly(&mut self, bytes: usize) {
        self.budget.charge_quietly(signed(bytes) - signed(self.bytes));
        self.bytes = bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.charge(-signed(self.bytes));
    }
}
