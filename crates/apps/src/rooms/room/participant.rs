//! A participant, and its view of the others.

use std::sync::Arc;
use std::time::Instant;

use super::super::mailbox::Mailbox;
use super::super::outgoing::View;
use super::super::token::Token;

/// A participant of a room.
#[derive(Debug)]
pub(super) struct Participant<S> {
    pub(super) id: Arc<str>,
    pub(super) name: Option<Box<str>>,
    pub(super) incarnation: u64,
    /// The higher, the later this incarnation has joined.
    pub(super) joined: u64,
    pub(super) side: Side<S>,
}

/// How a participant takes part.
#[derive(Debug)]
pub(super) enum Side<S> {
    /// Protocol 1.
    One {
        session: S,
        /// It was told that the room has others, so it makes an offer to all.
        offers: bool,
    },
    /// Protocol 2.
    Two { token: Token, session: Result<S, Away>, mailbox: Mailbox },
}

/// Its transport broke.
#[derive(Clone, Copy, Debug)]
pub(super) struct Away {
    pub(super) gone_at: Instant,
}

impl<S> Participant<S> {
    pub(super) fn is_two(&self) -> bool {
        matches!(self.side, Side::Two { .. })
    }

    /// How this participant sees another one.
    pub(super) fn view<'r>(&self, other: &'r Self) -> View<'r> {
        let later = self.joined > other.joined;
        let (protocol, polite, initiate) = match &other.side {
            // Such a page takes every offer, and makes one only if it was told that the room has
            // others.
            Side::One { offers, .. } => (1, false, later || !offers),
            Side::Two { .. } => (2, later, later),
        };
        View {
            id: &other.id,
            name: other.name.as_deref(),
            incarnation: other.incarnation,
            protocol,
            away: other.side.session().is_none(),
            polite,
            initiate,
        }
    }
}

impl<S> Side<S> {
    pub(super) fn session(&self) -> Option<&S> {
        match self {
            Self::One { session, .. } => Some(session),
            Self::Two { session, .. } => session.as_ref().ok(),
        }
    }

    pub(super) fn gone_at(&self) -> Option<Instant> {
        match self {
            Self::Two { session: Err(Away { gone_at }), .. } => Some(*gone_at),
            Self::One { .. } | Self::Two { .. } => None,
        }
    }
}
