//! The session's state machine: no sockets, no locks, no clock.
//!
//! **The driver's contract: call an input (`attach`, `detach`, `push_inbound`, `send`, `close`, …),
//! then wake whoever waits for the outputs it may have changed (`poll_frame`, `pop_inbound`,
//! `has_space`, `end`), and call `poll_frame` again no later than `next_timeout`.**

mod charges;
mod flight;
mod latest;
mod pings;
mod rate;

use std::time::{Duration, Instant};

use self::charges::Charges;
use self::flight::Flight;
use self::latest::Latest;
pub(crate) use self::latest::{Kept, Key};
pub(crate) use self::pings::Pause;
use self::pings::Pings;
use self::rate::Buckets;
pub use self::rate::Rate;
use super::queue::{Queue, QueueLimit};
use crate::Message;
use crate::protocol::close::CloseReason;
use crate::protocol::frame::Frame;

/// What bounds a session; shared by all sessions of an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) inbound: QueueLimit,
    pub(crate) inbound_rate: Option<Rate>,
    pub(crate) outbound: QueueLimit,
    pub(crate) outbound_keys: usize,
    /// Payloads over HTTP that may arrive or wait for room at the same time; at the least one.
    pub(crate) payloads: usize,
    pub(crate) heartbeat_delay: Duration,
    pub(crate) disconnect_delay: Duration,
    pub(crate) pong_timeout: Duration,
    pub(crate) write_timeout: Duration,
    /// Bytes a second; 0 if there is none.
    pub(crate) least_rate: usize,
}

/// Where no least rate is set, the rate of a client that is called slow.
const SLOW_RATE: usize = 1024;

impl Limits {
    /// How long a client may take to read so many bytes: at the least rate, but no longer than
    /// `write_timeout`.
    fn reading_time(&self, bytes: usize) -> Duration {
        let rate = if self.least_rate == 0 { SLOW_RATE } else { self.least_rate };
        Duration::from_secs((bytes / rate) as u64).min(self.write_timeout)
    }
}

/// How a session ended, as its application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionEnd {
    /// Code and text.
    pub reason: CloseReason,
    /// Whose doing it was.
    pub by: EndedBy,
    /// Messages that the application sent and that were never handed to a transport; over HTTP
    /// those too that had not left in full, as far as the server could tell when the session ended.
    ///
    /// What the server's system had taken counts as delivered, though the client may not have read
    /// it: a connection tells no more (`TCP_NOTSENT_LOWAT` keeps that small). Behind a layer that
    /// copies bodies, as [`Gateway::into_axum`] is, what was copied counts as delivered.
    ///
    /// [`Gateway::into_axum`]: crate::Gateway#method.into_axum
    pub undelivered: usize,
}

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndedBy {
    /// The handler closed or dropped its session, or panicked, or somebody closed it through a
    /// [`Sender`](crate::Sender).
    Application,
    /// The client closed, its connection broke, or it did not come back in time.
    Peer,
    /// The gateway enforced a limit or the protocol.
    Gateway,
}

/// How a receiver's death is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// By writing heartbeats until the connection breaks.
    Heartbeats,
    /// By pings that the peer must answer.
    Pings,
}

/// What a receiver is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Hand this frame to the socket.
    Frame(Frame),
    /// Ping the peer, and report with [`Core::ping_left`] when the ping's bytes have left.
    Ping,
}

/// Why messages from the client are not taken now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// The inbound queue has no room.
    Full,
    /// The client is over its rate until then.
    OverRate(Instant),
}

/// A receiver is attached already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attached;

/// How a receiver left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detach {
    /// The server ended the response by itself; the client may come back within the disconnect
    /// delay.
    Finished,
    /// The connection is gone.
    Vanished,
}

/// One session's state.
#[derive(Debug)]
pub(crate) struct Core {
    phase: Phase,
    /// The open frame has been taken: it leaves before anything else, also when the application
    /// closes at once.
    opened: bool,
    inbound: Queue,
    /// What the client has used of its rate. Boxed, and made with the first message that is
    /// counted, because most sessions have none.
    rate: Option<Box<Buckets>>,
    outbound: Queue,
    /// The newest messages of keys that found the queue full. Nothing else enters the queue while
    /// there are any.
    latest: Option<Box<Latest>>,
    charges: Charges,
    line: Line,
    flight: Flight,
    /// A close frame has been taken: somebody knows of the end.
    told: bool,
    /// The client has gone, but what it sent before that is still being read, and taken.
    rest_comes: bool,
    /// The driver has a date to look at the session, or will have when it has looked.
    watched: bool,
    taken: u64,
    delivered: u64,
}

#[derive(Debug)]
enum Phase {
    Open,
    /// Closed; what is queued goes out first, then the close frame.
    Closing {
        reason: CloseReason,
        by: EndedBy,
        /// When the rest is given up, unless a receiver takes some of it before.
        until: Instant,
    },
    /// Nothing goes out any more but the close frame, to each receiver that still comes.
    Closed(SessionEnd),
}

#[derive(Debug)]
enum Line {
    Attached {
        /// Messages that were queued when the receiver came: they leave as one frame.
        backlog: usize,
        heartbeat_at: Instant,
        pings: Option<Pings>,
    },
    Detached {
        expires_at: Instant,
    },
}

impl Core {
    /// A session that no receiver has attached to yet.
    pub(crate) fn new(now: Instant, limits: &Limits) -> Self {
        Self {
            phase: Phase::Open,
            opened: false,
            inbound: Queue::default(),
            rate: None,
            outbound: Queue::default(),
            latest: None,
            charges: Charges::default(),
            line: Line::Detached { expires_at: now + limits.disconnect_delay },
            flight: Flight::new(now),
            told: false,
            rest_comes: false,
            watched: false,
            taken: 0,
            delivered: 0,
        }
    }

    /// The same, with messages that the budget with this id counts
    /// ([`due_charge`](Self::due_charge)).
    pub(crate) fn counted(mut self, budget: u32) -> Self {
        self.charges = Charges::of(budget);
        self
    }

    // The transport's side.

    /// A receiver comes. It is served also when the session has closed: then it gets the close
    /// frame.
    pub(crate) fn attach(
        &mut self,
        now: Instant,
        limits: &Limits,
        liveness: Liveness,
    ) -> Result<(), Attached> {
        if self.is_attached() {
            return Err(Attached);
        }
        let pings = match liveness {
            Liveness::Heartbeats => None,
            Liveness::Pings => Some(Pings::new(now, limits)),
        };
        self.flight.client_is_back(now);
        self.line = Line::Attached {
            backlog: self.outbound.len(),
            heartbeat_at: now + limits.heartbeat_delay,
            pings,
        };
        Ok(())
    }

    /// The receiver leaves. A vanished one ends the session: what was on its way to it is lost.
    pub(crate) fn detach(&mut self, now: Instant, limits: &Limits, how: Detach) {
        if !self.is_attached() {
            return;
        }
        self.line = Line::Detached { expires_at: self.returns_by(now, limits) };
        if how == Detach::Vanished {
            self.end(CloseReason::INTERRUPTED, EndedBy::Peer);
        }
    }

    /// What the attached receiver is to do now; `None`: nothing before an input or
    /// [`next_timeout`](Self::next_timeout).
    ///
    /// The close frame detaches the receiver: whoever comes next is answered by the session, never
    /// with "in use".
    pub(crate) fn poll_frame(&mut self, now: Instant, limits: &Limits) -> Option<Step> {
        self.give_up_on_silence(now);
        let Line::Attached { backlog, heartbeat_at, pings } = &mut self.line else { return None };
        let frame = match &self.phase {
            Phase::Closed(end) => Frame::Close(end.reason.clone()),
            Phase::Open | Phase::Closing { .. } if !self.opened => {
                self.opened = true;
                Frame::Open
            }
            Phase::Open | Phase::Closing { .. } if !self.outbound.is_empty() => {
                let count = std::mem::take(backlog).max(1);
                self.delivered += count as u64;
                let frame = match count {
                    1 => {
                        let message = self.outbound.pop()?;
                        self.charges.leave(&message);
                        Frame::Message(message)
                    }
                    _ => {
                        let messages = self.outbound.pop_many(count);
                        messages.iter().for_each(|message| self.charges.leave(message));
                        Frame::Messages(messages)
                    }
                };
                Latest::refill(&mut self.latest, &mut self.outbound, limits.outbound);
                frame
            }
            Phase::Closing { reason, .. } => Frame::Close(reason.clone()),
            Phase::Open if now >= *heartbeat_at => Frame::Heartbeat,
            Phase::Open => return pings.as_mut()?.poll(now, limits).then_some(Step::Ping),
        };
        *heartbeat_at = now + limits.heartbeat_delay;
        if let Phase::Closing { until, .. } = &mut self.phase {
            *until = now + limits.disconnect_delay;
        }
        if let Frame::Close(_) = frame {
            self.told = true;
            self.line = Line::Detached { expires_at: now + limits.disconnect_delay };
            self.end_in_order();
        }
        Some(Step::Frame(frame))
    }

    /// A frame that was taken is on its way, with so many messages and about so many bytes: it will
    /// be told to have [left](Self::frame_written) or to be [lost](Self::frame_lost). Nothing is
    /// counted for frames of which neither is told.
    pub(crate) fn frame_handed_over(
        &mut self,
        now: Instant,
        limits: &Limits,
        messages: usize,
        bytes: usize,
    ) {
        self.flight.handed_over(now, limits, messages, bytes);
        if let Line::Detached { expires_at } = &mut self.line {
            let due = self.flight.due();
            *expires_at = if matches!(self.phase, Phase::Open) {
                due
            } else {
                due.min(now + limits.disconnect_delay)
            };
        }
    }

    /// The connection took a part of a frame.
    pub(crate) fn frame_moved(&mut self, now: Instant, limits: &Limits) {
        self.flight.moved(now, limits);
        let returns_by = self.returns_by(now, limits);
        if let Line::Detached { expires_at } = &mut self.line {
            *expires_at = returns_by;
        }
        if let Phase::Closing { until, .. } = &mut self.phase {
            *until = now + limits.disconnect_delay;
        }
    }

    /// The connection took a whole frame with so many messages.
    pub(crate) fn frame_written(&mut self, now: Instant, limits: &Limits, messages: usize) {
        self.flight.left(messages);
        self.frame_moved(now, limits);
        self.end_in_order();
    }

    /// The connection ended before it took the whole of a frame with so many messages. Its client
    /// can't know what was lost, so the session ends, whoever is attached by now.
    pub(crate) fn frame_lost(&mut self, messages: usize) {
        self.end(CloseReason::INTERRUPTED, EndedBy::Peer);
        self.flight.left(messages);
    }

    /// Whether nobody looks at the session by the clock, though frames are on their way; the driver
    /// enters a date then.
    pub(crate) fn watch(&mut self) -> bool {
        !std::mem::replace(&mut self.watched, true)
    }

    /// When `poll_frame` (attached) or `expire` (detached) has something to do by the clock alone.
    /// A closing session that has a receiver has a frame for it, so there `poll_frame` waits for
    /// nothing, and [`expires_at`](Self::expires_at) is the date.
    pub(crate) fn next_timeout(&self) -> Instant {
        match &self.line {
            Line::Detached { expires_at } => *expires_at,
            Line::Attached { heartbeat_at, pings: None, .. } => *heartbeat_at,
            Line::Attached { heartbeat_at, pings: Some(pings), .. } => {
                pings.next_timeout().min(*heartbeat_at)
            }
        }
    }

    /// A ping's bytes have left, behind so many that the system may hold still.
    pub(crate) fn ping_left(&mut self, now: Instant, limits: &Limits, ahead: usize) {
        if let Some(pings) = self.pings() {
            pings.left(now, limits, ahead);
        }
    }

    /// A sign of life: something arrived from the peer, whatever it said.
    pub(crate) fn heard(&mut self) {
        if let Some(pings) = self.pings() {
            pings.heard();
        }
    }

    /// A socket that had been full has taken bytes: a sign of life, also of a client of a session
    /// that is closing.
    pub(crate) fn took_bytes(&mut self, now: Instant, limits: &Limits) {
        self.heard();
        if let Phase::Closing { until, .. } = &mut self.phase {
            *until = now + limits.disconnect_delay;
        }
    }

    /// The socket is not read for now: the pong that may wait in it can't be seen.
    pub(crate) fn reading_paused(&mut self, reason: Pause) {
        if let Some(pings) = self.pings() {
            pings.pause(reason);
        }
    }

    pub(crate) fn is_reading_paused(&mut self, reason: Pause) -> bool {
        self.pings().is_some_and(|pings| pings.is_paused(reason))
    }

    /// This reason not to read is gone. With the last one the peer gets the whole time anew.
    pub(crate) fn reading_resumed(&mut self, now: Instant, limits: &Limits, reason: Pause) {
        if let Some(pings) = self.pings() {
            pings.resume(now, limits, reason);
        }
    }

    /// Takes messages from the client, all or none. False: there is no room for them now.
    ///
    /// A session that is closing takes them and drops them: its client can't know yet.
    pub(crate) fn push_inbound(&mut self, limits: &Limits, messages: &mut Vec<Message>) -> bool {
        let bytes = messages.iter().map(Message::len).sum();
        // Nothing needs no room, also while the queue is over its limit: who waited for it would
        // wait for nothing.
        if self.takes_more()
            && !messages.is_empty()
            && !self.inbound.fits(limits.inbound, messages.len(), bytes)
        {
            return false;
        }
        self.push_last(messages);
        true
    }

    /// The same for a client that has a rate.
    pub(crate) fn push_at_rate(
        &mut self,
        now: Instant,
        limits: &Limits,
        rate: &Rate,
        messages: &mut Vec<Message>,
    ) -> Result<(), Held> {
        if self.takes_more() && !messages.is_empty() {
            let bytes = messages.iter().map(Message::len).sum();
            if !self.inbound.fits(limits.inbound, messages.len(), bytes) {
                return Err(Held::Full);
            }
            let buckets = self.rate.get_or_insert_with(|| Box::new(Buckets::full(now)));
            buckets.take(now, rate, messages.len(), bytes).map_err(Held::OverRate)?;
        }
        self.push_last(messages);
        Ok(())
    }

    /// Until when the client's rate has held back a payload, if it ever has; may be past.
    pub(crate) fn held_by_rate_until(&self) -> Option<Instant> {
        self.rate.as_ref().map(|buckets| buckets.held_until())
    }

    /// Takes the last messages of a client that is gone, room or not.
    pub(crate) fn push_last(&mut self, messages: &mut Vec<Message>) {
        if !self.takes_more() {
            return messages.clear();
        }
        self.taken += messages.len() as u64;
        messages.iter().for_each(|message| self.charges.enter(message));
        self.inbound.append(messages);
    }

    /// The client has gone; what it sent before that is read on, and taken also when the session
    /// has closed.
    pub(crate) fn expect_rest(&mut self) {
        self.rest_comes = self.is_open();
    }

    /// All of the rest is in, or given up.
    pub(crate) fn rest_is_in(&mut self) {
        self.rest_comes = false;
    }

    /// Whether more messages may come from the client.
    pub(crate) fn takes_more(&self) -> bool {
        self.is_open() || self.rest_comes
    }

    /// For a receiver whose socket takes nothing: whether the peer has left a ping unanswered, or
    /// the rest of a closed session untaken for too long; then the session has ended. Otherwise
    /// when to look again, if at all.
    pub(crate) fn poll_silence(&mut self, now: Instant) -> Result<(), Option<Instant>> {
        self.give_up_on_silence(now);
        if self.expire(now) || self.ended().is_some() {
            return Ok(());
        }
        let pong = self.pings().and_then(|pings| pings.answer_due());
        Err(pong.into_iter().chain(self.expires_at()).min())
    }

    /// The client said goodbye, with a code if its transport carries one.
    pub(crate) fn peer_closed(&mut self, reason: CloseReason) {
        self.end(reason, EndedBy::Peer);
    }

    /// The protocol or a limit was broken: nothing more is delivered.
    pub(crate) fn abort(&mut self, reason: CloseReason) {
        self.end(reason, EndedBy::Gateway);
    }

    /// Ends a session whose client did not come back in time, or closed and takes nothing any more.
    /// True when the session is over and may be forgotten.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        self.watched = false;
        let due = self.expires_at().is_some_and(|at| now >= at);
        if due && self.flight.is_empty() {
            self.end(CloseReason::INTERRUPTED, EndedBy::Peer);
        } else if due {
            self.end(CloseReason::NOT_READING, EndedBy::Gateway);
        }
        due
    }

    /// When `expire` has something to do, unless a receiver comes, or takes what a closed session
    /// still has, or a connection takes bytes.
    pub(crate) fn expires_at(&self) -> Option<Instant> {
        match (&self.line, &self.phase) {
            (Line::Detached { expires_at }, _) => Some(*expires_at),
            (Line::Attached { .. }, Phase::Closing { until, .. }) => Some(*until),
            (Line::Attached { .. }, Phase::Open) if !self.flight.is_empty() => {
                Some(self.flight.due())
            }
            (Line::Attached { .. }, _) => None,
        }
    }

    // The application's side.

    /// Whether the outbound queue has room now for a message of so many bytes; for 0, whether it
    /// has room at all. It never has for more than [`QueueLimit::bytes`]: such a message is
    /// refused, for it would wait for ever.
    pub(crate) fn has_space(&self, limits: &Limits, bytes: usize) -> bool {
        bytes <= limits.outbound.bytes
            && self.latest.is_none()
            && self.outbound.fits(limits.outbound, 1, bytes)
    }

    /// Queues a message; only after [`has_space`](Self::has_space) said yes, if only for no bytes,
    /// on a session that [`is_open`](Self::is_open).
    pub(crate) fn send(&mut self, message: Message) {
        self.charges.enter(&message);
        self.outbound.push(message);
    }

    /// Queues a message, or keeps it as the newest of its key until there is room; only on a
    /// session that [`is_open`](Self::is_open), and no message that is larger than the queue.
    pub(crate) fn send_latest(&mut self, limits: &Limits, key: Key, message: Message) -> Kept {
        if self.has_space(limits, message.len()) {
            self.send(message);
            return Kept::Queued;
        }
        if limits.outbound_keys == 0 {
            return Kept::NoPlace;
        }
        // It finds a place, or others have one: so none is made for nothing.
        let latest = self.latest.get_or_insert_default();
        let (kept, replaced) =
            latest.put(key, message.clone(), limits.outbound_keys, limits.outbound.bytes);
        if kept != Kept::NoPlace {
            self.charges.enter(&message);
        }
        if let Some(replaced) = replaced {
            self.charges.leave(&replaced);
        }
        kept
    }

    /// Ends the session in order: what is queued goes out first, as long as somebody takes it.
    pub(crate) fn close(
        &mut self,
        now: Instant,
        limits: &Limits,
        reason: CloseReason,
        by: EndedBy,
    ) {
        if self.is_open() {
            // Who closes a session of its own will receive no more; a limit of the gateway's takes
            // nothing from the application.
            if by == EndedBy::Application {
                self.drop_inbound();
                self.rest_comes = false;
            }
            let until = now + limits.disconnect_delay;
            self.phase = Phase::Closing { reason, by, until };
            if let Line::Detached { expires_at } = &mut self.line
                && !self.flight.is_empty()
            {
                *expires_at = until.min(*expires_at);
            }
        }
    }

    /// The application receives no more: what waits for it is the caller's to drop.
    pub(crate) fn take_inbound(&mut self) -> Queue {
        self.rest_comes = false;
        self.inbound.iter().for_each(|message| self.charges.leave(message));
        std::mem::take(&mut self.inbound)
    }

    /// The oldest message from the client.
    pub(crate) fn pop_inbound(&mut self) -> Option<Message> {
        let message = self.inbound.pop()?;
        self.charges.leave(&message);
        Some(message)
    }

    // The process's side: memory.

    /// What the queues hold, in bytes, as if they shared no message with others.
    pub(crate) fn held(&self) -> usize {
        self.inbound.held()
            + self.outbound.held()
            + self.latest.as_ref().map_or(0, |latest| latest.held())
    }

    /// What the budget is to count now, or to count no more: since the last time, and nothing if
    /// that is little.
    pub(crate) fn due_charge(&mut self) -> isize {
        self.charges.take(false)
    }

    /// Nobody holds the session any more: drops what it has left. The rest of what the budget is to
    /// count no more.
    pub(crate) fn last_charge(&mut self) -> isize {
        self.drop_inbound();
        self.drop_outbound();
        self.charges.take(true)
    }

    /// Ends the session to have its memory back: in both directions nothing is left.
    pub(crate) fn reclaim(&mut self, reason: CloseReason) {
        self.drop_inbound();
        self.rest_comes = false;
        self.end(reason, EndedBy::Gateway);
    }

    // What it is.

    /// Whether messages may still be sent, by either side.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    pub(crate) fn is_attached(&self) -> bool {
        matches!(self.line, Line::Attached { .. })
    }

    /// How the session ended, once nothing more can be handed to a transport.
    pub(crate) fn ended(&self) -> Option<&SessionEnd> {
        match &self.phase {
            Phase::Closed(end) => Some(end),
            _ => None,
        }
    }

    /// Whether the session has ended and no client knows of it.
    pub(crate) fn ended_untold(&self) -> bool {
        self.ended().is_some() && !self.told
    }

    /// Messages taken from the client, and handed to a transport.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.taken, self.delivered)
    }

    fn pings(&mut self) -> Option<&mut Pings> {
        match &mut self.line {
            Line::Attached { pings, .. } => pings.as_mut(),
            Line::Detached { .. } => None,
        }
    }

    fn give_up_on_silence(&mut self, now: Instant) {
        if self.pings().is_some_and(|pings| pings.is_unanswered(now)) {
            self.end(CloseReason::NO_PONG, EndedBy::Gateway);
        }
    }

    /// Until when a client that has no receiver may come back, or take more of what is on its way.
    fn returns_by(&self, now: Instant, limits: &Limits) -> Instant {
        match (&self.phase, self.flight.is_empty()) {
            (Phase::Open, false) => self.flight.due(),
            (Phase::Open | Phase::Closing { .. }, true) => {
                self.flight.read_by(now, limits) + limits.disconnect_delay
            }
            _ => now + limits.disconnect_delay,
        }
    }

    /// A close ends the session when its frame has been taken, and no message before it can get
    /// lost any more.
    fn end_in_order(&mut self) {
        if let Phase::Closing { reason, by, .. } = &self.phase
            && self.told
            && self.flight.messages() == 0
        {
            let (reason, by) = (reason.clone(), *by);
            self.end(reason, by);
        }
    }

    /// The first end counts. A close that was under way keeps its own reason; only its queued
    /// messages are lost.
    fn end(&mut self, reason: CloseReason, by: EndedBy) {
        let (reason, by) = match &self.phase {
            Phase::Closed(_) => return,
            Phase::Closing { reason, by, .. } => (reason.clone(), *by),
            Phase::Open => (reason, by),
        };
        let undelivered = self.drop_outbound() + self.flight.messages();
        self.phase = Phase::Closed(SessionEnd { reason, by, undelivered });
    }

    fn drop_inbound(&mut self) {
        self.inbound.drain().for_each(|message| self.charges.leave(&message));
    }

    /// How many messages that were.
    fn drop_outbound(&mut self) -> usize {
        let dropped = self.outbound.len();
        self.outbound.drain().for_each(|message| self.charges.leave(&message));
        let Some(latest) = self.latest.take() else { return dropped };
        latest.iter().for_each(|message| self.charges.leave(message));
        dropped + latest.len()
    }
}

#[cfg(test)]
mod tests;
