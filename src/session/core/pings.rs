//! Whether the peer of a socket lives: it is pinged when it is silent, and given up when a ping brings no sign of life.

use std::time::Instant;

use super::Limits;

/// The pings of one receiver. Anything that arrives counts as an answer.
#[derive(Debug)]
pub(super) struct Pings {
    /// Anything arrived since `look_at` was set.
    heard: bool,
    /// When to look whether the peer was heard, and ping it if not.
    look_at: Instant,
    state: Pong,
    /// Nobody reads the socket for now.
    paused: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Pong {
    Idle,
    /// A ping is on its way to the socket: the peer can't be blamed yet.
    Leaving,
    /// The ping has left; without any sign of life by then the peer is taken for dead.
    AwaitedBy(Instant),
    /// The ping has left, but nobody reads the socket, because the application does not receive: the clock stands still.
    Paused,
}

impl Pings {
    pub(super) fn new(now: Instant, limits: &Limits) -> Self {
        Self { heard: false, look_at: now + limits.heartbeat_delay, state: Pong::Idle, paused: false }
    }

    /// Whether to ping the peer now.
    pub(super) fn poll(&mut self, now: Instant, limits: &Limits) -> bool {
        if now < self.look_at {
            return false;
        }
        self.look_at = now + limits.heartbeat_delay;
        if std::mem::take(&mut self.heard) || self.state != Pong::Idle {
            return false;
        }
        self.state = Pong::Leaving;
        true
    }

    /// When [`poll`](Self::poll) or [`is_unanswered`](Self::is_unanswered) has something to say by the clock alone.
    pub(super) fn next_timeout(&self) -> Instant {
        self.answer_due().map_or(self.look_at, |due| due.min(self.look_at))
    }

    /// By when the peer has to answer, if a ping has left and its answer could be seen.
    pub(super) fn answer_due(&self) -> Option<Instant> {
        match self.state {
            Pong::AwaitedBy(due) => Some(due),
            Pong::Idle | Pong::Leaving | Pong::Paused => None,
        }
    }

    /// Whether the peer has left a ping unanswered for too long.
    pub(super) fn is_unanswered(&self, now: Instant) -> bool {
        self.answer_due().is_some_and(|due| now >= due)
    }

    /// A ping's bytes have left.
    pub(super) fn left(&mut self, now: Instant, limits: &Limits) {
        if self.state == Pong::Leaving {
            // The pause may have begun before the ping left.
            self.state = if self.paused { Pong::Paused } else { Pong::AwaitedBy(now + limits.pong_timeout) };
        }
    }

    /// Something arrived.
    pub(super) fn heard(&mut self) {
        self.heard = true;
        if self.state != Pong::Leaving {
            self.state = Pong::Idle;
        }
    }

    /// The socket is not read for now.
    pub(super) fn pause(&mut self) {
        self.paused = true;
        if let Pong::AwaitedBy(_) = self.state {
            self.state = Pong::Paused;
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// The socket is read again: the peer gets the whole time anew.
    pub(super) fn resume(&mut self, now: Instant, limits: &Limits) {
        self.paused = false;
        if self.state == Pong::Paused {
            self.state = Pong::AwaitedBy(now + limits.pong_timeout);
        }
    }
}
