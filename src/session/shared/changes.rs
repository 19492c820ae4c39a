//! The rule of wake-ups: which waiters each change of a session wakes.
//!
//! A message that finds room takes the shortest path, with a single waker and no list: see
//! `Shared::offer`, `Shared::poll_recv` and `Attachment::hear`.

use super::State;
use crate::session::core::Limits;
use crate::wakers::Wakes;

/// A change of a session, made under its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) enum Change {
    /// The application has something to receive: messages, or the end of them.
    Inbound,
    /// The attachment has something to do: a frame, a close, or an end.
    Outbound,
    /// The inbound queue has room.
    InboundRoom,
    /// The outbound queue has room, or another sender is the first.
    OutboundRoom,
    /// The session takes no more messages.
    Closed,
    /// The session is over.
    Ended,
    /// The attachment has gone. Its own waker is not called, but dropped.
    Detached,
}

impl State {
    /// Takes the wakers of all waiters that a change concerns.
    pub(in crate::session) fn changed(
        &mut self,
        change: Change,
        limits: &Limits,
        wakes: &mut Wakes,
    ) {
        let Self { core, application, attachment, senders, others, .. } = self;
        match change {
            Change::Inbound => wakes.add(application),
            Change::Outbound => wakes.add(attachment),
            // Payloads and sockets that wait for room. (Among `others` are all rare waiters.)
            Change::InboundRoom => wakes.add_all(others),
            // First come, first served. As a rule no sender waits, and every message comes here.
            Change::OutboundRoom => {
                senders.wake_first(|bytes| core.has_space(limits, bytes), wakes)
            }
            Change::Closed => {
                wakes.add(application);
                // It has the close frame to send.
                wakes.add(attachment);
                senders.wake_all(wakes);
                wakes.add_all(others);
            }
            // Without the attachment: as a rule its own call has brought the end.
            Change::Ended => {
                wakes.add(application);
                senders.wake_all(wakes);
                wakes.add_all(others);
            }
            // Requests that wait to attach.
            Change::Detached => wakes.add_all(others),
        }
    }
}
