//! A queue of messages that is bounded by count and by bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::Message;

/// The key whose newest message is kept behind a full queue: the name of a topic, and a key in it.
pub(crate) type Key = (Arc<str>, Arc<str>);

/// The most that a queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueLimit {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// Messages waiting, oldest first.
///
/// The limit is an argument of [`fits`](Queue::fits), so that a hundred thousand sessions share one
/// copy of it.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
}

/// Capacity that an emptied queue may keep: a session that once had a burst must not pay for it
/// ever after.
const KEPT_CAPACITY: usize = 16;

impl Queue {
    /// Whether `messages` more with `bytes` in all may enter.
    ///
    /// An empty queue takes anything: a message larger than the whole queue must not wait forever.
    /// Its size was bounded before (by `payload_size`; an application's message is refused
    /// earlier).
    pub(crate) fn fits(&self, limit: QueueLimit, messages: usize, bytes: usize) -> bool {
        self.messages.is_empty()
            || (self.messages.len() + messages <= limit.messages
                && self.bytes.saturating_add(bytes) <= limit.bytes)
    }

    /// Pushes all, and leaves `messages` empty.
    pub(crate) fn append(&mut self, messages: &mut Vec<Message>) {
        self.bytes += messages.iter().map(Message::len).sum::<usize>();
        self.messages.extend(messages.drain(..));
    }

    pub(crate) fn push(&mut self, message: Message) {
        self.bytes += message.len();
        self.messages.push_back(message);
    }

    /// The oldest message.
    #[cfg(feature = "client")]
    pub(crate) fn peek(&self) -> Option<&Message> {
        self.messages.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len();
        self.give_back();
        Some(message)
    }

    /// Takes the oldest `count` messages.
    pub(crate) fn pop_many(&mut self, count: usize) -> Vec<Message> {
        let count = count.min(self.messages.len());
        let taken: Vec<Message> = self.messages.drain(..count).collect();
        self.bytes -= taken.iter().map(Message::len).sum::<usize>();
        self.give_back();
        taken
    }

    /// Takes everything, and keeps no memory.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Message> + use<> {
        std::mem::take(self).messages.into_iter()
    }

    /// Drops everything.
    #[cfg(feature = "client")]
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter()
    }

    /// The memory that the messages hold, in bytes.
    pub(crate) fn held(&self) -> usize {
        self.bytes + self.messages.len() * Message::OVERHEAD
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    fn give_back(&mut self) {
        if self.messages.is_empty() && self.messages.capacity() > KEPT_CAPACITY {
            self.messages = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: QueueLimit = QueueLimit { messages: 2, bytes: 10 };

    fn queue(texts: &[&str]) -> Queue {
        let mut queue = Queue::default();
        for text in texts {
            queue.push(Message::from(*text));
        }
        queue
    }

    #[test]
    fn count_and_bytes_both_bound() {
        assert!(queue(&["a"]).fits(LIMIT, 1, 9));
        assert!(!queue(&["a"]).fits(LIMIT, 1, 10), "11 bytes in all");
        assert!(!queue(&["a"]).fits(LIMIT, 2, 2), "3 messages in all");
        assert!(!queue(&["a"]).fits(LIMIT, 1, usize::MAX), "no overflow");
    }

    #[test]
    fn an_empty_queue_takes_what_is_larger_than_itself() {
        assert!(queue(&[]).fits(LIMIT, 5, 500));
    }

    #[test]
    fn bytes_are_counted_down_again() {
        let mut queue = queue(&["abcde", "fghij"]);
        assert_eq!(queue.pop().as_ref().and_then(Message::as_text), Some("abcde"));
        assert!(queue.fits(LIMIT, 1, 5));
        assert_eq!(queue.pop_many(9).len(), 1);
        assert_eq!((queue.len(), queue.bytes), (0, 0));
    }

    #[test]
    fn an_emptied_queue_gives_its_memory_back() {
        let mut queue = Queue::default();
        for _ in 0..100 {
            queue.push(Message::from("x"));
        }
        queue.pop_many(100);
        assert_eq!(queue.messages.capacity(), 0);
    }
}
