//! Messages kept for a participant, so that it misses none when its transport breaks.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::value::RawValue;

use sockeye::{Budget, Held, Message};

/// The messages for one participant: first those that were handed to its session, which may not
/// have reached it, then those that wait because it is away.
#[derive(Debug)]
pub(super) struct Mailbox {
    letters: VecDeque<Letter>,
    /// How many of them, from the front, were handed over.
    handed: usize,
    bytes: usize,
    last_seq: u64,
    /// The `seq` of the last one handed over.
    last_handed: u64,
    /// The `seq` of the last one before the current incarnation: gaps up to there don't count as
    /// missed.
    renewed_at: u64,
    budget: Budget,
    /// What the letters hold of it.
    held: Held,
}

/// What a letter holds beside its text, in bytes: its place here, and what a message has of its own.
const LETTER: usize = size_of::<Letter>() + 128;

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

#[derive(Debug)]
struct Letter {
    seq: u64,
    message: Message,
    subject: Subject,
}

/// A letter's subject.
#[derive(Debug)]
pub(super) enum Subject {
    /// A peer connection of this incarnation.
    Connection(Option<Requested>),
    /// A text, which concerns any incarnation.
    Text(Option<Requested>),
    /// A message that the participant itself has sent.
    Receipt,
}

/// A receipt that a sender has asked for.
#[derive(Clone, Debug)]
pub(super) struct Requested {
    pub(super) sender: Arc<str>,
    pub(super) reference: Box<RawValue>,
}

/// The mailbox has no room for another waiting letter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MailboxFull;

impl Mailbox {
    pub(super) fn new(budget: &Budget) -> Self {
        Self {
            letters: VecDeque::new(),
            handed: 0,
            bytes: 0,
            last_seq: 0,
            last_handed: 0,
            renewed_at: 0,
            budget: budget.clone(),
            held: budget.hold(0),
        }
    }

    /// How many letters are not handed over.
    pub(super) fn waiting(&self) -> usize {
        self.letters.len() - self.handed
    }

    /// The number of the next letter.
    pub(super) fn next_seq(&self) -> u64 {
        self.last_seq + 1
    }

    /// Keeps a letter that the session has taken; older ones make room.
    pub(super) fn keep_handed(&mut self, message: Message, subject: Subject, limits: Limits) {
        debug_assert_eq!(self.handed, self.letters.len(), "waiting letters are handed over first");
        self.last_seq += 1;
        self.last_handed = self.last_seq;
        if self.make_room(message.len(), limits) {
            self.push(message, subject);
            self.handed = self.letters.len();
        }
        self.tell();
    }

    /// Keeps a letter until the participant is back.
    pub(super) fn keep_waiting(
        &mut self,
        message: Message,
        subject: Subject,
        limits: Limits,
    ) -> Result<(), MailboxFull> {
        if !self.make_room(message.len(), limits) {
            // A receipt has a number all the same: the gap tells that it is missing. The sender of
            // any other letter gets an error.
            self.last_seq += u64::from(matches!(subject, Subject::Receipt));
            self.tell();
            return Err(MailboxFull);
        }
        self.last_seq += 1;
        self.push(message, subject);
        self.tell();
        Ok(())
    }

    /// The client is back and has received all letters up to `seen`, if it says so: drops these,
    /// and marks all others as waiting. Returns the number of missing letters.
    pub(super) fn rewind(&mut self, seen: Option<u64>) -> u64 {
        // A client can't have seen a number that is not assigned yet.
        let seen = seen.unwrap_or(self.last_handed).min(self.last_seq);
        while self.letters.front().is_some_and(|letter| letter.seq <= seen) {
            self.drop_front();
        }
        self.handed = 0;
        self.last_handed = self.last_handed.min(seen);
        self.tell();
        let since = seen.max(self.renewed_at);
        let there = self.letters.iter().filter(|letter| letter.seq > since).count();
        self.last_seq - since - there as u64
    }

    /// A new incarnation is back: drops the letters that it must not get, and returns the receipts
    /// that are due for them.
    pub(super) fn renew(&mut self) -> Vec<Requested> {
        let mut expired = Vec::new();
        let waiting = self.letters.split_off(self.handed);
        self.clear();
        self.renewed_at = self.last_seq;
        for letter in waiting {
            match letter.subject {
                Subject::Text(_) => {
                    self.bytes += letter.message.len();
                    self.letters.push_back(letter);
                }
                Subject::Connection(requested) => expired.extend(requested),
                Subject::Receipt => {}
            }
        }
        self.tell();
        expired
    }

    /// Hands over waiting letters, in order, for as long as `offer` takes them. Returns the
    /// receipts that are due for them.
    pub(super) fn hand_over(&mut self, mut offer: impl FnMut(Message) -> bool) -> Vec<Requested> {
        let mut delivered = Vec::new();
        while let Some(letter) = self.letters.get_mut(self.handed) {
            if !offer(letter.message.clone()) {
                break;
            }
            self.last_handed = letter.seq;
            self.handed += 1;
            // Once is enough: the sender has its receipt when a letter is handed over again.
            if let Subject::Connection(requested) | Subject::Text(requested) = &mut letter.subject {
                delivered.extend(requested.take());
            }
        }
        delivered
    }

    /// The participant is gone: returns the receipts that are due for its waiting letters.
    pub(super) fn expire(&mut self) -> Vec<Requested> {
        let waiting = self.letters.split_off(self.handed);
        self.clear();
        self.tell();
        let requested = waiting.into_iter().filter_map(|letter| match letter.subject {
            Subject::Connection(requested) | Subject::Text(requested) => requested,
            Subject::Receipt => None,
        });
        requested.collect()
    }

    /// Drops handed letters as far as needed; false when that is not enough, or the process is
    /// short of memory.
    fn make_room(&mut self, bytes: usize, limits: Limits) -> bool {
        let fits = |mailbox: &Self| {
            mailbox.letters.len() < limits.messages
                && mailbox.bytes.saturating_add(bytes) <= limits.bytes
        };
        while !fits(self) && self.handed > 0 {
            self.drop_front();
        }
        fits(self) && !self.budget.is_short()
    }

    /// Reports the bytes of the letters to the budget. The room is locked, so no session is ended
    /// for them.
    fn tell(&mut self) {
        self.held.set_quietly(self.bytes + self.letters.len() * LETTER);
    }

    fn push(&mut self, message: Message, subject: Subject) {
        self.bytes += message.len();
        self.letters.push_back(Letter { seq: self.last_seq, message, subject });
    }

    fn drop_front(&mut self) {
        if let Some(letter) = self.letters.pop_front() {
            self.bytes -= letter.message.len();
            self.handed = self.handed.saturating_sub(1);
        }
    }

    fn clear(&mut self) {
        (self.letters, self.handed, self.bytes) = (VecDeque::new(), 0, 0);
    }
}
