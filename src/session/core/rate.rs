//! How fast a client may send.

use std::time::{Duration, Instant};

/// How fast the client of a session may send, over time: messages and bytes a second, and how many
/// at once after a pause.
///
/// A faster client is not read until its next messages are within the rate: its WebSocket or TCP
/// connection is not read, an `xhr_send` waits for its answer. Nothing is lost and nothing is
/// closed, and neither `send_wait` nor `pong_timeout` runs meanwhile. With a rate, a client that
/// sends without end costs the clients that hear it no more than the rate.
///
/// The default suits chats and the signaling of calls: 200 messages and 128 KiB a second, and three
/// seconds' worth at once.
///
/// ```
/// use std::time::Duration;
/// use sockeye::{EndpointConfig, Rate};
///
/// let rate = Rate::new(50, 64 * 1024).burst(Duration::from_secs(10)); // 500 messages at once
/// let config = EndpointConfig::new().inbound_rate(rate);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    messages: u32,
    bytes: u32,
    burst: Duration,
}

/// As long as any time here need be.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Rate {
    /// So many messages and so many bytes a second, whichever is less, and three seconds' worth at
    /// once. `u32::MAX` is as good as no bound.
    ///
    /// # Panics
    ///
    /// When one of them is 0: nothing would ever come in.
    pub fn new(messages: u32, bytes: u32) -> Self {
        assert!(
            messages > 0 && bytes > 0,
            "a rate of 0 lets nothing in: give it 1 or more, or no rate at all"
        );
        Self { messages, bytes, burst: Duration::from_secs(3) }
    }

    /// How many seconds' worth may come at once after as long a pause. A larger payload comes after
    /// the whole pause. Zero: each payload waits for the time of the payload before it.
    #[must_use]
    pub fn burst(mut self, burst: Duration) -> Self {
        self.burst = burst.min(LONGEST);
        self
    }

    /// Bytes and messages that may come at once; at least one.
    pub(crate) fn at_once(&self) -> (usize, usize) {
        let worth = |a_second: u32| {
            let worth =
                u128::from(a_second) * self.burst.as_nanos() / Duration::from_secs(1).as_nanos();
            usize::try_from(worth).unwrap_or(usize::MAX).max(1)
        };
        (worth(self.bytes), worth(self.messages))
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self::new(200, 128 * 1024)
    }
}

/// The part of its rate that a session has used, as two token buckets: messages and bytes.
#[derive(Debug)]
pub(super) struct Buckets {
    /// When each is full again.
    messages_full: Instant,
    bytes_full: Instant,
    /// Until when a payload has been held back; may be past.
    held_until: Instant,
}

impl Buckets {
    pub(super) fn full(now: Instant) -> Self {
        Self { messages_full: now, bytes_full: now, held_until: now }
    }

    /// Takes the cost of a payload if `rate` allows it now; else takes nothing and tells when it
    /// will.
    ///
    /// A payload that is more than a whole bucket needs a full bucket, and is paid off after it: so
    /// no moment sees more than the larger of the two.
    pub(super) fn take(
        &mut self,
        now: Instant,
        rate: &Rate,
        messages: usize,
        bytes: usize,
    ) -> Result<(), Instant> {
        let (messages, bytes) = (time_for(messages, rate.messages), time_for(bytes, rate.bytes));
        let ready = |full: Instant, cost: Duration| {
            let level_needed = cost.min(rate.burst);
            // Later than now, so that nothing is subtracted from the beginning of time.
            (full + level_needed > now + rate.burst).then(|| full + level_needed - rate.burst)
        };
        if let Some(at) = ready(self.messages_full, messages).max(ready(self.bytes_full, bytes)) {
            self.held_until = at;
            return Err(at);
        }
        self.messages_full = self.messages_full.max(now) + messages;
        self.bytes_full = self.bytes_full.max(now) + bytes;
        Ok(())
    }

    /// Until when a payload was held back last, if ever.
    pub(super) fn held_until(&self) -> Instant {
        self.held_until
    }
}

/// How long it takes to earn so many.
fn time_for(count: usize, a_second: u32) -> Duration {
    let nanos = count as u128 * Duration::from_secs(1).as_nanos() / u128::from(a_second);
    u64::try_from(nanos).map_or(LONGEST, Duration::from_nanos).min(LONGEST)
}
