//! TCP clients that speak in records of modified UTF-8 (Java's `writeUTF`): one task for the socket
//! and the application.
//!
//! A record is a message, and nothing else is on the wire: no open frame, no heartbeat, and no
//! reason at the end, which is a FIN.

mod outbound;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::outbound::poll_send;
use super::patience::{Deadline, Patience, flush_last};
use super::socket_loop::{Reads, SocketLoop, TURN, end_with_fin, finish_both, read_rest};
use super::watch::PeerWatch;
use crate::Message;
use crate::escape::Escaped;
use crate::protocol::close::CloseReason;
use crate::protocol::modified_utf8::{RecordError, Records};
use crate::session::Attachment;

/// The settings of an endpoint that a TCP session needs.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) message_size: usize,
    /// Bytes and messages that are read ahead before the application has taken them.
    pub(crate) read_ahead: (usize, usize),
    pub(crate) first_record_timeout: Duration,
    pub(crate) patience: Patience,
}

/// On the stack, and only while something arrives.
const READ_BUFFER: usize = 4 * 1024;
/// Bytes read behind records that found no room: the client's end may lie there.
const LOOK_AHEAD: usize = 16 * 1024;

/// Runs a session over a connection until both the socket and the application are done. `watch`
/// sees the client's end while the socket is not read.
pub(crate) async fn run<S>(
    stream: S,
    watch: Option<PeerWatch>,
    attachment: Attachment,
    application: impl Future<Output = ()> + Unpin,
    settings: Arc<Settings>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // The deadline of the first record, and of each later record that has begun.
    let deadline = Deadline::after(settings.first_record_timeout);
    let mut driver = Driver {
        stream,
        steps: SocketLoop::new(attachment, application, watch, deadline),
        records: Records::default(),
        reading: Reading::Open,
        output: BytesMut::new(),
        unflushed: false,
        full: false,
        rest_comes: false,
        settings,
    };
    let ending = poll_fn(|cx| {
        let polled = driver.poll_session(cx);
        driver.tell_held();
        polled
    })
    .await;
    if driver.rest_comes {
        driver.reading = Reading::Open;
        let linger = driver.settings.patience.linger;
        Box::pin(read_rest(&mut driver, linger)).await;
    }
    let Driver { stream, steps, output, settings, .. } = driver;
    let (buffered, application) = steps.leave();
    // Boxed: a session should not keep room for it all its life.
    let finish = Box::pin(async move {
        let _buffered = buffered;
        finish(stream, output, ending, settings.patience).await
    });
    Box::pin(finish_both(finish, application)).await;
}

struct Driver<S, A> {
    stream: S,
    steps: SocketLoop<A>,
    records: Records,
    reading: Reading,
    /// Records on their way to the socket.
    output: BytesMut,
    unflushed: bool,
    /// The socket takes nothing now.
    full: bool,
    /// The client has gone while its socket was not read: its last bytes are still to be read.
    rest_comes: bool,
    settings: Arc<Settings>,
}

#[derive(Debug, PartialEq, Eq)]
enum Reading {
    Open,
    /// The client has said FIN; the session is told when the application has seen the messages
    /// before.
    AtEnd,
    /// It has said so while its socket was not read.
    Left,
    /// A limit was broken; likewise. The session then ends behind all that is queued.
    Refused(CloseReason),
    /// The session ends here.
    Over(Ending),
    /// Nothing is read any more; queued messages still go out.
    Stopped,
}

/// How the socket is to be left.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// All that was queued has left; FIN.
    InOrder,
    /// The client sent bytes that are no modified UTF-8. Bytes on their way go out, queued messages
    /// don't; FIN.
    Malformed,
    /// The client takes nothing, or too little.
    Stalled(CloseReason),
    /// The connection is gone.
    Lost,
}

impl<S, A> Driver<S, A>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Future<Output = ()> + Unpin,
{
    /// Moves messages both ways until the session needs the socket no more.
    fn poll_session(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        self.steps.attachment.awake(false);
        let mut call_application = true;
        for _ in 0..TURN {
            let read = self.poll_read(cx);
            if std::mem::take(&mut call_application) || read {
                self.steps.poll_application(cx);
            }
            let ending = match std::mem::replace(&mut self.reading, Reading::Stopped) {
                Reading::Over(ending) => Some(ending),
                reading => {
                    self.reading = self.settle(reading);
                    self.poll_write(cx)
                }
            };
            match ending {
                Some(ending) => {
                    self.tell(&ending);
                    return Poll::Ready(ending);
                }
                None if read => {}
                None => return Poll::Pending,
            }
        }
        // Other tasks of this thread have their turn; then this one goes on.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads a little behind records that found no room, for the client's end may lie there. True
    /// when reading has ended.
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> bool {
        while self.records.waiting() < LOOK_AHEAD {
            match self.poll_piece(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(0)) => {
                    self.reading = Reading::Left;
                    return true;
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => {
                    tracing::debug!(error = %Escaped(error), "the connection broke");
                    self.reading = Reading::Left;
                    return true;
                }
            }
        }
        false
    }

    /// For as long as the socket is not read, for any reason: no time counts against the client,
    /// but its end is watched for. True when it has gone.
    fn poll_paused(&mut self, cx: &mut Context<'_>) -> bool {
        self.steps.pause();
        let gone = self.steps.poll_gone(cx).is_ready();
        if gone {
            self.reading = Reading::Left;
        }
        gone
    }

    /// Fills `batch` up to a turn. True when the socket has nothing more for now.
    fn poll_records(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut Vec<Message>,
    ) -> Result<bool, Reading> {
        let (most_bytes, most) = self.settings.read_ahead;
        let mut bytes = 0;
        for _ in 0..TURN {
            match self.records.next(self.settings.message_size) {
                Ok(None) => match self.poll_piece(cx) {
                    Poll::Pending => return Ok(true),
                    Poll::Ready(Ok(0)) => return Err(self.end()),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => {
                        tracing::debug!(error = %Escaped(error), "the connection broke");
                        return Err(Reading::Over(Ending::Lost));
                    }
                },
                Ok(Some(text)) => {
                    bytes += text.len();
                    batch.push(text.into());
                    if bytes >= most_bytes || batch.len() >= most {
                        break;
                    }
                }
                Err(RecordError::TooLarge) => return Err(Reading::Refused(CloseReason::TOO_LARGE)),
                Err(RecordError::Malformed) => return Err(Reading::Over(Ending::Malformed)),
            }
        }
        Ok(false)
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut piece = [0; READ_BUFFER];
        let mut piece = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        self.records.push(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    }

    fn end(&self) -> Reading {
        if self.records.has_begun() {
            tracing::debug!("the connection ended inside a record, which is lost");
            return Reading::Over(Ending::Lost);
        }
        Reading::AtEnd
    }

    /// Closes the session if reading has ended.
    fn settle(&mut self, reading: Reading) -> Reading {
        if let Reading::AtEnd | Reading::Left | Reading::Refused(_) = reading {
            // A session that is closing takes no more.
            self.steps.push_last();
        }
        match reading {
            // A client that only shut down its sending side still reads the answer to its last
            // message.
            Reading::AtEnd => self.steps.attachment.peer_finished(),
            Reading::Left => {
                self.rest_comes = true;
                self.steps.attachment.expect_rest();
                self.steps.attachment.peer_finished();
            }
            Reading::Refused(reason) => self.steps.attachment.close(reason),
            reading => return reading,
        }
        Reading::Stopped
    }

    /// Tells the session how it ended, after the last messages that came.
    fn tell(&mut self, ending: &Ending) {
        self.steps.push_last();
        match ending {
            Ending::InOrder => {}
            Ending::Malformed => self.steps.attachment.abort(CloseReason::NOT_MODIFIED_UTF8),
            Ending::Stalled(reason) => self.steps.attachment.abort(reason.clone()),
            Ending::Lost => self.steps.attachment.peer_closed(CloseReason::INTERRUPTED),
        }
    }
}

impl<S, A> Reads for Driver<S, A>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Future<Output = ()> + Unpin,
{
    type Application = A;

    fn steps(&mut self) -> &mut SocketLoop<A> {
        &mut self.steps
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.steps.refused.is_empty() {
            // Of an end that was seen there is no more to see.
            return self.steps.offer_refused(cx)
                || (!self.rest_comes && (self.look_ahead(cx) || self.poll_paused(cx)));
        }
        if self.reading != Reading::Open {
            return false;
        }
        if !self.steps.may_read(cx) {
            return self.poll_paused(cx);
        }
        let mut batch = Vec::new();
        let waits = match self.poll_records(cx, &mut batch) {
            Ok(waits) => waits,
            Err(reading) => {
                self.reading = reading;
                false
            }
        };
        if !batch.is_empty() {
            self.steps.message_deadline.clear();
        }
        let read = !waits || !batch.is_empty();
        if !batch.is_empty() && !self.steps.attachment.hear(cx, &mut batch) {
            // No deadline now: the client can't be blamed while its socket is not read.
            self.steps.refused = batch;
            return true;
        }
        if waits && self.records.has_begun() {
            self.steps.message_deadline.start(self.settings.patience.message_timeout);
        }
        if waits && self.steps.message_deadline.poll(cx).is_ready() {
            self.reading = Reading::Refused(CloseReason::NO_RECORD);
            return true;
        }
        read
    }

    fn has_ended(&self) -> bool {
        self.reading != Reading::Open
    }

    fn tell_held(&mut self) {
        self.steps.tell_held(self.records.held() + self.output.capacity());
    }

    fn waiting(&self) -> Option<usize> {
        Some(self.records.waiting())
    }
}

/// Sends the rest, and ends.
async fn finish<S>(
    mut stream: S,
    mut output: BytesMut,
    ending: Ending,
    patience: Patience,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if matches!(ending, Ending::Lost | Ending::Stalled(_)) {
        return Ok(());
    }
    flush_last(output.len(), &patience, |cx| {
        (poll_send(&mut stream, &mut output, cx), output.len())
    })
    .await?;
    end_with_fin(stream, patience.linger).await
}
