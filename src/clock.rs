//! The one place that asks what time it is.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Now, by the runtime's clock: tests pause it.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The date, in milliseconds since 1970: for people to read, not to measure by.
pub(crate) fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
