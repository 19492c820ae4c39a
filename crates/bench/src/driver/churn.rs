//! The workload of short visits: open a session, echo one message, go.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::task::JoinSet;

use super::error::Error;
use super::latency::Latencies;
use super::ledger::{Correctness, Ledger};
use super::link::{Link, Technique};
use super::message::{self, Stationery};
use super::target::Target;
use super::window::{Reading, Spent, Timing};
use crate::os;

/// The plan of a run.
#[derive(Clone, Copy, Debug)]
pub struct Churn {
    /// How messages travel. A WebSocket is opened and closed with its handshakes; over HTTP a visit
    /// asks for `info` first, and uses the connections of the visit before it, as a browser does,
    /// but for that of a stream, which ends with its session.
    pub technique: Technique,
    /// How many visitors there are at a time.
    pub visitors: usize,
    /// Bytes of a message.
    pub size: usize,
    /// For how long.
    pub timing: Timing,
}

/// The findings of a run.
#[derive(Clone, Debug, Default)]
pub struct ChurnOutcome {
    /// Visits in the measured time.
    pub visits: u64,
    /// Their cost.
    pub spent: Spent,
    /// From the first byte to the end of the visit.
    pub durations: Latencies,
    /// Over the whole time, warm-up included.
    pub correctness: Correctness,
    /// Visits that broke.
    pub broken: u64,
    /// The cause of the first failure.
    pub first_error: Option<Error>,
}

/// Runs it against `target`, whose process is `pid` if that is known.
///
/// # Errors
///
/// When not one visit succeeds.
pub async fn run(target: &Target, pid: Option<u32>, plan: &Churn) -> Result<ChurnOutcome, Error> {
    let shared = Arc::new(ChurnState::default());
    let mut tasks = JoinSet::new();
    for number in 0..plan.visitors {
        tasks.spawn(visitor(target.clone(), number as u32, *plan, Arc::clone(&shared)));
    }
    tokio::time::sleep(plan.timing.warm_up).await;
    let (visits, before) = (shared.visits.load(Ordering::Relaxed), Reading::now(target, pid));
    shared.measuring.store(true, Ordering::Relaxed);
    tokio::time::sleep(plan.timing.measured).await;
    shared.measuring.store(false, Ordering::Relaxed);
    let after = Reading::now(target, pid);
    let visits = shared.visits.load(Ordering::Relaxed) - visits;
    shared.over.store(true, Ordering::Relaxed);

    let mut outcome =
        ChurnOutcome { visits, spent: before.until(after), ..ChurnOutcome::default() };
    while let Some(visitor) = tasks.join_next().await {
        let (correctness, broken, error) =
            visitor.expect("a visitor does not panic and is not aborted");
        outcome.correctness += correctness;
        outcome.broken += broken;
        outcome.first_error = outcome.first_error.or(error);
    }
    outcome.durations =
        std::mem::take(&mut *shared.durations.lock().unwrap_or_else(PoisonError::into_inner));
    match outcome.first_error {
        Some(error) if outcome.visits == 0 => Err(error),
        _ => Ok(outcome),
    }
}

#[derive(Default)]
struct ChurnState {
    visits: AtomicU64,
    measuring: AtomicBool,
    over: AtomicBool,
    durations: Mutex<Latencies>,
}

/// A refused visitor waits so long, for a server that refuses all of them is not to be stormed.
const PAUSE: Duration = Duration::from_millis(100);

async fn visitor(
    target: Target,
    number: u32,
    plan: Churn,
    shared: Arc<ChurnState>,
) -> (Correctness, u64, Option<Error>) {
    let (mut correctness, mut broken, mut first_error) = (Correctness::default(), 0, None);
    let mut stationery = Stationery::new(number, plan.size);
    let mut link = None;
    for visit in 0.. {
        if shared.over.load(Ordering::Relaxed) {
            break;
        }
        let begun = os::monotonic();
        let mut current = match link.take() {
            None => Link::new(&target, plan.technique),
            Some(link) => link,
        };
        match self::visit(&target, &mut current, &plan, stationery.write(visit, begun)).await {
            Ok(verdict) => {
                correctness += verdict;
                shared.visits.fetch_add(1, Ordering::Relaxed);
                if shared.measuring.load(Ordering::Relaxed) {
                    let took = os::monotonic() - begun;
                    shared.durations.lock().unwrap_or_else(PoisonError::into_inner).record(took);
                }
                current.start_anew(&target);
                link = Some(current);
            }
            Err(error) => {
                broken += 1;
                first_error = first_error.or(Some(error));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    (correctness, broken, first_error)
}

async fn visit(
    target: &Target,
    link: &mut Link,
    plan: &Churn,
    text: &[u8],
) -> Result<Correctness, Error> {
    let patience = plan.timing.patience;
    link.info(target, patience).await?;
    link.opened(patience).await?;
    link.send(text);
    let (mut ledger, expected) = (Ledger::default(), message::read(text));
    let echoed = poll_fn(|cx| -> Poll<Result<(), Error>> {
        while ledger.reached() == 0 {
            ready!(link.poll_progress(cx, &mut |text| match message::read(text) {
                stamp if stamp == expected => ledger.arrived(0),
                _ => ledger.changed(1),
            }))?;
        }
        Poll::Ready(Ok(()))
    });
    // Without an echo in time the message is lost, as the ledger says.
    tokio::time::timeout(patience, echoed).await.unwrap_or(Ok(()))?;
    link.close(patience).await?;
    Ok(ledger.close(0, 1))
}
