//! The echo workload: every session sends, and awaits its own messages.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::JoinSet;

use super::error::Error;
use super::latency::Latencies;
use super::ledger::{Correctness, Ledger};
use super::link::{Link, Technique};
use super::message::{self, Stationery};
use super::opening;
use super::pacer::{self, Lane};
use super::target::Target;
use super::window::{Reading, Spent, Timing};
use crate::os;

/// The plan of a run.
#[derive(Clone, Copy, Debug)]
pub struct Echo {
    /// How messages travel.
    pub technique: Technique,
    /// How many sessions take part.
    pub sessions: usize,
    /// Bytes of a message.
    pub size: usize,
    /// When they are sent.
    pub pace: Pace,
    /// Whether the server adds to each message when it came: a space, and the nanoseconds of
    /// [`os::monotonic`]'s clock.
    pub stamped: bool,
    /// For how long.
    pub timing: Timing,
}

/// When messages are sent.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// As soon as fewer than so many of the session's messages are unanswered.
    InFlight(usize),
    /// So many in a second over all sessions, answered or not. Latencies count from when a message
    /// was due, so that a server that makes the sender wait does not hide it.
    PerSecond(f64),
}

/// The findings of a run.
#[derive(Clone, Debug, Default)]
pub struct EchoOutcome {
    /// Messages that came back in the measured time.
    pub messages: u64,
    /// Their cost.
    pub spent: Spent,
    /// From due to back.
    pub round_trips: Latencies,
    /// From due to the server, and from there back; of messages that the server stamped.
    pub one_way: Option<(Latencies, Latencies)>,
    /// How long sessions took to open.
    pub openings: Latencies,
    /// TCP connections that were made, from the first on.
    pub connections: u64,
    /// Over the whole time, warm-up included.
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
/// When a session cannot be opened. A session that breaks later is in the outcome.
pub async fn run(target: &Target, pid: Option<u32>, plan: &Echo) -> Result<EchoOutcome, Error> {
    let connections = target.traffic().connections;
    let opened = opening::open(target, plan.technique, plan.sessions, plan.timing.patience).await?;
    let mut outcome = drive(target, pid, plan, opened.links).await;
    outcome.openings = opened.times;
    outcome.connections = target.traffic().connections - connections;
    Ok(outcome)
}

async fn drive(target: &Target, pid: Option<u32>, plan: &Echo, links: Vec<Link>) -> EchoOutcome {
    let shared = Arc::new(EchoState::default());
    let mut tasks = JoinSet::new();
    let mut lanes = Vec::with_capacity(links.len());
    for (number, link) in links.into_iter().enumerate() {
        let lane = Arc::new(Lane::default());
        lanes.push(Arc::clone(&lane));
        tasks.spawn(Session::new(number as u32, link, lane, Arc::clone(&shared), plan).run());
    }
    let (before, after) = {
        let measured = measure(target, pid, plan, &shared, &lanes);
        match plan.pace {
            Pace::InFlight(_) => measured.await,
            Pace::PerSecond(per_second) => tokio::select! {
                measured = measured => measured,
                () = pacer::pace(&lanes, per_second) => unreachable!("it paces until it is dropped"),
            },
        }
    };
    let mut outcome = EchoOutcome::default();
    drain(tasks, &shared, &lanes, &mut outcome).await;
    outcome.messages = after.messages - before.messages;
    outcome.spent = before.reading.until(after.reading);
    let times = std::mem::take(&mut *shared.times());
    outcome.round_trips = times.round_trips;
    outcome.one_way = plan.stamped.then_some((times.to_server, times.to_client));
    outcome
}

struct Mark {
    messages: u64,
    reading: Reading,
}

async fn measure(
    target: &Target,
    pid: Option<u32>,
    plan: &Echo,
    shared: &EchoState,
    lanes: &[Arc<Lane>],
) -> (Mark, Mark) {
    let mark = || Mark {
        messages: shared.messages.load(Ordering::Relaxed),
        reading: Reading::now(target, pid),
    };
    tick_for(plan.timing.warm_up, shared, lanes).await;
    let before = mark();
    shared.from.store(before.reading.at(), Ordering::Relaxed);
    tick_for(plan.timing.measured, shared, lanes).await;
    let after = mark();
    shared.until.store(after.reading.at(), Ordering::Relaxed);
    (before, after)
}

async fn drain(
    mut tasks: JoinSet<(Ledger, u32, Option<Error>)>,
    shared: &EchoState,
    lanes: &[Arc<Lane>],
    outcome: &mut EchoOutcome,
) {
    shared.draining.store(true, Ordering::Relaxed);
    loop {
        lanes.iter().for_each(|lane| lane.wake());
        let ended = tokio::select! {
            ended = tasks.join_next() => ended,
            () = tick_for(TICK * 2, shared, lanes) => continue,
        };
        let Some(ended) = ended else { return };
        let (ledger, sent, error) = ended.expect("a session does not panic and is not aborted");
        match error {
            None => outcome.correctness += ledger.close(0, sent),
            Some(error) => {
                outcome.correctness += ledger.close_broken(0, sent);
                outcome.broken += 1;
                outcome.first_error.get_or_insert(error);
            }
        }
    }
}

/// How often sessions look whether they have waited too long.
const TICK: Duration = Duration::from_millis(100);

async fn tick_for(time: Duration, shared: &EchoState, lanes: &[Arc<Lane>]) {
    let ticking = async {
        loop {
            tokio::time::sleep(TICK).await;
            shared.ticks.fetch_add(1, Ordering::Relaxed);
            lanes.iter().for_each(|lane| lane.wake());
        }
    };
    let _ = tokio::time::timeout(time, ticking).await;
}

#[derive(Default)]
struct Times {
    round_trips: Latencies,
    to_server: Latencies,
    to_client: Latencies,
}

/// State shared by all sessions of a run.
struct EchoState {
    messages: AtomicU64,
    times: Mutex<Times>,
    /// Latencies count for messages that were due from here
    from: AtomicU64,
    /// to here.
    until: AtomicU64,
    ticks: AtomicU64,
    draining: AtomicBool,
}

impl Default for EchoState {
    fn default() -> Self {
        Self {
            messages: AtomicU64::new(0),
            times: Mutex::default(),
            from: AtomicU64::new(u64::MAX),
            until: AtomicU64::new(u64::MAX),
            ticks: AtomicU64::new(0),
            draining: AtomicBool::new(false),
        }
    }
}

impl EchoState {
    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Session {
    number: u32,
    stamped: bool,
    link: Link,
    lane: Arc<Lane>,
    shared: Arc<EchoState>,
    stationery: Stationery,
    in_flight: Option<u32>,
    patience: u64,
    sent: u32,
    ledger: Ledger,
    /// When something came last, in ticks.
    heard: u64,
}

impl Session {
    fn new(number: u32, link: Link, lane: Arc<Lane>, shared: Arc<EchoState>, plan: &Echo) -> Self {
        let in_flight = match plan.pace {
            Pace::InFlight(count) => Some(count as u32),
            Pace::PerSecond(_) => None,
        };
        let patience = plan.timing.patience.as_millis().div_ceil(TICK.as_millis()) as u64;
        let stationery = Stationery::new(number, plan.size);
        let (stamped, ledger) = (plan.stamped, Ledger::default());
        Self {
            number,
            stamped,
            link,
            lane,
            shared,
            stationery,
            in_flight,
            patience,
            sent: 0,
            ledger,
            heard: 0,
        }
    }

    async fn run(mut self) -> (Ledger, u32, Option<Error>) {
        let error = poll_fn(|cx| self.poll(cx)).await.err();
        (self.ledger, self.sent, error)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if self.send_due().is_break() {
                return Poll::Ready(Ok(()));
            }
            match self.poll_received(cx) {
                Poll::Ready(Ok(())) => self.heard = self.shared.ticks.load(Ordering::Relaxed),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if self.has_lost_patience() => self.ledger.give_up(self.sent),
                Poll::Pending => {
                    self.lane.register(cx);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Breaks when the run is over and everything is answered.
    fn send_due(&mut self) -> ControlFlow<()> {
        if self.shared.draining.load(Ordering::Relaxed) {
            return if self.unanswered() == 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            };
        }
        match self.in_flight {
            Some(in_flight) if self.unanswered() < in_flight => {
                let now = os::monotonic();
                while self.unanswered() < in_flight {
                    self.send(now);
                }
            }
            Some(_) => {}
            None => {
                while let Some(due) = self.lane.pop() {
                    self.send(due);
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn send(&mut self, due: u64) {
        if self.unanswered() == 0 {
            self.heard = self.shared.ticks.load(Ordering::Relaxed);
        }
        self.link.send(self.stationery.write(self.sent, due));
        self.sent += 1;
    }

    fn unanswered(&self) -> u32 {
        self.sent.saturating_sub(self.ledger.reached())
    }

    fn has_lost_patience(&self) -> bool {
        self.unanswered() > 0
            && self.shared.ticks.load(Ordering::Relaxed) - self.heard > self.patience
    }

    fn poll_received(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Self { number, stamped, link, shared, ledger, sent, .. } = self;
        let from = shared.from.load(Ordering::Relaxed);
        let until = shared.until.load(Ordering::Relaxed);
        // One look at the clock and one turn with the histogram for all that one read brought.
        let (mut count, mut now_and_times) = (0, None);
        let outcome = link.poll_progress(cx, &mut |text| {
            count += 1;
            let (text, at_server) =
                if *stamped { message::split_stamp(text) } else { (text, None) };
            match message::read(text) {
                Some(stamp) if stamp.session == *number && stamp.number < *sent => {
                    ledger.arrived(stamp.number);
                    if (from..until).contains(&stamp.due) {
                        let (now, times) =
                            now_and_times.get_or_insert_with(|| (os::monotonic(), shared.times()));
                        times.round_trips.record(now.saturating_sub(stamp.due));
                        if let Some(at_server) = at_server {
                            times.to_server.record(at_server.saturating_sub(stamp.due));
                            times.to_client.record(now.saturating_sub(at_server));
                        }
                    }
                }
                _ => ledger.changed(*sent),
            }
        });
        if count > 0 {
            shared.messages.fetch_add(count, Ordering::Relaxed);
        }
        outcome
    }
}
