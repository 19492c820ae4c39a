//! Expiry deadlines of detached sessions, at most one per session.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

/// The deadlines, the earliest first.
///
/// A deadline is early when its session was used since: then the session gets a new one. A client
/// that polls a thousand times a second must not leave five thousand deadlines behind.
///
/// A heap and not a queue: sessions of one endpoint have the same delay, but a renewed deadline
/// lies anywhere within the next delay. At the back of a queue it would be late by up to a whole
/// delay.
#[derive(Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<Expiry>>,
    last: DeadlineId,
}

/// Tells the deadline that stands for a session from those of earlier sessions in its segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DeadlineId(u64);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Expiry {
    at: Instant,
    id: DeadlineId,
    segment: Arc<str>,
}

impl Deadlines {
    pub(super) fn enter(&mut self, segment: Arc<str>, at: Instant) -> DeadlineId {
        self.last.0 += 1;
        self.heap.push(Reverse(Expiry { at, id: self.last, segment }));
        self.last
    }

    /// The earliest; `None` when no deadline stands.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(expiry)| expiry.at)
    }

    /// Takes one deadline that has passed.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Arc<str>, DeadlineId)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(expiry)| (expiry.segment, expiry.id))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    /// Renewed deadlines are earlier than those that sessions got meanwhile.
    #[test]
    fn deadlines_come_in_order_however_they_were_entered() {
        let (mut deadlines, now) = (Deadlines::default(), clock::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        let later = deadlines.enter("later".into(), after(5));
        let renewed = deadlines.enter("renewed".into(), after(2));
        assert_eq!((deadlines.next(), deadlines.pop(after(1))), (Some(after(2)), None));
        assert_eq!(deadlines.pop(after(9)), Some(("renewed".into(), renewed)));
        assert_eq!(deadlines.pop(after(9)), Some(("later".into(), later)));
        assert_eq!((deadlines.next(), deadlines.pop(after(9))), (None, None));
    }
}
