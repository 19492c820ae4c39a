//! WebSocket, with SockJS frames and without: one task for the socket and the application.

mod intake;
mod socket;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tungstenite::Message as Packet;
use tungstenite::error::{CapacityError, Error, ProtocolError};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use self::socket::{PacketSocket, give_back};
use crate::Message;
use crate::protocol::close::{CloseReason, cut};
use crate::protocol::frame::Frame;
use crate::protocol::payload::{self, PayloadLimits};
use crate::session::{Attachment, Buffered, Step};
use crate::transport::patience::{Deadline, Pace, Patience, flush_last};
use crate::transport::watch::{EndWatch, PeerWatch};

/// How messages stand on the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// SockJS frames; `h` and pings.
    SockJs,
    /// One message in, one message out; pings only.
    Raw,
}

/// The settings of an endpoint that a WebSocket session needs.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) binary: bool,
    pub(crate) payload_size: usize,
    pub(crate) payload: PayloadLimits,
    /// Bytes and messages that are read ahead before the application has taken them.
    pub(crate) read_ahead: (usize, usize),
    pub(crate) patience: Patience,
}

/// Below this, frames are gathered into one write.
const WRITE_THRESHOLD: usize = 16 * 1024;
/// Packets read, or frames written, before the other side of the task gets its turn.
const TURN: usize = 64;
/// Bytes and messages read behind messages that found no room: the peer's end may lie there.
const LOOK_AHEAD: (usize, usize) = (16 * 1024, 64);
/// Larger buffers of a turn are not kept for the next connection.
const SPARE: usize = 1024;

thread_local! {
    static SPARE_MESSAGES: Cell<Vec<Message>> = const { Cell::new(Vec::new()) };
    static SPARE_STEPS: Cell<Vec<Step>> = const { Cell::new(Vec::new()) };
}

/// Runs a session over an upgraded connection until both the socket and the application are done.
///
/// `read`: bytes that were read behind the handshake; `watch` sees the peer's end while the socket
/// is not read.
pub(crate) async fn run<S>(
    stream: S,
    read: Vec<u8>,
    watch: Option<PeerWatch>,
    attachment: Attachment,
    application: impl Future<Output = ()> + Unpin,
    framing: Framing,
    settings: Arc<Settings>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let largest = match framing {
        Framing::SockJs => settings.payload_size,
        Framing::Raw => settings.payload.message_size,
    };
    let mut driver = Driver {
        socket: PacketSocket::new(stream, read, largest),
        buffered: attachment.buffered(),
        attachment,
        application: Some(application),
        framing,
        settings,
        refused: Vec::new(),
        reading: Reading::Open,
        ping_leaving: false,
        message_deadline: Deadline::default(),
        pace: Pace::default(),
        end_watch: EndWatch::new(watch),
    };
    let mut ending = poll_fn(|cx| {
        let polled = driver.poll_session(cx);
        driver.tell_held();
        polled
    })
    .await;
    if matches!(ending, Ending::Left) {
        ending = Box::pin(driver.read_rest()).await;
    }
    let Driver { socket, buffered, attachment, application, settings, end_watch, .. } = driver;
    // Now, for the watch holds the socket as well.
    drop((attachment, end_watch));
    // Boxed: it has buffers of its own, for which a session should not keep room all its life.
    let finish = Box::pin(async move {
        let _buffered = buffered;
        finish(socket, ending, framing, settings.patience).await
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
    socket: PacketSocket<S>,
    buffered: Buffered,
    attachment: Attachment,
    /// `None` once it has returned.
    application: Option<A>,
    framing: Framing,
    settings: Arc<Settings>,
    /// Messages that found no room in the inbound queue; while there are any, the socket is not
    /// read.
    refused: Vec<Message>,
    reading: Reading,
    ping_leaving: bool,
    /// The deadline of a message that has begun; it stands only while the rest is awaited.
    message_deadline: Deadline,
    pace: Pace,
    end_watch: EndWatch,
}

enum Reading {
    Open,
    /// The peer is done.
    Ended(Ending),
    /// The peer broke a limit, and must be told so.
    Refused(CloseReason),
    /// Nothing is read any more; queued messages still go out.
    Stopped,
}

/// How the socket is to be left.
#[derive(Debug)]
enum Ending {
    /// The session's close frame was reached.
    Closed(CloseReason),
    /// The peer closed; the library has its answer ready.
    ByPeer(Option<(u16, String)>),
    /// The peer broke the protocol: one WebSocket close frame, and no more.
    Aborted(CloseReason),
    /// The peer has gone while its socket was not read: its last bytes are still to be read.
    Left,
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
        for turn in 0..TURN {
            let read = self.poll_read(cx);
            let heard = self.socket.take_arrived();
            if !read && turn > 0 {
                if heard {
                    self.attachment.heard();
                }
                // Everything else has been asked since the last read.
                return Poll::Pending;
            }
            if !read {
                self.attachment.awake(heard);
            }
            self.poll_application(cx);
            let ending = match std::mem::replace(&mut self.reading, Reading::Stopped) {
                Reading::Ended(ending) => Some(ending),
                reading => {
                    self.reading = reading;
                    self.poll_write(cx).unwrap_or(Some(Ending::Lost))
                }
            };
            if let Some(ending) = ending {
                self.tell(&ending);
                return Poll::Ready(ending);
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
        self.buffered.set(self.socket.held() + refused);
    }

    /// Reads the peer's last bytes, as far as the application makes room for them in time.
    async fn read_rest(&mut self) -> Ending {
        self.reading = Reading::Open;
        self.end_watch = EndWatch::default();
        let linger = self.settings.patience.linger;
        let read = poll_fn(|cx| {
            let polled = self.poll_rest(cx);
            self.tell_held();
            polled
        });
        if timeout(linger, read).await.is_err() {
            let messages = self.refused.len();
            tracing::debug!(
                session = %self.attachment.session().info().id(),
                messages,
                waited = ?linger,
                "dropped what a client had sent before it went: its application did not receive it in time"
            );
            self.refused.clear();
        }
        self.attachment.push_last(&mut self.refused);
        self.attachment.rest_is_in();
        match std::mem::replace(&mut self.reading, Reading::Stopped) {
            Reading::Ended(ending) => ending,
            Reading::Open | Reading::Refused(_) | Reading::Stopped => Ending::Lost,
        }
    }

    /// Ready when all of the rest is in.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURN {
            let read = self.poll_read(cx);
            self.poll_application(cx);
            if !matches!(self.reading, Reading::Open) {
                return Poll::Ready(());
            }
            if !read {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_application(&mut self, cx: &mut Context<'_>) {
        if let Some(application) = &mut self.application
            && Pin::new(application).poll(cx).is_ready()
        {
            self.application = None;
        }
    }

    /// Reads what has arrived, up to a turn. True when the application has got something, or the
    /// peer ended.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.refused.is_empty() {
            if !self.attachment.hear_again(cx, &mut self.refused) {
                return self.look_ahead(cx) || self.poll_paused(cx);
            }
            self.end_watch.rest();
            return true;
        }
        if !self.attachment.may_read(cx) {
            return self.poll_paused(cx);
        }
        self.end_watch.rest();
        let (mut batch, mut bytes, mut heard, mut waits) = (SPARE_MESSAGES.take(), 0, false, false);
        let (most_bytes, most) = self.settings.read_ahead;
        for _ in 0..TURN {
            if !matches!(self.reading, Reading::Open) || bytes >= most_bytes || batch.len() >= most
            {
                break;
            }
            let Poll::Ready(packet) = self.socket.poll_packet(cx) else {
                waits = true;
                break;
            };
            heard = true;
            let before = batch.len();
            if let Err(reading) = self.accept(packet, &mut batch) {
                self.reading = reading;
            }
            bytes += batch[before..].iter().map(Message::len).sum::<usize>();
        }
        if waits && self.poll_message(cx).is_ready() {
            self.reading = Reading::Refused(CloseReason::MESSAGE_TIMEOUT);
        } else if !heard {
            SPARE_MESSAGES.set(batch);
            return false;
        }
        if let Reading::Refused(_) = &self.reading {
            self.refused = batch;
            self.refuse();
            return true;
        }
        if self.attachment.hear(cx, &mut batch) {
            give_back(&SPARE_MESSAGES, &mut batch, SPARE);
        } else {
            self.refused = batch;
        }
        true
    }

    /// If the peer has broken a limit, it is told so behind all queued messages.
    fn refuse(&mut self) {
        if let Reading::Refused(reason) = &self.reading {
            // Messages before it are still the application's; room or not, because they are the
            // last.
            self.attachment.push_last(&mut self.refused);
            self.attachment.close(reason.clone());
            self.reading = Reading::Stopped;
        }
    }

    /// Ready when a message that has begun has not ended in time. A message that arrives in a
    /// single read takes no timer.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.socket.take_ended() || !self.socket.has_begun() {
            self.message_deadline.clear();
        }
        if self.socket.has_begun() {
            self.message_deadline.start(self.settings.patience.message_timeout);
        }
        self.message_deadline.poll(cx)
    }

    /// Reads a little behind messages that found no room, for the peer's end may lie there. True
    /// when reading has ended.
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> bool {
        let mut bytes = self.refused.iter().map(Message::len).sum::<usize>();
        for _ in 0..TURN {
            if bytes >= LOOK_AHEAD.0 || self.refused.len() >= LOOK_AHEAD.1 {
                return false;
            }
            let Poll::Ready(packet) = self.socket.poll_packet(cx) else { return false };
            let before = self.refused.len();
            let mut refused = std::mem::take(&mut self.refused);
            let accepted = self.accept(packet, &mut refused);
            bytes += refused[before..].iter().map(Message::len).sum::<usize>();
            self.refused = refused;
            if let Err(reading) = accepted {
                self.reading = reading;
                self.refuse();
                return true;
            }
        }
        // It goes on when other tasks have had their turn.
        cx.waker().wake_by_ref();
        false
    }

    /// For as long as the socket is not read, for any reason: no time counts against the peer, but
    /// its end is watched for. True when it has gone.
    fn poll_paused(&mut self, cx: &mut Context<'_>) -> bool {
        self.message_deadline.clear();
        let gone = matches!(self.reading, Reading::Open) && self.end_watch.poll(cx).is_ready();
        if gone {
            self.reading = Reading::Ended(Ending::Left);
        }
        gone
    }

    fn accept(
        &mut self,
        packet: Result<Packet, Error>,
        batch: &mut Vec<Message>,
    ) -> Result<(), Reading> {
        let ended = |ending| Err(Reading::Ended(ending));
        match packet {
            Ok(Packet::Text(text)) => match self.framing {
                Framing::Raw => batch.push(Message::text(text.as_str())),
                Framing::SockJs => {
                    match payload::parse_frame(text.as_str(), &self.settings.payload, batch) {
                        Ok(()) => {}
                        Err(error) if error.is_limit() => {
                            return Err(Reading::Refused(CloseReason::TOO_LARGE));
                        }
                        Err(_) => return ended(Ending::Aborted(CloseReason::BROKEN_FRAMING)),
                    }
                }
            },
            Ok(Packet::Binary(bytes)) => {
                if self.framing == Framing::SockJs || !self.settings.binary {
                    return Err(Reading::Refused(CloseReason::BINARY_REFUSED));
                }
                batch.push(Message::binary(self.socket.alone(bytes)));
            }
            Ok(Packet::Ping(_) | Packet::Pong(_) | Packet::Frame(_)) => {}
            Ok(Packet::Close(frame)) => {
                let frame =
                    frame.map(|frame| (frame.code.into(), frame.reason.as_str().to_owned()));
                return ended(Ending::ByPeer(frame));
            }
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                return Err(Reading::Refused(CloseReason::TOO_LARGE));
            }
            Err(Error::Utf8(_)) => return ended(Ending::Aborted(CloseReason::NOT_UTF8)),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                return ended(Ending::Lost);
            }
            Err(Error::Protocol(_)) => return ended(Ending::Aborted(CloseReason::PROTOCOL_ERROR)),
            Err(_) => return ended(Ending::Lost),
        }
        Ok(())
    }

    /// Tells the session how it ended, after the last messages that came.
    fn tell(&mut self, ending: &Ending) {
        self.attachment.push_last(&mut self.refused);
        match ending {
            Ending::Closed(_) => {}
            Ending::Left => {
                self.attachment.expect_rest();
                self.attachment.peer_closed(CloseReason::INTERRUPTED);
            }
            Ending::ByPeer(Some((code, reason))) if self.framing == Framing::Raw => {
                self.attachment.peer_closed(CloseReason::new(*code, reason.clone()));
            }
            Ending::Aborted(reason) => self.attachment.abort(reason.clone()),
            Ending::ByPeer(_) | Ending::Lost => {
                self.attachment.peer_closed(CloseReason::INTERRUPTED)
            }
        }
    }

    /// Writes the session's frames, as far as the socket takes them.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<Option<Ending>> {
        loop {
            if self.socket.pending() >= WRITE_THRESHOLD && self.poll_flush(cx)?.is_pending() {
                // A socket that takes nothing keeps the session's own timer from being asked.
                let silent = self.attachment.poll_silence(cx).is_ready();
                return Ok(silent.then_some(Ending::Lost).or_else(|| self.poll_pace(cx)));
            }
            // Encoded and written after the session's lock is released.
            let (mut steps, mut bytes) = (SPARE_STEPS.take(), 0);
            self.attachment.poll_steps(cx, |step| {
                bytes += size(&step);
                steps.push(step);
                if bytes < WRITE_THRESHOLD {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            for step in steps.drain(..) {
                match step {
                    Step::Frame(Frame::Close(reason)) => return Ok(Some(Ending::Closed(reason))),
                    Step::Frame(frame) => self.put(frame),
                    Step::Ping => {
                        self.ping_leaving = true;
                        self.socket.put_ping();
                    }
                }
            }
            give_back(&SPARE_STEPS, &mut steps, SPARE);
            if bytes < WRITE_THRESHOLD {
                break;
            }
        }
        if self.socket.pending() > 0 && self.poll_flush(cx)?.is_pending() {
            return Ok(self.poll_pace(cx));
        }
        self.pace.caught_up();
        Ok(None)
    }

    /// How it ends if the peer takes the waiting bytes too slowly.
    fn poll_pace(&mut self, cx: &mut Context<'_>) -> Option<Ending> {
        if !self.socket.is_full() {
            return None;
        }
        match self.pace.poll_full(&self.settings.patience, cx) {
            Poll::Ready(reason) => Some(Ending::Aborted(reason)),
            Poll::Pending => None,
        }
    }

    fn put(&mut self, frame: Frame) {
        match (self.framing, frame) {
            (Framing::SockJs, frame) => frame.with_bytes(|bytes| self.socket.put_text(bytes)),
            (Framing::Raw, Frame::Message(message)) => self.put_raw(&message),
            (Framing::Raw, Frame::Messages(messages)) => {
                messages.iter().for_each(|message| self.put_raw(message))
            }
            // No frames at all on a raw WebSocket.
            (Framing::Raw, Frame::Open | Frame::Heartbeat | Frame::Close(_)) => {}
        }
    }

    fn put_raw(&mut self, message: &Message) {
        match (message.as_text(), message.as_binary()) {
            (Some(text), _) => self.socket.put_text(text.as_bytes()),
            (None, bytes) => self.socket.put_binary(bytes.map_or(&[], |bytes| bytes)),
        }
    }

    /// Ready when the socket has taken everything.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        let flushed = self.socket.poll_flush(cx);
        self.pace.took(self.socket.take_taken(), &self.settings.patience);
        if self.socket.take_takes_again() {
            self.attachment.took_bytes();
        }
        match flushed {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) => {
                if std::mem::take(&mut self.ping_leaving) {
                    self.attachment.ping_left(self.socket.ahead());
                }
                Ok(Poll::Ready(()))
            }
        }
    }
}

/// Says goodbye and ends with FIN, never RST, which could destroy bytes that the peer has not read
/// yet: after our last byte the connection is read until the peer's end.
async fn finish<S>(
    mut socket: PacketSocket<S>,
    ending: Ending,
    framing: Framing,
    patience: Patience,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let close = |code: CloseCode, reason: &str| CloseFrame { code, reason: cut(reason).into() };
    match (&ending, framing) {
        (Ending::Left | Ending::Lost, _) => return Ok(()),
        // Its close is answered already.
        (Ending::ByPeer(_), _) => {}
        (Ending::Closed(reason), Framing::SockJs) => {
            socket.put_text(&reason.frame());
            socket.put_close(close(CloseCode::Normal, CloseReason::NORMAL.reason()));
        }
        (Ending::Closed(reason) | Ending::Aborted(reason), _) => {
            let code = CloseCode::from(reason.code());
            // An application's code that may not stand on the wire (1005, say) is that
            // application's error.
            socket.put_close(close(
                if code.is_allowed() { code } else { CloseCode::Error },
                reason.reason(),
            ));
        }
    }
    flush_last(socket.pending(), &patience, |cx| (socket.poll_flush(cx), socket.pending())).await?;
    let mut stream = socket.into_stream();
    timeout(patience.linger, async {
        stream.shutdown().await?;
        let mut rest = [0; 512];
        while stream.read(&mut rest).await? > 0 {}
        Ok(())
    })
    .await?
}

/// The bytes that a step is about to add to the write buffer, roughly.
fn size(step: &Step) -> usize {
    match step {
        Step::Frame(Frame::Message(message)) => message.len(),
        Step::Frame(Frame::Messages(messages)) => messages.iter().map(Message::len).sum(),
        Step::Frame(Frame::Open | Frame::Heartbeat | Frame::Close(_)) | Step::Ping => 0,
    }
}

#[cfg(test)]
mod tests;
