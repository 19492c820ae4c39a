//! Messages from the application, until a receiver takes them.

use super::{Core, Kept, Limits};
use crate::Message;
use crate::session::queue::Key;

impl Core {
    /// Whether the outbound queue has room now for a message of so many bytes; for 0, whether it
    /// has room at all. It never has for more than [`QueueLimit::bytes`]: such a message is
    /// refused, because it would wait forever.
    pub(crate) fn has_space(&self, limits: &Limits, bytes: usize) -> bool {
        bytes <= limits.outbound.bytes
            && self.latest.is_none()
            && self.outbound.fits(limits.outbound, 1, bytes)
    }

    /// Queues a message; only after [`has_space`](Self::has_space) said yes, if only for no bytes,
    /// on a session that [`is_open`](Self::is_open).
    pub(crate) fn send(&mut self, message: Message) {
        self.charges.enter(&message);
        self.outbound.push(message);
    }

    /// Queues a message, or keeps it as the newest of its key until there is room; only on a
    /// session that [`is_open`](Self::is_open), and no message that is larger than the queue.
    pub(crate) fn send_latest(&mut self, limits: &Limits, key: Key, message: Message) -> Kept {
        if self.has_space(limits, message.len()) {
            self.send(message);
            return Kept::Queued;
        }
        if limits.outbound_keys == 0 {
            return Kept::NoPlace;
        }
        // It finds a place, or other messages have one: so no storage is made in vain.
        let latest = self.latest.get_or_insert_default();
        let (kept, replaced) =
            latest.put(key, message.clone(), limits.outbound_keys, limits.outbound.bytes);
        if kept != Kept::NoPlace {
            self.charges.enter(&message);
        }
        if let Some(replaced) = replaced {
            self.charges.leave(&replaced);
        }
        kept
    }
}
