//! The check that all messages come back: each once, in order, unchanged.

use std::collections::BTreeSet;
use std::ops::AddAssign;

/// Messages, and those that were lost, repeated, reordered or changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Correctness {
    /// Messages that were awaited.
    pub expected: u64,
    /// Never came.
    pub lost: u64,
    /// Came again.
    pub duplicated: u64,
    /// Came after a later one.
    pub reordered: u64,
    /// Came with other contents, or to another session than their own.
    pub changed: u64,
    /// Were on their way when their session broke, and did not come. That they are lost is no
    /// surprise.
    pub cut_off: u64,
}

impl Correctness {
    /// Whether each message came once, in order and unchanged, as far as its session lasted.
    pub fn is_perfect(&self) -> bool {
        (self.lost, self.duplicated, self.reordered, self.changed) == (0, 0, 0, 0)
    }
}

impl AddAssign for Correctness {
    fn add_assign(&mut self, other: Self) {
        self.expected += other.expected;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.changed += other.changed;
        self.cut_off += other.cut_off;
    }
}

/// Follows the messages of one sender as one receiver sees them.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The number of the message that comes next if all is well.
    next: u32,
    missing: BTreeSet<u32>,
    duplicated: u64,
    reordered: u64,
    changed: u64,
}

impl Ledger {
    /// A receiver that joined late: messages below `number` are not awaited.
    pub fn from(number: u32) -> Self {
        Self { next: number, ..Self::default() }
    }

    /// Takes down the arrival of the message with this number.
    pub fn arrived(&mut self, number: u32) {
        if number >= self.next {
            self.missing.extend(self.next..number);
            self.next = number + 1;
        } else if self.missing.remove(&number) {
            self.reordered += 1;
        } else {
            self.duplicated += 1;
        }
    }

    /// Counts the arrival of bytes that are no message of this sender, which has sent those below
    /// number `sent`.
    ///
    /// Its number is unknown. It is taken for the next message, which it most often is.
    pub fn changed(&mut self, sent: u32) {
        self.changed += 1;
        if self.next < sent {
            self.missing.insert(self.next);
            self.next += 1;
        }
    }

    /// One more than the highest number that has arrived: a message below it is not on its way any
    /// more.
    pub fn reached(&self) -> u32 {
        self.next
    }

    /// Gives up on everything below `number`.
    pub fn give_up(&mut self, number: u32) {
        self.missing.extend(self.next..number);
        self.next = self.next.max(number);
    }

    /// The verdict when messages up to, but without, number `sent` were awaited from number `first`
    /// on.
    pub fn close(&self, first: u32, sent: u32) -> Correctness {
        let absent = self.missing.len() as u64 + u64::from(sent.saturating_sub(self.next));
        Correctness {
            expected: u64::from(sent.saturating_sub(first)),
            // A changed message did come, though not as itself.
            lost: absent.saturating_sub(self.changed),
            duplicated: self.duplicated,
            reordered: self.reordered,
            changed: self.changed,
            cut_off: 0,
        }
    }

    /// The same for a session that broke: messages missing at its end are cut off.
    pub fn close_broken(&self, first: u32, sent: u32) -> Correctness {
        let whole = self.close(first, self.next);
        let cut_off = u64::from(sent.saturating_sub(self.next));
        Correctness { expected: whole.expected + cut_off, cut_off, ..whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(arrivals: &[u32], sent: u32) -> Correctness {
        let mut ledger = Ledger::default();
        arrivals.iter().for_each(|&number| ledger.arrived(number));
        ledger.close(0, sent)
    }

    #[test]
    fn every_kind_of_failure_is_told_apart() {
        let perfect = Correctness { expected: 4, ..Correctness::default() };
        assert_eq!(verdict(&[0, 1, 2, 3], 4), perfect);
        assert!(perfect.is_perfect());
        assert_eq!(verdict(&[0, 2, 3], 4), Correctness { lost: 1, ..perfect });
        assert_eq!(verdict(&[0, 1], 4), Correctness { lost: 2, ..perfect });
        assert_eq!(verdict(&[0, 1, 1, 2, 3], 4), Correctness { duplicated: 1, ..perfect });
        assert_eq!(verdict(&[0, 2, 1, 3], 4), Correctness { reordered: 1, ..perfect });
        assert_eq!(
            verdict(&[3, 2, 1, 0, 0], 4),
            Correctness { reordered: 3, duplicated: 1, ..perfect }
        );
    }

    #[test]
    fn a_changed_message_is_not_lost_as_well() {
        let mut ledger = Ledger::default();
        ledger.arrived(0);
        ledger.changed(3);
        ledger.arrived(2);
        let verdict = ledger.close(0, 3);
        assert_eq!(verdict, Correctness { expected: 3, changed: 1, ..Correctness::default() });
        assert!(!verdict.is_perfect());
    }

    #[test]
    fn what_a_broken_session_did_not_bring_is_cut_off() {
        let mut ledger = Ledger::default();
        ledger.arrived(0);
        ledger.arrived(2);
        let verdict = ledger.close_broken(0, 5);
        assert_eq!(
            verdict,
            Correctness { expected: 5, lost: 1, cut_off: 2, ..Correctness::default() }
        );
    }

    #[test]
    fn what_was_never_sent_moves_nothing() {
        let mut ledger = Ledger::default();
        ledger.arrived(0);
        ledger.changed(1);
        assert_eq!(ledger.reached(), 1);
        ledger.arrived(1);
        assert_eq!(
            ledger.close(0, 2),
            Correctness { expected: 2, changed: 1, ..Correctness::default() }
        );
    }

    #[test]
    fn what_was_given_up_may_still_come() {
        let mut ledger = Ledger::default();
        ledger.give_up(2);
        assert_eq!(ledger.close(0, 2).lost, 2);
        ledger.arrived(0);
        assert_eq!(
            ledger.close(0, 2),
            Correctness { expected: 2, lost: 1, reordered: 1, ..Correctness::default() }
        );
    }

    #[test]
    fn a_late_receiver_misses_nothing_from_before() {
        let mut ledger = Ledger::from(5);
        ledger.arrived(5);
        assert_eq!(ledger.close(5, 6), Correctness { expected: 1, ..Correctness::default() });
    }
}
