//! Messages from the client, until the application takes them.

use std::time::Instant;

use super::{Buckets, Core, Limits, Rate};
use crate::Message;
use crate::session::queue::Queue;

/// Why messages from the client are not taken now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    /// The inbound queue has no room.
    Full,
    /// The client is over its rate until then.
    OverRate(Instant),
}

impl Core {
    /// Takes messages from the client, all or none. False: there is no room for them now.
    ///
    /// A session that is closing takes them and drops them: its client can't know yet.
    pub(crate) fn push_inbound(&mut self, limits: &Limits, messages: &mut Vec<Message>) -> bool {
        let bytes = messages.iter().map(Message::len).sum();
        // An empty payload needs no room, also while the queue is over its limit.
        if self.takes_more()
            && !messages.is_empty()
            && !self.inbound.fits(limits.inbound, messages.len(), bytes)
        {
            return false;
        }
        self.push_last(messages);
        true
    }

    /// The same for a client that has a rate.
    pub(crate) fn push_at_rate(
        &mut self,
        now: Instant,
        limits: &Limits,
        rate: &Rate,
        messages: &mut Vec<Message>,
    ) -> Result<(), NotAdmitted> {
        if self.takes_more() && !messages.is_empty() {
            let bytes = messages.iter().map(Message::len).sum();
            if !self.inbound.fits(limits.inbound, messages.len(), bytes) {
                return Err(NotAdmitted::Full);
            }
            let buckets = self.rate.get_or_insert_with(|| Box::new(Buckets::full(now)));
            buckets.take(now, rate, messages.len(), bytes).map_err(NotAdmitted::OverRate)?;
        }
        self.push_last(messages);
        Ok(())
    }

    /// Until when the client's rate has held back a payload, if it ever has; may be past.
    pub(crate) fn held_by_rate_until(&self) -> Option<Instant> {
        self.rate.as_ref().map(|buckets| buckets.held_until())
    }

    /// Takes the last messages of a client that is gone, room or not.
    pub(crate) fn push_last(&mut self, messages: &mut Vec<Message>) {
        if !self.takes_more() {
            return messages.clear();
        }
        self.taken += messages.len() as u64;
        messages.iter().for_each(|message| self.charges.enter(message));
        self.inbound.append(messages);
    }

    /// The client has gone; its last messages are read on, and taken also when the session has
    /// closed.
    pub(crate) fn expect_rest(&mut self) {
        self.rest_comes = self.is_open();
    }

    /// All of the rest is in, or dropped.
    pub(crate) fn rest_is_in(&mut self) {
        self.rest_comes = false;
    }

    /// Whether more messages may come from the client.
    pub(crate) fn takes_more(&self) -> bool {
        self.is_open() || self.rest_comes
    }

    /// The application receives no more: the caller drops the waiting messages, after unlocking.
    pub(crate) fn take_inbound(&mut self) -> Queue {
        self.rest_comes = false;
        self.inbound.iter().for_each(|message| self.charges.leave(message));
        std::mem::take(&mut self.inbound)
    }

    /// The oldest message from the client.
    pub(crate) fn pop_inbound(&mut self) -> Option<Message> {
        let message = self.inbound.pop()?;
        self.charges.leave(&message);
        Some(message)
    }
}
