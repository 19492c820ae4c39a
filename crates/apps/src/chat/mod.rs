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
/// let chat = Chat::new(&Hub::new(), ChatConfig::new().rooms(20));
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
            // Here the sender itself waits if it doesn't read what it is told, as any other session
            // would.
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
    /// `[NAME]text` for what is said, its own lines included, `#NAME join!` and `#NAME exit!`.
    /// Breaks within a text become spaces, so that nobody can make a line up.
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
