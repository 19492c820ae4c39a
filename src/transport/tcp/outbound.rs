//! From the session's messages to the socket.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop::has_budget_remaining;

use super::{Driver, Ending, Reading};
use crate::Message;
use crate::protocol::frame::Frame;
use crate::protocol::modified_utf8::write_record;
use crate::session::Step;

/// Records are gathered up to here into one write.
const WRITE_THRESHOLD: usize = 16 * 1024;

impl<S, A> Driver<S, A>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Future<Output = ()> + Unpin,
{
    /// Writes the session's messages, as far as the socket takes them.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Option<Ending> {
        loop {
            match self.poll_output(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Some(Ending::Lost),
                // A spent budget says nothing about the client.
                Poll::Pending if !self.full => return None,
                Poll::Pending => {
                    // A socket that takes nothing keeps the session's own timer from being asked.
                    let silent = self.steps.attachment.poll_silence(cx).is_ready();
                    return match self.steps.pace.poll_full(&self.settings.patience, cx) {
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
                self.steps.pace.caught_up();
                return None;
            }
        }
    }

    /// Gathers records for one write. True when they are the last: the attachment must not be asked
    /// again.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> bool {
        while self.output.len() < WRITE_THRESHOLD {
            match self.steps.attachment.poll_step(cx) {
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
            self.steps.attachment.took_bytes();
        }
        self.steps.pace.took(taken, &self.settings.patience);
        match &outcome {
            Poll::Pending => self.full |= has_budget_remaining(),
            Poll::Ready(_) => self.unflushed = false,
        }
        outcome
    }
}

/// Ready when the socket has taken everything.
pub(super) fn poll_send<S>(
    stream: &mut S,
    output: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>>
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
