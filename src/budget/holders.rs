//! Holders of memory, which can be ended to free it.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use slab::Slab;

/// A holder of a budget's memory.
pub(crate) trait Holder: Send + Sync {
    /// The bytes that it holds.
    fn held(&self) -> usize;
    /// Gives everything back, now or as soon as its task runs; it held `bytes` a moment ago. False:
    /// it has been ended before.
    fn end(self: Arc<Self>, bytes: usize) -> bool;
}

/// All holders of a budget.
#[derive(Default)]
pub(super) struct Holders {
    // Taken last of all locks: nothing is called and no holder is dropped under it.
    entries: Mutex<Slab<Weak<dyn Holder>>>,
}

/// Holders that are looked at under one lock: others come and go meanwhile.
const PORTION: usize = 256;

impl Holders {
    pub(super) fn enter(&self, holder: Weak<dyn Holder>) -> usize {
        self.lock().insert(holder)
    }

    pub(super) fn leave(&self, key: usize) {
        let entry = self.lock().try_remove(key);
        drop(entry);
    }

    /// Ends the largest holders in turn while `too_much` says so, and returns their number.
    ///
    /// A single walk finds the large holders, however many are ended then. It is rare; a sorted
    /// list would cost every message.
    pub(super) fn end_largest(&self, too_much: impl Fn() -> bool) -> u64 {
        let mut largest = self.weighed();
        largest.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
        let mut ended = 0;
        for (bytes, holder) in largest {
            if !too_much() {
                break;
            }
            if let Some(holder) = holder.upgrade() {
                ended += u64::from(holder.end(bytes));
            }
        }
        ended
    }

    fn weighed(&self) -> Vec<(usize, Weak<dyn Holder>)> {
        let mut weighed = Vec::new();
        let mut from = 0;
        loop {
            let (portion, all) = {
                let entries = self.lock();
                let portion = (from..from + PORTION).filter_map(|key| entries.get(key)?.upgrade());
                (portion.collect::<Vec<Arc<dyn Holder>>>(), entries.capacity())
            };
            weighed.extend(portion.iter().map(|holder| (holder.held(), Arc::downgrade(holder))));
            from += PORTION;
            if from >= all {
                return weighed;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Weak<dyn Holder>>> {
        // Entries are whole between two statements.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
