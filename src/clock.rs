//! The one place that asks what time it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Thirty years: who sets `Duration::MAX` means never, but a date that far away can't be computed.
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

/// The date in milliseconds since 1970; 0 before.
pub(crate) fn unix_millis() -> u64 {
    millis_of(date())
}

fn millis_of(date: SystemTime) -> u64 {
    let since = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Nanoseconds of a clock that all processes of this machine share, so that one may stamp a message and another read the stamp.
#[cfg(all(feature = "bench", unix))]
pub(crate) fn monotonic() -> u64 {
    use nix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("POSIX systems have this clock");
    // It starts at zero, and counts for centuries before the nanoseconds overflow.
    u64::try_from(now.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec()).unwrap_or(0)
}

/// Nanoseconds since the first call, for this process only.
#[cfg(all(feature = "bench", not(unix)))]
pub(crate) fn monotonic() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let start = *START.get_or_init(now);
    now().duration_since(start).as_nanos() as u64
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
