//! Limits and delays of a chat.

use std::time::Duration;

/// The limits of a [`Chat`](super::Chat).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChatConfig {
    /// Characters in a name. Default: 40.
    pub name_chars: usize,
    /// Characters in the name of a room. Default: 40.
    pub room_chars: usize,
    /// Characters in a message. Default: 4,000.
    pub message_chars: usize,
    /// Messages in the history of a room, for later members. Default: 50.
    pub history: usize,
    /// Bytes of memory that these messages may take; the oldest go first. Default: 64 KiB.
    pub history_bytes: usize,
    /// Rooms at the same time, besides the lobby. At the limit, a new room replaces the one that
    /// has been empty longest; while no room is empty, new ones are refused. Default: 1,000.
    pub rooms: usize,
    /// How long an empty room is kept, with its history. Default: 10 min.
    pub forget_after: Duration,
    /// Names that a roster lists; its count includes all. Default: 500.
    pub roster_names: usize,
    /// Message ids that a room remembers, so that a repeated message is published once; the oldest
    /// go first. Each takes 16 bytes. Default: 1,000.
    pub message_ids: usize,
    /// The least time between two rosters of a room; the next one carries the changes in between.
    /// Default: 500 ms.
    pub roster_interval: Duration,
}

sockeye::__setters!(ChatConfig {
    name_chars: usize,
    room_chars: usize,
    message_chars: usize,
    history: usize,
    history_bytes: usize,
    rooms: usize,
    forget_after: Duration,
    roster_names: usize,
    message_ids: usize,
    roster_interval: Duration,
});

impl ChatConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Default for ChatConfig {
    fn default() -> Self {
        Self {
            name_chars: 40,
            room_chars: 40,
            message_chars: 4_000,
            history: 50,
            history_bytes: 64 * 1024,
            rooms: 1_000,
            forget_after: Duration::from_secs(600),
            roster_names: 500,
            message_ids: 1_000,
            roster_interval: Duration::from_millis(500),
        }
    }
}
