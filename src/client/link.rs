//! State that a connection and its transport's task share: two bounded queues, and the end.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::error::{End, EndedBy, SendError};
use crate::protocol::frame;
use crate::session::{Queue, QueueLimit};
use crate::{CloseReason, Message};

/// The limits of a connection's queues and payloads.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkLimits {
    pub(super) inbound: QueueLimit,
    pub(super) outbound: QueueLimit,
    /// Bytes of one payload.
    pub(super) payload_size: usize,
    /// Messages of one payload.
    pub(super) messages_per_payload: usize,
}

/// The kinds of messages that a transport carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    /// Text, as JSON.
    Json,
    /// Text and bytes as they are.
    Anything,
}

/// One mutex, held for a push or a pop and never across an await; wakers are called after it was
/// released.
#[derive(Debug)]
pub(super) struct Link {
    limits: LinkLimits,
    carries: Carries,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    inbound: Queue,
    outbound: Queue,
    /// Messages of the payload whose answer is awaited.
    in_flight: usize,
    /// The application wants to leave once `outbound` is empty.
    leaving: Option<CloseReason>,
    end: Option<End>,
    /// The application, which receives in one place.
    receiver: Option<Waker>,
    /// Waiters to send, or for the end.
    others: Vec<Waker>,
    /// The transport's receiving side waits for room.
    downlink: Option<Waker>,
    /// The transport's sending side waits for messages, or for the wish to leave.
    uplink: Vec<Waker>,
}

/// The next work of a transport's sending side.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// These go next, and [`Link::sent`] says when they have arrived.
    Send(Vec<Message>),
    /// Everything was sent, and the application leaves.
    Leave(CloseReason),
}

/// How a message is treated when the outbound queue has no room.
enum IfFull<'a, 'b> {
    Refuse,
    /// Refused, and the task is woken when there is room.
    Wait(&'a mut Context<'b>),
    Exceed,
}

impl Link {
    pub(super) fn new(limits: LinkLimits, carries: Carries) -> Self {
        Self { limits, carries, state: Mutex::default() }
    }

    // The application's side.

    pub(super) fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let mut state = self.state();
        let Some(message) = state.inbound.pop() else {
            if state.end.is_some() {
                return Poll::Ready(None);
            }
            store(&mut state.receiver, cx);
            return Poll::Pending;
        };
        let waker = state.downlink.take();
        drop(state);
        wake(waker);
        Poll::Ready(Some(message))
    }

    /// Queues the message that `slot` holds, or leaves it there and waits for room.
    pub(super) fn poll_send(
        &self,
        slot: &mut Option<Message>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        let Some(message) = slot.take() else { return Poll::Ready(Ok(())) };
        match self.push(message, IfFull::Wait(cx)) {
            Err(SendError::Full(message)) => {
                *slot = Some(message);
                Poll::Pending
            }
            outcome => Poll::Ready(outcome),
        }
    }

    pub(super) fn try_send(&self, message: Message) -> Result<(), SendError> {
        self.push(message, IfFull::Refuse)
    }

    /// For a sender that [`poll_room`](Self::poll_room) told of room: others may have taken it
    /// since.
    pub(super) fn send_promised(&self, message: Message) -> Result<(), SendError> {
        self.push(message, IfFull::Exceed)
    }

    /// Ready when there is room, and when there never will be: sending then fails.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if !state.takes_messages() || state.outbound.fits(self.limits.outbound, 1, 0) {
            return Poll::Ready(());
        }
        state.wait(cx);
        Poll::Pending
    }

    /// Ready when nothing is queued or in flight any more, or the connection has ended.
    pub(super) fn poll_flushed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.end.is_some() || state.undelivered() == 0 {
            return Poll::Ready(());
        }
        state.wait(cx);
        Poll::Pending
    }

    /// No more messages are taken; queued ones are still sent. The first reason counts.
    pub(super) fn leave(&self, reason: CloseReason) {
        let mut state = self.state();
        state.leaving.get_or_insert(reason);
        let (uplink, others) =
            (std::mem::take(&mut state.uplink), std::mem::take(&mut state.others));
        drop(state);
        uplink.into_iter().chain(others).for_each(Waker::wake);
    }

    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<End> {
        let mut state = self.state();
        if let Some(end) = &state.end {
            return Poll::Ready(end.clone());
        }
        state.wait(cx);
        Poll::Pending
    }

    pub(super) fn is_ended(&self) -> bool {
        self.state().end.is_some()
    }

    pub(super) fn is_closed(&self) -> bool {
        !self.state().takes_messages()
    }

    fn push(&self, message: Message, if_full: IfFull<'_, '_>) -> Result<(), SendError> {
        let limit = self.limits.payload_size;
        let size = match self.carries {
            Carries::Anything => message.len(),
            // Encoded before the lock is taken, and kept with the message for when it is sent.
            Carries::Json => match message.quoted() {
                Some(quoted) => quoted.len() + 2,
                None => return Err(SendError::NotCarried(message)),
            },
        };
        if size > limit {
            return Err(SendError::TooLarge { message, limit });
        }
        let mut state = self.state();
        if !state.takes_messages() {
            return Err(SendError::Closed(message));
        }
        if !state.outbound.fits(self.limits.outbound, 1, message.len()) {
            match if_full {
                IfFull::Exceed => {}
                IfFull::Refuse => return Err(SendError::Full(message)),
                IfFull::Wait(cx) => {
                    state.wait(cx);
                    return Err(SendError::Full(message));
                }
            }
        }
        state.outbound.push(message);
        let uplink = std::mem::take(&mut state.uplink);
        drop(state);
        uplink.into_iter().for_each(Waker::wake);
        Ok(())
    }

    // The transport's side.

    /// Waits until the inbound queue has room, then adds a frame's messages. A frame enters whole,
    /// so the queue may exceed its limit by a frame.
    pub(super) fn poll_deliver(&self, frame: &mut Vec<Message>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        let bytes = frame.iter().map(Message::len).sum();
        if !state.inbound.fits(self.limits.inbound, frame.len(), bytes) {
            store(&mut state.downlink, cx);
            return Poll::Pending;
        }
        frame.drain(..).for_each(|message| state.inbound.push(message));
        let waker = state.receiver.take();
        drop(state);
        wake(waker);
        Poll::Ready(())
    }

    /// All queued messages that fit in one payload.
    pub(super) fn poll_work(&self, cx: &mut Context<'_>) -> Poll<Work> {
        let mut state = self.state();
        if !state.outbound.is_empty() {
            let messages = self.payload(&mut state.outbound);
            state.in_flight += messages.len();
            let others = std::mem::take(&mut state.others);
            drop(state);
            others.into_iter().for_each(Waker::wake);
            return Poll::Ready(Work::Send(messages));
        }
        if let Some(reason) = &state.leaving {
            return Poll::Ready(Work::Leave(reason.clone()));
        }
        store_among(&mut state.uplink, cx);
        Poll::Pending
    }

    /// The last work to send has arrived.
    pub(super) fn sent(&self) {
        let mut state = self.state();
        state.in_flight = 0;
        let others = std::mem::take(&mut state.others);
        drop(state);
        others.into_iter().for_each(Waker::wake);
    }

    /// Ready when the application wants to leave.
    pub(super) fn poll_leaving(&self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let mut state = self.state();
        if let Some(reason) = &state.leaving {
            return Poll::Ready(reason.clone());
        }
        store_among(&mut state.uplink, cx);
        Poll::Pending
    }

    /// The connection has ended, or ended before. Messages received and not yet taken stay; unsent
    /// messages are counted.
    pub(super) fn end(&self, reason: CloseReason, by: EndedBy) -> End {
        let mut state = self.state();
        if let Some(end) = &state.end {
            return end.clone();
        }
        let end = End { reason, by, undelivered: state.undelivered() };
        state.outbound.clear();
        state.end = Some(end.clone());
        let (receiver, others) = (state.receiver.take(), std::mem::take(&mut state.others));
        drop(state);
        others.into_iter().chain(receiver).for_each(Waker::wake);
        end
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

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that runs under the lock can panic half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn takes_messages(&self) -> bool {
        self.leaving.is_none() && self.end.is_none()
    }

    fn undelivered(&self) -> usize {
        self.outbound.len() + self.in_flight
    }

    fn wait(&mut self, cx: &Context<'_>) {
        store_among(&mut self.others, cx);
    }
}

/// A JSON array of the messages: an `xhr_send` payload, or a WebSocket message.
pub(super) fn json(messages: &[Message]) -> Vec<u8> {
    let mut json = Vec::new();
    frame::array_into(messages, &mut json);
    json
}

fn store(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

/// A task that waits anew after a cancelled wait must not enter twice, or the list would grow
/// without end.
fn store_among(wakers: &mut Vec<Waker>, cx: &Context<'_>) {
    if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
        wakers.push(cx.waker().clone());
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: LinkLimits = LinkLimits {
        inbound: QueueLimit { messages: 2, bytes: 100 },
        outbound: QueueLimit { messages: 4, bytes: 100 },
        payload_size: 14,
        messages_per_payload: 3,
    };

    fn link() -> Link {
        Link::new(LIMITS, Carries::Json)
    }

    fn now<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        poll(&mut Context::from_waker(Waker::noop()))
    }

    fn work(link: &Link) -> Poll<String> {
        now(|cx| link.poll_work(cx)).map(|work| match work {
            Work::Send(messages) => String::from_utf8(json(&messages)).expect("JSON is text"),
            Work::Leave(reason) => reason.to_string(),
        })
    }

    #[test]
    fn everything_queued_leaves_as_one_payload_within_its_limits() {
        let link = link();
        for text in ["a", "b", "c", "d"] {
            link.try_send(text.into()).expect("there is room");
        }
        assert_eq!(
            work(&link),
            Poll::Ready(r#"["a","b","c"]"#.into()),
            "three messages at the most"
        );
        assert_eq!(work(&link), Poll::Ready(r#"["d"]"#.into()));
        link.try_send("12345".into()).expect("there is room");
        link.try_send("678".into()).expect("there is room");
        assert_eq!(
            work(&link),
            Poll::Ready(r#"["12345"]"#.into()),
            "fourteen bytes at the most: both would be 15"
        );
        assert_eq!(work(&link), Poll::Ready(r#"["678"]"#.into()));
        link.try_send("1234".into()).expect("there is room");
        link.try_send("567".into()).expect("there is room");
        assert_eq!(work(&link), Poll::Ready(r#"["1234","567"]"#.into()), "and here they are 14");
        assert_eq!(work(&link), Poll::Pending);
    }

    #[test]
    fn what_is_not_taken_comes_back() {
        let link = link();
        let error = link
            .try_send("12345678901".into())
            .expect_err("fifteen bytes with quotes and brackets");
        assert!(matches!(error, SendError::TooLarge { limit: 14, .. }), "{error:?}");
        assert_eq!(error.into_message(), "12345678901");
        link.try_send("1234567890".into()).expect("fourteen bytes fit");
        let error = link.try_send(Message::binary(&b"x"[..])).expect_err("JSON carries no bytes");
        assert!(matches!(error, SendError::NotCarried(_)), "{error:?}");
        for _ in 0..3 {
            link.try_send("x".into()).expect("there is room");
        }
        let error = link.try_send("full".into()).expect_err("four are queued");
        assert!(matches!(&error, SendError::Full(message) if message == "full"), "{error:?}");
        let mut slot = Some("full".into());
        assert!(now(|cx| link.poll_send(&mut slot, cx)).is_pending());
        assert_eq!(slot, Some("full".into()));
        link.leave(CloseReason::NORMAL);
        let error = link.try_send("late".into()).expect_err("it is closing");
        assert!(matches!(&error, SendError::Closed(message) if message == "late"), "{error:?}");
    }

    #[test]
    fn leaving_comes_after_all_that_was_sent() {
        let link = link();
        link.try_send("last".into()).expect("there is room");
        link.leave(CloseReason::NORMAL);
        link.leave(CloseReason::INTERRUPTED);
        assert_eq!(work(&link), Poll::Ready(r#"["last"]"#.into()));
        assert!(now(|cx| link.poll_flushed(cx)).is_pending(), "it is in flight");
        link.sent();
        assert!(now(|cx| link.poll_flushed(cx)).is_ready());
        assert_eq!(work(&link), Poll::Ready("1000 Normal closure".into()));
    }

    #[test]
    fn what_was_not_sent_is_counted_and_what_came_stays() {
        let link = link();
        for text in ["a", "b", "c", "d"] {
            link.try_send(text.into()).expect("there is room");
        }
        assert!(work(&link).is_ready());
        assert!(now(|cx| link.poll_deliver(&mut vec!["in".into()], cx)).is_ready());
        let end = link.end(CloseReason::INTERRUPTED, EndedBy::Server);
        assert_eq!(end.undelivered, 4, "three in flight, one queued");
        assert_eq!(
            link.end(CloseReason::NORMAL, EndedBy::Client).reason,
            CloseReason::INTERRUPTED,
            "the first counts"
        );
        assert_eq!(now(|cx| link.poll_recv(cx)), Poll::Ready(Some("in".into())));
        assert_eq!(now(|cx| link.poll_recv(cx)), Poll::Ready(None));
    }

    #[test]
    fn a_frame_waits_for_room() {
        let link = link();
        let mut frame = vec!["a".into(), "b".into(), "c".into()];
        assert!(
            now(|cx| link.poll_deliver(&mut frame, cx)).is_ready(),
            "an empty queue takes any frame"
        );
        let mut frame = vec!["d".into()];
        for expected in ["a", "b"] {
            assert!(now(|cx| link.poll_deliver(&mut frame, cx)).is_pending());
            assert_eq!(now(|cx| link.poll_recv(cx)), Poll::Ready(Some(expected.into())));
        }
        assert!(now(|cx| link.poll_deliver(&mut frame, cx)).is_ready(), "one waits, two may");
        for expected in ["c", "d"] {
            assert_eq!(now(|cx| link.poll_recv(cx)), Poll::Ready(Some(expected.into())));
        }
    }
}
