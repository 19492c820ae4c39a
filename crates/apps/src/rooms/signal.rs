//! Signals: messages between the participants of a room.

use serde_json::value::RawValue;

/// A message for others in the room.
#[derive(Debug)]
pub(super) struct Signal<'m> {
    pub(super) kind: Kind,
    // As they stand in the message, so that they are passed on byte for byte.
    pub(super) data: Option<&'m RawValue>,
    pub(super) candidate: Option<&'m RawValue>,
    pub(super) sdp: Option<&'m RawValue>,
    /// The sender's name as the client gives it, in protocol 1 only.
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) to_incarnation: Option<u64>,
    pub(super) reference: Option<&'m RawValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Offer,
    Answer,
    Ice,
    Text,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Answer => "answer",
            Self::Ice => "ice",
            Self::Text => "text",
        }
    }

    /// Whether it concerns one peer connection, and is void once the receiver has another.
    pub(super) fn is_signaling(self) -> bool {
        self != Self::Text
    }
}
