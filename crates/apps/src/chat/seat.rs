//! One session's place in the chat: its name, its room, and its subscriptions.

use std::mem;
use std::sync::Arc;

use super::error::{Code, RequestError};
use super::event::{Event, Form};
use super::label::Label;
use super::request::Request;
use super::room::{ChatRoom, Claimed, Floor, Holder, Key};
use super::state::ChatState;
use crate::clock;
use sockeye::hub::Subscription;
use sockeye::{Message, Sender};

/// A session in a room; dropping it leaves.
pub(super) struct Seat {
    chat: Arc<ChatState>,
    sender: Sender,
    name: Label,
    /// The client chose the name: it is not exchanged for another.
    named: bool,
    key: Option<Key>,
    form: Form,
    follows_rosters: bool,
    place: Place,
}

impl Seat {
    /// A seat in the lobby under a guest name; the other members are not told.
    pub(super) fn take(chat: Arc<ChatState>, sender: Sender) -> Self {
        let mut place = Place::new(chat.enter_lobby());
        let form = Form::Plain;
        let mut floor = place.room.floor(&chat.config);
        let name = claim_guest_name(&chat, &mut floor, &sender);
        floor.roster_changed();
        place.events = Some(floor.admit(&sender, form));
        drop(floor);
        Self { chat, sender, name, named: false, key: None, form, follows_rosters: false, place }
    }

    /// A seat in the lobby under a chosen name; the other members are told.
    pub(super) fn take_named(
        chat: Arc<ChatState>,
        sender: Sender,
        form: Form,
        name: Label,
    ) -> Result<Self, NameTaken> {
        let mut place = Place::new(chat.enter_lobby());
        let mut floor = place.room.floor(&chat.config);
        if floor.claim(&name, Holder { sender: sender.clone(), key: None }).is_none() {
            drop(floor);
            chat.leave(&place.room);
            return Err(NameTaken);
        }
        place.announced = true;
        place.events = Some(floor.admit(&sender, form));
        floor.announce(&Event::Joined { name: &name }, sender.id());
        floor.roster_changed();
        drop(floor);
        Ok(Self { chat, sender, name, named: true, key: None, form, follows_rosters: false, place })
    }

    pub(super) fn name(&self) -> &Label {
        &self.name
    }

    /// Gives the session full events from now on.
    pub(super) fn introduce(&mut self) {
        if mem::replace(&mut self.form, Form::Full) != Form::Full {
            let floor = self.place.room.floor(&self.chat.config);
            self.place.events = Some(floor.admit(&self.sender, self.form));
        }
    }

    /// Does all of a request, or nothing.
    pub(super) fn act(&mut self, request: Request) -> Result<(), RequestError> {
        let Request { name, key, room, roster, message, id, ping } = request;
        let key = key.map(|key| self.chat.key(&key)).or(self.key.filter(|_| name.is_none()));
        let target = room.as_ref().filter(|room| *room != self.place.room.name());
        let target = target.map(|target| self.chat.enter(target)).transpose()?;
        let (wanted, claimed) =
            self.claim(target.as_ref(), name.as_ref(), key).inspect_err(|_| {
                if let Some(target) = &target {
                    self.chat.leave(target);
                }
            })?;

        // From here on nothing can be refused.
        let before = mem::replace(&mut self.name, wanted);
        self.key = key;
        let moved = target.is_some();
        if let Some(target) = target {
            // Left first, so that the session gets nothing of the old room after the welcome to the
            // new one.
            mem::replace(&mut self.place, Place::new(target)).leave(
                &self.chat,
                &self.sender,
                &before,
            );
        }
        let renamed = self.name != before;
        let shows_itself = name.is_some() || room.is_some();
        self.named |= name.is_some();
        self.follows_rosters = roster.unwrap_or(self.follows_rosters);

        let (place, sender) = (&mut self.place, &self.sender);
        let mut floor = place.room.floor(&self.chat.config);
        if renamed && !moved {
            floor.release(&before, sender.id());
        }
        place.events.get_or_insert_with(|| floor.admit(sender, self.form));
        if claimed == Claimed::TakenBack {
            // The other members know this name already; only the session's earlier name, if
            // announced, has gone.
            if mem::replace(&mut place.announced, true) {
                floor.announce(&Event::Left { name: &before }, sender.id());
            }
        } else if shows_itself && !mem::replace(&mut place.announced, true) {
            floor.announce(&Event::Joined { name: &self.name }, sender.id());
        } else if renamed {
            floor.announce(&Event::Renamed { from: &before, to: &self.name }, sender.id());
        }
        if shows_itself {
            floor.welcome(sender, self.form, &self.name);
        }
        if renamed || moved {
            floor.roster_changed();
        }
        if !self.follows_rosters {
            place.rosters = None;
        } else if place.rosters.is_none() || roster.is_some() {
            place.rosters.get_or_insert_with(|| floor.admit_to_rosters(sender));
            floor.tell_roster(sender);
        }
        if let Some(message) = message {
            floor.say(sender, self.form, &self.name, message, id);
        }
        if let Some(ping) = ping {
            floor.answer(sender, &ping);
        }
        Ok(())
    }

    /// The message about a failed request.
    pub(super) fn error(&self, error: &RequestError) -> Message {
        Event::Error(error).write(self.form, self.place.room.name(), clock::unix_millis())
    }

    /// Reserves the session's name in the room where it will be; its earlier name stays reserved.
    fn claim(
        &self,
        target: Option<&Arc<ChatRoom>>,
        name: Option<&Label>,
        key: Option<Key>,
    ) -> Result<(Label, Claimed), RequestError> {
        let wanted = name.unwrap_or(&self.name);
        if target.is_none() && name.is_none() {
            return Ok((wanted.clone(), Claimed::Free));
        }
        let room = target.unwrap_or(&self.place.room);
        let mut floor = room.floor(&self.chat.config);
        if let Some(claimed) = floor.claim(wanted, Holder { sender: self.sender.clone(), key }) {
            return Ok((wanted.clone(), claimed));
        }
        if name.is_none() && !self.named {
            return Ok((claim_guest_name(&self.chat, &mut floor, &self.sender), Claimed::Free));
        }
        Err(RequestError::new(
            Code::NameTaken,
            format!("the name {wanted} is taken in {}", room.name()),
        ))
    }
}

/// Another session in the room has that name.
#[derive(Debug)]
pub(super) struct NameTaken;

impl Drop for Seat {
    fn drop(&mut self) {
        self.place.leave(&self.chat, &self.sender, &self.name);
    }
}

/// A session's room, and its subscriptions there.
struct Place {
    room: Arc<ChatRoom>,
    /// The other members were told of the session, so they are told when it leaves.
    announced: bool,
    events: Option<Subscription>,
    rosters: Option<Subscription>,
}

impl Place {
    fn new(room: Arc<ChatRoom>) -> Self {
        Self { room, announced: false, events: None, rosters: None }
    }

    fn leave(&mut self, chat: &ChatState, sender: &Sender, name: &Label) {
        let mut floor = self.room.floor(&chat.config);
        self.events = None;
        self.rosters = None;
        let was_ours = floor.release(name, sender.id());
        if was_ours && self.announced {
            floor.announce(&Event::Left { name }, sender.id());
        }
        floor.roster_changed();
        drop(floor);
        chat.leave(&self.room);
    }
}

/// A guest's name; another client may have chosen the first candidate.
fn claim_guest_name(chat: &ChatState, floor: &mut Floor<'_>, sender: &Sender) -> Label {
    loop {
        let name = chat.guest();
        if floor.claim(&name, Holder { sender: sender.clone(), key: None }).is_some() {
            return name;
        }
    }
}
