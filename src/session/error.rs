//! Errors of sending.

use std::error::Error;

use crate::Message;

const CLOSED: &str = "the session is closed";

/// Why [`send`](crate::Session::send) did not queue a message; each gives it back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The session has ended or is closing.
    #[error("{CLOSED}")]
    Closed(Message),
    /// A binary message on a session that carries text only.
    #[error("the session carries no binary messages")]
    NotCarried(Message),
    /// A message that is larger by itself than the session can take: than `outbound_bytes` of its
    /// endpoint, or, over TCP, than the 65,535 bytes of modified UTF-8 that a record holds. The
    /// session goes on.
    #[error(
        "the message is larger than the session can take: `outbound_bytes`, and over TCP a record of 65,535 bytes"
    )]
    TooLarge(Message),
}

impl SendError {
    /// The message that was not sent.
    pub fn into_message(self) -> Message {
        match self {
            Self::Closed(message) | Self::NotCarried(message) | Self::TooLarge(message) => message,
        }
    }
}

/// Why [`try_send`](crate::Session::try_send) did not queue a message; each gives it back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrySendError {
    /// The outbound queue is full (`outbound_messages`, `outbound_bytes`): the client reads more
    /// slowly than the application writes.
    #[error("the outbound queue is full")]
    Full(Message),
    /// The session has ended or is closing.
    #[error("{CLOSED}")]
    Closed(Message),
    /// A binary message on a session that carries text only.
    #[error("the session carries no binary messages")]
    NotCarried(Message),
    /// A message that is larger by itself than the session can take: than `outbound_bytes` of its
    /// endpoint, or, over TCP, than the 65,535 bytes of modified UTF-8 that a record holds. The
    /// session goes on.
    #[error(
        "the message is larger than the session can take: `outbound_bytes`, and over TCP a record of 65,535 bytes"
    )]
    TooLarge(Message),
}

impl TrySendError {
    /// The message that was not sent.
    pub fn into_message(self) -> Message {
        match self {
            Self::Full(message)
            | Self::Closed(message)
            | Self::NotCarried(message)
            | Self::TooLarge(message) => message,
        }
    }
}

/// Whether an error is that of a message to a session that has closed.
pub(crate) fn tells_of_closing(error: &(dyn Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(SendError::Closed(_)))
        || matches!(error.downcast_ref(), Some(TrySendError::Closed(_)))
        // Boxes of other crates, such as anyhow's, hide the error's type and show its text.
        || error.to_string() == CLOSED
}
