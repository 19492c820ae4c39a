//! Chat rooms.

mod directory;
mod line;
mod protocol;
mod room;
mod seat;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::directory::{Crowded, Directory};
use self::protocol::{Asked, Code, Label, Refusal};
use self::room::{Key, Room};
use self::seat::Seat;
use super::Serving;
use crate::clock;
use sockeye::Session;
use sockeye::hub::Hub;

/// The limits of a [`Chat`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatConfig {
    /// Characters in a name. Default: 40.
    pub name_chars: usize,
    /// Characters in the name of a room. Default: 40.
    pub room_chars: usize,
    /// Characters in a message. Default: 4,000.
    pub message_chars: usize,
    /// Messages that a room keeps for those who come later. Default: 50.
    pub history: usize,
    /// Bytes of memory that these messages may take; the oldest go first. Default: 64 KiB.
    pub history_bytes: usize,
    /// Rooms at the same time, besides the lobby. When there are so many, the one that has been
    /// empty for the longest time gives way to a new one; while somebody is in each, a new one is
    /// refused. Default: 1,000.
    pub rooms: usize,
    /// How long a room is remembered, with its history, after the last one has left. Default: 10
    /// minutes.
    pub forget_after: Duration,
    /// Names that a roster lists; it always tells how many there are. Default: 500.
    pub roster_names: usize,
    /// Ids of messages that a room remembers, so that a message which comes again is said once; the
    /// oldest go first. Each takes 16 bytes. Default: 1,000.
    pub message_ids: usize,
    /// The least time between two rosters of a room; what changes in between is told by the next
    /// one. Default: 500 ms.
    pub roster_interval: Duration,
}

impl Default for ChatConfig {
    fn default() -> Self {
        Self {
            name_chars: 40,
            room_chars: 40,
            message_chars: 4_000,
            history: 50,
            history_bytes: 64 * 1024,
            rooms: 1_000,
            forget_after: Duration::from_secs(600),
            roster_names: 500,
            message_ids: 1_000,
            roster_interval: Duration::from_millis(500),
        }
    }
}

/// Rooms in which sessions talk; cheap to clone, all clones are the same chat.
///
/// Messages are JSON objects. A client says `{"message": "hello"}`, and everybody in its room gets
/// `{"name": "guest-1", "message": "hello"}`, itself included. With `name` it takes a name, with
/// `room` it moves from the lobby to another room, with `"roster": true` it asks who is there. Who
/// has sent a name or a room is told more of each event: its `type`, the `room`, the time `at`, and
/// on arrival what was said before. A request that can't be done is answered to its sender alone,
/// with the type `error`, and nothing of it is done.
///
/// A connection can be lost without a sign, and what was said on it may have arrived or not. So a
/// client may give a message an `id` of 16 to 64 random characters, with which everybody sees it. A
/// message whose id the room remembers was said already: when it comes again, also from another
/// session, only its sender gets it, with the time of the first. `{"ping": "text"}` is answered to
/// its sender alone, with the type `pong` and the same `ping`, for clients that want to know
/// whether the connection lives. And a server may take long to miss a session whose connection
/// died: a client that gave a `key` of 16 to 64 random characters with its `name` takes the name
/// from that session when it gives the same key again. The session of before is closed with 4001,
/// and the others are told nothing, for to them nobody has come or gone.
///
/// Names, rosters and histories are this process's own, also when its hub is joined to others.
///
/// ```
/// use sockeye_apps::{Chat, ChatConfig};
/// use sockeye::hub::Hub;
///
/// let chat = Chat::new(&Hub::new(), ChatConfig { rooms: 20, ..ChatConfig::default() });
/// let handler = chat.handler();
/// ```
///
/// # Ordering
///
/// Everybody in a room gets what is said and who comes and goes in the same order. The history that
/// a newcomer gets ends where its own hearing begins: nothing is missing in between, and nothing
/// comes twice.
#[derive(Clone)]
pub struct Chat {
    shared: Arc<Shared>,
}

impl Chat {
    /// A chat without rooms but the lobby. It publishes under topics that begin with `chat/`, and
    /// sessions that don't read are closed by the hub as slow consumers.
    pub fn new(hub: &Hub, config: ChatConfig) -> Self {
        let lobby = Label::own("lobby");
        let directory = Mutex::new(Directory::new(lobby.clone()));
        Self {
            shared: Arc::new(Shared {
                hub: hub.clone(),
                config,
                lobby,
                directory,
                guests: AtomicU64::new(0),
                keys: RandomState::new(),
            }),
        }
    }

    /// Serves a session until it ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes the session out of its room, as if its client had gone, and ends
    /// it with 1000.
    pub async fn serve(&self, mut session: Session) {
        let mut seat = Seat::take(Arc::clone(&self.shared), session.sender());
        while let Some(message) = session.recv().await {
            let asked = Asked::parse(&message, &self.shared.config);
            if asked.introduces {
                seat.introduce();
            }
            let done = asked.request.and_then(|request| seat.act(request));
            // Here the sender itself waits if it doesn't read what it is told, as any other session
            // would.
            if let Err(refusal) = done
                && session.send(seat.refuse(&refusal)).await.is_err()
            {
                break;
            }
        }
    }

    /// A handler to mount; several endpoints may share one chat.
    pub fn handler(&self) -> impl Fn(Session) -> Serving + Clone + Send + Sync + 'static {
        let chat = self.clone();
        move |session| {
            let chat = chat.clone();
            Box::pin(async move { chat.serve(session).await })
        }
    }
}

impl fmt::Debug for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chat").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

/// What all sessions of a chat share.
struct Shared {
    hub: Hub,
    config: ChatConfig,
    lobby: Label,
    // For counting in and out only, and never held together with a room's floor.
    directory: Mutex<Directory<Room>>,
    guests: AtomicU64,
    /// Keys are kept as hashes, which nobody can make meet.
    keys: RandomState,
}

impl Shared {
    fn enter_lobby(&self) -> Arc<Room> {
        self.enter(&self.lobby).expect("the lobby is never refused")
    }

    fn enter(&self, name: &Label) -> Result<Arc<Room>, Refusal> {
        let mut directory = self.directory();
        let limit = self.config.rooms;
        directory.enter(name, limit, || Room::new(name.clone(), &self.hub)).map_err(|Crowded| {
            Refusal::new(
                Code::RoomLimit,
                format!("there are {limit} rooms already, join one of them or come back later"),
            )
        })
    }

    fn leave(&self, room: &Room) {
        self.directory().leave(room.name(), clock::now());
    }

    fn key(&self, key: &str) -> Key {
        Key(self.keys.hash_one(key))
    }

    /// A name for somebody who has not given one.
    fn guest(&self) -> Label {
        let number = self.guests.fetch_add(1, Ordering::Relaxed) + 1;
        Label::own(format!("guest-{number}"))
    }

    /// The rooms, without those whose time has passed.
    fn directory(&self) -> MutexGuard<'_, Directory<Room>> {
        let mut directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        directory.forget(clock::now(), self.config.forget_after);
        directory
    }
}
