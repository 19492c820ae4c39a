//! Counting slow consumers, and telling the operator of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::tally::Tally;
use crate::{SessionId, clock};

#[derive(Default)]
pub(super) struct SlowConsumers {
    total: AtomicU64,
    report: Mutex<Tally>,
}

impl SlowConsumers {
    /// Counts sessions that were closed, one of which is `session`.
    pub(super) fn closed(&self, count: u64, session: SessionId, topic: Option<&str>) {
        let total = self.total.fetch_add(count, Ordering::Relaxed) + count;
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(closed) = report.add(count, clock::now()) else { return };
        drop(report);
        tracing::warn!(
            closed,
            total,
            %session,
            topic,
            "closed sessions that read more slowly than they were sent to: \
             raise `outbound_bytes` and `outbound_messages` of the endpoint, or publish less"
        );
    }

    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}
