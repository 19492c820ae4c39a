//! The model of frames on their way, of messages that only the newest of a key counts of, and of a
//! client's rate.

use super::*;
use crate::session::core::latest::Kept;
use crate::session::core::rate::Rate;

/// Bytes of a frame on its way, for each byte of its text.
const SWOLLEN: usize = 200;

/// What is on its way to the client.
pub(super) struct FlightModel {
    /// Messages of each frame, in the order in which they were handed over.
    frames: Vec<usize>,
    /// When bytes left last, or began to be on their way.
    moved_at: Instant,
    /// Messages that were on their way when the session ended.
    pub(super) lost: usize,
}

impl FlightModel {
    pub(super) fn new(now: Instant) -> Self {
        Self { frames: Vec::new(), moved_at: now, lost: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn messages(&self) -> usize {
        self.frames.iter().sum()
    }

    /// Why a client is given up now that came too late for what is on its way, or for its session.
    pub(super) fn blame(&self, now: Instant) -> (CloseReason, EndedBy) {
        if self.is_empty() {
            (CloseReason::INTERRUPTED, EndedBy::Peer)
        } else if now >= self.moved_at + WRITE {
            (CloseReason::NOT_READING, EndedBy::Gateway)
        } else {
            (CloseReason::TOO_SLOW, EndedBy::Gateway)
        }
    }
}

impl Run {
    /// A frame has been taken, and will be told of.
    pub(super) fn hand_over(&mut self, step: &str, messages: usize) {
        let (now, limits) = (self.bench.now, &self.bench.limits);
        self.bench.core.frame_handed_over(now, limits, messages, step.len() * SWOLLEN);
        if self.flight.is_empty() {
            self.flight.moved_at = now;
        }
        self.flight.frames.push(messages);
    }

    pub(super) fn frame_moved(&mut self) {
        if !self.flight.is_empty() {
            self.bench.core.frame_moved(self.bench.now, &self.bench.limits);
            self.flight.moved_at = self.bench.now;
        }
    }

    /// The first frame, or one behind it on another connection.
    /// False: there was none.
    pub(super) fn frame_written(&mut self, which: usize) -> bool {
        if self.flight.is_empty() {
            return false;
        }
        let messages = self.flight.frames.remove(which % self.flight.frames.len());
        self.bench.core.frame_written(self.bench.now, &self.bench.limits, messages);
        self.flight.moved_at = self.bench.now;
        if self.told && self.flight.messages() == 0 && self.ended.is_none() {
            self.saw("ended when all had left");
            self.end(CloseReason::NORMAL, EndedBy::Gateway);
        }
        true
    }

    pub(super) fn frame_lost(&mut self, which: usize) {
        if self.flight.is_empty() {
            return;
        }
        if self.ended.is_none() {
            self.saw("frame lost");
        }
        self.end(CloseReason::INTERRUPTED, EndedBy::Peer);
        let messages = self.flight.frames.remove(which % self.flight.frames.len());
        self.bench.core.frame_lost(messages);
    }

    /// What the session's own date must be like, while frames are on their way or were so before.
    pub(super) fn check_date(&self) {
        let core = &self.bench.core;
        let date = core.expires_at();
        assert!(date.is_some() || self.receiver.is_some(), "it would wait for ever");
        let (Some(date), None) = (date, &self.closed) else { return };
        if self.flight.is_empty() {
            assert!(date >= self.detached_at + DISCONNECT, "the client has its delay");
            assert!(date <= self.detached_at.max(self.flight.moved_at) + DISCONNECT + WRITE);
        } else {
            assert!(date <= self.flight.moved_at + WRITE, "a connection may stall so long");
        }
    }

    /// A publication of which only the newest of its key counts.
    pub(super) fn send_latest(&mut self, key: u8, size: usize) {
        let text = self.texts("key", &[size]).remove(0);
        if self.closed.is_some() || text.len() > self.bench.limits.outbound.bytes {
            return;
        }
        let room =
            self.latest.is_empty() && fits(&self.sent[self.handed..], std::slice::from_ref(&text));
        let name = ("topic".into(), key.to_string().into());
        let kept = self.bench.core.send_latest(&self.bench.limits, name, text.as_str().into());
        if room {
            assert_eq!(kept, Kept::Queued);
            return self.sent.push(text);
        }
        let others: Vec<_> = self.latest.iter().filter(|(other, _)| *other != key).collect();
        let bytes = others.iter().map(|(_, text)| text.len()).sum::<usize>() + text.len();
        if others.len() >= self.bench.limits.outbound_keys
            || bytes > self.bench.limits.outbound.bytes
        {
            assert_eq!(kept, Kept::NoPlace);
            return self.saw("no place for a key");
        }
        let replaced = others.len() < self.latest.len();
        assert_eq!(kept, Kept::Waits { replaced });
        self.saw(if replaced { "key replaced" } else { "key waits" });
        self.latest.retain(|(other, _)| *other != key);
        self.latest.push((key, text));
    }

    /// Messages have left the queue: those that wait behind it move up, in their order.
    pub(super) fn refill(&mut self) {
        while let Some((_, text)) = self.latest.first()
            && fits(&self.sent[self.handed..], std::slice::from_ref(text))
        {
            self.sent.push(self.latest.remove(0).1);
        }
    }

    /// A payload of a client that has a rate. `Err`: it is held back by that.
    pub(super) fn push_at_rate(&mut self, rate: Rate, messages: &mut Vec<Message>) -> Option<bool> {
        let (now, limits) = (self.bench.now, &self.bench.limits);
        let load = (now, messages.len(), messages.iter().map(Message::len).sum());
        let counted = self.closed.is_none() || self.rest_comes;
        match self.bench.core.push_at_rate(now, limits, &rate, messages) {
            Err(NotAdmitted::OverRate(at)) => {
                assert!(at > now && at <= now + RATED_FULL, "it comes, and not at once");
                self.saw("over the rate");
                None
            }
            Err(NotAdmitted::Full) => Some(true),
            Ok(()) => {
                if counted {
                    self.paced.push(load);
                }
                Some(false)
            }
        }
    }

    /// In no time did more come in than the rate allows in it, and a burst, or one payload that is
    /// larger than a burst.
    pub(super) fn check_rate(&self) {
        let Some((messages_a_second, bytes_a_second, burst)) = self.rate.map(|_| RATED) else {
            return;
        };
        for (first, (since, ..)) in self.paced.iter().enumerate() {
            let (mut messages, mut bytes, mut largest) = (0.0, 0.0, (0.0_f64, 0.0_f64));
            for (at, count, size) in &self.paced[first..] {
                (messages, bytes) = (messages + *count as f64, bytes + *size as f64);
                largest = (largest.0.max(*count as f64), largest.1.max(*size as f64));
                let seconds = (*at - *since).as_secs_f64();
                let most = |rate: u32, largest: f64| {
                    f64::from(rate) * seconds + largest.max(f64::from(rate) * burst) + 0.001
                };
                assert!(messages <= most(messages_a_second, largest.0), "{:?}", self.paced);
                assert!(bytes <= most(bytes_a_second, largest.1), "{:?}", self.paced);
            }
        }
    }
}

/// Messages and bytes a second, and seconds of a burst.
pub(super) const RATED: (u32, u32, f64) = (2, 10, 3.0);
/// Longer than it takes until a payload of a run is within that rate.
const RATED_FULL: Duration = Duration::from_secs(60);
