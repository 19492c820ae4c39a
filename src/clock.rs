//! The one place that asks what time it is.

use std::time::Instant;

/// Now, by the runtime's clock: tests pause it.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
