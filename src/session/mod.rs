//! The session: an application's view of a client, whichever transport carries it.

mod attachment;
mod buffered;
mod core;
mod error;
mod handled;
mod info;
mod queue;
mod rate_timer;
mod receipt;
mod sender;
mod shared;
#[cfg(any(test, feature = "test-util"))]
pub(crate) mod testing;
mod turns;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_sink::Sink;
use tokio_stream::Stream;

use crate::Message;
use crate::protocol::close::CloseReason;
use crate::wakers::Waiter;

pub(crate) use self::attachment::Attachment;
pub(crate) use self::buffered::{Buffered, ReadingPause};
#[cfg(feature = "micro")]
pub(crate) use self::core::Core;
pub use self::core::{EndedBy, Rate, SessionEnd};
pub(crate) use self::core::{Kept, Limits, Liveness, Step};
pub(crate) use self::error::tells_of_closing;
pub use self::error::{SendError, TrySendError};
use self::handled::leaves_to_handler;
pub(crate) use self::handled::while_handled;
pub(crate) use self::info::ConnectInfoParts;
pub use self::info::{ConnectInfo, SessionId, SessionIdError};
#[cfg(feature = "client")]
pub(crate) use self::queue::Queue;
pub(crate) use self::queue::{Key, QueueLimit};
pub(crate) use self::receipt::Receipt;
pub use self::sender::{Sender, SenderSink};
pub(crate) use self::shared::{Carries, Connection, Inbound, Owner, Place, Shared};

/// A client, over any transport.
///
/// A [handler](crate::Handler) owns its session; the session ends when the handler drops it (code
/// 1000, as soon as the handler waits or returns), closes it, fails or panics (1011), or when the
/// client goes. Messages arrive and leave in order.
/// Nothing is delivered twice; [`ended`](Self::ended) tells how many messages could not be handed
/// to a transport.
///
/// It is also a [`Stream`] of messages and a [`Sink`] for them.
pub struct Session {
    shared: Arc<Shared>,
    /// The sink has been told that there is room, and nothing was sent since.
    promised: bool,
    /// The sink, waiting for room.
    waiter: Option<Waiter>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, promised: false, waiter: None }
    }

    /// The next message from the client, or `None` when no more can come: the session has ended, or
    /// is about to.
    ///
    /// Messages that the client sent before it went are still delivered. A handler that does not
    /// call this fills the inbound queue, and with that stops the client: a WebSocket is no longer
    /// read, an `xhr_send` waits. Bytes that had not been read when the client went are read for
    /// `disconnect_delay` as there is room for them, then dropped and logged.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a message is taken in the very poll that returns it.
    pub async fn recv(&mut self) -> Option<Message> {
        self.shared.recv().await
    }

    /// Queues a message for the client, waiting while the outbound queue is full.
    ///
    /// Waiting senders get room in the order in which they began to wait. A waiting future that is
    /// no longer polled holds up those behind it: drop it.
    ///
    /// `Ok` means queued, in order behind all earlier messages; the end of the session tells how
    /// many messages no transport has taken.
    ///
    /// # Errors
    ///
    /// [`SendError`] gives the message back: the session has ended or is closing, its transport
    /// can't carry it, or it is larger than the whole queue (`outbound_bytes`).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe in that the message is either queued or not; a cancelled call drops it when it
    /// was not.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.shared.send(message.into()).await
    }

    /// Queues a message for the client if there is room now, and no other sender waits for some.
    ///
    /// # Errors
    ///
    /// [`TrySendError`] gives the message back and says why it was not taken.
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), TrySendError> {
        self.shared.try_send(message.into())
    }

    /// Ends the session: queued messages still go out, then the client sees the reason, as
    /// `(code, text)` or one of the constants of [`CloseReason`].
    ///
    /// Applications use 1000, codes of their own from 3000 to 4999, and the constants that say they
    /// are for applications. The first close of a session counts; later ones
    /// change nothing. Messages that came from the client and were not yet received are dropped.
    ///
    /// # Ordering
    ///
    /// After everything that was sent before.
    pub fn close(&self, reason: impl Into<CloseReason>) {
        self.shared.close(reason.into(), EndedBy::Application);
    }

    /// A handle that sends and closes, to keep elsewhere.
    pub fn sender(&self) -> Sender {
        Sender::new(Arc::clone(&self.shared))
    }

    /// The id of this session, unique in the process and beyond.
    pub fn id(&self) -> SessionId {
        self.shared.info().id()
    }

    /// Where the client came from, and with which request.
    pub fn info(&self) -> &ConnectInfo {
        self.shared.info()
    }

    /// Whether binary messages can be sent on this session.
    pub fn carries_binary(&self) -> bool {
        self.shared.carries_binary()
    }

    /// Waits for the very end: the client has been told (or is gone), and no more messages will be
    /// handed to a transport.
    ///
    /// The end of a client is noticed also while the application does not receive: at once where it
    /// is seen within 16 KiB behind the full inbound queue, and on Linux at any distance when the
    /// connection is TCP without TLS and all earlier bytes have arrived; else by pings, within two
    /// `heartbeat_delay`. Over HTTP a session ends when its receiver does, or none comes for
    /// `disconnect_delay`. Messages received before can still be taken.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe; it may be called again.
    pub async fn ended(&self) -> SessionEnd {
        self.shared.ended().await
    }
}

/// Ends with `None` like [`Session::recv`]. The trait is that of `futures-core` 0.3.
impl Stream for Session {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.shared.poll_recv(cx)
    }
}

/// Ready while the outbound queue has room; then a message is taken, also when it makes the queue
/// larger than its limit, unless it is larger than the limit by itself. Flushing and closing wait
/// for nothing: a queued message is on its way, and [`Session::ended`] tells how many were not
/// delivered. Closing the sink closes the session with 1000. The trait is that of `futures-sink` 0.3.
///
/// # Errors
///
/// Only `start_send` fails: [`TrySendError`] gives the message back and says why it was not taken.
/// Never with `Full` after `poll_ready`.
impl Sink<Message> for Session {
    type Error = TrySendError;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TrySendError>> {
        if !self.promised {
            // Ready on a closed session too: `start_send` then has the message to give back.
            let Self { shared, waiter, promised } = &mut *self;
            std::task::ready!(shared.poll_space(waiter, cx));
            *promised = true;
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), TrySendError> {
        if std::mem::take(&mut self.promised) {
            self.shared.send_promised(message)
        } else {
            self.shared.try_send(message)
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TrySendError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), TrySendError>> {
        self.shared.close(CloseReason::NORMAL, EndedBy::Application);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if leaves_to_handler(&self.shared) {
            return;
        }
        // A task that panics drops its session while unwinding; 1000 would tell the client that
        // all went well.
        let reason = if std::thread::panicking() {
            CloseReason::HANDLER_FAILED
        } else {
            CloseReason::NORMAL
        };
        self.shared.abandon(reason);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Session").field(&self.id()).finish()
    }
}
