//! The only place that reads the clock.

use std::time::{Duration, Instant, SystemTime};

/// Thirty years: `Duration::MAX` means never, but an instant that far away can't be computed.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Now, by the runtime's clock: tests pause it.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The date, which the machine's owner can set to anything: for people to read, not to measure by.
pub(crate) fn date() -> SystemTime {
    SystemTime::now()
}
