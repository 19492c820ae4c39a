//! From the session's frames to the socket.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use super::socket::{PacketSocket, give_back};
use super::{Driver, Ending, Framing, SPARE};
use crate::Message;
use crate::protocol::close::{CloseReason, cut};
use crate::protocol::frame::Frame;
use crate::session::Step;
use crate::transport::patience::{Patience, flush_last};
use crate::transport::socket_loop::end_with_fin;

/// Below this, frames are gathered into one write.
const WRITE_THRESHOLD: usize = 16 * 1024;

thread_local! {
    static SPARE_STEPS: Cell<Vec<Step>> = const { Cell::new(Vec::new()) };
}

impl<S, A> Driver<S, A>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Future<Output = ()> + Unpin,
{
    /// Writes the session's frames, as far as the socket takes them.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<Option<Ending>> {
        loop {
            if self.socket.pending() >= WRITE_THRESHOLD && self.poll_flush(cx)?.is_pending() {
                // A socket that takes nothing keeps the session's own timer from being asked.
                let silent = self.steps.attachment.poll_silence(cx).is_ready();
                return Ok(silent.then_some(Ending::Lost).or_else(|| self.poll_pace(cx)));
            }
            // Encoded and written after the session's lock is released.
            let (mut steps, mut bytes) = (SPARE_STEPS.take(), 0);
            self.steps.attachment.poll_steps(cx, |step| {
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
        self.steps.pace.caught_up();
        Ok(None)
    }

    /// How it ends if the peer takes the waiting bytes too slowly.
    fn poll_pace(&mut self, cx: &mut Context<'_>) -> Option<Ending> {
        if !self.socket.is_full() {
            return None;
        }
        match self.steps.pace.poll_full(&self.settings.patience, cx) {
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
        self.steps.pace.took(self.socket.take_taken(), &self.settings.patience);
        if self.socket.take_takes_again() {
            self.steps.attachment.took_bytes();
        }
        match flushed {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) => {
                if std::mem::take(&mut self.ping_leaving) {
                    self.steps.attachment.ping_left(self.socket.ahead());
                }
                Ok(Poll::Ready(()))
            }
        }
    }
}

/// Says goodbye, and ends.
pub(super) async fn finish<S>(
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
    end_with_fin(socket.into_stream(), patience.linger).await
}

/// The bytes that a step is about to add to the write buffer, roughly.
fn size(step: &Step) -> usize {
    match step {
        Step::Frame(Frame::Message(message)) => message.len(),
        Step::Frame(Frame::Messages(messages)) => messages.iter().map(Message::len).sum(),
        Step::Frame(Frame::Open | Frame::Heartbeat | Frame::Close(_)) | Step::Ping => 0,
    }
}
