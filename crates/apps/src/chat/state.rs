//! State shared by all sessions of a chat.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::config::ChatConfig;
use super::directory::{Crowded, Directory};
use super::error::{Code, RequestError};
use super::label::Label;
use super::room::{ChatRoom, Key};
use crate::clock;
use sockeye::hub::Hub;

/// State shared by all sessions of a chat.
pub(super) struct ChatState {
    hub: Hub,
    pub(super) config: ChatConfig,
    lobby: Label,
    // For counting in and out only, and never held together with a room's floor.
    directory: Mutex<Directory<ChatRoom>>,
    guests: AtomicU64,
    /// Keys are kept as hashes under a random key, so that no client can construct a collision.
    keys: RandomState,
}

impl ChatState {
    pub(super) fn new(hub: Hub, config: ChatConfig) -> Self {
        let lobby = Label::own("lobby");
        let directory = Mutex::new(Directory::new(lobby.clone()));
        let (guests, keys) = (AtomicU64::new(0), RandomState::new());
        Self { hub, config, lobby, directory, guests, keys }
    }

    pub(super) fn enter_lobby(&self) -> Arc<ChatRoom> {
        self.enter(&self.lobby).expect("the lobby is never refused")
    }

    pub(super) fn enter(&self, name: &Label) -> Result<Arc<ChatRoom>, RequestError> {
        let mut directory = self.directory();
        let limit = self.config.rooms;
        directory.enter(name, limit, || ChatRoom::new(name.clone(), &self.hub)).map_err(|Crowded| {
            RequestError::new(
                Code::RoomLimit,
                format!("there are {limit} rooms already, join one of them or come back later"),
            )
        })
    }

    pub(super) fn leave(&self, room: &ChatRoom) {
        self.directory().leave(room.name(), clock::now());
    }

    pub(super) fn key(&self, key: &str) -> Key {
        Key(self.keys.hash_one(key))
    }

    /// A name for a client without one.
    pub(super) fn guest(&self) -> Label {
        let number = self.guests.fetch_add(1, Ordering::Relaxed) + 1;
        Label::own(format!("guest-{number}"))
    }

    /// The rooms, without the expired ones.
    pub(super) fn directory(&self) -> MutexGuard<'_, Directory<ChatRoom>> {
        let mut directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        directory.forget(clock::now(), self.config.forget_after);
        directory
    }
}
