//! What tells a session whether a frame was written.

use std::fmt;
use std::sync::Arc;

use super::carriers::CarrierId;
use super::shared::Shared;

/// A frame on its way to its client. It goes with the frame's bytes, and when it is dropped the
/// session is told what became of them.
///
/// The drop may come from anywhere, such as a connection's task that ends: it takes the session's
/// lock alone, and wakes after it.
pub(crate) struct Receipt {
    session: Arc<Shared>,
    messages: usize,
    /// The connection that the bytes go to, if it can be reset.
    carrier: Option<CarrierId>,
    written: bool,
}

impl Receipt {
    /// For a frame that the session's core knows to be on its way.
    pub(super) fn new(session: Arc<Shared>, messages: usize, carrier: Option<CarrierId>) -> Self {
        Self { session, messages, carrier, written: false }
    }

    /// For the first bytes of this frame, which go by themselves.
    pub(crate) fn of_piece(&self, bytes: usize) -> Self {
        self.session.piece_handed_over(bytes, self.carrier);
        Self::new(Arc::clone(&self.session), 0, self.carrier)
    }

    /// The connection took some of the bytes.
    pub(crate) fn moved(&self) {
        self.session.frame_moved();
    }

    /// The connection took all of the bytes.
    pub(crate) fn written(&mut self) {
        self.written = true;
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if self.written {
            self.session.frame_written(self.messages, self.carrier);
        } else {
            self.session.frame_lost(self.messages, self.carrier);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("messages", &self.messages)
            .field("written", &self.written)
            .finish()
    }
}
