//! How a session ends: in order, at once, or because its client does not come back.

use std::time::Instant;

use super::{Connectivity, Core, Limits, Phase};
use crate::protocol::close::CloseReason;

/// How a session ended, as its application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionEnd {
    /// Code and text.
    pub reason: CloseReason,
    /// The side that ended it.
    pub by: EndedBy,
    /// Messages that the application sent and that were never handed to a transport; over HTTP
    /// those too that had not left in full, as far as the server could tell when the session ended
    /// (their connections are reset).
    ///
    /// Messages that the server's system had taken count as delivered, though the client may not
    /// have read them: a connection tells no more (`TCP_NOTSENT_LOWAT` keeps their number small).
    /// Behind a layer that copies bodies, such as [`Gateway::into_axum`], copied messages count as
    /// delivered.
    ///
    /// [`Gateway::into_axum`]: crate::Gateway#method.into_axum
    pub undelivered: usize,
}

/// The side that ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndedBy {
    /// The handler closed or dropped its session, or panicked, or the application closed it through
    /// a [`Sender`](crate::Sender).
    Application,
    /// The client closed, its connection broke, or it did not come back in time.
    Peer,
    /// The gateway enforced a limit or the protocol.
    Gateway,
}

impl Core {
    /// Ends the session in order: queued messages go out first, as long as a receiver takes them.
    pub(crate) fn close(
        &mut self,
        now: Instant,
        limits: &Limits,
        reason: CloseReason,
        by: EndedBy,
    ) {
        if self.is_open() {
            // An application that closes its session receives no more; a limit of the gateway takes
            // nothing from the application.
            if by == EndedBy::Application {
                self.drop_inbound();
                self.rest_comes = false;
            }
            let until = now + limits.disconnect_delay;
            self.phase = Phase::Closing { reason, by, until };
            if let Connectivity::Detached { expires_at } = &mut self.connectivity
                && !self.flight.is_empty()
            {
                *expires_at = until.min(*expires_at);
            }
        }
    }

    /// The client said goodbye, with a code if its transport carries one.
    pub(crate) fn peer_closed(&mut self, reason: CloseReason) {
        self.end(reason, EndedBy::Peer);
    }

    /// The protocol or a limit was broken: nothing more is delivered.
    pub(crate) fn abort(&mut self, reason: CloseReason) {
        self.end(reason, EndedBy::Gateway);
    }

    /// Ends a session whose client did not come back in time, or closed and takes nothing any more.
    /// True when the session is over and may be forgotten.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        self.watched = false;
        let due = self.expires_at().is_some_and(|at| now >= at);
        if due && self.flight.is_empty() {
            self.end(CloseReason::INTERRUPTED, EndedBy::Peer);
        } else if due {
            self.end(self.flight.blame(now), EndedBy::Gateway);
        }
        due
    }

    /// When `expire` has something to do, unless a receiver comes, or takes messages of a closed
    /// session, or a connection takes bytes.
    pub(crate) fn expires_at(&self) -> Option<Instant> {
        match (&self.connectivity, &self.phase) {
            (Connectivity::Detached { expires_at }, _) => Some(*expires_at),
            (Connectivity::Attached { .. }, Phase::Closing { until, .. }) => Some(*until),
            (Connectivity::Attached { .. }, Phase::Open) if !self.flight.is_empty() => {
                Some(self.flight.due())
            }
            (Connectivity::Attached { .. }, _) => None,
        }
    }

    /// How the session ended, once nothing more can be handed to a transport.
    pub(crate) fn ended(&self) -> Option<&SessionEnd> {
        match &self.phase {
            Phase::Closed(end) => Some(end),
            _ => None,
        }
    }

    /// Whether the session has ended and no client knows of it.
    pub(crate) fn ended_untold(&self) -> bool {
        self.ended().is_some() && !self.told
    }

    /// A close ends the session when its frame has been taken, and no message before it can get
    /// lost any more.
    pub(super) fn end_in_order(&mut self) {
        if let Phase::Closing { reason, by, .. } = &self.phase
            && self.told
            && self.flight.messages() == 0
        {
            let (reason, by) = (reason.clone(), *by);
            self.end(reason, by);
        }
    }

    /// The first end counts. A close that was under way keeps its own reason; only its queued
    /// messages are lost.
    pub(super) fn end(&mut self, reason: CloseReason, by: EndedBy) {
        let (reason, by) = match &self.phase {
            Phase::Closed(_) => return,
            Phase::Closing { reason, by, .. } => (reason.clone(), *by),
            Phase::Open => (reason, by),
        };
        let undelivered = self.drop_outbound() + self.flight.messages();
        self.phase = Phase::Closed(SessionEnd { reason, by, undelivered });
    }
}
