//! The session's state machine: no sockets, no locks, no clock.
//!
//! **The driver's contract: call an input (`attach`, `detach`, `push_inbound`, `send`, `close`, …),
//! then wake the waiters for the outputs that it may have changed (`poll_frame`, `pop_inbound`,
//! `has_space`, `end`), and call `poll_frame` again no later than `next_timeout`.**

mod charges;
mod ends;
mod flight;
mod inbound;
mod latest;
mod memory;
mod outbound;
mod pings;
mod rate;

use std::time::{Duration, Instant};

use self::charges::Charges;
pub use self::ends::{EndedBy, SessionEnd};
use self::flight::Flight;
pub(crate) use self::inbound::NotAdmitted;
pub(crate) use self::latest::Kept;
use self::latest::Latest;
pub(crate) use self::memory::Cargo;
use self::memory::Flying;
pub(crate) use self::pings::Pause;
use self::pings::Pings;
use self::rate::Buckets;
pub use self::rate::Rate;
use super::queue::{Queue, QueueLimit};
use crate::protocol::close::CloseReason;
use crate::protocol::frame::Frame;

/// The limits of a session, shared by all sessions of an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) inbound: QueueLimit,
    pub(crate) inbound_rate: Option<Rate>,
    pub(crate) outbound: QueueLimit,
    pub(crate) outbound_keys: usize,
    /// Payloads over HTTP that may arrive or wait for room at the same time; at least one.
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

/// How a receiver's death is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// By writing heartbeats until the connection breaks.
    Heartbeats,
    /// By pings that the peer must answer.
    Pings,
}

/// The next step of a receiver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Hand this frame to the socket.
    Frame(Frame),
    /// Ping the peer, and report with [`Core::ping_left`] when the ping's bytes have left.
    Ping,
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
    /// The part of its rate that the client has used. Boxed, and made with the first message that
    /// is counted, because most sessions have none.
    rate: Option<Box<Buckets>>,
    outbound: Queue,
    /// The newest messages of keys that found the queue full. Nothing else enters the queue while
    /// there are any.
    latest: Option<Box<Latest>>,
    charges: Charges,
    flying: Flying,
    connectivity: Connectivity,
    flight: Flight,
    /// A close frame has been taken: a client knows of the end.
    told: bool,
    /// The client has gone, but its last messages are still being read and taken.
    rest_comes: bool,
    /// The driver has a deadline for the session, or will have one when it has looked.
    watched: bool,
    taken: u64,
    delivered: u64,
}

#[derive(Debug)]
enum Phase {
    Open,
    /// Closed; queued messages go out first, then the close frame.
    Closing {
        reason: CloseReason,
        by: EndedBy,
        /// When the rest is dropped, unless a receiver takes some of it before.
        until: Instant,
    },
    /// Nothing goes out any more but the close frame, to each receiver that still comes.
    Closed(SessionEnd),
}

#[derive(Debug)]
enum Connectivity {
    Attached {
        /// Messages that were queued when the receiver came: they leave as one frame.
        backlog: usize,
        heartbeat_at: Instant,
        pings: Option<Pings>,
        /// The next frame is the last that this receiver gets.
        leaves: bool,
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
            flying: Flying::default(),
            connectivity: Connectivity::Detached { expires_at: now + limits.disconnect_delay },
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
        self.connectivity = Connectivity::Attached {
            backlog: self.outbound.len(),
            heartbeat_at: now + limits.heartbeat_delay,
            pings,
            leaves: false,
        };
        Ok(())
    }

    /// The receiver leaves. A vanished receiver ends the session: messages on their way to it are
    /// lost.
    pub(crate) fn detach(&mut self, now: Instant, limits: &Limits, how: Detach) {
        if !self.is_attached() {
            return;
        }
        self.connectivity = Connectivity::Detached { expires_at: self.returns_by(now, limits) };
        if how == Detach::Vanished {
            self.end(CloseReason::INTERRUPTED, EndedBy::Peer);
        }
    }

    /// The receiver is to leave in order, so that its client comes back: behind its next frame,
    /// which is a heartbeat if there is no other. Its transport sees it by
    /// [`receiver_leaves`](Self::receiver_leaves), and detaches it.
    pub(crate) fn release_receiver(&mut self, now: Instant) {
        if let Connectivity::Attached { heartbeat_at, leaves, .. } = &mut self.connectivity {
            *heartbeat_at = now;
            *leaves = true;
        }
    }

    /// Whether the frame that was taken last is the receiver's last.
    pub(crate) fn receiver_leaves(&self) -> bool {
        matches!(self.connectivity, Connectivity::Attached { leaves: true, .. })
    }

    /// The attached receiver's next step; `None`: nothing before an input or
    /// [`next_timeout`](Self::next_timeout).
    ///
    /// The close frame detaches the receiver: the next receiver is answered by the session, never
    /// with "in use".
    pub(crate) fn poll_frame(&mut self, now: Instant, limits: &Limits) -> Option<Step> {
        self.give_up_on_silence(now);
        let Connectivity::Attached { backlog, heartbeat_at, pings, .. } = &mut self.connectivity
        else {
            return None;
        };
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
            self.connectivity =
                Connectivity::Detached { expires_at: now + limits.disconnect_delay };
            self.end_in_order();
        }
        Some(Step::Frame(frame))
    }

    /// When `poll_frame` (attached) or `expire` (detached) has something to do by the clock alone.
    /// A closing session that has a receiver has a frame for it, so there `poll_frame` waits for
    /// nothing, and [`expires_at`](Self::expires_at) is the deadline.
    pub(crate) fn next_timeout(&self) -> Instant {
        match &self.connectivity {
            Connectivity::Detached { expires_at } => *expires_at,
            Connectivity::Attached { heartbeat_at, pings: None, .. } => *heartbeat_at,
            Connectivity::Attached { heartbeat_at, pings: Some(pings), .. } => {
                pings.next_timeout().min(*heartbeat_at)
            }
        }
    }

    // What it is.

    /// Whether messages may still be sent, by either side.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    pub(crate) fn is_attached(&self) -> bool {
        matches!(self.connectivity, Connectivity::Attached { .. })
    }

    /// Messages taken from the client, and handed to a transport.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.taken, self.delivered)
    }
}

#[cfg(test)]
mod tests;
