//! Reasons of ended sessions, for clients that come late.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::budget::{Budget, Held};
use crate::clock::LONGEST_DELAY;
use crate::protocol::close::CloseReason;

/// The close reasons of sessions whose ids a client may still use: its late poll must not open a
/// new session as if nothing had been lost.
///
/// The default remembers nothing.
#[derive(Default)]
pub(crate) struct Memory {
    duration: Duration,
    most: usize,
    reasons: HashMap<Arc<str>, (CloseReason, Instant)>,
    order: VecDeque<(Instant, Arc<str>)>,
    bytes: usize,
    /// Those bytes in the budget.
    held: Option<Held>,
}

/// Bytes that an end takes beside its id: a place in the order, a place in the table, which is up
/// to half empty, and the shared id's head.
const OVERHEAD: usize = 192;

impl Memory {
    /// Remembers each end for `duration`, and at most the `most` latest ends.
    pub(crate) fn new(duration: Duration, most: usize) -> Self {
        // A longer duration could not be added to any instant.
        Self { duration: duration.min(LONGEST_DELAY), most, ..Self::default() }
    }

    /// The same, with its memory counted.
    pub(super) fn counted(mut self, budget: &Budget) -> Self {
        self.held = Some(budget.hold(0));
        self
    }

    pub(super) fn keep(&mut self, segment: Arc<str>, reason: CloseReason, now: Instant) {
        if self.most == 0 || self.duration.is_zero() {
            return;
        }
        while self.order.len() >= self.most {
            self.forget_oldest();
        }
        self.bytes += segment.len() + OVERHEAD;
        self.order.push_back((now, Arc::clone(&segment)));
        self.reasons.insert(segment, (reason, now));
        self.tell();
    }

    /// Quietly: the registry is locked here, and a loud charge may end the largest session, which
    /// locks it too.
    fn tell(&mut self) {
        if let Some(held) = &mut self.held {
            held.set_quietly(self.bytes);
        }
    }

    /// When the oldest end is to be forgotten; `None` when none is remembered.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.front().map(|(at, _)| *at + self.duration)
    }

    /// Forgets ends that are due, and frees the tables when none is left.
    pub(super) fn sweep(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(at, _)| !self.holds(*at, now)) {
            self.forget_oldest();
        }
        if self.order.is_empty() {
            (self.reasons, self.order) = Default::default();
        }
        self.tell();
    }

    /// Ends that take memory, including those that were told already.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.order.len().max(self.reasons.len())
    }

    fn forget_oldest(&mut self) {
        let Some((at, oldest)) = self.order.pop_front() else { return };
        self.bytes -= oldest.len() + OVERHEAD;
        // A session of the same segment may have ended since: then a later place in the order
        // stands for it.
        if self.reasons.get(&oldest).is_some_and(|(_, kept)| *kept == at) {
            self.reasons.remove(&oldest);
        }
    }

    pub(super) fn recall(&mut self, segment: &str, now: Instant) -> Option<CloseReason> {
        let (reason, at) = self.reasons.remove(segment)?;
        self.holds(at, now).then_some(reason)
    }

    /// Whether an end `at` that time is still remembered.
    fn holds(&self, at: Instant, now: Instant) -> bool {
        now.saturating_duration_since(at) < self.duration
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const MINUTE: Duration = Duration::from_secs(60);

    fn memory() -> Memory {
        Memory::new(MINUTE, 100)
    }

    fn kept(memory: &mut Memory, segment: &str, now: Instant) -> bool {
        memory.recall(segment, now).is_some()
    }

    #[test]
    fn an_end_is_told_once_and_for_as_long_as_was_said() {
        let (mut memory, now) = (memory(), clock::now());
        memory.keep("a".into(), CloseReason::NORMAL, now);
        memory.keep("b".into(), CloseReason::NORMAL, now);
        assert!(kept(&mut memory, "a", now + MINUTE - Duration::from_millis(1)));
        assert!(!kept(&mut memory, "a", now));
        assert!(!kept(&mut memory, "b", now + MINUTE));
    }

    #[test]
    fn the_oldest_ends_are_forgotten_first() {
        let (mut memory, now) = (memory(), clock::now());
        for n in 0..=100 {
            memory.keep(n.to_string().into(), CloseReason::NORMAL, now);
        }
        assert_eq!((memory.reasons.len(), memory.order.len()), (100, 100));
        assert!(!kept(&mut memory, "0", now));
        assert!(kept(&mut memory, "1", now));
    }

    #[test]
    fn nothing_and_for_ever_are_durations_and_numbers_too() {
        let now = clock::now();
        for mut memory in [Memory::new(Duration::ZERO, 100), Memory::new(MINUTE, 0)] {
            memory.keep("a".into(), CloseReason::NORMAL, now);
            assert!(!kept(&mut memory, "a", now));
            assert!(memory.order.len() <= 1);
        }
        let mut memory = Memory::new(Duration::MAX, 100);
        memory.keep("a".into(), CloseReason::NORMAL, now);
        memory.keep("b".into(), CloseReason::NORMAL, now);
        assert!(kept(&mut memory, "a", now + MINUTE * 1000));
    }

    #[test]
    fn an_id_that_ended_twice_keeps_its_later_reason() {
        let (mut memory, now) = (memory(), clock::now());
        memory.keep("a".into(), CloseReason::NORMAL, now);
        memory.keep("a".into(), CloseReason::NO_PONG, now + Duration::from_secs(30));
        memory.keep("b".into(), CloseReason::NORMAL, now + MINUTE);
        assert_eq!(memory.recall("a", now + MINUTE), Some(CloseReason::NO_PONG));
    }
}
