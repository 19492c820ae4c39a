//! WebSocket, with SockJS frames and without: one task for the socket and the application.

mod intake;
mod outbound;
mod socket;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tungstenite::Message as Packet;
use tungstenite::error::{CapacityError, Error, ProtocolError};

use self::outbound::finish;
use self::socket::{PacketSocket, give_back};
use crate::Message;
use crate::protocol::close::CloseReason;
use crate::protocol::payload::{self, PayloadLimits};
use crate::session::Attachment;
use crate::transport::patience::{Deadline, Patience};
use crate::transport::socket_loop::{Reads, SocketLoop, TURN, finish_both, read_rest};
use crate::transport::watch::PeerWatch;

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

/// Bytes and messages read behind messages that found no room: the peer's end may lie there.
const LOOK_AHEAD: (usize, usize) = (16 * 1024, 64);
/// Larger buffers of a turn are not kept for the next connection.
const SPARE: usize = 1024;

thread_local! {
    static SPARE_MESSAGES: Cell<Vec<Message>> = const { Cell::new(Vec::new()) };
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
        steps: SocketLoop::new(attachment, application, watch, Deadline::default()),
        framing,
        settings,
        reading: Reading::Open,
        ping_leaving: false,
    };
    let mut ending = poll_fn(|cx| {
        let polled = driver.poll_session(cx);
        driver.tell_held();
        polled
    })
    .await;
    if matches!(ending, Ending::Left) {
        driver.reading = Reading::Open;
        let linger = driver.settings.patience.linger;
        Box::pin(read_rest(&mut driver, linger)).await;
        ending = match std::mem::replace(&mut driver.reading, Reading::Stopped) {
            Reading::Ended(ending) => ending,
            Reading::Open | Reading::Refused(_) | Reading::Stopped => Ending::Lost,
        };
    }
    let Driver { socket, steps, settings, .. } = driver;
    let (buffered, application) = steps.leave();
    // Boxed: it has buffers of its own, for which a session should not keep room all its life.
    let finish = Box::pin(async move {
        let _buffered = buffered;
        finish(socket, ending, framing, settings.patience).await
    });
    Box::pin(finish_both(finish, application)).await;
}

struct Driver<S, A> {
    socket: PacketSocket<S>,
    steps: SocketLoop<A>,
    framing: Framing,
    settings: Arc<Settings>,
    reading: Reading,
    ping_leaving: bool,
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
                    self.steps.attachment.heard();
                }
                // Everything else has been asked since the last read.
                return Poll::Pending;
            }
            if !read {
                self.steps.attachment.awake(heard);
            }
            self.steps.poll_application(cx);
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

    /// If the peer has broken a limit, it is told so behind all queued messages.
    fn refuse(&mut self) {
        if let Reading::Refused(reason) = &self.reading {
            // Messages before it are still the application's; room or not, because they are the
            // last.
            self.steps.push_last();
            self.steps.attachment.close(reason.clone());
            self.reading = Reading::Stopped;
        }
    }

    /// Ready when a message that has begun has not ended in time. A message that arrives in a
    /// single read takes no timer.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.socket.take_ended() || !self.socket.has_begun() {
            self.steps.message_deadline.clear();
        }
        if self.socket.has_begun() {
            self.steps.message_deadline.start(self.settings.patience.message_timeout);
        }
        self.steps.message_deadline.poll(cx)
    }

    /// Reads a little behind messages that found no room, for the peer's end may lie there. True
    /// when reading has ended.
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> bool {
        let mut bytes = self.steps.refused.iter().map(Message::len).sum::<usize>();
        for _ in 0..TURN {
            if bytes >= LOOK_AHEAD.0 || self.steps.refused.len() >= LOOK_AHEAD.1 {
                return false;
            }
            let Poll::Ready(packet) = self.socket.poll_packet(cx) else { return false };
            let before = self.steps.refused.len();
            let mut refused = std::mem::take(&mut self.steps.refused);
            let accepted = self.accept(packet, &mut refused);
            bytes += refused[before..].iter().map(Message::len).sum::<usize>();
            self.steps.refused = refused;
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
        self.steps.pause();
        let gone = matches!(self.reading, Reading::Open) && self.steps.poll_gone(cx).is_ready();
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
        self.steps.push_last();
        match ending {
            Ending::Closed(_) => {}
            Ending::Left => {
                self.steps.attachment.expect_rest();
                self.steps.attachment.peer_closed(CloseReason::INTERRUPTED);
            }
            Ending::ByPeer(Some((code, reason))) if self.framing == Framing::Raw => {
                self.steps.attachment.peer_closed(CloseReason::new(*code, reason.clone()));
            }
            Ending::Aborted(reason) => self.steps.attachment.abort(reason.clone()),
            Ending::ByPeer(_) | Ending::Lost => {
                self.steps.attachment.peer_closed(CloseReason::INTERRUPTED)
            }
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
            return self.steps.offer_refused(cx) || self.look_ahead(cx) || self.poll_paused(cx);
        }
        if !self.steps.may_read(cx) {
            return self.poll_paused(cx);
        }
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
            self.steps.refused = batch;
            self.refuse();
            return true;
        }
        if self.steps.attachment.hear(cx, &mut batch) {
            give_back(&SPARE_MESSAGES, &mut batch, SPARE);
        } else {
            self.steps.refused = batch;
        }
        true
    }

    fn has_ended(&self) -> bool {
        !matches!(self.reading, Reading::Open)
    }

    fn tell_held(&mut self) {
        self.steps.tell_held(self.socket.held());
    }

    fn waiting(&self) -> Option<usize> {
        None
    }
}

#[cfg(test)]
mod tests;
