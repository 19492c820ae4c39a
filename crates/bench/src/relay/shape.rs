//! One direction of a connection: bytes arrive later, and no faster than the link carries them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::alarm::Alarm;
use crate::os;

/// The effects of a direction on bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    /// None is no limit.
    pub(super) kbit: Option<u64>,
    /// Time that the first bytes take on top.
    pub(super) first: Duration,
}

/// Decides when bytes arrive.
pub(super) struct Schedule {
    link: Link,
    /// When the link has carried all that was given to it.
    free_at: u64,
    /// When the last bytes arrive: none may overtake them.
    last: u64,
    begun: bool,
}

impl Schedule {
    pub(super) fn new(link: Link) -> Self {
        Self { link, free_at: 0, last: 0, begun: false }
    }

    /// When `length` bytes arrive that are sent at `now`; `chance` is from 0 to 1. All in
    /// nanoseconds.
    pub(super) fn arrival(&mut self, now: u64, length: usize, chance: f64) -> u64 {
        let Link { delay, jitter, kbit, first } = self.link;
        let first = if std::mem::replace(&mut self.begun, true) { Duration::ZERO } else { first };
        // Kilobits a second are bits a millisecond.
        let carrying = kbit.map_or(0, |kbit| (length as u64).saturating_mul(8_000_000) / kbit);
        self.free_at = self.free_at.max(now + first.as_nanos() as u64) + carrying;
        let arrival = self.free_at + (delay + jitter.mul_f64(chance)).as_nanos() as u64;
        self.last = self.last.max(arrival);
        self.last
    }
}

/// Bytes on the way at most. A link that is full is not read from.
const ON_THE_WAY: usize = 1024 * 1024;
const READ: usize = 16 * 1024;

/// Carries bytes until the end of `from`, and then ends `to`. `pass` maps arrived bytes to those
/// that go on; at the end it gets none, and returns the bytes that it held back.
pub(super) async fn carry(
    first: Vec<u8>,
    mut from: OwnedReadHalf,
    to: OwnedWriteHalf,
    link: Link,
    mut pass: impl FnMut(&[u8]) -> Option<Vec<u8>>,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let space = Arc::new(Semaphore::new(ON_THE_WAY));
    let reading = async move {
        let mut schedule = Schedule::new(link);
        let mut send = async |bytes: Vec<u8>| {
            if bytes.is_empty() {
                return true;
            }
            // More than there ever is room for waits until the link is empty.
            let room = bytes.len().min(ON_THE_WAY) as u32;
            let Ok(permit) = Arc::clone(&space).acquire_many_owned(room).await else {
                return false;
            };
            let at = schedule.arrival(os::monotonic(), bytes.len(), rand::rng().random());
            sender.send((at, bytes, permit)).is_ok()
        };
        let mut buffer = vec![0; READ];
        if !send(first).await {
            return Ok(());
        }
        loop {
            let length = from.read(&mut buffer).await?;
            let passed = pass(&buffer[..length]).unwrap_or_default();
            if !send(passed).await || length == 0 {
                return Ok(());
            }
        }
    };
    let (read, written) = tokio::join!(reading, write(receiver, to));
    read.and(written)
}

async fn write(
    mut receiver: mpsc::UnboundedReceiver<(u64, Vec<u8>, OwnedSemaphorePermit)>,
    mut to: OwnedWriteHalf,
) -> io::Result<()> {
    let mut alarm = Alarm::new();
    while let Some((at, bytes, permit)) = receiver.recv().await {
        if at > os::monotonic() {
            alarm.wait_until(at).await;
        }
        to.write_all(&bytes).await?;
        drop(permit);
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn link(delay: u64, jitter: u64, kbit: Option<u64>, first: u64) -> Schedule {
        let [delay, jitter, first] = [delay, jitter, first].map(Duration::from_millis);
        Schedule::new(Link { delay, jitter, kbit, first })
    }

    #[test]
    fn bytes_arrive_after_the_delay() {
        let mut schedule = link(25, 0, None, 50);
        assert_eq!(
            schedule.arrival(0, 1000, 0.0),
            75 * MS,
            "the first ones wait for the handshake as well"
        );
        assert_eq!(schedule.arrival(100 * MS, 1000, 0.0), 125 * MS);
    }

    #[test]
    fn a_link_carries_one_thing_after_the_other() {
        // 8,000 kbit/s: a megabyte a second, a thousand bytes a millisecond.
        let mut schedule = link(10, 0, Some(8_000), 0);
        assert_eq!(schedule.arrival(0, 1000, 0.0), 11 * MS);
        assert_eq!(schedule.arrival(0, 1000, 0.0), 12 * MS);
        assert_eq!(schedule.arrival(50 * MS, 5000, 0.0), 65 * MS);
    }

    #[test]
    fn jitter_does_not_change_the_order() {
        let mut schedule = link(10, 4, None, 0);
        assert_eq!(schedule.arrival(0, 1, 1.0), 14 * MS);
        assert_eq!(schedule.arrival(MS, 1, 0.0), 14 * MS);
        assert_eq!(schedule.arrival(10 * MS, 1, 0.5), 22 * MS);
    }
}
