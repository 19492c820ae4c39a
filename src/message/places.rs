//! The number of queues in which a message stands: shared content counts once.

use std::sync::atomic::{AtomicU64, Ordering};

/// The budget that counts the message, for good once it is set (upper half), whether the line is
/// counted (one bit), and the queues of that budget in which it stands.
///
/// Another budget's queues count it in full, and so does a queue that is its only holder: no other
/// holder can copy it meanwhile.
#[derive(Default)]
pub(super) struct Places(AtomicU64);

const WITH_LINE: u64 = 1 << 31;
const COUNT: u64 = WITH_LINE - 1;

fn id(state: u64) -> u64 {
    state >> 32
}

impl Places {
    /// The message enters another queue; returns the bytes to count.
    pub(super) fn enter(&self, budget: u32, alone: bool, content: usize, line: usize) -> usize {
        let budget = u64::from(budget);
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            let is_other = id(state) != 0 && id(state) != budget;
            if is_other || alone && state & COUNT == 0 {
                return content;
            }
            let (next, counted) = match state & COUNT {
                0 => ((budget << 32) | 1, content),
                _ if state & WITH_LINE == 0 => ((state + 1) | WITH_LINE, line),
                _ => (state + 1, 0),
            };
            match self.0.compare_exchange_weak(state, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return counted,
                Err(now) => state = now,
            }
        }
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed) & COUNT
    }

    /// The message leaves a queue; returns the bytes to count no longer.
    pub(super) fn leave(&self, budget: u32, content: usize, line: usize) -> usize {
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            if id(state) != u64::from(budget) || state & COUNT == 0 {
                return content;
            }
            let (next, counted) = match state & COUNT {
                1 if state & WITH_LINE == 0 => (id(state) << 32, content),
                // The line stays as long as the message does, also when the last queue is the only
                // one left.
                1 => (id(state) << 32, content + line),
                _ => (state - 1, 0),
            };
            match self.0.compare_exchange_weak(state, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return counted,
                Err(now) => state = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;

    const HERE: u32 = 7;
    const THERE: u32 = 8;

    /// A message in queues is counted as `shown`, and as nothing when it has left them all.
    fn counted(steps: &[(bool, u32)], shown: usize) {
        let places = Places::default();
        let mut queued: Vec<u32> = Vec::new();
        let (mut now, mut most) = (0, 0);
        for (enters, budget) in steps {
            if *enters {
                now += places.enter(*budget, false, 100, 10);
                queued.push(*budget);
            } else {
                now -= places.leave(*budget, 100, 10);
                queued.retain(|other| other != budget);
            }
            most = most.max(now);
        }
        assert_eq!((most, now), (shown, 0), "{steps:?}");
    }

    #[test]
    fn a_shared_message_counts_once_with_its_line() {
        counted(&[(true, HERE), (false, HERE)], 100);
        counted(
            &[
                (true, HERE),
                (true, HERE),
                (true, HERE),
                (false, HERE),
                (false, HERE),
                (false, HERE),
            ],
            110,
        );
        counted(
            &[
                (true, HERE),
                (true, HERE),
                (false, HERE),
                (true, HERE),
                (false, HERE),
                (false, HERE),
            ],
            110,
        );
    }

    #[test]
    fn another_budget_counts_it_in_full_and_in_each_queue() {
        counted(
            &[
                (true, HERE),
                (true, THERE),
                (true, THERE),
                (false, HERE),
                (false, THERE),
                (false, THERE),
            ],
            300,
        );
        counted(
            &[
                (true, HERE),
                (false, HERE),
                (true, THERE),
                (true, HERE),
                (false, HERE),
                (false, THERE),
            ],
            200,
        );
    }

    /// A message that only its queue holds is counted without a word to others; when there are
    /// more, they find each other.
    #[test]
    fn a_message_of_one_queue_is_not_shared() {
        let message = Message::from("x".repeat(1000));
        let alone = message.enter(HERE);
        assert!((1000..1300).contains(&alone), "{alone}");
        assert_eq!(message.places_in_use(), 0);
        assert_eq!(message.leave(HERE), alone);

        let copies: Vec<Message> = (0..100).map(|_| message.clone()).collect();
        let all: usize = copies.iter().map(|copy| copy.enter(HERE)).sum();
        assert_eq!(all, alone + 1006 + 99 * super::super::PLACE);
        drop(message);
        let left: usize = copies.into_iter().map(|copy| copy.leave(HERE)).sum();
        assert_eq!(left, all, "the last one is alone when it leaves");
    }
}
