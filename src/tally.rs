//! Telling the operator of what happens often, without flooding the log.

use std::time::{Duration, Instant};

/// At most one line in this time: a thousand clients behind one dead link fall behind together, and as many knock at a full endpoint.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Counts what has not been told of yet.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    last: Option<Instant>,
    untold: u64,
}

impl Tally {
    /// How many to tell of now, if it is time for a line.
    pub(crate) fn add(&mut self, count: u64, now: Instant) -> Option<u64> {
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
    use crate::clock;

    #[test]
    fn one_line_an_interval_tells_of_all() {
        let start = clock::now();
        let mut tally = Tally::default();
        assert_eq!(tally.add(1, start), Some(1));
        assert_eq!(tally.add(700, start + REPORT_INTERVAL / 2), None);
        assert_eq!(tally.add(300, start + REPORT_INTERVAL * 9 / 10), None);
        assert_eq!(tally.add(1, start + REPORT_INTERVAL), Some(1001));
        assert_eq!(tally.add(1, start + REPORT_INTERVAL), None);
    }
}
