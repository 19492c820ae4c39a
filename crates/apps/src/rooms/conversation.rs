//! A session's side: its dialect and its seat.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::directory::{Cell, Directory};
use super::error::MessageError;
use super::incoming::{Incoming, Way};
use super::number::RoomNumber;
use super::outgoing;
use super::room::Identity;
use super::signal::Signal;
use crate::clock;
use sockeye::hub::Subscription;
use sockeye::{Message, Sender, Session, SessionId};

/// Serves a session to its end.
pub(super) async fn serve(directory: Arc<Directory>, mut session: Session) {
    let alone_at =
        Instant::from_std(clock::now()) + directory.config().join_wait.min(clock::LONGEST_DELAY);
    let mut conversation = Conversation::new(directory, session.sender());
    loop {
        let received = match conversation.awaits_join() {
            true => timeout_at(alone_at, session.recv()).await,
            false => Ok(session.recv().await),
        };
        let answer = match received {
            Ok(Some(message)) => conversation.handle(&message),
            Ok(None) => return,
            Err(_) => Some(conversation.say_alone()),
        };
        if let Some(answer) = answer
            && session.send(answer).await.is_err()
        {
            return;
        }
    }
}

struct Conversation {
    directory: Arc<Directory>,
    sender: Sender,
    dialect: Dialect,
    seat: Option<Seat>,
    /// The one `join` of protocol 1 has been sent.
    told: bool,
}

enum Dialect {
    /// No valid message yet. A page of the event relay that waits for a call stays undecided, and
    /// must get the call.
    Undecided(Subscription),
    Event(Subscription),
    One,
    Two,
}

impl Conversation {
    fn new(directory: Arc<Directory>, sender: Sender) -> Self {
        let subscription = directory.events().subscribe(sender.clone());
        Self {
            directory,
            sender,
            dialect: Dialect::Undecided(subscription),
            seat: None,
            told: false,
        }
    }

    /// Whether to answer silence.
    fn awaits_join(&self) -> bool {
        !self.told && matches!(self.dialect, Dialect::Undecided(_) | Dialect::One)
    }

    fn say_alone(&mut self) -> Message {
        self.told = true;
        outgoing::join_one(false)
    }

    /// Handles a message and returns the answer to its sender. Messages to other sessions have been
    /// sent by then.
    fn handle(&mut self, message: &Message) -> Option<Message> {
        let incoming = self.check_size(message).and_then(Incoming::parse);
        let reference = match &incoming {
            Ok(Incoming::Signal(signal)) => signal.reference,
            Ok(_) | Err(_) => None,
        };
        match incoming.and_then(|incoming| self.act(incoming, message)) {
            Ok(answer) => answer,
            Err(error) => Some(self.error(&error, reference)),
        }
    }

    fn check_size<'m>(&self, message: &'m Message) -> Result<&'m str, MessageError> {
        let (size, limit) = (message.len(), self.directory.config().message_size);
        if size > limit {
            return Err(MessageError::TooLarge { size, limit });
        }
        message.as_text().ok_or(MessageError::Binary)
    }

    fn act(
        &mut self,
        incoming: Incoming<'_>,
        message: &Message,
    ) -> Result<Option<Message>, MessageError> {
        match incoming {
            Incoming::Event => self.relay(message),
            Incoming::JoinOne { name, room } => self.join_one(name, room),
            Incoming::JoinTwo { room, way } => self.join_two(room, way),
            Incoming::Signal(signal) => self.signal(&signal),
            Incoming::Leave { room } => self.leave(room),
            Incoming::Ping { reference } => self.answer(reference),
        }
    }

    fn relay(&mut self, message: &Message) -> Result<Option<Message>, MessageError> {
        self.dialect = match std::mem::replace(&mut self.dialect, Dialect::One) {
            Dialect::Undecided(subscription) | Dialect::Event(subscription) => {
                Dialect::Event(subscription)
            }
            other @ (Dialect::One | Dialect::Two) => {
                self.dialect = other;
                return Err(self.wrong_dialect());
            }
        };
        self.directory.events().publish_except(message.clone(), self.sender.id());
        Ok(None)
    }

    fn join_one(
        &mut self,
        name: Box<str>,
        room: RoomNumber,
    ) -> Result<Option<Message>, MessageError> {
        match self.dialect {
            Dialect::Undecided(_) => self.dialect = Dialect::One,
            Dialect::One => {}
            Dialect::Event(_) | Dialect::Two => return Err(self.wrong_dialect()),
        }
        self.check_standing()?;
        let (session, told) = (self.directory.session(self.sender.clone()), self.told);
        let place = self
            .directory
            .enter(room, |room, now| room.join_one(Identity::random(), name, session, told, now))?;
        self.told = true;
        self.sit_down(place);
        Ok(None)
    }

    fn join_two(&mut self, room: RoomNumber, way: Way) -> Result<Option<Message>, MessageError> {
        match self.dialect {
            Dialect::Undecided(_) => self.dialect = Dialect::Two,
            Dialect::Two => {}
            Dialect::Event(_) | Dialect::One => return Err(self.wrong_dialect()),
        }
        self.check_standing()?;
        let session = self.directory.session(self.sender.clone());
        let place = match way {
            Way::New { name } => self
                .directory
                .enter(room, |room, now| room.join_two(Identity::random(), name, session, now))?,
            Way::Back { id, token, fresh, seen } => {
                self.directory.enter_existing(room, |room, now| {
                    room.come_back(&id, token, fresh, seen, session, now)
                })?
            }
        };
        self.sit_down(place);
        Ok(None)
    }

    fn signal(&mut self, signal: &Signal<'_>) -> Result<Option<Message>, MessageError> {
        if let Dialect::Event(_) = self.dialect {
            return Err(self.wrong_dialect());
        }
        let Some(Seat { directory, cell, id, session }) = &self.seat else {
            return Err(MessageError::NotJoined);
        };
        directory.within(cell, |room, now| room.signal(id, session, signal, now))?;
        Ok(None)
    }

    fn leave(&mut self, room: Option<RoomNumber>) -> Result<Option<Message>, MessageError> {
        if let Dialect::Event(_) = self.dialect {
            return Err(self.wrong_dialect());
        }
        let Some(Seat { directory, cell, id, session }) = &self.seat else {
            return Err(MessageError::NotJoined);
        };
        let number = cell.number();
        let is_one = matches!(self.dialect, Dialect::One);
        if let Some(other) = room.filter(|room| is_one && *room != number) {
            return Err(MessageError::OtherRoom(other));
        }
        directory.within(cell, |room, now| room.leave(id, session, now));
        self.seat = None;
        Ok((!is_one).then(|| outgoing::left(number)))
    }

    /// Answers in a room or outside, without a `seq`: a pong is only a sign of life.
    fn answer(&self, reference: Option<&RawValue>) -> Result<Option<Message>, MessageError> {
        match self.dialect {
            Dialect::Undecided(_) | Dialect::Two => Ok(Some(outgoing::pong(reference))),
            Dialect::Event(_) | Dialect::One => Err(self.wrong_dialect()),
        }
    }

    fn check_standing(&self) -> Result<(), MessageError> {
        match &self.seat {
            Some(seat) => Err(MessageError::AlreadyJoined(seat.cell.number())),
            None => Ok(()),
        }
    }

    fn sit_down(&mut self, (cell, id): (Arc<Cell>, Arc<str>)) {
        let (directory, session) = (Arc::clone(&self.directory), self.sender.id());
        tracing::debug!(%session, room = %cell.number(), participant = %id, "joined");
        self.seat = Some(Seat { directory, cell, id, session });
    }

    fn wrong_dialect(&self) -> MessageError {
        MessageError::WrongDialect(match self.dialect {
            Dialect::Undecided(_) => "nothing yet",
            Dialect::Event(_) => "the event relay",
            Dialect::One => "protocol 1",
            Dialect::Two => "protocol 2",
        })
    }

    fn error(&self, error: &MessageError, reference: Option<&RawValue>) -> Message {
        match self.dialect {
            Dialect::Two => outgoing::error_two(error, reference, None),
            Dialect::Undecided(_) | Dialect::One => outgoing::error_one(error),
            Dialect::Event(_) => outgoing::error_event(error),
        }
    }
}

/// A session's place in a room; dropping it tells the room that the session has ended.
struct Seat {
    directory: Arc<Directory>,
    cell: Arc<Cell>,
    id: Arc<str>,
    session: SessionId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.directory.within(&self.cell, |room, now| room.detach(&self.id, &self.session, now));
    }
}
