//! Whether an endpoint takes new sessions, and what its drain needs of it.

use std::sync::Arc;
use std::time::Duration;

use super::{NoRoom, Registry};
use crate::session::Shared;

/// How far an endpoint's drain has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Gate {
    #[default]
    Open,
    /// Balancers are told; new sessions are still taken.
    Leading,
    /// No new sessions; clients may try again after so many seconds.
    Shut { retry_after: u32 },
}

impl Gate {
    pub(super) fn admit(self) -> Result<(), NoRoom> {
        match self {
            Self::Open | Self::Leading => Ok(()),
            Self::Shut { retry_after } => Err(NoRoom::Draining { retry_after }),
        }
    }
}

impl Registry {
    /// A drain begins: from now on the endpoint says so. It still takes new sessions.
    pub(crate) fn lead(&self) {
        let mut tables = self.lock();
        if tables.gate == Gate::Open {
            tables.gate = Gate::Leading;
        }
    }

    /// Takes no new sessions any more. Returns those that live: first the sessions of HTTP, whose
    /// clients may have to come back to be told.
    ///
    /// Under one lock, so that no session comes in between.
    pub(crate) fn shut(&self, retry_after: Duration) -> (Vec<Arc<Shared>>, Vec<Arc<Shared>>) {
        // Whole seconds are all that the header has.
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        let mut tables = self.lock();
        tables.gate = Gate::Shut { retry_after: u32::try_from(seconds).unwrap_or(u32::MAX) };
        (tables.sessions_by_segment().collect(), tables.sockets.values().cloned().collect())
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.lock().gate != Gate::Open
    }

    /// Whether a new session would be refused because of a drain.
    pub(crate) fn is_open(&self) -> Result<(), NoRoom> {
        self.lock().gate.admit()
    }
}
