//! One room: its participants, and the messages to them. No locks, no clock, no sockets.
//!
//! **The driver's contract: call one input at a time, and [`CallRoom::handle_timeout`] no later
//! than [`CallRoom::next_timeout`]. All messages that the input causes have been offered to the
//! [`RoomSession`]s when it returns.**

mod participant;
mod signals;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::participant::{Away, Participant, Side};
use super::config::RoomsConfig;
use super::error::MessageError;
use super::mailbox::{self, Mailbox};
use super::number::RoomNumber;
use super::outgoing::{self, Change, Fate, Welcome};
use super::token::Token;
use crate::clock::LONGEST_DELAY;
use sockeye::{Budget, Message};

/// A session, as a room needs it.
pub(super) trait RoomSession {
    /// Tells two sessions apart.
    type Id: PartialEq;

    fn id(&self) -> Self::Id;
    /// Queues a message; false: the session has ended, now at the latest.
    fn offer(&self, message: Message) -> bool;
    /// Whether a transport holds the session.
    fn is_attached(&self) -> bool;
    /// Ends the session, because another one has come in its place.
    fn replace(&self);
}

/// The participants of a room.
#[derive(Debug)]
pub(super) struct CallRoom<S> {
    number: RoomNumber,
    limits: Limits,
    /// Counts what mailboxes hold.
    budget: Budget,
    /// In the order of joining.
    participants: Vec<Participant<S>>,
    revision: u64,
    joins: u64,
    /// Participants whose session refused an offer: they leave, or are away, before the input ends.
    broken: Vec<Arc<str>>,
}

/// The part of [`RoomsConfig`] that a room needs.
#[derive(Clone, Copy, Debug)]
struct Limits {
    participants: usize,
    mailbox: mailbox::Limits,
    grace: Duration,
}

/// The identity of a new participant.
pub(super) struct Identity {
    pub(super) id: Arc<str>,
    pub(super) token: Token,
}

impl Identity {
    pub(super) fn random() -> Self {
        Self { id: format!("{:016x}", rand::random::<u64>()).into(), token: Token::random() }
    }
}

/// A room in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    pub(super) participants: usize,
    pub(super) away: usize,
}

impl<S: RoomSession> CallRoom<S> {
    pub(super) fn new(number: RoomNumber, config: &RoomsConfig) -> Self {
        let mailbox =
            mailbox::Limits { messages: config.mailbox_messages, bytes: config.mailbox_bytes };
        let limits = Limits {
            participants: config.participants_per_room,
            mailbox,
            grace: config.grace.min(LONGEST_DELAY),
        };
        let budget = config.budget.clone();
        Self {
            number,
            limits,
            budget,
            participants: Vec::new(),
            revision: 0,
            joins: 0,
            broken: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.participants.is_empty()
    }

    pub(super) fn census(&self) -> Census {
        let away = self.participants.iter().filter(|one| one.side.session().is_none()).count();
        Census { participants: self.participants.len(), away }
    }

    // Coming and going.

    /// A session of protocol 1 joins, under the name that it has. `told`: it has had its one `join`
    /// message.
    pub(super) fn join_one(
        &mut self,
        identity: Identity,
        name: Box<str>,
        session: S,
        told: bool,
        now: Instant,
    ) -> Result<Arc<str>, MessageError> {
        // Pages of protocol 1 know each other by name, and those of protocol 2 by id.
        let taken = |one: &Participant<S>| match &one.side {
            Side::One { session, .. } => one.name.as_ref() == Some(&name) && session.is_attached(),
            Side::Two { .. } => *one.id == *name,
        };
        if self.participants.iter().any(taken) {
            return Err(MessageError::NameTaken(self.number));
        }
        let same = |one: &Participant<S>| {
            matches!(one.side, Side::One { .. }) && one.name.as_ref() == Some(&name)
        };
        let former =
            self.participants.iter().position(same).map(|place| self.participants.remove(place));
        if former.is_none() {
            self.check_room()?;
        }
        let somebody_is_there = self.participants.iter().any(|one| one.side.session().is_some());
        if !told {
            // A session that does not take it has ended: its driver reports that.
            session.offer(outgoing::join_one(somebody_is_there));
        }
        let change = if former.is_some() { Change::Renewed } else { Change::Joined };
        let (id, incarnation) = match former {
            Some(Participant { id, incarnation, side, .. }) => {
                if let Some(session) = side.session() {
                    session.replace();
                }
                (id, incarnation + 1)
            }
            None => (identity.id, 1),
        };
        let side = Side::One { session, offers: somebody_is_there && !told };
        self.enter(
            Participant { id: Arc::clone(&id), name: Some(name), incarnation, joined: 0, side },
            change,
        );
        self.settle(now);
        Ok(id)
    }

    /// A session of protocol 2 joins as a new participant.
    pub(super) fn join_two(
        &mut self,
        identity: Identity,
        name: Option<Box<str>>,
        session: S,
        now: Instant,
    ) -> Result<Arc<str>, MessageError> {
        self.check_room()?;
        let Identity { id, token } = identity;
        let side = Side::Two { token, session: Ok(session), mailbox: Mailbox::new(&self.budget) };
        self.enter(
            Participant { id: Arc::clone(&id), name, incarnation: 1, joined: 0, side },
            Change::Joined,
        );
        self.settle(now);
        Ok(id)
    }

    /// A session of protocol 2 joins as the participant that it was.
    pub(super) fn come_back(
        &mut self,
        id: &str,
        token: Option<Token>,
        fresh: bool,
        seen: Option<u64>,
        session: S,
        now: Instant,
    ) -> Result<Arc<str>, MessageError> {
        let wrong = MessageError::WrongToken(self.number);
        let Some(place) = self.place(id) else { return Err(wrong) };
        let Side::Two { token: right, .. } = &self.participants[place].side else {
            return Err(wrong);
        };
        if Some(*right) != token {
            return Err(wrong);
        }
        if fresh {
            self.renew(place, session)
        } else {
            self.resume(place, session, seen)
        }
        self.settle(now);
        Ok(self.id_of(id))
    }

    /// A participant leaves by itself, through `session`.
    pub(super) fn leave(&mut self, id: &str, session: &S::Id, now: Instant) {
        if let Some(place) = self.place_of(id, session) {
            self.remove(place);
            self.settle(now);
        }
    }

    /// A session has ended.
    pub(super) fn detach(&mut self, id: &str, session: &S::Id, now: Instant) {
        if let Some(place) = self.place_of(id, session) {
            self.lose(place, now);
            self.settle(now);
        }
    }

    /// Removes the participant of protocol 1 with that name, if its transport is gone; false: there
    /// is none.
    pub(super) fn leave_by_name(&mut self, name: &str, now: Instant) -> bool {
        let lost = |one: &Participant<S>| match &one.side {
            Side::One { session, .. } => {
                one.name.as_deref() == Some(name) && !session.is_attached()
            }
            Side::Two { .. } => false,
        };
        let Some(place) = self.participants.iter().position(lost) else { return false };
        if let Some(session) = self.participants[place].side.session() {
            session.replace();
        }
        self.remove(place);
        self.settle(now);
        true
    }

    /// The earliest time when an absent participant will be gone.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.participants.iter().filter_map(|one| one.side.gone_at()).min()
    }

    /// Removes participants that have been away too long.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let gone = |one: &Participant<S>| one.side.gone_at().is_some_and(|at| at <= now);
        while let Some(place) = self.participants.iter().position(gone) {
            self.remove(place);
        }
        self.settle(now);
    }

    // Changes of the roster.

    fn check_room(&self) -> Result<(), MessageError> {
        let limit = self.limits.participants;
        if self.participants.len() < limit {
            Ok(())
        } else {
            Err(MessageError::RoomFull { room: self.number, limit })
        }
    }

    /// Adds a participant as the last to join, and tells it and all others.
    fn enter(&mut self, mut participant: Participant<S>, change: Change) {
        self.joins += 1;
        participant.joined = self.joins;
        self.participants.push(participant);
        let place = self.participants.len() - 1;
        self.revision += 1;
        self.welcome(place, false, 0);
        self.tell_others(place, change);
    }

    fn resume(&mut self, place: usize, session: S, seen: Option<u64>) {
        let Side::Two { mailbox, .. } = &mut self.participants[place].side else { return };
        let missed = mailbox.rewind(seen);
        let was_away = self.reconnect(place, session);
        self.revision += u64::from(was_away);
        self.welcome(place, true, missed);
        if was_away {
            self.tell_others(place, Change::Back);
        }
        self.hand_over(place);
    }

    fn renew(&mut self, place: usize, session: S) {
        self.reconnect(place, session);
        let mut participant = self.participants.remove(place);
        participant.incarnation += 1;
        let Side::Two { mailbox, .. } = &mut participant.side else { return };
        let expired = mailbox.renew();
        let id = Arc::clone(&participant.id);
        self.enter_returned(participant);
        self.receipts(Fate::Expired, expired, &id);
        self.hand_over(self.participants.len() - 1);
    }

    fn enter_returned(&mut self, mut participant: Participant<S>) {
        self.joins += 1;
        participant.joined = self.joins;
        self.participants.push(participant);
        let place = self.participants.len() - 1;
        self.revision += 1;
        self.welcome(place, true, 0);
        self.tell_others(place, Change::Renewed);
    }

    /// Gives a participant its new session; true: it was away.
    fn reconnect(&mut self, place: usize, session: S) -> bool {
        let Side::Two { session: old, .. } = &mut self.participants[place].side else {
            return false;
        };
        match std::mem::replace(old, Ok(session)) {
            Ok(old) => {
                old.replace();
                false
            }
            Err(Away { .. }) => true,
        }
    }

    fn hand_over(&mut self, place: usize) {
        let Participant { id, side: Side::Two { session: Ok(session), mailbox, .. }, .. } =
            &mut self.participants[place]
        else {
            return;
        };
        let mut whole = true;
        let delivered = mailbox.hand_over(|message| {
            whole = session.offer(message);
            whole
        });
        let id = Arc::clone(id);
        if !whole {
            self.broken.push(Arc::clone(&id));
        }
        self.receipts(Fate::Delivered, delivered, &id);
    }

    /// A participant has lost its session: protocol 2 may bring it back.
    fn lose(&mut self, place: usize, now: Instant) {
        let gone_at = now + self.limits.grace;
        match &mut self.participants[place].side {
            Side::One { .. } => self.remove(place),
            Side::Two { session, .. } => {
                *session = Err(Away { gone_at });
                self.revision += 1;
                self.tell_others(place, Change::Away);
            }
        }
    }

    fn remove(&mut self, place: usize) {
        self.revision += 1;
        self.tell_others(place, Change::Left);
        let mut participant = self.participants.remove(place);
        if let Side::Two { mailbox, .. } = &mut participant.side {
            let expired = mailbox.expire();
            self.receipts(Fate::Expired, expired, &participant.id);
        }
    }

    /// Detaches the participants whose session is broken. Each round has fewer, so it ends.
    fn settle(&mut self, now: Instant) {
        while let Some(id) = self.broken.pop() {
            if let Some(place) = self.place(&id)
                && self.participants[place].side.session().is_some()
            {
                self.lose(place, now);
            }
        }
    }

    fn welcome(&mut self, place: usize, returned: bool, missed: u64) {
        let participant = &self.participants[place];
        let Side::Two { token, session: Ok(session), mailbox } = &participant.side else { return };
        let others = self.participants.iter().filter(|other| other.id != participant.id);
        let welcome = Welcome {
            room: self.number,
            id: &participant.id,
            token: token.to_string(),
            incarnation: participant.incarnation,
            returned,
            waiting: mailbox.waiting(),
            missed,
            grace: self.limits.grace.as_secs_f64(),
            revision: self.revision,
            participants: others.map(|other| participant.view(other)).collect(),
        };
        if !session.offer(welcome.message()) {
            self.broken.push(Arc::clone(&participant.id));
        }
    }

    /// Tells all others of protocol 2 about a participant. Absent participants get the whole roster
    /// when they return.
    fn tell_others(&mut self, place: usize, change: Change) {
        let participant = &self.participants[place];
        for other in self.participants.iter().filter(|other| other.id != participant.id) {
            let Side::Two { session: Ok(session), .. } = &other.side else { continue };
            if !session.offer(outgoing::roster(self.revision, change, &other.view(participant))) {
                self.broken.push(Arc::clone(&other.id));
            }
        }
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.participants.iter().position(|one| *one.id == *id)
    }

    /// The place of a participant, if `session` is still its session.
    fn place_of(&self, id: &str, session: &S::Id) -> Option<usize> {
        self.place(id).filter(|place| {
            self.participants[*place].side.session().is_some_and(|own| own.id() == *session)
        })
    }

    fn id_of(&self, id: &str) -> Arc<str> {
        self.place(id).map_or_else(|| id.into(), |place| Arc::clone(&self.participants[place].id))
    }
}
