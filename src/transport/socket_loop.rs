//! The steps that the loops of WebSocket and TCP share: the application's turn, messages without
//! room, pauses of reading, the peer's last bytes, and the end.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::patience::{Deadline, Pace};
use super::watch::{EndWatch, PeerWatch};
use crate::Message;
use crate::session::{Attachment, Buffered};

/// Pieces read, or messages taken, before the other side of the task gets its turn.
pub(super) const TURN: usize = 64;

/// The state of a loop that does not depend on the bytes on the wire.
pub(super) struct SocketLoop<A> {
    pub(super) attachment: Attachment,
    buffered: Buffered,
    /// `None` once it has returned.
    application: Option<A>,
    /// Messages that found no room in the inbound queue; while there are any, the socket is not
    /// read.
    pub(super) refused: Vec<Message>,
    /// The deadline of a message that has begun; it stands only while the rest is awaited.
    pub(super) message_deadline: Deadline,
    pub(super) pace: Pace,
    end_watch: EndWatch,
}

impl<A: Future<Output = ()> + Unpin> SocketLoop<A> {
    /// `watch` sees the peer's end while the socket is not read.
    pub(super) fn new(
        attachment: Attachment,
        application: A,
        watch: Option<PeerWatch>,
        message_deadline: Deadline,
    ) -> Self {
        Self {
            buffered: attachment.buffered(),
            attachment,
            application: Some(application),
            refused: Vec::new(),
            message_deadline,
            pace: Pace::default(),
            end_watch: EndWatch::new(watch),
        }
    }

    pub(super) fn poll_application(&mut self, cx: &mut Context<'_>) {
        if let Some(application) = &mut self.application
            && Pin::new(application).poll(cx).is_ready()
        {
            self.application = None;
        }
    }

    /// Reports the bytes on their way: refused messages, and `bytes` of the transport.
    pub(super) fn tell_held(&mut self, bytes: usize) {
        // As a rule nothing is refused.
        let refused =
            self.refused.iter().map(|message| message.len() + Message::OVERHEAD).sum::<usize>();
        self.buffered.set(bytes + refused);
    }

    /// Offers refused messages again. False: there is still no room for them.
    pub(super) fn offer_refused(&mut self, cx: &mut Context<'_>) -> bool {
        let taken = self.attachment.hear_again(cx, &mut self.refused);
        if taken {
            self.end_watch.rest();
        }
        taken
    }

    /// Whether there is memory to read the socket.
    pub(super) fn may_read(&mut self, cx: &mut Context<'_>) -> bool {
        let may = self.attachment.may_read(cx);
        if may {
            self.end_watch.rest();
        }
        may
    }

    /// For as long as the socket is not read, for any reason: no time counts against the peer.
    pub(super) fn pause(&mut self) {
        self.message_deadline.clear();
    }

    /// Ready when the peer of a socket that is not read has gone.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.end_watch.poll(cx)
    }

    /// The session has room for the peer's last messages, or not: they are in memory already.
    pub(super) fn push_last(&mut self) {
        self.attachment.push_last(&mut self.refused);
    }

    /// Leaves the session, and returns what outlives it: the account of the bytes on their way, and
    /// the application.
    pub(super) fn leave(self) -> (Buffered, Option<A>) {
        // The attachment and the watch are dropped here, for the watch holds the socket as well.
        (self.buffered, self.application)
    }
}

/// A loop, for the steps that read.
pub(super) trait Reads {
    type Application: Future<Output = ()> + Unpin;

    fn steps(&mut self) -> &mut SocketLoop<Self::Application>;

    /// Reads what has arrived, up to a turn. True when the application has got something, or
    /// reading has ended.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool;

    fn has_ended(&self) -> bool;

    /// Reports the bytes on their way.
    fn tell_held(&mut self);

    /// Bytes that are no message yet, where the loop knows.
    fn waiting(&self) -> Option<usize>;
}

/// Reads the last bytes of a peer that has gone, as far as the application makes room for them
/// within `linger`.
pub(super) async fn read_rest(socket: &mut impl Reads, linger: Duration) {
    socket.steps().end_watch = EndWatch::default();
    let read = poll_fn(|cx| {
        let polled = poll_rest(socket, cx);
        socket.tell_held();
        polled
    });
    let late = timeout(linger, read).await.is_err();
    let bytes = socket.waiting();
    let steps = socket.steps();
    if late {
        tracing::debug!(
            session = %steps.attachment.session().info().id(),
            messages = steps.refused.len(),
            bytes,
            waited = ?linger,
            "dropped messages of a client that has gone: its application did not receive them within `disconnect_delay`"
        );
        steps.refused.clear();
    }
    steps.push_last();
    steps.attachment.rest_is_in();
}

/// Ready when all of the rest is in.
fn poll_rest(socket: &mut impl Reads, cx: &mut Context<'_>) -> Poll<()> {
    for _ in 0..TURN {
        let read = socket.poll_read(cx);
        socket.steps().poll_application(cx);
        if socket.has_ended() {
            return Poll::Ready(());
        }
        if !read {
            return Poll::Pending;
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Waits for the socket's end and for the application: it may have work left, but the client does
/// not wait for that.
pub(super) async fn finish_both<A: Future<Output = ()>>(
    finish: Pin<Box<impl Future<Output = io::Result<()>>>>,
    application: Option<A>,
) {
    match application {
        Some(application) => {
            let _ = tokio::join!(finish, application);
        }
        None => {
            let _ = finish.await;
        }
    }
}

/// Ends with FIN, never RST, which could destroy bytes that the peer has not read yet: after our
/// last byte the connection is read until the peer's end.
pub(super) async fn end_with_fin<S>(mut stream: S, linger: Duration) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    timeout(linger, async {
        stream.shutdown().await?;
        let mut rest = [0; 512];
        while stream.read(&mut rest).await? > 0 {}
        Ok(())
    })
    .await?
}
