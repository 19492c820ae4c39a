//! Whether the peer of a socket lives: it is pinged when it is silent, and counts as gone when a
//! ping brings no sign of life.

use std::time::Instant;

use super::{Connectivity, Core, EndedBy, Limits, Phase};
use crate::protocol::close::CloseReason;

/// A reason not to read a socket for now. Several may hold at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause(u8);

impl Pause {
    /// The inbound queue has no room.
    pub(crate) const ROOM: Self = Self(1);
    /// Memory is short, and the session holds much of it.
    pub(crate) const MEMORY: Self = Self(2);

    /// The client is over its rate.
    pub(crate) const RATE: Self = Self(1 << 4);

    /// A reason that no transport has.
    #[cfg(test)]
    pub(super) fn of_a_test() -> Self {
        Self(0x80)
    }
}

/// The pings of one receiver. Any sign of life counts as an answer.
#[derive(Debug)]
pub(super) struct Pings {
    /// There was a sign of life since `look_at` was set.
    heard: bool,
    /// When to look whether the peer was heard, and ping it if not.
    look_at: Instant,
    state: Pong,
    /// Why the socket is not read for now: the bits of each [`Pause`].
    paused: u8,
}

#[derive(Debug, PartialEq, Eq)]
enum Pong {
    Idle,
    /// A ping is on its way to the socket: the peer can't be blamed yet.
    Leaving,
    /// The ping has left; without any sign of life by then the peer is taken for dead.
    AwaitedBy(Instant),
    /// The ping has left, but the socket is not read, so its answer can't be seen: the clock stands
    /// still.
    Paused,
}

impl Pings {
    pub(super) fn new(now: Instant, limits: &Limits) -> Self {
        Self { heard: false, look_at: now + limits.heartbeat_delay, state: Pong::Idle, paused: 0 }
    }

    /// Whether to ping the peer now.
    pub(super) fn poll(&mut self, now: Instant, limits: &Limits) -> bool {
        if now < self.look_at {
            return false;
        }
        self.look_at = now + limits.heartbeat_delay;
        // While the socket is not read there are pings all the same: a peer whose end lies behind
        // unread bytes is noticed by a failed write, and the first write to such a peer never
        // fails.
        let is_due = matches!(self.state, Pong::Idle | Pong::Paused);
        if std::mem::take(&mut self.heard) || !is_due {
            return false;
        }
        self.state = Pong::Leaving;
        true
    }

    /// When [`poll`](Self::poll) or [`is_unanswered`](Self::is_unanswered) has something to say by
    /// the clock alone.
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

    /// A ping's bytes have left, behind `ahead` bytes that the system may hold still: a slow peer
    /// has to read those first, and gets the time for it.
    pub(super) fn left(&mut self, now: Instant, limits: &Limits, ahead: usize) {
        if self.state == Pong::Leaving {
            // The pause may have begun before the ping left.
            self.state = match self.paused {
                0 => Pong::AwaitedBy(now + limits.pong_timeout + limits.reading_time(ahead)),
                _ => Pong::Paused,
            };
        }
    }

    /// There was a sign of life: something arrived, or a socket that had been full took bytes
    /// again.
    pub(super) fn heard(&mut self) {
        self.heard = true;
        if self.state != Pong::Leaving {
            self.state = Pong::Idle;
        }
    }

    /// The socket is not read for now.
    pub(super) fn pause(&mut self, reason: Pause) {
        self.paused |= reason.0;
        if let Pong::AwaitedBy(_) = self.state {
            self.state = Pong::Paused;
        }
    }

    pub(super) fn is_paused(&self, reason: Pause) -> bool {
        self.paused & reason.0 != 0
    }

    /// A reason is gone. With the last one the socket is read again: the peer gets the whole time
    /// anew.
    pub(super) fn resume(&mut self, now: Instant, limits: &Limits, reason: Pause) {
        self.paused &= !reason.0;
        if self.paused == 0 && self.state == Pong::Paused {
            self.state = Pong::AwaitedBy(now + limits.pong_timeout);
        }
    }
}

impl Core {
    /// A ping's bytes have left, behind so many that the system may hold still.
    pub(crate) fn ping_left(&mut self, now: Instant, limits: &Limits, ahead: usize) {
        if let Some(pings) = self.pings() {
            pings.left(now, limits, ahead);
        }
    }

    /// A sign of life: bytes arrived from the peer.
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

    pub(super) fn pings(&mut self) -> Option<&mut Pings> {
        match &mut self.connectivity {
            Connectivity::Attached { pings, .. } => pings.as_mut(),
            Connectivity::Detached { .. } => None,
        }
    }

    pub(super) fn give_up_on_silence(&mut self, now: Instant) {
        if self.pings().is_some_and(|pings| pings.is_unanswered(now)) {
            self.end(CloseReason::NO_PONG, EndedBy::Gateway);
        }
    }
}
