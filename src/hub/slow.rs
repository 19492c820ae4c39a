//! Counting slow consumers, and telling the operator without flooding the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{SessionId, clock};

/// At most one line in this time: a thousand clients behind one dead link fall behind together.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct SlowConsumers {
    total: AtomicU64,
    report: Mutex<Report>,
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

#[derive(Default)]
struct Report {
    last: Option<Instant>,
    untold: u64,
}

impl Report {
    /// How many to tell of now, if it is time for a line.
    fn add(&mut self, count: u64, now: Instant) -> Option<u64> {
        self.untold += count;
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < REPORT_INTERVAL) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_an_interval_tells_of_all() {
        let start = clock::now();
        let mut report = Report::default();
        assert_eq!(report.add(1, start), Some(1));
        assert_eq!(report.add(700, start + REPORT_INTERVAL / 2), None);
        assert_eq!(report.add(300, start + REPORT_INTERVAL * 9 / 10), None);
        assert_eq!(report.add(1, start + REPORT_INTERVAL), Some(1001));
        assert_eq!(report.add(1, start + REPORT_INTERVAL), None);
    }
}
