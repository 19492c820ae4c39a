//! The newest message of each key, for a client whose outbound queue is full.

use std::collections::VecDeque;

use crate::Message;
use crate::session::queue::{Key, Queue, QueueLimit};

/// The outcome for a message of which only the newest of its key counts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Queued,
    /// It waits behind the queue; the waiting message of its key is dropped.
    Waits {
        replaced: bool,
    },
    /// Too many keys wait already; a message of its key that waited still does.
    NoPlace,
}

/// Messages behind a full queue, in the order of publication.
///
/// A message that replaces another takes the last place: so a client gets a part of the
/// publications, but never in another order than other clients.
#[derive(Debug, Default)]
pub(super) struct Latest {
    waiting: VecDeque<(Key, Message)>,
    bytes: usize,
}

impl Latest {
    /// Up to `keys` messages, whose bytes are at most those of a full queue. Returns the message
    /// that it replaces.
    pub(super) fn put(
        &mut self,
        key: Key,
        message: Message,
        keys: usize,
        bytes: usize,
    ) -> (Kept, Option<Message>) {
        // As many as there may be keys are looked at, and only for a client that lags.
        let before = self.waiting.iter().position(|(other, _)| *other == key);
        let replaced = before.map_or(0, |at| self.waiting[at].1.len());
        let others = self.waiting.len() - usize::from(before.is_some());
        if others >= keys || self.bytes - replaced + message.len() > bytes {
            return (Kept::NoPlace, None);
        }
        let before = before.and_then(|at| self.waiting.remove(at)).map(|(_, message)| message);
        self.bytes = self.bytes - replaced + message.len();
        self.waiting.push_back((key, message));
        (Kept::Waits { replaced: before.is_some() }, before)
    }

    /// Moves messages into the queue while it has room, and frees emptied storage.
    pub(super) fn refill(latest: &mut Option<Box<Self>>, queue: &mut Queue, limit: QueueLimit) {
        let Some(inner) = latest else { return };
        while let Some((_, message)) = inner.waiting.front()
            && queue.fits(limit, 1, message.len())
        {
            inner.bytes -= message.len();
            if let Some((_, message)) = inner.waiting.pop_front() {
                queue.push(message);
            }
        }
        if inner.waiting.is_empty() {
            *latest = None;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Message> {
        self.waiting.iter().map(|(_, message)| message)
    }

    /// The memory that the messages hold, in bytes.
    pub(super) fn held(&self) -> usize {
        self.bytes + self.len() * Message::OVERHEAD
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
