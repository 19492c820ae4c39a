//! Errors that end a driven session.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Why a session could not go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The server cannot be reached.
    #[error("cannot connect to {addr}")]
    Connect {
        /// Where it should be.
        addr: SocketAddr,
        /// The system's error.
        #[source]
        source: Arc<io::Error>,
    },
    /// A connection broke.
    #[error("the connection broke")]
    Io(#[source] Arc<io::Error>),
    /// The server ended a connection that the session needs.
    #[error("the server ended the connection {0}")]
    Ended(&'static str),
    /// An answer with another status than the expected one.
    #[error("{request} was answered with {status}")]
    Status {
        /// The request.
        request: &'static str,
        /// The answer.
        status: u16,
    },
    /// The server broke the protocol.
    #[error("{0}")]
    Protocol(&'static str),
    /// The server closed the session.
    #[error("the server closed the session with {code} {reason:?}")]
    Closed {
        /// The close code.
        code: u16,
        /// Its explanation.
        reason: String,
    },
    /// Nothing came for too long.
    #[error("no answer for {after:?} to {step}")]
    Silence {
        /// The awaited event.
        step: &'static str,
        /// How long.
        after: Duration,
    },
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}
