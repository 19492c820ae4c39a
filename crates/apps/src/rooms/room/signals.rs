//! Signals between participants, and receipts to their senders.

use std::sync::Arc;
use std::time::Instant;

use serde_json::value::RawValue;

use super::super::error::MessageError;
use super::super::mailbox::{self, Requested, Subject};
use super::super::outgoing::{self, Fate, Origin};
use super::super::signal::Signal;
use super::participant::{Participant, Side};
use super::{CallRoom, RoomSession};

impl<S: RoomSession> CallRoom<S> {
    /// A participant sends a signal to one other or to all. `session` is the sender's.
    ///
    /// The error is for the sender. The room itself reports `MailboxFull`, because others may have
    /// got the message.
    pub(in super::super) fn signal(
        &mut self,
        id: &str,
        session: &S::Id,
        signal: &Signal<'_>,
        now: Instant,
    ) -> Result<(), MessageError> {
        let Some(sender) = self.place_of(id, session) else { return Err(MessageError::NotJoined) };
        if let (Side::One { .. }, Some(from)) = (&self.participants[sender].side, &signal.from)
            && self.participants[sender].name.as_deref() != Some(&**from)
        {
            return Err(MessageError::WrongName);
        }
        let receivers = self.receivers(sender, signal)?;
        let outcome = self.distribute(sender, &receivers, signal);
        self.report(sender, signal, &outcome);
        self.settle(now);
        Ok(())
    }

    fn receivers(&self, sender: usize, signal: &Signal<'_>) -> Result<Vec<usize>, MessageError> {
        let addressed = match (&signal.to, &self.participants[sender].side) {
            (Some(to), Side::Two { .. }) => to,
            // Protocol 1 addresses the whole room only.
            (Some(_), Side::One { .. }) | (None, _) => {
                return Ok((0..self.participants.len()).filter(|place| *place != sender).collect());
            }
        };
        let place = self
            .place(addressed)
            .filter(|place| *place != sender)
            .ok_or(MessageError::NoSuchParticipant)?;
        let incarnation = self.participants[place].incarnation;
        if signal.to_incarnation.is_some_and(|meant| meant != incarnation) {
            return Err(MessageError::Stale(incarnation));
        }
        Ok(vec![place])
    }

    fn distribute(&mut self, sender: usize, receivers: &[usize], signal: &Signal<'_>) -> Outcome {
        let (from, incarnation) =
            (Arc::clone(&self.participants[sender].id), self.participants[sender].incarnation);
        let origin = Origin { id: &from, incarnation };
        // Pages of protocol 1 know each other by name.
        let as_one = match &self.participants[sender] {
            Participant { side: Side::One { .. }, name: Some(name), .. } => {
                outgoing::signal_one(name, signal)
            }
            Participant { id, .. } => outgoing::signal_one(id, signal),
        };
        let requested = signal.reference.filter(|_| self.participants[sender].is_two());
        let requested = requested.map(|reference| Requested {
            sender: Arc::clone(&from),
            reference: reference.to_owned(),
        });
        let limits = self.limits.mailbox;
        let mut outcome = Outcome::default();
        for &place in receivers {
            let receiver = &mut self.participants[place];
            let id = Arc::clone(&receiver.id);
            let (session, mailbox) = match &mut receiver.side {
                Side::One { session, .. } => {
                    if as_one.as_ref().is_none_or(|message| session.offer(message.clone())) {
                        outcome.delivered.push(id);
                    } else {
                        outcome.expired.push(Arc::clone(&id));
                        self.broken.push(id);
                    }
                    continue;
                }
                Side::Two { session, mailbox, .. } => (session, mailbox),
            };
            let message = outgoing::signal_two(mailbox.next_seq(), origin, signal);
            let subject = |requested| match signal.kind.is_signaling() {
                true => Subject::Connection(requested),
                false => Subject::Text(requested),
            };
            let handed = session.as_ref().is_ok_and(|session| session.offer(message.clone()));
            if handed {
                mailbox.keep_handed(message, subject(None), limits);
                outcome.delivered.push(id);
                continue;
            }
            match mailbox.keep_waiting(message, subject(requested.clone()), limits) {
                Ok(()) => outcome.queued.push(Arc::clone(&id)),
                Err(mailbox::MailboxFull) => outcome.full.push(Arc::clone(&id)),
            }
            if session.is_ok() {
                self.broken.push(id);
            }
        }
        outcome
    }

    /// Reports the fate of a message to its sender.
    fn report(&mut self, sender: usize, signal: &Signal<'_>, outcome: &Outcome) {
        if !outcome.full.is_empty() {
            let mailbox::Limits { messages, bytes } = self.limits.mailbox;
            let error = MessageError::MailboxFull { messages, bytes };
            let full = ids(&outcome.full);
            let participant = &self.participants[sender];
            let error = match participant.is_two() {
                true => outgoing::error_two(&error, signal.reference, Some(&full)),
                false => outgoing::error_one(&error),
            };
            if participant.side.session().is_some_and(|session| !session.offer(error)) {
                self.broken.push(Arc::clone(&participant.id));
            }
        }
        let Some(reference) = signal.reference else { return };
        let no_receiver =
            outcome.queued.is_empty() && outcome.expired.is_empty() && outcome.full.is_empty();
        for (fate, receivers) in [
            (Fate::Delivered, &outcome.delivered),
            (Fate::Queued, &outcome.queued),
            (Fate::Expired, &outcome.expired),
        ] {
            if !receivers.is_empty() || (no_receiver && fate == Fate::Delivered) {
                self.receipt(sender, fate, reference, &ids(receivers));
            }
        }
    }

    fn receipt(&mut self, sender: usize, fate: Fate, reference: &RawValue, to: &[&str]) {
        let limits = self.limits.mailbox;
        let Participant { id, side: Side::Two { session, mailbox, .. }, .. } =
            &mut self.participants[sender]
        else {
            return;
        };
        let message = outgoing::receipt(mailbox.next_seq(), fate, reference, to);
        if session.as_ref().is_ok_and(|session| session.offer(message.clone())) {
            mailbox.keep_handed(message, Subject::Receipt, limits);
            return;
        }
        // A receipt that doesn't fit counts as missed in the next `welcome`.
        let _ = mailbox.keep_waiting(message, Subject::Receipt, limits);
        if session.is_ok() {
            self.broken.push(Arc::clone(id));
        }
    }

    /// Sends the requested receipts for messages to `receiver`.
    pub(super) fn receipts(&mut self, fate: Fate, requested: Vec<Requested>, receiver: &str) {
        for Requested { sender, reference } in requested {
            if let Some(place) = self.place(&sender) {
                self.receipt(place, fate, &reference, &[receiver]);
            }
        }
    }
}

/// The receivers of a message, by its fate.
#[derive(Default)]
struct Outcome {
    delivered: Vec<Arc<str>>,
    queued: Vec<Arc<str>>,
    /// Lost at this moment, without a way to return.
    expired: Vec<Arc<str>>,
    /// Away, with a full mailbox.
    full: Vec<Arc<str>>,
}

fn ids(ids: &[Arc<str>]) -> Vec<&str> {
    ids.iter().map(|id| &**id).collect()
}
