//! When a server that says nothing is taken for dead: a connection may be lost without a sign.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;

/// The time by which a heartbeat may be late: a round trip, a busy server, a packet sent again.
const LATE: Duration = Duration::from_secs(10);
/// The default heartbeat delay of SockJS servers.
const USUAL_DELAY: Duration = Duration::from_secs(25);

/// Facts about a server's heartbeats when the session opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Silence may last so long.
    Limit(Duration),
    /// Perhaps it sends none.
    Unknown,
}

impl Silence {
    pub(super) fn new(timeout: Option<Duration>, heartbeat_delay: Option<Duration>) -> Self {
        let by_delay = heartbeat_delay.map(|delay| delay.saturating_add(LATE));
        timeout.or(by_delay).map_or(Self::Unknown, Self::Limit)
    }

    /// The limit where the server answers pings, and so is never silent.
    pub(super) fn with_pings(self) -> Duration {
        match self {
            Self::Limit(limit) => limit,
            Self::Unknown => USUAL_DELAY + LATE,
        }
    }
}

/// When bytes last came from a server; clones are the same pulse.
#[derive(Clone, Debug)]
pub(super) struct Pulse(Arc<Mutex<Instant>>);

impl Pulse {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(clock::now())))
    }

    pub(super) fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = clock::now();
    }

    /// Waits until nothing has come for so long.
    async fn stopped(&self, limit: Duration) {
        loop {
            let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let due = last + limit.min(clock::LONGEST_DELAY);
            if clock::now() >= due {
                return;
            }
            tokio::time::sleep_until(due.into()).await;
        }
    }
}

/// Looks after a session's pulse.
#[derive(Debug)]
pub(super) struct Watch {
    pulse: Pulse,
    /// None: the server has not shown yet that it sends heartbeats.
    limit: Option<Duration>,
}

/// Nothing came for so long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stopped {
    pub(super) limit: Duration,
}

impl Watch {
    pub(super) fn new(pulse: Pulse, silence: Silence) -> Self {
        let limit = match silence {
            Silence::Limit(limit) => Some(limit),
            Silence::Unknown => None,
        };
        Self { pulse, limit }
    }

    /// A heartbeat has come, so others will.
    pub(super) fn heartbeat(&mut self) {
        self.limit.get_or_insert(USUAL_DELAY + LATE);
    }

    /// Awaits the next frame for as long as bytes come: a large frame may take its time.
    pub(super) async fn over<F: Future>(&self, frame: F) -> Result<F::Output, Stopped> {
        // Until now nothing was read, because the application had not received earlier messages.
        self.pulse.beat();
        let Some(limit) = self.limit else { return Ok(frame.await) };
        tokio::select! {
            biased;
            frame = frame => Ok(frame),
            () = self.pulse.stopped(limit) => Err(Stopped { limit }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn watch(timeout: Option<Duration>, heartbeat_delay: Option<Duration>) -> Watch {
        Watch::new(Pulse::new(), Silence::new(timeout, heartbeat_delay))
    }

    /// How long silence lasts until the server is taken for dead.
    async fn patience(watch: &Watch) -> Duration {
        let start = clock::now();
        let stopped = watch.over(pending::<()>()).await.expect_err("nothing comes");
        assert_eq!(clock::now().duration_since(start), stopped.limit);
        stopped.limit
    }

    /// A server tells its delay, or shows it by its first heartbeat; a server that shows none may
    /// send none.
    #[tokio::test(start_paused = true)]
    async fn silence_lasts_as_long_as_the_heartbeats_allow() {
        assert_eq!(patience(&watch(None, Some(3 * SECOND))).await, 13 * SECOND);
        assert_eq!(
            patience(&watch(Some(2 * SECOND), Some(3 * SECOND))).await,
            2 * SECOND,
            "asked for by itself"
        );
        let mut unknown = watch(None, None);
        let day = 24 * 3600 * SECOND;
        assert_eq!(unknown.over(sleep(day)).await, Ok(()), "a server without heartbeats");
        unknown.heartbeat();
        assert_eq!(patience(&unknown).await, 35 * SECOND);
        let ever = watch(Some(Duration::MAX), None);
        assert_eq!(ever.over(sleep(day)).await, Ok(()));
        assert_eq!(Silence::Unknown.with_pings(), 35 * SECOND);
    }

    /// A message of some megabytes takes minutes over a slow connection, and no frame comes meanwhile.
    #[tokio::test(start_paused = true)]
    async fn bytes_are_a_sign_of_life_and_their_end_is_noticed() {
        let watch = watch(None, Some(25 * SECOND));
        let pulse = watch.pulse.clone();
        let start = clock::now();
        let trickle = async {
            for _ in 0..10 {
                sleep(30 * SECOND).await;
                pulse.beat();
            }
            pending::<()>().await;
        };
        assert_eq!(watch.over(trickle).await, Err(Stopped { limit: 35 * SECOND }));
        assert_eq!(clock::now().duration_since(start), 335 * SECOND);
    }

    /// An application that does not receive stops the reading, which is no fault of the server.
    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_nothing_was_read_is_no_silence() {
        let watch = watch(None, Some(25 * SECOND));
        sleep(3600 * SECOND).await;
        assert_eq!(watch.over(ready("a frame")).await, Ok("a frame"));
        sleep(3600 * SECOND).await;
        assert_eq!(watch.over(sleep(30 * SECOND)).await, Ok(()));
    }
}
