//! Chat rooms.

mod config;
mod directory;
mod error;
mod event;
mod label;
mod lines;
mod request;
mod room;
mod seat;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use self::config::ChatConfig;
use self::request::Asked;
use self::seat::Seat;
use self::state::ChatState;
use crate::serving::Serving;
use sockeye::Session;
use sockeye::hub::Hub;

/// Rooms in which sessions talk; cheap to clone, all clones are the same chat.
///
/// Messages are JSON objects. A client sends `{"message": "hello"}`, and every member of its room,
/// itself included, gets `{"name": "guest-1", "message": "hello"}`. With `name` it takes a name,
/// with `room` it moves from the lobby to another room, with `"roster": true` it follows the room's
/// roster. A client that has sent a name or a room gets more of each event: its `type`, the `room`,
/// the time `at`, and on arrival the history. A request that can't be met is answered to its sender
/// alone, with the type `error`, and changes nothing.
///
/// A connection can be lost without a sign, and messages sent on it may have arrived or not. So a
/// client may give a message an `id` of 16 to 64 random characters, which all members see. A
/// repeated message, whose id the room remembers, goes to its sender alone, with the time of the
/// first, also from another session. `{"ping": "text"}` is answered to its sender alone, with the
/// type `pong` and the same `ping`, so that a client can probe its connection. And a server may be
/// slow to notice that a session's connection died: a client that gave a `key` of 16 to 64 random
/// characters with its `name` takes the name from that session when it gives the same key again.
/// The earlier session is closed with 4001, and the other members are told nothing, since the room
/// has the same members.
///
/// Names, rosters and histories belong to this process, also when a backplane joins its hub to
/// others.
///
/// ```
/// use sockeye_apps::{Chat, ChatConfig};
/// use sockeye::hub::Hub;
///
/// let chat = Chat::new(&Hub::new(), ChatConfig::new().rooms(20));
/// let handler = chat.handler();
/// ```
///
/// # Ordering
///
/// All members of a room get messages, joins and leaves in the same order. A newcomer's history
/// ends where its subscription begins: no message is missing in between, and none comes twice.
#[derive(Clone)]
pub struct Chat {
    state: Arc<ChatState>,
}

impl Chat {
    /// A chat without rooms but the lobby. It publishes under topics that begin with `chat/`, and
    /// sessions that don't read are closed by the hub as slow consumers.
    pub fn new(hub: &Hub, config: ChatConfig) -> Self {
        Self { state: Arc::new(ChatState::new(hub.clone(), config)) }
    }

    /// Serves a session until it ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes the session out of its room, as if its client had gone, and ends
    /// it with 1000.
    pub async fn serve(&self, mut session: Session) {
        let mut seat = Seat::take(Arc::clone(&self.state), session.sender());
        while let Some(message) = session.recv().await {
            let asked = Asked::parse(&message, &self.state.config);
            if asked.introduces {
                seat.introduce();
            }
            let done = asked.request.and_then(|request| seat.act(request));
            // A sender that doesn't read its errors waits here, like any other slow client.
            if let Err(error) = done
                && session.send(seat.error(&error)).await.is_err()
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

    /// Serves a session that speaks in lines until it ends; it meets the sessions of
    /// [`serve`](Self::serve) in the lobby.
    ///
    /// The first line is the client's name. A name that is taken, or none, or one with a `]` in it,
    /// is answered with two lines, and the session is closed. Each further line is said in the
    /// lobby, without the `[NAME]` that such a client puts before its text. The client hears
    /// `[NAME]text` for each message, its own included, `#NAME join!` and `#NAME exit!`. Line
    /// breaks within a text become spaces, so that no client can forge a line.
    ///
    /// # Cancel safety
    ///
    /// As [`serve`](Self::serve).
    pub async fn serve_lines(&self, session: Session) {
        lines::serve(&self.state, session).await;
    }

    /// A handler to mount for clients that speak in lines, as a rule on a
    /// [`TcpEndpoint`](sockeye::TcpEndpoint).
    pub fn line_handler(&self) -> impl Fn(Session) -> Serving + Clone + Send + Sync + 'static {
        let chat = self.clone();
        move |session| {
            let chat = chat.clone();
            Box::pin(async move { chat.serve_lines(session).await })
        }
    }
}

impl fmt::Debug for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chat").field("config", &self.state.config).finish_non_exhaustive()
    }
}
