//! Receipts, which tell a session whether its frames were written.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::core::Cargo;
use super::shared::{Connection, Shared};

/// A frame on its way to its client. It goes with the frame's bytes, and its drop tells the session
/// whether they were written; until then they count as the session's.
///
/// The drop may come from anywhere, such as a connection's task that ends: it takes the session's
/// lock alone, and wakes after it.
pub(crate) struct Receipt {
    session: Arc<Shared>,
    messages: usize,
    written: bool,
    cargo: Cargo,
    /// Where the server lets it be known.
    connection: Option<Arc<dyn Connection>>,
}

/// The bytes by which a frame may exceed its messages without being counted again: escapes and a
/// transport's wrapping.
const NEGLIGIBLE: usize = 1024;

impl Receipt {
    /// For a frame that the session's core knows to be on its way.
    pub(super) fn new(
        session: Arc<Shared>,
        messages: usize,
        cargo: Cargo,
        connection: Option<Arc<dyn Connection>>,
    ) -> Self {
        Self { session, messages, written: false, cargo, connection }
    }

    /// These are the frame's bytes, as the transport has wrapped them.
    pub(crate) fn weigh(&mut self, bytes: &Bytes) {
        let as_counted = match &self.cargo {
            Cargo::Own(counted) => bytes.len() <= counted + NEGLIGIBLE,
            Cargo::Shared(message) => {
                message.line().is_some_and(|line| line.as_ptr() == bytes.as_ptr())
            }
        };
        if !as_counted {
            let cargo = Cargo::Own(bytes.len());
            self.session.recount(&self.cargo, &cargo);
            self.cargo = cargo;
        }
    }

    /// For the first bytes of this frame, which go by themselves.
    pub(crate) fn of_piece(&self, bytes: usize) -> Self {
        self.session.piece_handed_over(bytes, self.connection.as_ref());
        let connection = self.connection.clone();
        // All pieces are one allocation, which goes with the last.
        Self::new(Arc::clone(&self.session), 0, Cargo::Own(0), connection)
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
        let (messages, connection) = (self.messages, self.connection.as_ref());
        if self.written {
            self.session.frame_written(messages, &self.cargo, connection);
        } else {
            self.session.frame_lost(messages, &self.cargo, connection);
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
