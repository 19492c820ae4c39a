//! Client and server with nothing in between.

use std::time::Duration;

use super::{INTERRUPTED, SIZE, Scale, Suite};
use crate::cost;
use crate::driver::churn::{self, Churn, ChurnOutcome};
use crate::driver::echo::{self, Echo, EchoOutcome, Pace};
use crate::driver::fan_out::{self, FanOut, FanOutOutcome};
use crate::driver::idle::Held;
use crate::driver::{Correctness, Error, Latencies, Target, Technique, Timing, probe};
use crate::results::{
    Checked, Direct, Distribution, Entry, FanOutFound, Finding, Throughput, cpu_each, with_causes,
};
use crate::subject::Subject;

/// The turns of each target with each technique.
pub(super) fn turns(rounds: usize) -> usize {
    Measurement::ALL.into_iter().map(|measurement| measurement.turns(rounds)).sum()
}

/// A little over 10,000 messages, so that the 99.9th percentile can be told.
const LATENCY: Duration = Duration::from_millis(4100);
const THROUGHPUT: Duration = Duration::from_millis(1500);
const FAN_OUT: Duration = Duration::from_millis(1500);
const VISITS: Duration = Duration::from_millis(1500);
const VISITORS: usize = 16;

impl Suite<'_> {
    /// One technique, with all targets in turn.
    pub(super) async fn direct(&mut self, technique: Technique) -> Vec<Entry<Direct>> {
        let mut gathered: Vec<Gathered> = Vec::new();
        for index in 0..self.subjects.len() {
            gathered.push(self.begin(index, technique).await);
        }
        let rounds = self.scale.rounds(self.subjects.len());
        for measurement in Measurement::ALL {
            for _ in 0..measurement.turns(rounds) {
                for (index, gathered) in gathered.iter_mut().enumerate() {
                    let what = format!(
                        "{}: {technique}, {}",
                        self.subjects[index].name,
                        measurement.name()
                    );
                    self.begins(&what);
                    if gathered.refused.is_none() && !self.stopped {
                        self.turn(measurement, technique, rounds, index, gathered).await;
                    }
                }
            }
        }
        let entries = self.subjects.iter().zip(gathered).map(|(subject, gathered)| Entry {
            technique: technique.to_string(),
            target: subject.name.clone(),
            found: gathered.finish(subject, self.scale.receivers),
        });
        entries.collect()
    }

    /// Finds out whether the technique can be had at all.
    async fn begin(&mut self, index: usize, technique: Technique) -> Gathered {
        let subject = &self.subjects[index];
        let refused = match subject.lacks(technique) {
            Some(reason) => Some(reason.to_owned()),
            None => {
                let (target, patience) = (subject.echo.clone(), self.scale.patience());
                let opens = async {
                    let opens = probe::opens(&target, technique, patience).await;
                    opens.map_err(|error| format!("no session: {}", with_causes(&error)))
                };
                // A step as any other: an interrupt does not wait for a server that does not
                // answer.
                self.step(opens).await.err()
            }
        };
        Gathered { refused, ..Gathered::default() }
    }

    async fn turn(
        &mut self,
        measurement: Measurement,
        technique: Technique,
        rounds: usize,
        index: usize,
        gathered: &mut Gathered,
    ) {
        let scale = self.scale;
        let subject = &self.subjects[index];
        let (echo_target, pid) = (subject.echo.clone(), subject.pid);
        let timing = |time| {
            let mut measured = scale.time(time, rounds);
            if let Technique::ShortPolling(interval) = technique {
                // Less would be over before anything came back.
                measured = measured.max(interval * 2);
            }
            Timing {
                warm_up: (measured / 5).max(Duration::from_millis(50)),
                measured,
                patience: scale.patience(),
            }
        };
        let echo_plan = |pace, stamped, time| {
            let timing = timing(time);
            Echo { technique, sessions: scale.sessions(), size: SIZE, pace, stamped, timing }
        };
        match measurement {
            Measurement::Latency => {
                let target = subject.stamp.clone();
                let plan = echo_plan(Pace::PerSecond(scale.rate()), target.is_some(), LATENCY);
                let target = target.unwrap_or(echo_target);
                let found = self.step(async { told(echo::run(&target, None, &plan).await) }).await;
                gathered.latency(found);
            }
            Measurement::One | Measurement::Sixteen => {
                let in_flight = if measurement == Measurement::One { 1 } else { 16 };
                let plan = echo_plan(Pace::InFlight(in_flight), false, THROUGHPUT);
                let found =
                    self.step(async { told(echo::run(&echo_target, pid, &plan).await) }).await;
                gathered.throughput(measurement, found);
            }
            Measurement::FanOut => {
                let Some(target) = subject.broadcast.clone() else {
                    gathered.fan_out = Some(Err(
                        "no broadcast endpoint is named: --broadcast NAME=URL".to_owned(),
                    ));
                    return;
                };
                let (receivers, timing) = (scale.receivers, timing(FAN_OUT));
                let plan =
                    FanOut { technique, receivers, size: SIZE, interval: Duration::ZERO, timing };
                let found =
                    self.step(async { told(fan_out::run(&target, pid, &plan).await) }).await;
                gathered.fan_out(found);
            }
            Measurement::Idle => {
                let afresh = subject.afresh();
                let work = async {
                    let gateway = afresh.transpose().map_err(|error| with_causes(&error))?;
                    let target = gateway
                        .as_ref()
                        .map_or(echo_target, |gateway| gateway.target("/echo").as_a_browser());
                    let pid = gateway.as_ref().map(|gateway| gateway.pid()).or(pid);
                    idle_bytes(&target, technique, pid, scale).await
                };
                gathered.idle = Some(self.step(work).await);
            }
            Measurement::Visits => {
                let plan =
                    Churn { technique, visitors: VISITORS, size: SIZE, timing: timing(VISITS) };
                let found =
                    self.step(async { told(churn::run(&echo_target, pid, &plan).await) }).await;
                gathered.visits(found);
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measurement {
    Latency,
    One,
    Sixteen,
    FanOut,
    Idle,
    Visits,
}

impl Measurement {
    const ALL: [Self; 6] =
        [Self::Latency, Self::One, Self::Sixteen, Self::FanOut, Self::Idle, Self::Visits];

    fn turns(self, rounds: usize) -> usize {
        // Memory is measured once: a second time would find the remains of the first.
        if self == Self::Idle { 1 } else { rounds }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::One => "throughput with 1 in flight",
            Self::Sixteen => "throughput with 16 in flight",
            Self::FanOut => "fan-out",
            Self::Idle => "memory",
            Self::Visits => "visits",
        }
    }
}

fn told<T>(outcome: Result<T, Error>) -> Result<T, String> {
    outcome.map_err(|error| with_causes(&error))
}

/// Allocations that happen only once happen for these.
const FIRST: usize = 20;
/// Remains of sessions are freed by then.
const SETTLE: Duration = Duration::from_millis(200);

async fn idle_bytes(
    target: &Target,
    technique: Technique,
    pid: Option<u32>,
    scale: Scale,
) -> Result<f64, String> {
    let (count, patience) = (scale.idle, scale.patience());
    let pid = pid.ok_or(UNKNOWN_PROCESS)?;
    let resident =
        || cost::resident(pid).map_err(|error| format!("/proc/{pid} cannot be read: {error}"));
    drop(told(Held::open(target, technique, FIRST, patience).await)?);
    tokio::time::sleep(SETTLE).await;
    let before = resident()?;
    let _held = told(Held::open(target, technique, count, patience).await)?;
    tokio::time::sleep(SETTLE).await;
    Ok(resident()?.saturating_sub(before) as f64 / count as f64)
}

const UNKNOWN_PROCESS: &str = "its process is not known: --pid NAME=PID";

/// The findings of one target's turns so far.
#[derive(Default)]
struct Gathered {
    refused: Option<String>,
    latency: Option<Result<EchoOutcome, String>>,
    one: Option<Result<EchoOutcome, String>>,
    sixteen: Option<Result<EchoOutcome, String>>,
    fan_out: Option<Result<FanOutOutcome, String>>,
    idle: Option<Result<f64, String>>,
    visits: Option<Result<ChurnOutcome, String>>,
    checked: Checked,
}

/// Adds a turn to those before it. A turn that failed takes nothing from them.
fn gather<T>(
    sum: &mut Option<Result<T, String>>,
    found: Result<T, String>,
    add: impl FnOnce(&mut T, T),
) {
    match (sum, found) {
        (Some(Ok(sum)), Ok(found)) => add(sum, found),
        (Some(Ok(_)), Err(_)) => {}
        (sum, found) => *sum = Some(found),
    }
}

impl Gathered {
    fn check(&mut self, correctness: Correctness, broken: u64, error: Option<&Error>) {
        self.checked.add(correctness, broken, error.map(|error| error as &dyn std::error::Error));
    }

    fn echo(&mut self, found: &Result<EchoOutcome, String>) {
        if let Ok(seen) = found {
            self.check(seen.correctness, seen.broken as u64, seen.first_error.as_ref());
        }
    }

    fn latency(&mut self, found: Result<EchoOutcome, String>) {
        self.echo(&found);
        gather(&mut self.latency, found, add_echo);
    }

    fn throughput(&mut self, measurement: Measurement, found: Result<EchoOutcome, String>) {
        self.echo(&found);
        let sum = if measurement == Measurement::One { &mut self.one } else { &mut self.sixteen };
        gather(sum, found, add_echo);
    }

    fn fan_out(&mut self, found: Result<FanOutOutcome, String>) {
        if let Ok(seen) = &found {
            self.check(seen.correctness, seen.broken as u64, seen.first_error.as_ref());
        }
        gather(&mut self.fan_out, found, |sum, found| {
            sum.deliveries += found.deliveries;
            sum.spent += found.spent;
            sum.last.add(&found.last);
        });
    }

    fn visits(&mut self, found: Result<ChurnOutcome, String>) {
        if let Ok(seen) = &found {
            self.check(seen.correctness, seen.broken, seen.first_error.as_ref());
        }
        gather(&mut self.visits, found, |sum, found| {
            sum.visits += found.visits;
            sum.spent += found.spent;
            sum.durations.add(&found.durations);
        });
    }

    fn finish(self, subject: &Subject, receivers: usize) -> Direct {
        let refused = self.refused;
        let finding = |found: Option<Result<_, String>>| match (&refused, found) {
            (Some(reason), _) => Err(reason.clone()),
            (None, Some(found)) => found,
            (None, None) => Err(INTERRUPTED.to_owned()),
        };
        let latency = finding(self.latency);
        let [one, sixteen] = [self.one, self.sixteen].map(finding);
        let openings =
            latency.as_ref().map(|seen| Distribution::from(&seen.openings)).map_err(Clone::clone);
        let one_way = |pick: fn(&(Latencies, Latencies)) -> &Latencies| match &latency {
            Ok(seen) => seen
                .one_way
                .as_ref()
                .map(|both| Distribution::from(pick(both)))
                .ok_or(NO_STAMP.to_owned()),
            Err(reason) => Err(reason.clone()),
        };
        let (to_server, to_client) =
            (one_way(|(to_server, _)| to_server), one_way(|(_, to_client)| to_client));
        let lacking =
            |found: &Option<String>| found.clone().unwrap_or_else(|| INTERRUPTED.to_owned());
        Direct {
            opening: openings.into(),
            to_server: to_server.into(),
            to_client: to_client.into(),
            round_trip: latency.map(|seen| Distribution::from(&seen.round_trips)).into(),
            one_in_flight: one.map(|seen| throughput(&seen, subject.pid)).into(),
            sixteen_in_flight: sixteen.map(|seen| throughput(&seen, subject.pid)).into(),
            fan_out: match self.fan_out {
                Some(found) if refused.is_none() => {
                    found.map(|seen| fan_out_found(&seen, receivers)).into()
                }
                _ => Finding::none(lacking(&refused)),
            },
            idle_bytes: match self.idle {
                Some(found) if refused.is_none() => found.into(),
                _ => Finding::none(lacking(&refused)),
            },
            visits_per_second: match self.visits {
                Some(found) if refused.is_none() => {
                    found.map(|seen| seen.visits as f64 / seen.spent.wall.as_secs_f64()).into()
                }
                _ => Finding::none(lacking(&refused)),
            },
            correctness: self.checked,
        }
    }
}

const NO_STAMP: &str = "its clock cannot be read";

fn add_echo(sum: &mut EchoOutcome, found: EchoOutcome) {
    sum.messages += found.messages;
    sum.connections += found.connections;
    sum.spent += found.spent;
    sum.round_trips.add(&found.round_trips);
    sum.openings.add(&found.openings);
    if let (Some(sum), Some(found)) = (&mut sum.one_way, &found.one_way) {
        sum.0.add(&found.0);
        sum.1.add(&found.1);
    }
}

fn throughput(seen: &EchoOutcome, pid: Option<u32>) -> Throughput {
    let each = |count: u64| count as f64 / seen.messages as f64;
    let traffic = seen.spent.traffic;
    Throughput {
        messages_per_second: seen.messages as f64 / seen.spent.wall.as_secs_f64(),
        server_cpu: cpu_each(&seen.spent, seen.messages, unknown_cpu(pid)),
        bytes_sent: each(traffic.sent),
        bytes_received: each(traffic.received),
        requests: each(traffic.requests),
        connections_per_session: seen.connections as f64 / seen.openings.count() as f64,
        driver_share: seen.spent.driver_share(),
        driver_was_bottleneck: seen.spent.driver_was_bottleneck(),
    }
}

fn fan_out_found(seen: &FanOutOutcome, receivers: usize) -> FanOutFound {
    FanOutFound {
        receivers,
        deliveries_per_second: seen.deliveries as f64 / seen.spent.wall.as_secs_f64(),
        last: (&seen.last).into(),
        server_cpu: cpu_each(&seen.spent, seen.deliveries, UNKNOWN_PROCESS),
        driver_was_bottleneck: seen.spent.driver_was_bottleneck(),
    }
}

fn unknown_cpu(pid: Option<u32>) -> &'static str {
    if pid.is_some() { "the system does not tell" } else { UNKNOWN_PROCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_more_changes_no_figure_for_each_message_or_session() {
        let turn = || {
            let mut turn = EchoOutcome { messages: 100, connections: 20, ..EchoOutcome::default() };
            turn.spent.wall = Duration::from_secs(1);
            turn.spent.traffic.sent = 7400;
            (0..10).for_each(|_| turn.openings.record(1_000_000));
            turn
        };
        let once = throughput(&turn(), None);
        let mut sum = turn();
        add_echo(&mut sum, turn());
        let twice = throughput(&sum, None);
        assert_eq!(
            (once.connections_per_session, once.bytes_sent, once.messages_per_second),
            (2.0, 74.0, 100.0)
        );
        assert_eq!(twice.connections_per_session, once.connections_per_session);
        assert_eq!(
            (twice.bytes_sent, twice.messages_per_second),
            (once.bytes_sent, once.messages_per_second)
        );
    }
}
