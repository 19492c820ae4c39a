//! All rooms: finding, creating and dropping them, and driving their timeouts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::config::RoomsConfig;
use super::error::MessageError;
use super::number::RoomNumber;
use super::room::{CallRoom, Census, RoomSession};
use crate::clock;
use sockeye::hub::{Hub, Topic};
use sockeye::{Message, Sender, SessionId};

/// Every room, by number.
pub(super) struct Directory {
    config: RoomsConfig,
    hub: Hub,
    // Held to find a room and to lock it, not while the room works. Order: directory, room,
    // session.
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    rooms: BTreeMap<RoomNumber, Arc<Cell>>,
    /// The empty rooms, and since when. Expired ones are dropped at the next access to the index.
    empty: BTreeSet<(Instant, RoomNumber)>,
}

/// A room that many sessions share.
pub(super) struct Cell {
    number: RoomNumber,
    state: Mutex<State>,
}

struct State {
    room: CallRoom<HubSession>,
    empty_since: Option<Instant>,
    /// A task waits for the room's next timeout.
    is_timed: bool,
}

/// A room's public summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RoomSummary {
    /// Its number.
    pub room: RoomNumber,
    /// How many participants it has.
    pub participants: usize,
    /// How many of them are away, with a broken transport, and may return.
    pub away: usize,
}

/// The limit of rooms is reached, and none is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all rooms are in use: rooms is {limit}")]
#[non_exhaustive]
pub struct TooManyRooms {
    /// [`RoomsConfig::rooms`].
    pub limit: usize,
}

impl From<TooManyRooms> for MessageError {
    fn from(TooManyRooms { limit }: TooManyRooms) -> Self {
        Self::TooManyRooms { limit }
    }
}

impl Directory {
    pub(super) fn new(config: RoomsConfig) -> Self {
        Self { config, hub: Hub::new(), index: Mutex::default() }
    }

    pub(super) fn config(&self) -> &RoomsConfig {
        &self.config
    }

    /// The topic of the event relay.
    pub(super) fn events(&self) -> Topic {
        self.hub.topic("events")
    }

    pub(super) fn session(&self, sender: Sender) -> HubSession {
        HubSession { hub: self.hub.clone(), sender }
    }

    /// Lets a session into a room, which is created if it doesn't exist.
    pub(super) fn enter(
        self: &Arc<Self>,
        number: RoomNumber,
        join: impl FnOnce(&mut CallRoom<HubSession>, Instant) -> Result<Arc<str>, MessageError>,
    ) -> Result<(Arc<Cell>, Arc<str>), MessageError> {
        let now = clock::now();
        let mut index = self.index(now);
        let cell = index.open(number, &self.config)?;
        self.enter_open(index, cell, now, join)
    }

    /// Lets a session into an existing room.
    pub(super) fn enter_existing(
        self: &Arc<Self>,
        number: RoomNumber,
        join: impl FnOnce(&mut CallRoom<HubSession>, Instant) -> Result<Arc<str>, MessageError>,
    ) -> Result<(Arc<Cell>, Arc<str>), MessageError> {
        let now = clock::now();
        let index = self.index(now);
        let cell = index.rooms.get(&number).cloned().ok_or(MessageError::WrongToken(number))?;
        self.enter_open(index, cell, now, join)
    }

    fn enter_open(
        self: &Arc<Self>,
        mut index: MutexGuard<'_, Index>,
        cell: Arc<Cell>,
        now: Instant,
        join: impl FnOnce(&mut CallRoom<HubSession>, Instant) -> Result<Arc<str>, MessageError>,
    ) -> Result<(Arc<Cell>, Arc<str>), MessageError> {
        // The room is locked before the directory is unlocked, so that it is not dropped in
        // between.
        let mut state = cell.lock();
        if let Some(since) = state.empty_since.take() {
            index.empty.remove(&(since, cell.number));
        }
        drop(index);
        let joined = join(&mut state.room, now);
        self.after(&cell, state);
        joined.map(|id| (cell, id))
    }

    /// Does something in a room.
    pub(super) fn within<T>(
        self: &Arc<Self>,
        cell: &Arc<Cell>,
        work: impl FnOnce(&mut CallRoom<HubSession>, Instant) -> T,
    ) -> T {
        let now = clock::now();
        let mut state = cell.lock();
        let result = work(&mut state.room, now);
        self.after(cell, state);
        result
    }

    /// Follows up each change of a room: its timer, its place among the empty rooms.
    fn after(self: &Arc<Self>, cell: &Arc<Cell>, mut state: MutexGuard<'_, State>) {
        if !state.is_timed && state.room.next_timeout().is_some() {
            state.is_timed = true;
            tokio::spawn(keep_time(Arc::clone(self), Arc::clone(cell)));
        }
        let is_empty = state.room.is_empty() && state.empty_since.is_none();
        drop(state);
        if is_empty {
            let now = clock::now();
            self.index(now).note_empty(cell, now);
        }
    }

    pub(super) fn create(&self, number: RoomNumber) -> Result<bool, TooManyRooms> {
        let now = clock::now();
        let mut index = self.index(now);
        if index.rooms.contains_key(&number) {
            return Ok(false);
        }
        let cell = index.open(number, &self.config)?;
        index.note_empty(&cell, now);
        Ok(true)
    }

    pub(super) fn len(&self) -> usize {
        self.index(clock::now()).rooms.len()
    }

    pub(super) fn list(&self) -> Vec<RoomSummary> {
        let cells: Vec<_> = self.index(clock::now()).rooms.values().cloned().collect();
        cells.iter().map(|cell| cell.summary()).collect()
    }

    pub(super) fn summary(&self, number: RoomNumber) -> Option<RoomSummary> {
        self.find(number).map(|cell| cell.summary())
    }

    pub(super) fn leave_by_name(self: &Arc<Self>, number: RoomNumber, name: &str) -> bool {
        let Some(cell) = self.find(number) else { return false };
        self.within(&cell, |room, now| room.leave_by_name(name, now))
    }

    pub(super) fn random_free(&self) -> RoomNumber {
        const TWO_DIGITS: u32 = 100;
        let index = self.index(clock::now());
        let is_free = |number: &RoomNumber| !index.rooms.contains_key(number);
        let free: Vec<_> = (0..TWO_DIGITS).map(RoomNumber::from).filter(is_free).collect();
        if !free.is_empty() {
            return free[rand::random_range(0..free.len())];
        }
        // Few of so many numbers are taken, so the first is free as a rule.
        loop {
            let number = RoomNumber::from(rand::random::<u32>());
            if is_free(&number) {
                return number;
            }
        }
    }

    fn find(&self, number: RoomNumber) -> Option<Arc<Cell>> {
        self.index(clock::now()).rooms.get(&number).cloned()
    }

    /// The index, without expired rooms.
    fn index(&self, now: Instant) -> MutexGuard<'_, Index> {
        // Nothing panics under this lock.
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((since, number)) = index.empty.first().copied()
            && now.saturating_duration_since(since) >= self.config.empty_room
        {
            index.forget(since, number);
        }
        index
    }
}

impl Index {
    /// The room of that number. A new one may take the place of the one that has been empty
    /// longest.
    fn open(
        &mut self,
        number: RoomNumber,
        config: &RoomsConfig,
    ) -> Result<Arc<Cell>, TooManyRooms> {
        if let Some(cell) = self.rooms.get(&number) {
            return Ok(Arc::clone(cell));
        }
        if self.rooms.len() >= config.rooms {
            let (since, longest) =
                self.empty.first().copied().ok_or(TooManyRooms { limit: config.rooms })?;
            self.forget(since, longest);
        }
        let state =
            State { room: CallRoom::new(number, config), empty_since: None, is_timed: false };
        let cell = Arc::new(Cell { number, state: Mutex::new(state) });
        self.rooms.insert(number, Arc::clone(&cell));
        Ok(cell)
    }

    fn note_empty(&mut self, cell: &Cell, now: Instant) {
        let mut state = cell.lock();
        // A participant may have joined since, or another task noted this before.
        if state.room.is_empty() && state.empty_since.is_none() {
            state.empty_since = Some(now);
            self.empty.insert((now, cell.number));
        }
    }

    /// Rooms in the set of empty rooms are empty: a join removes its room first, under the same
    /// lock.
    fn forget(&mut self, since: Instant, number: RoomNumber) {
        self.empty.remove(&(since, number));
        self.rooms.remove(&number);
    }
}

impl Cell {
    pub(super) fn number(&self) -> RoomNumber {
        self.number
    }

    fn summary(&self) -> RoomSummary {
        let Census { participants, away } = self.lock().room.census();
        RoomSummary { room: self.number, participants, away }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under this lock but a bug in the room, for which a wrong roster is better
        // than being closed forever.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drives a room's timeouts while a participant is away.
async fn keep_time(directory: Arc<Directory>, cell: Arc<Cell>) {
    loop {
        let due = {
            let mut state = cell.lock();
            let Some(due) = state.room.next_timeout() else {
                state.is_timed = false;
                return;
            };
            due
        };
        tokio::time::sleep_until(due.into()).await;
        directory.within(&cell, |room, now| room.handle_timeout(now));
    }
}

/// A session in a room.
pub(super) struct HubSession {
    hub: Hub,
    sender: Sender,
}

impl RoomSession for HubSession {
    type Id = SessionId;

    fn id(&self) -> SessionId {
        self.sender.id()
    }

    fn offer(&self, message: Message) -> bool {
        self.hub.send_to(&self.sender, message)
    }

    fn is_attached(&self) -> bool {
        self.sender.is_attached()
    }

    fn replace(&self) {
        self.sender.close((4001, "replaced"));
    }
}
