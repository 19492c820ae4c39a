//! Configuration of rooms.

use std::time::Duration;

use sockeye::Budget;

/// Limits and delays of [`Rooms`](super::Rooms).
///
/// ```
/// use sockeye_apps::rooms::RoomsConfig;
///
/// let config = RoomsConfig::new().participants_per_room(4);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RoomsConfig {
    /// Participants in a room, absent ones included. In a mesh each of them sends its video to all
    /// the others. Default: 16.
    pub participants_per_room: usize,
    /// Rooms at the same time. At the limit, a new room replaces the one that has been empty
    /// longest. Default: 1,000.
    pub rooms: usize,
    /// The largest message taken from a session, in bytes. Keep it below the endpoint's
    /// [`message_size`](sockeye::EndpointConfig::message_size): exceeding that one closes the
    /// session, exceeding this one is answered by an error. Default: 32 KiB.
    pub message_size: usize,
    /// Messages kept for each participant of protocol 2: those that wait while it is away, and the
    /// latest that its session took, in case it returns without having received them. Default: 128.
    pub mailbox_messages: usize,
    /// The same in bytes. Default: 256 KiB.
    pub mailbox_bytes: usize,
    /// Counts what mailboxes hold. While memory is short they take nothing more, and their senders
    /// are told as if they were full. Default: [`Budget::process`].
    pub budget: Budget,
    /// How long a participant of protocol 2 may be away before it is gone. Default: 15 s.
    pub grace: Duration,
    /// How long a session may be silent before it is told that it is alone, as pages of protocol 1
    /// expect. Default: 1 s.
    pub join_wait: Duration,
    /// How long an empty room is remembered. Default: 10 min.
    pub empty_room: Duration,
}

sockeye::__setters!(RoomsConfig {
    participants_per_room: usize,
    rooms: usize,
    message_size: usize,
    mailbox_messages: usize,
    mailbox_bytes: usize,
    budget: Budget,
    grace: Duration,
    join_wait: Duration,
    empty_room: Duration,
});

impl RoomsConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Default for RoomsConfig {
    fn default() -> Self {
        Self {
            participants_per_room: 16,
            rooms: 1_000,
            message_size: 32 * 1024,
            mailbox_messages: 128,
            mailbox_bytes: 256 * 1024,
            budget: Budget::process(),
            grace: Duration::from_secs(15),
            join_wait: Duration::from_secs(1),
            empty_room: Duration::from_secs(600),
        }
    }
}
