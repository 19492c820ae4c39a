//! The only place where the apps read the clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Thirty years: `Duration::MAX` means never, but a date that far away can't be computed.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Now, by the runtime's clock: tests pause it.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The date in milliseconds since 1970; 0 before. It is for people to read, not to measure by: the
/// machine's owner can set it to anything.
pub(crate) fn unix_millis() -> u64 {
    millis_of(SystemTime::now())
}

fn millis_of(date: SystemTime) -> u64 {
    let since = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A board without a battery, or a wrong year typed in.
    #[test]
    fn a_date_before_1970_is_no_panic() {
        assert_eq!(millis_of(UNIX_EPOCH - Duration::from_secs(1)), 0);
        assert_eq!(millis_of(UNIX_EPOCH + Duration::from_millis(7)), 7);
    }
}
