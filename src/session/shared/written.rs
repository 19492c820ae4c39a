//! Frames on their way to the client: written, or lost.

use std::sync::Arc;

use super::{Change, Shared, State};
use crate::clock;
use crate::session::core::Cargo;

/// A connection that frames are on their way through.
pub(crate) trait Connection: Send + Sync {
    /// Ends it both ways, so that its server drops unwritten bytes.
    fn shut(&self);
}

/// The connections of a session's frames, each with how many of them.
#[derive(Default)]
pub(super) struct Connections(Vec<(Arc<dyn Connection>, u32)>);

pub(super) fn shut(connections: &[Arc<dyn Connection>]) {
    connections.iter().for_each(|connection| connection.shut());
}

impl Connections {
    fn enter(&mut self, connection: &Arc<dyn Connection>) {
        match self.place(connection) {
            Some(at) => self.0[at].1 += 1,
            None => {
                // As a rule there is a single connection.
                self.0.reserve_exact(1);
                self.0.push((Arc::clone(connection), 1));
            }
        }
    }

    /// The caller has a handle left, so that none is closed under the lock.
    fn leave(&mut self, connection: &Arc<dyn Connection>) {
        let Some(at) = self.place(connection) else { return };
        self.0[at].1 -= 1;
        if self.0[at].1 == 0 {
            self.0.swap_remove(at);
        }
    }

    fn place(&self, connection: &Arc<dyn Connection>) -> Option<usize> {
        self.0.iter().position(|(other, _)| Arc::ptr_eq(other, connection))
    }

    pub(super) fn all(&self) -> Vec<Arc<dyn Connection>> {
        self.0.iter().map(|(connection, _)| Arc::clone(connection)).collect()
    }
}

impl State {
    /// A frame goes to a transport with its bytes.
    pub(in crate::session) fn cargo_leaves(
        &mut self,
        cargo: &Cargo,
        connection: Option<&Arc<dyn Connection>>,
    ) {
        self.core.cargo_leaves(cargo);
        if let Some(connection) = connection {
            self.connections.enter(connection);
        }
    }

    fn cargo_gone(&mut self, cargo: &Cargo, connection: Option<&Arc<dyn Connection>>) -> usize {
        if let Some(connection) = connection {
            self.connections.leave(connection);
        }
        self.core.cargo_gone(cargo)
    }
}

impl Shared {
    /// A frame's first bytes go by themselves. They count with the rest, which goes last.
    pub(in crate::session) fn piece_handed_over(
        &self,
        bytes: usize,
        connection: Option<&Arc<dyn Connection>>,
    ) {
        let mut state = self.lock();
        state.core.frame_handed_over(clock::now(), &self.limits, 0, bytes);
        state.cargo_leaves(&Cargo::Own(0), connection);
    }

    /// A frame turns out to hold other bytes than assumed.
    pub(in crate::session) fn recount(&self, before: &Cargo, after: &Cargo) {
        let back = self.with(|state, _| {
            let back = state.core.cargo_gone(before);
            state.core.cargo_leaves(after);
            back
        });
        self.give_back(back);
    }

    /// The connection took a part of a frame.
    pub(in crate::session) fn frame_moved(&self) {
        self.lock().core.frame_moved(clock::now(), &self.limits);
    }

    /// The connection took a whole frame with so many messages.
    pub(in crate::session) fn frame_written(
        &self,
        messages: usize,
        cargo: &Cargo,
        connection: Option<&Arc<dyn Connection>>,
    ) {
        let back = self.with(|state, _| {
            state.core.frame_written(clock::now(), &self.limits, messages);
            state.cargo_gone(cargo, connection)
        });
        self.give_back(back);
    }

    /// A frame with so many messages was not written, or not in full.
    pub(in crate::session) fn frame_lost(
        self: &Arc<Self>,
        messages: usize,
        cargo: &Cargo,
        connection: Option<&Arc<dyn Connection>>,
    ) {
        let (over, back) = self.with(|state, wakes| {
            let had_ended = state.core.ended().is_some();
            state.core.frame_lost(messages);
            // A receiver that is there by now takes the close frame.
            state.changed(Change::Outbound, &self.limits, wakes);
            let over = !had_ended && !state.core.is_attached();
            (over, state.cargo_gone(cargo, connection))
        });
        self.give_back(back);
        if over {
            self.owner.over(self);
        }
    }

    fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.account.add(-bytes.cast_signed());
        }
    }
}
