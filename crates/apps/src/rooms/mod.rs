//! Rooms in which pages find each other and negotiate their calls.

mod config;
mod conversation;
mod directory;
mod error;
#[cfg(feature = "rooms-http")]
pub mod http;
mod incoming;
mod mailbox;
mod name;
mod number;
mod outgoing;
pub mod protocol;
mod room;
mod signal;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;
use std::sync::Arc;

pub use self::config::RoomsConfig;
pub use self::directory::{RoomSummary, TooManyRooms};
pub use self::number::{RoomNumber, RoomNumberError};

use self::directory::Directory;
use crate::serving::Serving;
use sockeye::Session;

/// Signaling for calls: rooms and their participants. Cheap to clone, all clones are the same
/// rooms.
///
/// It relays the messages with which pages agree on a call and sees no media. [`protocol`]
/// describes them: a protocol for calls of two and more, and two older dialects for pages that
/// exist.
///
/// ```
/// use sockeye::Gateway;
/// use sockeye_apps::rooms::{Rooms, RoomsConfig};
///
/// let rooms = Rooms::new(RoomsConfig::default());
/// let gateway = Gateway::new().endpoint("/signal", rooms.handler());
/// ```
///
/// # Ordering
///
/// All participants of a room get their messages in the order in which the server received them.
#[derive(Clone)]
pub struct Rooms {
    directory: Arc<Directory>,
}

impl Rooms {
    /// No rooms yet.
    pub fn new(config: RoomsConfig) -> Self {
        Self { directory: Arc::new(Directory::new(config)) }
    }

    /// A handler for the sessions of an endpoint. Those of two endpoints meet in the same rooms.
    pub fn handler(&self) -> impl Fn(Session) -> Serving + Clone + Send + Sync + 'static {
        let directory = Arc::clone(&self.directory);
        move |session| Box::pin(conversation::serve(Arc::clone(&directory), session))
    }

    /// All rooms, by number.
    pub fn list(&self) -> Vec<RoomSummary> {
        self.directory.list()
    }

    /// One room, if it exists.
    pub fn summary(&self, room: RoomNumber) -> Option<RoomSummary> {
        self.directory.summary(room)
    }

    /// Creates a room; false: it exists.
    ///
    /// A join creates its room as well.
    ///
    /// # Errors
    ///
    /// When there are [`RoomsConfig::rooms`], none of them empty.
    pub fn create(&self, room: RoomNumber) -> Result<bool, TooManyRooms> {
        self.directory.create(room)
    }

    /// A random number that no room has, of two digits if there is one left.
    pub fn random_free(&self) -> RoomNumber {
        self.directory.random_free()
    }

    /// Removes a participant of protocol 1 whose transport is gone. False: the room has no
    /// participant of that name, or it is connected.
    pub fn leave(&self, room: RoomNumber, name: &str) -> bool {
        self.directory.leave_by_name(room, name)
    }

    /// The limits and delays.
    pub fn config(&self) -> &RoomsConfig {
        self.directory.config()
    }
}

impl Default for Rooms {
    fn default() -> Self {
        Self::new(RoomsConfig::default())
    }
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rooms").field("rooms", &self.directory.len()).finish_non_exhaustive()
    }
}
