//! Counting slow consumers, and telling the operator of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::SessionId;
use crate::tally::Tally;

pub(super) struct SlowConsumers {
    total: Arc<AtomicU64>,
    report: Tally<Slow>,
}

/// An example session, and the topic that it subscribed to, if any.
struct Slow {
    session: SessionId,
    topic: Option<Arc<str>>,
}

impl Default for SlowConsumers {
    fn default() -> Self {
        let total = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&total);
        let report = Tally::new(move |closed, Slow { session, topic }| {
            tracing::warn!(
                closed,
                total = counted.load(Ordering::Relaxed),
                %session,
                topic = topic.as_deref(),
                "closed sessions that read more slowly than they were sent to: \
                 raise `outbound_bytes` and `outbound_messages` of the endpoint, or publish less"
            );
        });
        Self { total, report }
    }
}

impl SlowConsumers {
    /// Counts sessions that were closed, `session` among them.
    pub(super) fn closed(&self, count: u64, session: SessionId, topic: Option<&str>) {
        self.total.fetch_add(count, Ordering::Relaxed);
        self.report.add(count, Slow { session, topic: topic.map(Into::into) });
    }

    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}
