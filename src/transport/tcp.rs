//! TCP clients that speak in records of modified UTF-8 (Java's `writeUTF`): one task for the socket and the application.
//!
//! A record is a message, and nothing else is on the wire: no open frame, no heartbeat, and no reason at the end, which is a FIN.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Sleep;

use crate::Message;
use crate::escape::Escaped;
use crate::protocol::close::CloseReason;
use crate::protocol::frame::Frame;
use crate::protocol::modified_utf8::{RecordError, Records, write_record};
use crate::session::{Buffered, Receiver, Step};

/// What a TCP session needs to know of its endpoint.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) message_size: usize,
    /// Bytes and messages that are read ahead before the application has taken them.
    pub(crate) read_ahead: (usize, usize),
    pub(crate) first_record_timeout: Duration,
    pub(crate) message_timeout: Duration,
    pub(crate) write_timeout: Duration,
    /// How long the other side may take to finish closing.
    pub(crate) linger: Duration,
}

/// On the stack, and only while something arrives.
const READ_BUFFER: usize = 4 * 1024;
/// Records are gathered up to here into one write.
const WRITE_THRESHOLD: usize = 16 * 1024;
/// Pieces read or records taken before the other side of the task gets its turn.
const TURN: usize = 64;

/// Runs a session over a connection until both the socket and the application are done.
pub(crate) async fn run<S>(
    stream: S,
    receiver: Receiver,
    application: impl Future<Output = ()> + Unpin,
    settings: Arc<Settings>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut driver = Driver {
        stream,
        buffered: receiver.buffered(),
        receiver,
        application: Some(application),
        records: Records::default(),
        refused: Vec::new(),
        reading: Reading::Open,
        read_deadline: Deadline::after(settings.first_record_timeout),
        output: BytesMut::new(),
        unflushed: false,
        closing: false,
        write_deadline: Deadline::default(),
        settings,
    };
    let ending = poll_fn(|cx| {
        let polled = driver.poll_session(cx);
        driver.tell_held();
        polled
    })
    .await;
    let Driver { stream, buffered, receiver, application, output, settings, .. } = driver;
    drop(receiver);
    let finish = async move {
        let _buffered = buffered;
        tokio::time::timeout(settings.linger, finish(stream, output, ending)).await
    };
    match application {
        Some(application) => {
            // The application may have work left, but the client waits for no one: both at once.
            let _ = tokio::join!(finish, application);
        }
        None => {
            let _ = finish.await;
        }
    }
}

struct Driver<S, A> {
    stream: S,
    buffered: Buffered,
    receiver: Receiver,
    /// `None` once it has returned.
    application: Option<A>,
    records: Records,
    /// Messages that found no room in the inbound queue; while there are any, the socket is not read.
    refused: Vec<Message>,
    reading: Reading,
    /// By when the first record must be there, and each later one when it has begun.
    read_deadline: Deadline,
    /// Records on their way to the socket.
    output: BytesMut,
    unflushed: bool,
    /// The session has no more to send; its receiver must not be asked again.
    closing: bool,
    /// By when the socket must take bytes, while it has taken none.
    write_deadline: Deadline,
    settings: Arc<Settings>,
}

#[derive(Debug, PartialEq, Eq)]
enum Reading {
    Open,
    /// The client has said FIN; the session is told when the application has seen what came before.
    AtEnd,
    /// A limit was broken; likewise. The session then ends behind all that is queued.
    Refused(CloseReason),
    /// The session ends here.
    Over(Ending),
    /// Nothing is read any more; what is queued still goes out.
    Stopped,
}

/// How the socket is to be left.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// All that was queued has left; FIN.
    InOrder,
    /// The client sent what is no modified UTF-8. What is on its way goes out, what is queued doesn't; FIN.
    Malformed,
    /// The client takes nothing.
    Stalled,
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
        self.receiver.awake(false);
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

    /// Tells what is on its way.
    fn tell_held(&mut self) {
        // As a rule nothing is refused.
        let refused = self.refused.iter().map(|message| message.len() + Message::OVERHEAD).sum::<usize>();
        self.buffered.set(self.records.held() + self.output.capacity() + refused);
    }

    fn poll_application(&mut self, cx: &mut Context<'_>) {
        if let Some(application) = &mut self.application
            && Pin::new(application).poll(cx).is_ready()
        {
            self.application = None;
        }
    }

    /// Reads what has arrived, up to a turn. True when the application has got something, or reading has ended.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.refused.is_empty() {
            return self.receiver.hear_again(cx, &mut self.refused);
        }
        if self.reading != Reading::Open {
            return false;
        }
        if !self.receiver.may_read(cx) {
            // Nor can the client be blamed for what is not read.
            self.read_deadline.clear();
            return false;
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
            self.read_deadline.clear();
        }
        let read = !waits || !batch.is_empty();
        if !batch.is_empty() && !self.receiver.hear(cx, &mut batch) {
            // No deadline now: the client can't be blamed for what nobody reads.
            self.refused = batch;
            return true;
        }
        if waits && self.records.has_begun() {
            self.read_deadline.start(self.settings.message_timeout);
        }
        if waits && self.read_deadline.poll(cx).is_ready() {
            self.reading = Reading::Refused(CloseReason::NO_RECORD);
            return true;
        }
        read
    }

    /// Fills `batch` up to a turn. True when the socket has nothing more for now.
    fn poll_records(&mut self, cx: &mut Context<'_>, batch: &mut Vec<Message>) -> Result<bool, Reading> {
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
        if let Reading::AtEnd | Reading::Refused(_) = reading {
            // Room or not: they are in memory already, and a session that is closing takes no more.
            self.receiver.push_last(&mut self.refused);
        }
        match reading {
            // A client that only shut down its sending side still reads the answer to what it sent last.
            Reading::AtEnd => self.receiver.peer_finished(),
            Reading::Refused(reason) => self.receiver.close(reason),
            reading => return reading,
        }
        Reading::Stopped
    }

    /// Tells the session how it ended, after the last messages that came.
    fn tell(&mut self, ending: &Ending) {
        self.receiver.push_last(&mut self.refused);
        match ending {
            Ending::InOrder => {}
            Ending::Malformed => self.receiver.abort(CloseReason::NOT_MODIFIED_UTF8),
            Ending::Stalled => self.receiver.abort(CloseReason::NOT_READING),
            Ending::Lost => self.receiver.peer_closed(CloseReason::INTERRUPTED),
        }
    }

    /// Writes what the session has, as far as the socket takes it.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Option<Ending> {
        loop {
            match self.poll_output(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Some(Ending::Lost),
                Poll::Pending => {
                    self.write_deadline.start(self.settings.write_timeout);
                    let stalled = self.write_deadline.poll(cx).is_ready();
                    return stalled.then_some(Ending::Stalled);
                }
            }
            if self.closing {
                return Some(Ending::InOrder);
            }
            self.poll_frames(cx);
            if self.output.is_empty() && !self.closing {
                return None;
            }
        }
    }

    /// Gathers records for one write.
    fn poll_frames(&mut self, cx: &mut Context<'_>) {
        while !self.closing && self.output.len() < WRITE_THRESHOLD {
            match self.receiver.poll_step(cx) {
                Poll::Pending => break,
                Poll::Ready(Step::Frame(Frame::Message(message))) => self.append(&message),
                Poll::Ready(Step::Frame(Frame::Messages(messages))) => messages.iter().for_each(|it| self.append(it)),
                Poll::Ready(Step::Frame(Frame::Close(_))) => {
                    self.closing = true;
                    self.reading = Reading::Stopped;
                }
                // Old clients would show them: this wire has none.
                Poll::Ready(Step::Frame(Frame::Open | Frame::Heartbeat) | Step::Ping) => {}
            }
        }
    }

    fn append(&mut self, message: &Message) {
        write_record(message.as_text().unwrap_or_default(), &mut self.output)
            .expect("a session over TCP refuses what no record can hold (`Carries::Records`)");
    }

    /// Ready when the socket has taken everything.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(written);
            self.unflushed = true;
            self.write_deadline.clear();
        }
        if self.unflushed {
            // An idle session keeps no room.
            self.output = BytesMut::new();
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// A date that exists only while something is waited for.
#[derive(Default)]
struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    fn after(time: Duration) -> Self {
        Self(Some(Box::pin(tokio::time::sleep(time))))
    }

    /// Sets the date, unless one stands already.
    fn start(&mut self, time: Duration) {
        if self.0.is_none() {
            *self = Self::after(time);
        }
    }

    fn clear(&mut self) {
        self.0 = None;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    }
}

/// Ends with FIN, never RST, which could destroy what the client has not read yet: after our last byte the connection is read until the
/// client's end.
async fn finish<S>(mut stream: S, output: BytesMut, ending: Ending) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if matches!(ending, Ending::Lost | Ending::Stalled) {
        return Ok(());
    }
    stream.write_all(&output).await?;
    stream.shutdown().await?;
    let mut rest = [0; 512];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
