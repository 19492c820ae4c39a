//! The fan-out workload: all sessions of a broadcast endpoint get the messages of one.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::error::Error;
use super::latency::Latencies;
use super::ledger::{Correctness, Ledger};
use super::link::{Link, Technique};
use super::message::{self, Stationery};
use super::opening;
use super::pacer::Lane;
use super::target::Target;
use super::window::{Reading, Spent, Timing};
use crate::os;

/// The plan of a run: one session sends a message, and the next when all have it and it is due.
#[derive(Clone, Copy, Debug)]
pub struct FanOut {
    /// How messages travel.
    pub technique: Technique,
    /// How many sessions hear, the one included that speaks.
    pub receivers: usize,
    /// Bytes of a message.
    pub size: usize,
    /// The least time from one message to the next.
    pub interval: Duration,
    /// For how long.
    pub timing: Timing,
}

/// The findings of a run.
#[derive(Clone, Debug, Default)]
pub struct FanOutOutcome {
    /// Messages that reached a receiver in the measured time.
    pub deliveries: u64,
    /// Their cost.
    pub spent: Spent,
    /// From sent to received, each delivery.
    pub each: Latencies,
    /// From sent to received by the last receiver.
    pub last: Latencies,
    /// How long sessions took to open.
    pub openings: Latencies,
    /// Of all deliveries from when all receivers heard.
    pub correctness: Correctness,
    /// Sessions that broke.
    pub broken: usize,
    /// The cause of the first failure.
    pub first_error: Option<Error>,
}

/// Runs it against `target`, whose process is `pid` if that is known.
///
/// # Errors
///
/// When a session cannot be opened, or messages do not reach all of them.
pub async fn run(target: &Target, pid: Option<u32>, plan: &FanOut) -> Result<FanOutOutcome, Error> {
    run_telling(target, pid, plan, || ()).await
}

/// The same, and calls `begun` when all receivers hear.
///
/// # Errors
///
/// As [`run`].
pub async fn run_telling(
    target: &Target,
    pid: Option<u32>,
    plan: &FanOut,
    begun: impl FnOnce(),
) -> Result<FanOutOutcome, Error> {
    let opened =
        opening::open(target, plan.technique, plan.receivers, plan.timing.patience).await?;
    let shared = Arc::new(FanOutState {
        lane: Lane::default(),
        phase: AtomicU8::new(SETTLING),
        round: Mutex::default(),
    });
    let (mut tasks, mut lanes) = (JoinSet::new(), Vec::with_capacity(plan.receivers));
    let mut stationery = Some(Stationery::new(0, plan.size));
    for link in opened.links {
        let lane = Arc::new(Lane::default());
        lanes.push(Arc::clone(&lane));
        let receiver = Receiver {
            link,
            lane,
            shared: Arc::clone(&shared),
            stationery: stationery.take(),
            spoken: 0,
            ledger: None,
        };
        tasks.spawn(receiver.run());
    }
    // The first one speaks when the controller says so.
    let speaker = Speaker {
        shared: &shared,
        lane: &lanes[0],
        receivers: plan.receivers,
        interval: plan.interval,
    };
    let patience = plan.timing.patience;

    let mut outcome = FanOutOutcome { openings: opened.times, ..FanOutOutcome::default() };
    let settled = speaker.settle(patience).await;
    if settled.is_ok() {
        begun();
        speaker.speak_for(plan.timing.warm_up, patience).await;
        let before = (shared.round().deliveries, Reading::now(target, pid));
        shared.phase.store(MEASURING, Ordering::Relaxed);
        speaker.speak_for(plan.timing.measured, patience).await;
        let after = (shared.round().deliveries, Reading::now(target, pid));
        outcome.deliveries = after.0 - before.0;
        outcome.spent = before.1.until(after.1);
    }
    shared.phase.store(OVER, Ordering::Relaxed);
    lanes.iter().for_each(|lane| lane.wake());
    let sent = shared.round().number;
    while let Some(receiver) = tasks.join_next().await {
        let (ledger, error) = receiver.expect("a receiver does not panic and is not aborted");
        if let Some((first, ledger)) = ledger {
            let broken = error.is_some();
            outcome.correctness +=
                if broken { ledger.close_broken(first, sent) } else { ledger.close(first, sent) };
        }
        outcome.broken += usize::from(error.is_some());
        outcome.first_error = outcome.first_error.or(error);
    }
    match (settled, outcome.first_error.take()) {
        (Err(_), Some(error)) => return Err(error),
        (settled, error) => {
            settled?;
            outcome.first_error = error;
        }
    }
    let mut round = shared.round();
    outcome.each = std::mem::take(&mut round.each);
    outcome.last = std::mem::take(&mut round.last);
    Ok(outcome)
}

const SETTLING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

struct FanOutState {
    /// Wakes the controller.
    lane: Lane,
    phase: AtomicU8,
    round: Mutex<Round>,
}

/// The message on its way.
#[derive(Default)]
struct Round {
    /// One more than its number.
    number: u32,
    /// Receivers that don't have it yet.
    remaining: usize,
    deliveries: u64,
    each: Latencies,
    last: Latencies,
}

impl FanOutState {
    fn round(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delivered(&self, number: u32, due: u64) {
        let took = os::monotonic().saturating_sub(due);
        let measuring = self.phase.load(Ordering::Relaxed) == MEASURING;
        let mut round = self.round();
        round.deliveries += 1;
        if measuring {
            round.each.record(took);
        }
        if number + 1 == round.number && round.remaining > 0 {
            round.remaining -= 1;
            if round.remaining == 0 {
                if measuring {
                    round.last.record(took);
                }
                drop(round);
                self.lane.wake();
            }
        }
    }
}

/// Has the first receiver speak.
struct Speaker<'s> {
    shared: &'s FanOutState,
    lane: &'s Lane,
    receivers: usize,
    interval: Duration,
}

/// A session that is open need not hear yet: its application may still be joining. So it is spoken
/// to again after this time.
const AGAIN: Duration = Duration::from_millis(100);

impl Speaker<'_> {
    /// Sends until all sessions have received the same message.
    async fn settle(&self, patience: Duration) -> Result<(), Error> {
        let speaking = async {
            let mut pause = AGAIN;
            while !self.speak(pause).await {
                // Through a slow network an echo takes longer than that.
                pause *= 2;
            }
        };
        let silence =
            Error::Silence { step: "a broadcast that all receivers hear", after: patience };
        timeout(patience, speaking).await.map_err(|_| silence)
    }

    /// Speaks over and over; the last message is awaited as all are.
    async fn speak_for(&self, time: Duration, patience: Duration) {
        let end = os::monotonic() + time.as_nanos() as u64;
        while os::monotonic() < end {
            if self.interval.is_zero() {
                self.speak(patience).await;
            } else {
                tokio::join!(self.speak(patience), tokio::time::sleep(self.interval));
            }
        }
    }

    /// Sends one message; true when all sessions got it in time.
    async fn speak(&self, patience: Duration) -> bool {
        {
            let mut round = self.shared.round();
            (round.number, round.remaining) = (round.number + 1, self.receivers);
        }
        self.lane.push(os::monotonic());
        let heard = poll_fn(|cx| {
            self.shared.lane.register(cx);
            if self.shared.round().remaining == 0 { Poll::Ready(()) } else { Poll::Pending }
        });
        timeout(patience, heard).await.is_ok()
    }
}

struct Receiver {
    link: Link,
    lane: Arc<Lane>,
    shared: Arc<FanOutState>,
    /// Of the one that speaks.
    stationery: Option<Stationery>,
    /// How often it spoke. The round may be further on already.
    spoken: u32,
    /// From the first message that it heard.
    ledger: Option<(u32, Ledger)>,
}

impl Receiver {
    async fn run(mut self) -> (Option<(u32, Ledger)>, Option<Error>) {
        let error = poll_fn(|cx| self.poll(cx)).await.err();
        (self.ledger, error)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if self.shared.phase.load(Ordering::Relaxed) == OVER {
                return Poll::Ready(Ok(()));
            }
            if let Some(stationery) = &mut self.stationery {
                while let Some(due) = self.lane.pop() {
                    self.link.send(stationery.write(self.spoken, due));
                    self.spoken += 1;
                }
            }
            let Self { link, shared, ledger, .. } = self;
            let progress = link.poll_progress(cx, &mut |text| match message::read(text) {
                Some(stamp) if stamp.session == 0 => {
                    ledger
                        .get_or_insert_with(|| (stamp.number, Ledger::from(stamp.number)))
                        .1
                        .arrived(stamp.number);
                    shared.delivered(stamp.number, stamp.due);
                }
                _ => {
                    let sent = shared.round().number;
                    ledger.get_or_insert_with(|| (sent, Ledger::from(sent))).1.changed(sent);
                }
            });
            match progress {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.lane.register(cx);
                    return Poll::Pending;
                }
            }
        }
    }
}
