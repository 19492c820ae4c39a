//! WebSocket, with SockJS frames and without: one task for the socket and the application.

use std::future::{Future, poll_fn};
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_stream::Stream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message as Packet, Utf8Bytes};

use crate::Message;
use crate::message::Content;
use crate::protocol::close::CloseReason;
use crate::protocol::frame::Frame;
use crate::protocol::payload::{self, PayloadLimits};
use crate::session::{Receiver, Step};

/// How messages stand on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// SockJS frames; `h` and pings.
    SockJs,
    /// One message in, one message out; pings only.
    Raw,
}

/// What a WebSocket session needs to know of its endpoint.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) binary: bool,
    pub(crate) payload_size: usize,
    pub(crate) payload: PayloadLimits,
    /// Bytes and messages that are read ahead before the application has taken them.
    pub(crate) read_ahead: (usize, usize),
    /// How long the other side may take to finish closing.
    pub(crate) linger: Duration,
}

/// Allocated for as long as the connection lives, so small; larger messages grow it while they are read.
const READ_BUFFER: usize = 4 * 1024;
/// Below this, frames are gathered into one write.
const WRITE_THRESHOLD: usize = 16 * 1024;
/// Packets read, or frames written, before the other side of the task gets its turn.
const TURN: usize = 64;
/// What a session keeps of the room for its steps: enough for one message at a time.
const KEPT_STEPS: usize = 4;

/// Runs a session over an upgraded connection until both the socket and the application are done.
///
/// `read` is what had been read of the connection behind the handshake.
pub(crate) async fn run<S>(
    stream: S,
    read: Vec<u8>,
    receiver: Receiver,
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
    // The write buffer itself needs no limit: no frame is written while the one before has not left (see `poll_write`).
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_THRESHOLD)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest));
    let socket = WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config)).await;
    let mut driver = Driver {
        socket,
        receiver,
        application: Some(application),
        framing,
        settings,
        refused: Vec::new(),
        reading: Reading::Open,
        unflushed: 0,
        ping_leaving: false,
        steps: Vec::new(),
    };
    let ending = poll_fn(|cx| driver.poll_session(cx)).await;
    let Driver { socket, receiver, application, settings, .. } = driver;
    drop(receiver);
    let finish = tokio::time::timeout(settings.linger, finish(socket, ending, framing));
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
    socket: WebSocketStream<S>,
    receiver: Receiver,
    /// `None` once it has returned.
    application: Option<A>,
    framing: Framing,
    settings: Arc<Settings>,
    /// Messages that found no room in the inbound queue; while there are any, the socket is not read.
    refused: Vec<Message>,
    reading: Reading,
    /// Bytes handed to the socket since it was last known to be empty.
    unflushed: usize,
    ping_leaving: bool,
    /// Room for what is written next, kept from one time to the next.
    steps: Vec<Step>,
}

enum Reading {
    Open,
    /// The peer is done.
    Ended(Ending),
    /// The peer broke a limit, and is to be told so.
    Refused(CloseReason),
    /// Nothing is read any more; what is queued still goes out.
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
            if !read && turn > 0 {
                // Everything else has been asked since the last read.
                return Poll::Pending;
            }
            if !read {
                self.receiver.awake();
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

    fn poll_application(&mut self, cx: &mut Context<'_>) {
        if let Some(application) = &mut self.application
            && Pin::new(application).poll(cx).is_ready()
        {
            self.application = None;
        }
    }

    /// Reads what has arrived, up to a turn. True when the application has got something, or the peer ended.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.refused.is_empty() {
            let refused = std::mem::take(&mut self.refused);
            if let Err(refused) = self.receiver.hear_again(cx, refused) {
                self.refused = refused;
                return false;
            }
            return true;
        }
        let (mut batch, mut bytes, mut heard) = (Vec::new(), 0, false);
        let (most_bytes, most) = self.settings.read_ahead;
        for _ in 0..TURN {
            if !matches!(self.reading, Reading::Open) || bytes >= most_bytes || batch.len() >= most {
                break;
            }
            let packet = match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(packet) => packet,
            };
            heard = true;
            let before = batch.len();
            if let Err(reading) = self.accept(packet, &mut batch) {
                self.reading = reading;
            }
            bytes += batch[before..].iter().map(Message::len).sum::<usize>();
        }
        if !heard {
            return false;
        }
        if let Reading::Refused(reason) = &self.reading {
            // What came before in order is the application's still; room or not, for it is the last.
            self.receiver.push_last(batch);
            self.receiver.close(reason.clone());
            self.reading = Reading::Stopped;
            return true;
        }
        if let Err(refused) = self.receiver.hear(cx, batch) {
            self.refused = refused;
        }
        true
    }

    fn accept(&mut self, packet: Option<Result<Packet, Error>>, batch: &mut Vec<Message>) -> Result<(), Reading> {
        let ended = |ending| Err(Reading::Ended(ending));
        match packet {
            Some(Ok(Packet::Text(text))) => match self.framing {
                Framing::Raw => batch.push(Message::text(text.as_str())),
                Framing::SockJs => match payload::parse_frame(text.as_str(), &self.settings.payload) {
                    Ok(messages) => batch.extend(messages),
                    Err(error) if error.is_limit() => return Err(Reading::Refused(CloseReason::TOO_LARGE)),
                    Err(_) => return ended(Ending::Aborted(CloseReason::BROKEN_FRAMING)),
                },
            },
            Some(Ok(Packet::Binary(bytes))) => {
                if self.framing == Framing::SockJs || !self.settings.binary {
                    return Err(Reading::Refused(CloseReason::BINARY_REFUSED));
                }
                batch.push(Message::binary(bytes));
            }
            Some(Ok(Packet::Ping(_) | Packet::Pong(_) | Packet::Frame(_))) => {}
            Some(Ok(Packet::Close(frame))) => {
                let frame = frame.map(|frame| (frame.code.into(), frame.reason.as_str().to_owned()));
                return ended(Ending::ByPeer(frame));
            }
            Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
                return Err(Reading::Refused(CloseReason::TOO_LARGE));
            }
            Some(Err(Error::Utf8(_))) => return ended(Ending::Aborted(CloseReason::NOT_UTF8)),
            Some(Err(Error::Protocol(
                tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            ))) => return ended(Ending::Lost),
            Some(Err(Error::Protocol(_))) => return ended(Ending::Aborted(CloseReason::PROTOCOL_ERROR)),
            Some(Err(_)) | None => return ended(Ending::Lost),
        }
        Ok(())
    }

    /// Tells the session how it ended, after the last messages that came.
    fn tell(&mut self, ending: &Ending) {
        self.receiver.push_last(std::mem::take(&mut self.refused));
        match ending {
            Ending::Closed(_) => {}
            Ending::ByPeer(Some((code, reason))) if self.framing == Framing::Raw => {
                self.receiver.peer_closed(CloseReason::new(*code, reason.clone()));
            }
            Ending::Aborted(reason) => self.receiver.abort(reason.clone()),
            Ending::ByPeer(_) | Ending::Lost => self.receiver.peer_closed(CloseReason::INTERRUPTED),
        }
    }

    /// Writes what the session has, as far as the socket takes it.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<Option<Ending>, Error> {
        loop {
            if self.unflushed >= WRITE_THRESHOLD && !self.poll_flush(cx)? {
                // A socket that takes nothing keeps the session's own timer from being asked.
                let silent = self.receiver.poll_silence(cx).is_ready();
                return Ok(silent.then_some(Ending::Lost));
            }
            // Encoded and written after the session's lock is released.
            let (mut steps, mut bytes) = (std::mem::take(&mut self.steps), 0);
            self.receiver.poll_steps(cx, |step| {
                bytes += size(&step);
                steps.push(step);
                if bytes < WRITE_THRESHOLD { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            for step in steps.drain(..) {
                match step {
                    Step::Frame(Frame::Close(reason)) => return Ok(Some(Ending::Closed(reason))),
                    Step::Frame(frame) => self.write_frame(frame)?,
                    Step::Ping => {
                        self.ping_leaving = true;
                        self.write(Packet::Ping(Bytes::new()))?;
                    }
                }
            }
            if steps.capacity() <= KEPT_STEPS {
                self.steps = steps;
            }
            if bytes < WRITE_THRESHOLD {
                break;
            }
        }
        if self.unflushed > 0 {
            self.poll_flush(cx)?;
        }
        Ok(None)
    }

    fn write_frame(&mut self, frame: Frame) -> Result<(), Error> {
        match (self.framing, frame) {
            (Framing::SockJs, frame) => self.write(text(frame.bytes())),
            (Framing::Raw, Frame::Message(message)) => self.write(packet(message)),
            (Framing::Raw, Frame::Messages(messages)) => {
                messages.into_iter().try_for_each(|message| self.write(packet(message)))
            }
            // No frames at all on a raw WebSocket.
            (Framing::Raw, Frame::Open | Frame::Heartbeat | Frame::Close(_)) => Ok(()),
        }
    }

    fn write(&mut self, packet: Packet) -> Result<(), Error> {
        self.unflushed += packet.len() + 10;
        Pin::new(&mut self.socket).start_send(packet)
    }

    /// True when the socket has taken everything.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<bool, Error> {
        match Pin::new(&mut self.socket).poll_flush(cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) => {
                self.unflushed = 0;
                if std::mem::take(&mut self.ping_leaving) {
                    self.receiver.ping_left();
                }
                Ok(true)
            }
        }
    }
}

/// Says goodbye and ends with FIN, never RST, which could destroy what the peer has not read yet: after our last byte the connection is
/// read until the peer's end.
async fn finish<S>(mut socket: WebSocketStream<S>, ending: Ending, framing: Framing) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let close = |code: CloseCode, reason: &str| Packet::Close(Some(CloseFrame { code, reason: cut(reason).into() }));
    let mut last = Vec::new();
    match (&ending, framing) {
        (Ending::Lost, _) => return Ok(()),
        (Ending::ByPeer(_), _) => {}
        (Ending::Closed(reason), Framing::SockJs) => {
            last.push(text(reason.frame().into()));
            last.push(close(CloseCode::Normal, CloseReason::NORMAL.reason()));
        }
        (Ending::Closed(reason) | Ending::Aborted(reason), _) => {
            let code = CloseCode::from(reason.code());
            // An application's code that may not stand on the wire (1005, say) is that application's error.
            last.push(close(if code.is_allowed() { code } else { CloseCode::Error }, reason.reason()));
        }
    }
    for packet in last {
        // A peer that has closed meanwhile needs no goodbye.
        if Pin::new(&mut socket).start_send(packet).is_err() {
            break;
        }
    }
    let _ = poll_fn(|cx| Pin::new(&mut socket).poll_flush(cx)).await;
    let mut stream = socket.into_inner();
    stream.shutdown().await?;
    let mut rest = [0; 512];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// A close frame has 123 bytes for its reason (RFC 6455, control frames).
fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(123)]
}

/// What a step is about to add to the write buffer, roughly.
fn size(step: &Step) -> usize {
    match step {
        Step::Frame(Frame::Message(message)) => message.len(),
        Step::Frame(Frame::Messages(messages)) => messages.iter().map(Message::len).sum(),
        Step::Frame(Frame::Open | Frame::Heartbeat | Frame::Close(_)) | Step::Ping => 0,
    }
}

fn packet(message: Message) -> Packet {
    match message.into_content() {
        Content::Text(text) => Packet::Text(text),
        Content::Binary(bytes) => Packet::Binary(bytes),
    }
}

fn text(frame: Bytes) -> Packet {
    // Frames are made of `str`s, so nothing is lost to the default.
    Packet::Text(Utf8Bytes::try_from(frame).unwrap_or_default())
}
