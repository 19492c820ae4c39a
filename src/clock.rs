//! The one place that asks what time it is.

use std::time::Instant;

/// Now, by the runtime's clock: tests pause it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
