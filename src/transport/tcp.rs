//! TCP clients that speak in records of modified UTF-8 (Java's `writeUTF`): one task for the socket
//! and the application.
//!
//! A record is a message, and nothing else is on the wire: no open frame, no heartbeat, and no
//! reason at the end, which is a FIN.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::task::coop::has_budget_remaining;
use tokio::time::timeout;

use super::patience::{Deadline, Pace, Patience, flush_last};
use super::watch::{EndWatch, PeerWatch};
use crate::Message;
use crate::escape::Escaped;
use crate::protocol::close::CloseReason;
use crate::protocol::frame::Frame;
use crate::protocol::modified_utf8::{RecordError, Records, write_record};
use crate::session::{Attachment, Buffered, Step};

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
/// Records are gathered up to here into one write.
const WRITE_THRESHOLD: usize = 16 * 1024;
/// Bytes read behind records that found no room: the client's end may lie there.
const LOOK_AHEAD: usize = 16 * 1024;
/// Pieces read or records taken before the other side of the task gets its turn.
const TURN: usize = 64;

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
    let mut driver = Driver {
        stream,
        buffered: attachment.buffered(),
        attachment,
        application: Some(application),
        records: Records::default(),
        refused: Vec::new(),
        reading: Reading::Open,
        read_deadline: Deadline::after(settings.first_record_timeout),
        output: BytesMut::new(),
        unflushed: false,
        full: false,
        rest_comes: false,
        pace: Pace::default(),
        end_watch: EndWatch::new(watch),
        settings,
    };
    let ending = poll_fn(|cx| {
        let polled = driver.poll_session(cx);
        driver.tell_held();
        polled
    })
    .await;
    if driver.rest_comes {
        Box::pin(driver.read_rest()).await;
    }
    let Driver { stream, buffered, attachment, application, output, settings, end_watch, .. } =
        driver;
    // Now, for the watch holds the socket as well.
    drop((attachment, end_watch));
    // Boxed: a session should not keep room for it all its life.
    let finish = Box::pin(async move {
        let _buffered = buffered;
        finish(stream, output, ending, settings.patience).await
    });
    match application {
        Some(application) => {
            // The application may have work left, but the client does not wait: both at once.
            let _ = Box::pin(async { tokio::join!(finish, application) }).await;
        }
        None => {
            let _ = finish.await;
        }
    }
}

struct Driver<S, A> {
    stream: S,
    buffered: Buffered,
    attachment: Attachment,
    /// `None` once it has returned.
    application: Option<A>,
    records: Records,
    /// Messages that found no room in the inbound queue; while there are any, the socket is not
    /// read.
    refused: Vec<Message>,
    reading: Reading,
    /// The deadline of the first record, and of each later record that has begun.
    read_deadline: Deadline,
    /// Records on their way to the socket.
    output: BytesMut,
    unflushed: bool,
    /// The socket takes nothing now.
    full: bool,
    /// The client has gone while its socket was not read: its last bytes are still to be read.
    rest_comes: bool,
    pace: Pace,
    end_watch: EndWatch,
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
        self.attachment.awake(false);
        let mut call_application = true;
        for _ in 0..TURN {
            let read = self.poll_read(cx);
            if std::mem::take(&mut call_application) || read {
                self.poll_application(cx);
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

    /// Reports the bytes on their way.
    fn tell_held(&mut self) {
        // As a rule nothing is refused.
        let refused =
            self.refused.iter().map(|message| message.len() + Message::OVERHEAD).sum::<usize>();
        self.buffered.set(self.records.held() + self.output.capacity() + refused);
    }

    fn poll_application(&mut self, cx: &mut Context<'_>) {
        if let Some(application) = &mut self.application
            && Pin::new(application).poll(cx).is_ready()
        {
            self.application = None;
        }
    }

    /// Reads what has arrived, up to a turn. True when the application has got something, or
    /// reading has ended.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.refused.is_empty() {
            if !self.attachment.hear_again(cx, &mut self.refused) {
                // Of an end that was seen there is no more to see.
                return !self.rest_comes && (self.look_ahead(cx) || self.poll_paused(cx));
            }
            self.end_watch.rest();
            return true;
        }
        if self.reading != Reading::Open {
            return false;
        }
        if !self.attachment.may_read(cx) {
            return self.poll_paused(cx);
        }
        self.end_watch.rest();
        let mut batch = Vec::new();
        let waits = match self.poll_records(cx, &mut batch) {
            Ok(waits) => waits,
            Err(reading) => {
                self.reading = reading;
                false
            }
        };
        if !batch.is_empty() {
            self.read_deadline.clear();
        }
        let read = !waits || !batch.is_empty();
        if !batch.is_empty() && !self.attachment.hear(cx, &mut batch) {
            // No deadline now: the client can't be blamed while its socket is not read.
            self.refused = batch;
            return true;
        }
        if waits && self.records.has_begun() {
            self.read_deadline.start(self.settings.patience.message_timeout);
        }
        if waits && self.read_deadline.poll(cx).is_ready() {
            self.reading = Reading::Refused(CloseReason::NO_RECORD);
            return true;
        }
        read
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
        self.read_deadline.clear();
        let gone = self.end_watch.poll(cx).is_ready();
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
            // Room or not: they are in memory already, and a session that is closing takes no more.
            self.attachment.push_last(&mut self.refused);
        }
        match reading {
            // A client that only shut down its sending side still reads the answer to its last
            // message.
            Reading::AtEnd => self.attachment.peer_finished(),
            Reading::Left => {
                self.rest_comes = true;
                self.attachment.expect_rest();
                self.attachment.peer_finished();
            }
            Reading::Refused(reason) => self.attachment.close(reason),
            reading => return reading,
        }
        Reading::Stopped
    }

    /// Tells the session how it ended, after the last messages that came.
    fn tell(&mut self, ending: &Ending) {
        self.attachment.push_last(&mut self.refused);
        match ending {
            Ending::InOrder => {}
            Ending::Malformed => self.attachment.abort(CloseReason::NOT_MODIFIED_UTF8),
            Ending::Stalled(reason) => self.attachment.abort(reason.clone()),
            Ending::Lost => self.attachment.peer_closed(CloseReason::INTERRUPTED),
        }
    }

    /// Writes the session's messages, as far as the socket takes them.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Option<Ending> {
        loop {
            match self.poll_output(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Some(Ending::Lost),
                // A spent budget says nothing about the client.
                Poll::Pending if !self.full => return None,
                Poll::Pending => {
                    // A socket that takes nothing keeps the session's own timer from being asked.
                    let silent = self.attachment.poll_silence(cx).is_ready();
                    return match self.pace.poll_full(&self.settings.patience, cx) {
                        _ if silent => Some(Ending::Lost),
                        Poll::Ready(reason) => Some(Ending::Stalled(reason)),
                        Poll::Pending => None,
                    };
                }
            }
            if self.poll_frames(cx) {
                return Some(Ending::InOrder);
            }
            if self.output.is_empty() {
                self.pace.caught_up();
                return None;
            }
        }
    }

    /// Gathers records for one write. True when they are the last: the attachment must not be asked
    /// again.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> bool {
        while self.output.len() < WRITE_THRESHOLD {
            match self.attachment.poll_step(cx) {
                Poll::Pending => break,
                Poll::Ready(Step::Frame(Frame::Message(message))) => self.append(&message),
                Poll::Ready(Step::Frame(Frame::Messages(messages))) => {
                    messages.iter().for_each(|it| self.append(it))
                }
                Poll::Ready(Step::Frame(Frame::Close(_))) => {
                    self.reading = Reading::Stopped;
                    return true;
                }
                // Old clients would show them: this wire has none.
                Poll::Ready(Step::Frame(Frame::Open | Frame::Heartbeat) | Step::Ping) => {}
            }
        }
        false
    }

    fn append(&mut self, message: &Message) {
        write_record(message.as_text().unwrap_or_default(), &mut self.output)
            .expect("a session over TCP refuses what no record can hold (`Carries::Records`)");
    }

    /// Ready when the socket has taken everything.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.output.is_empty() && !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        let before = self.output.len();
        self.unflushed = true;
        let outcome = poll_send(&mut self.stream, &mut self.output, cx);
        let taken = before - self.output.len();
        if self.full && (taken > 0 || outcome.is_ready()) {
            self.full = false;
            self.attachment.took_bytes();
        }
        self.pace.took(taken, &self.settings.patience);
        match &outcome {
            Poll::Pending => self.full |= has_budget_remaining(),
            Poll::Ready(_) => self.unflushed = false,
        }
        outcome
    }

    /// Reads the client's last bytes, as far as the application makes room for them in time.
    async fn read_rest(&mut self) {
        self.reading = Reading::Open;
        self.end_watch = EndWatch::default();
        let linger = self.settings.patience.linger;
        let read = poll_fn(|cx| {
            let polled = self.poll_rest(cx);
            self.tell_held();
            polled
        });
        if timeout(linger, read).await.is_err() {
            tracing::debug!(
                session = %self.attachment.session().info().id(),
                messages = self.refused.len(),
                bytes = self.records.waiting(),
                waited = ?linger,
                "dropped what a client had sent before it went: its application did not receive it in time"
            );
            self.refused.clear();
        }
        self.attachment.push_last(&mut self.refused);
        self.attachment.rest_is_in();
    }

    /// Ready when all of the rest is in.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURN {
            let read = self.poll_read(cx);
            self.poll_application(cx);
            if self.reading != Reading::Open {
                return Poll::Ready(());
            }
            if !read {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Ready when the socket has taken everything.
fn poll_send<S>(stream: &mut S, output: &mut BytesMut, cx: &mut Context<'_>) -> Poll<io::Result<()>>
where
    S: AsyncWrite + Unpin,
{
    while !output.is_empty() {
        let written = ready!(Pin::new(&mut *stream).poll_write(cx, output))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        output.advance(written);
    }
    // An idle session keeps no room.
    *output = BytesMut::new();
    Pin::new(stream).poll_flush(cx)
}

/// Ends with FIN, never RST, which could destroy bytes that the client has not read yet: after our
/// last byte the connection is read until the client's end.
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
    timeout(patience.linger, async {
        stream.shutdown().await?;
        let mut rest = [0; 512];
        while stream.read(&mut rest).await? > 0 {}
        Ok(())
    })
    .await?
}
