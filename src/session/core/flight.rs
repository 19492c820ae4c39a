//! Frames that were handed to a transport which tells when their bytes were written: the frames on
//! their way, and their deadlines.

use std::time::{Duration, Instant};

use super::{Connectivity, Core, EndedBy, Limits, Phase};
use crate::protocol::close::CloseReason;

/// Longer than any frame takes at any sensible rate; no deadline lies further away.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// The frames on their way to a client.
#[derive(Debug)]
pub(super) struct Flight {
    frames: u32,
    messages: u32,
    /// The deadline by which the connection must take bytes.
    stalls_at: Instant,
    /// The deadline for all bytes handed over: their time at the least rate, plus the write
    /// timeout.
    late_at: Instant,
}

impl Flight {
    pub(super) fn new(now: Instant) -> Self {
        Self { frames: 0, messages: 0, stalls_at: now, late_at: now }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames == 0
    }

    pub(super) fn messages(&self) -> usize {
        self.messages as usize
    }

    /// A client that comes back has read the earlier frames.
    pub(super) fn client_is_back(&mut self, now: Instant) {
        if self.is_empty() {
            self.late_at = now;
        }
    }

    /// A frame with so many messages, and about so many bytes, is on its way.
    pub(super) fn handed_over(
        &mut self,
        now: Instant,
        limits: &Limits,
        messages: usize,
        bytes: usize,
    ) {
        if self.is_empty() {
            self.stalls_at = now + limits.write_timeout;
        }
        let reading = match limits.least_rate {
            0 => Duration::ZERO,
            rate => Duration::from_millis((bytes as u64).saturating_mul(1000) / rate as u64)
                .min(LONGEST),
        };
        let earliest = now + limits.write_timeout;
        self.late_at = (self.late_at.max(earliest) + reading).min(earliest + LONGEST);
        self.frames += 1;
        self.messages = self.messages.saturating_add(u32::try_from(messages).unwrap_or(u32::MAX));
    }

    /// The connection took bytes.
    pub(super) fn moved(&mut self, now: Instant, limits: &Limits) {
        self.stalls_at = now + limits.write_timeout;
        if limits.least_rate == 0 {
            // A connection that takes anything is never late.
            self.late_at = self.stalls_at;
        }
    }

    /// A frame with so many messages is on its way no longer.
    pub(super) fn left(&mut self, messages: usize) {
        self.frames = self.frames.saturating_sub(1);
        self.messages = self.messages.saturating_sub(u32::try_from(messages).unwrap_or(u32::MAX));
    }

    /// The deadline of the connection, as things are now.
    pub(super) fn due(&self) -> Instant {
        self.stalls_at.min(self.late_at)
    }

    /// The reason to give the client up now.
    pub(super) fn blame(&self, now: Instant) -> CloseReason {
        if now < self.stalls_at { CloseReason::TOO_SLOW } else { CloseReason::NOT_READING }
    }

    /// When a client that reads at the least rate has read the written bytes: the network and the
    /// kernels hold the rest until then. In whole seconds, because the delay that begins there has
    /// room for less; and at most the write timeout.
    pub(super) fn read_by(&self, now: Instant, limits: &Limits) -> Instant {
        let since =
            self.late_at.saturating_duration_since(now).saturating_sub(limits.write_timeout);
        now + Duration::from_secs(since.min(limits.write_timeout).as_secs())
    }
}

impl Core {
    /// A frame is on its way, with so many messages and about so many bytes:
    /// [`frame_written`](Self::frame_written) or [`frame_lost`](Self::frame_lost) follows. Frames
    /// without either are not counted.
    pub(crate) fn frame_handed_over(
        &mut self,
        now: Instant,
        limits: &Limits,
        messages: usize,
        bytes: usize,
    ) {
        self.flight.handed_over(now, limits, messages, bytes);
        if let Connectivity::Detached { expires_at } = &mut self.connectivity {
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
        if let Connectivity::Detached { expires_at } = &mut self.connectivity {
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
    /// can't know its losses, so the session ends, also with another receiver attached.
    pub(crate) fn frame_lost(&mut self, messages: usize) {
        self.end(CloseReason::INTERRUPTED, EndedBy::Peer);
        self.flight.left(messages);
    }

    /// Whether frames are on their way without a deadline; the driver then enters one.
    pub(crate) fn watch(&mut self) -> bool {
        !std::mem::replace(&mut self.watched, true)
    }

    /// The deadline for a client without a receiver to come back, or to take more bytes.
    pub(super) fn returns_by(&self, now: Instant, limits: &Limits) -> Instant {
        match (&self.phase, self.flight.is_empty()) {
            (Phase::Open, false) => self.flight.due(),
            (Phase::Open | Phase::Closing { .. }, true) => {
                self.flight.read_by(now, limits) + limits.disconnect_delay
            }
            _ => now + limits.disconnect_delay,
        }
    }
}
