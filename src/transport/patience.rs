//! How long a transport waits for the other end. Its deadlines exist only while something is
//! awaited.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, timeout};

use crate::protocol::close::CloseReason;

/// How slow and how silent the other end may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// From the first byte of a message to its last.
    pub(crate) message_timeout: Duration,
    /// How long the other end may take no bytes while some wait for it.
    pub(crate) write_timeout: Duration,
    /// Bytes a second that it has to take while more wait for it; 0 if there is no such rate.
    pub(crate) least_rate: usize,
    /// How long it may take to finish closing.
    pub(crate) linger: Duration,
}

impl Patience {
    /// The bytes that the other end has to take within `write_timeout`.
    fn quota(&self) -> usize {
        let seconds = usize::try_from(self.write_timeout.as_secs()).unwrap_or(usize::MAX);
        self.least_rate.saturating_mul(seconds).max(1)
    }

    /// How long so many bytes may take to leave when the connection ends.
    fn farewell(&self, bytes: usize) -> Duration {
        let seconds = bytes.checked_div(self.least_rate).unwrap_or(usize::MAX);
        self.linger.saturating_add(Duration::from_secs(seconds as u64))
    }
}

/// A deadline that exists only while something is awaited.
#[derive(Default)]
pub(super) struct Deadline(Option<Pin<Box<Sleep>>>);

impl Deadline {
    pub(super) fn after(time: Duration) -> Self {
        Self(Some(Box::pin(tokio::time::sleep(time))))
    }

    /// Sets the deadline, unless one stands already.
    pub(super) fn start(&mut self, time: Duration) {
        if self.0.is_none() {
            *self = Self::after(time);
        }
    }

    /// Moves the standing deadline.
    fn restart(&mut self, time: Duration) {
        if let Some(sleep) = &mut self.0 {
            sleep.set(tokio::time::sleep(time));
        }
    }

    pub(super) fn clear(&mut self) {
        self.0 = None;
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    }
}

/// Whether the other end takes the waiting bytes, and fast enough.
#[derive(Default)]
pub(super) struct Pace {
    /// By when the quota must have been taken; stands while the socket is full, and until nothing
    /// waits any more.
    due: Deadline,
    /// Bytes that it has taken since `due` was set.
    taken: usize,
}

impl Pace {
    /// The socket is full. Ready when the other end has been too slow for too long, with the close
    /// reason.
    pub(super) fn poll_full(
        &mut self,
        patience: &Patience,
        cx: &mut Context<'_>,
    ) -> Poll<CloseReason> {
        self.due.start(patience.write_timeout);
        ready!(self.due.poll(cx));
        Poll::Ready(if self.taken == 0 { CloseReason::NOT_READING } else { CloseReason::TOO_SLOW })
    }

    /// The socket has taken bytes.
    pub(super) fn took(&mut self, bytes: usize, patience: &Patience) {
        // A write into room that was there is no sign.
        if self.due.0.is_none() {
            return;
        }
        self.taken = self.taken.saturating_add(bytes);
        if self.taken >= patience.quota() {
            self.taken = 0;
            self.due.restart(patience.write_timeout);
        }
    }

    /// Nothing waits any more.
    pub(super) fn caught_up(&mut self) {
        *self = Self::default();
    }
}

/// Flushes the rest when a connection ends: `linger` for each step of the other end, so that a slow
/// peer gets all messages that count as delivered; and one deadline in all, by the least rate, so
/// that no peer dribbles forever. `flush` tells with its outcome how many bytes still wait.
pub(super) async fn flush_last(
    bytes: usize,
    patience: &Patience,
    mut flush: impl FnMut(&mut Context<'_>) -> (Poll<io::Result<()>>, usize),
) -> io::Result<()> {
    let mut left = bytes;
    let mut step = |cx: &mut Context<'_>| match flush(cx) {
        (Poll::Ready(flushed), _) => Poll::Ready(flushed.map(|()| true)),
        (Poll::Pending, now) => {
            let progress = now < left;
            left = now;
            if progress { Poll::Ready(Ok(false)) } else { Poll::Pending }
        }
    };
    timeout(patience.farewell(bytes), async {
        while !timeout(patience.linger, poll_fn(&mut step)).await?? {}
        Ok(())
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        message_timeout: Duration::from_secs(60),
        write_timeout: Duration::from_secs(60),
        least_rate: 100,
        linger: Duration::from_secs(5),
    };

    #[test]
    fn limits_that_nobody_reaches_overflow_nothing() {
        let most = Patience {
            write_timeout: Duration::MAX,
            least_rate: usize::MAX,
            linger: Duration::MAX,
            ..PATIENCE
        };
        assert_eq!(most.quota(), usize::MAX);
        assert_eq!(most.farewell(usize::MAX), Duration::MAX);
        let none = Patience { write_timeout: Duration::ZERO, least_rate: 0, ..PATIENCE };
        assert_eq!(none.quota(), 1, "a byte is a sign of life");
        assert!(none.farewell(1) >= Duration::from_secs(u64::MAX));
    }

    /// Seconds until the other end is given up that takes so many bytes every ten seconds of an
    /// output that never ends.
    async fn seconds(bytes: usize, patience: &Patience) -> Option<(u64, CloseReason)> {
        let begun = tokio::time::Instant::from_std(crate::clock::now());
        let mut pace = Pace::default();
        // Room that was there.
        pace.took(1_000_000, patience);
        while begun.elapsed() < Duration::from_secs(10_000) {
            let full = poll_fn(|cx| pace.poll_full(patience, cx));
            if let Ok(reason) = timeout(Duration::from_secs(10), full).await {
                return Some((begun.elapsed().as_secs(), reason));
            }
            pace.took(bytes, patience);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn the_pace_is_an_average_of_the_write_timeout() {
        assert_eq!(seconds(0, &PATIENCE).await, Some((60, CloseReason::NOT_READING)));
        assert_eq!(seconds(900, &PATIENCE).await, Some((60, CloseReason::TOO_SLOW)));
        assert_eq!(seconds(1_200, &PATIENCE).await, None);
        let any = Patience { least_rate: 0, ..PATIENCE };
        assert_eq!(seconds(0, &any).await, Some((60, CloseReason::NOT_READING)));
        assert_eq!(seconds(1, &any).await, None);
    }

    /// When the last flush ends, of 1,000 bytes to an end that takes some every so many seconds.
    async fn last_flush(bytes: usize, every: u64, patience: &Patience) -> (bool, u64) {
        let begun = tokio::time::Instant::from_std(crate::clock::now());
        let (mut left, mut tick) = (1_000_usize, tokio::time::interval(Duration::from_secs(every)));
        tick.tick().await;
        let flushed = flush_last(left, patience, |cx| {
            while left > 0 {
                if tick.poll_tick(cx).is_pending() {
                    return (Poll::Pending, left);
                }
                left = left.saturating_sub(bytes);
            }
            (Poll::Ready(Ok(())), 0)
        });
        (flushed.await.is_ok(), begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_flush_has_a_deadline_for_each_step_and_one_in_all() {
        assert_eq!(last_flush(400, 4, &PATIENCE).await, (true, 12));
        assert_eq!(last_flush(400, 6, &PATIENCE).await, (false, 5), "nothing for `linger`");
        assert_eq!(
            last_flush(1, 1, &PATIENCE).await,
            (false, 15),
            "`linger`, and ten seconds at the least rate"
        );
        assert_eq!(last_flush(1, 1, &Patience { least_rate: 0, ..PATIENCE }).await, (true, 1_000));
    }
}
