//! The memory of a session's queues, and its release.

use super::{Core, EndedBy};
use crate::Message;
use crate::protocol::close::CloseReason;

/// The memory of a frame until a connection has taken it.
#[derive(Debug)]
pub(crate) enum Cargo {
    /// So many bytes of its own.
    Own(usize),
    /// The encoded form of a message, which other sessions send as well.
    Shared(Message),
}

impl Cargo {
    /// Bytes, as if nothing were shared.
    fn held(&self) -> usize {
        match self {
            Self::Own(bytes) => *bytes,
            Self::Shared(message) => message.len() + Message::OVERHEAD,
        }
    }
}

/// The memory of all frames that are on their way.
#[derive(Debug, Default)]
pub(super) struct Flying {
    own: usize,
    shared: usize,
    /// The session was ended for its memory: its own bytes are its account's to give back.
    given_up: bool,
}

impl Core {
    /// The bytes that the queues hold, as if they shared no message with others.
    pub(crate) fn held(&self) -> usize {
        self.inbound.held()
            + self.outbound.held()
            + self.latest.as_ref().map_or(0, |latest| latest.held())
            + self.flying.own
            + self.flying.shared
    }

    /// The change to report to the budget since the last report; none if it is small.
    pub(crate) fn due_charge(&mut self) -> isize {
        self.charges.take(false)
    }

    /// The last handle is gone: drops the rest, and returns the last change to report.
    pub(crate) fn last_charge(&mut self) -> isize {
        self.drop_inbound();
        self.drop_outbound();
        self.charges.take(true)
    }

    /// A frame goes to a transport with its bytes.
    pub(crate) fn cargo_leaves(&mut self, cargo: &Cargo) {
        match cargo {
            Cargo::Own(bytes) => {
                self.flying.own += bytes;
                self.charges.add(*bytes);
            }
            Cargo::Shared(message) => {
                self.flying.shared += cargo.held();
                self.charges.enter(message);
            }
        }
    }

    /// Its bytes are gone: written, or dropped with their connection. Returns the bytes that the
    /// account, and not the queues, releases after a [`reclaim`](Self::reclaim).
    pub(crate) fn cargo_gone(&mut self, cargo: &Cargo) -> usize {
        match cargo {
            Cargo::Own(bytes) => {
                self.flying.own -= bytes;
                if self.flying.given_up {
                    return *bytes;
                }
                self.charges.remove(*bytes);
            }
            Cargo::Shared(message) => {
                self.flying.shared -= cargo.held();
                self.charges.leave(message);
            }
        }
        0
    }

    /// Ends the session to have its memory back: in both directions nothing is left. How many bytes
    /// of its own are with connections still, and are the account's from now on.
    pub(crate) fn reclaim(&mut self, reason: CloseReason) -> usize {
        self.drop_inbound();
        self.rest_comes = false;
        self.end(reason, EndedBy::Gateway);
        self.flying.given_up = true;
        self.flying.own
    }

    pub(super) fn drop_inbound(&mut self) {
        self.inbound.drain().for_each(|message| self.charges.leave(&message));
    }

    /// How many messages that were.
    pub(super) fn drop_outbound(&mut self) -> usize {
        let dropped = self.outbound.len();
        self.outbound.drain().for_each(|message| self.charges.leave(&message));
        let Some(latest) = self.latest.take() else { return dropped };
        latest.iter().for_each(|message| self.charges.leave(message));
        dropped + latest.len()
    }
}
