//! Messages for the server.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::{Link, PayloadFormat, State};
use crate::client::error::SendError;
use crate::protocol::frame;
use crate::session::Queue;
use crate::wakers::{Wait, Waiter};
use crate::{CloseReason, Message};

/// The next work of a transport's sending side.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::client) enum Work {
    /// These go next, and [`Link::sent`] says when they have arrived.
    Send(Vec<Message>),
    /// Everything was sent, and the application leaves.
    Leave(CloseReason),
}

/// How a message is treated when the outbound queue has no room.
enum IfFull<'a, 's, 'w> {
    Refuse,
    /// Refused, and the task is woken when there is room.
    Wait(&'a mut Wait<'s, State>, &'a mut Context<'w>),
    Exceed,
}

impl Link {
    // The application's side.

    /// Queues a message, waiting for room.
    pub(in crate::client) async fn send(&self, message: Message) -> Result<(), SendError> {
        let mut message = Some(message);
        let mut wait = self.wait(|state| &mut state.others);
        poll_fn(|cx| {
            // Empty only when polled again after it was ready, which an async fn never does.
            let Some(offered) = message.take() else { return Poll::Ready(Ok(())) };
            match self.push(offered, IfFull::Wait(&mut wait, cx)) {
                Err(SendError::Full(refused)) => {
                    message = Some(refused);
                    Poll::Pending
                }
                outcome => Poll::Ready(outcome),
            }
        })
        .await
    }

    pub(in crate::client) fn try_send(&self, message: Message) -> Result<(), SendError> {
        self.push(message, IfFull::Refuse)
    }

    /// For a sender that [`poll_room`](Self::poll_room) told of room: others may have taken it
    /// since.
    pub(in crate::client) fn send_promised(&self, message: Message) -> Result<(), SendError> {
        self.push(message, IfFull::Exceed)
    }

    /// Ready when there is room, and when there never will be: sending then fails.
    pub(in crate::client) fn poll_room(
        &self,
        waiter: &mut Option<Waiter>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        self.poll_until(waiter, cx, |state| {
            !state.takes_messages() || state.outbound.fits(self.limits.outbound, 1, 0)
        })
    }

    pub(in crate::client) async fn flushed(&self) {
        let mut wait = self.wait(|state| &mut state.others);
        poll_fn(|cx| self.poll_flushed(wait.waiter(), cx)).await;
    }

    /// Ready when nothing is queued or in flight any more, or the connection has ended.
    pub(in crate::client) fn poll_flushed(
        &self,
        waiter: &mut Option<Waiter>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        self.poll_until(waiter, cx, |state| state.end.is_some() || state.undelivered() == 0)
    }

    fn poll_until(
        &self,
        waiter: &mut Option<Waiter>,
        cx: &mut Context<'_>,
        is_so: impl FnOnce(&State) -> bool,
    ) -> Poll<()> {
        // Dropped after unlocking.
        let mut stale = None;
        let mut state = self.state();
        if is_so(&state) {
            return Poll::Ready(());
        }
        state.others.wait(waiter, cx, &mut stale)
    }

    fn push(&self, message: Message, if_full: IfFull<'_, '_, '_>) -> Result<(), SendError> {
        let limit = self.limits.payload_size;
        let size = match self.format {
            PayloadFormat::Plain => message.len(),
            // Encoded before the lock is taken, and kept with the message for when it is sent.
            PayloadFormat::Json => match message.quoted() {
                Some(quoted) => quoted.len() + 2,
                None => return Err(SendError::NotCarried(message)),
            },
        };
        if size > limit {
            return Err(SendError::TooLarge { message, limit });
        }
        let mut stale = None;
        self.with(|state, wakes| {
            if !state.takes_messages() {
                return Err(SendError::Closed(message));
            }
            if !state.outbound.fits(self.limits.outbound, 1, message.len()) {
                match if_full {
                    IfFull::Exceed => {}
                    IfFull::Refuse => return Err(SendError::Full(message)),
                    IfFull::Wait(wait, cx) => {
                        let _: Poll<()> = wait.among(state, cx, &mut stale);
                        return Err(SendError::Full(message));
                    }
                }
            }
            state.outbound.push(message);
            wakes.add_all(&mut state.uplink);
            Ok(())
        })
    }

    // The transport's side.

    /// All queued messages that fit in one payload.
    pub(in crate::client) async fn work(&self) -> Work {
        let mut wait = self.wait(|state| &mut state.uplink);
        poll_fn(|cx| {
            let mut stale = None;
            self.with(|state, wakes| {
                if !state.outbound.is_empty() {
                    let messages = self.payload(&mut state.outbound);
                    state.in_flight += messages.len();
                    wakes.add_all(&mut state.others);
                    return Poll::Ready(Work::Send(messages));
                }
                match &state.leaving {
                    Some(reason) => Poll::Ready(Work::Leave(reason.clone())),
                    None => wait.among(state, cx, &mut stale),
                }
            })
        })
        .await
    }

    /// The last work to send has arrived.
    pub(in crate::client) fn sent(&self) {
        self.with(|state, wakes| {
            state.in_flight = 0;
            wakes.add_all(&mut state.others);
        });
    }

    /// Waits until the application wants to leave.
    pub(in crate::client) async fn leaving(&self) -> CloseReason {
        let mut wait = self.wait(|state| &mut state.uplink);
        poll_fn(|cx| {
            let mut stale = None;
            let mut state = self.state();
            match &state.leaving {
                Some(reason) => Poll::Ready(reason.clone()),
                None => wait.among(&mut state, cx, &mut stale),
            }
        })
        .await
    }

    fn payload(&self, queue: &mut Queue) -> Vec<Message> {
        let mut messages = Vec::new();
        // The brackets; a message brings its comma, or counts a byte too many.
        let mut size = 1;
        while let Some(message) = queue.peek() {
            size += message.quoted().map_or(0, |quoted| quoted.len() + 1);
            if !messages.is_empty()
                && (size > self.limits.payload_size
                    || messages.len() >= self.limits.messages_per_payload)
            {
                break;
            }
            messages.extend(queue.pop());
        }
        messages
    }
}

/// A JSON array of the messages: an `xhr_send` payload, or a WebSocket message.
pub(in crate::client) fn json(messages: &[Message]) -> Vec<u8> {
    let mut json = Vec::new();
    frame::array_into(messages, &mut json);
    json
}
