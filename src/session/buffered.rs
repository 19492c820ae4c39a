//! What transports hold of a session.

use std::sync::Arc;

use super::shared::Shared;

/// The bytes of one session that a transport holds on their way, in and out, as the budget counts them. Dropping it, they are given back.
pub(crate) struct Buffered {
    session: Arc<Shared>,
    bytes: usize,
}

/// Less than this, more or less, is not worth telling: so small messages touch nothing that other sessions use.
const WORTH_TELLING: usize = 4 * 1024;

impl Buffered {
    pub(crate) fn of(session: &Arc<Shared>) -> Self {
        Self { session: Arc::clone(session), bytes: 0 }
    }

    /// So much it is now. May end sessions, so no lock of one is held.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes.abs_diff(self.bytes) >= WORTH_TELLING {
            self.tell(bytes);
        }
    }

    fn tell(&mut self, bytes: usize) {
        self.session.account().add(bytes.cast_signed() - self.bytes.cast_signed());
        self.bytes = bytes;
    }
}

impl Drop for Buffered {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.tell(0);
        }
    }
}
