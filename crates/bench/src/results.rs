//! The findings of a comparison as data: for the tables, for the report, and as JSON.

use std::time::Duration;

use serde::Serialize;

use super::driver::{Correctness, Latencies, Spent, Technique};
use super::machine::Machine;
use super::others::Others;
use super::profiles::Profile;

/// All of a comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// The version of this program.
    pub version: &'static str,
    /// Where and when.
    pub machine: Machine,
    /// How much was done.
    pub scale: ScaleSummary,
    /// The compared servers.
    pub targets: Vec<TargetSummary>,
    /// Each technique, target by target, with nothing in between.
    pub direct: Vec<Entry<Direct>>,
    /// Each technique over networks.
    pub networks: Vec<Network>,
    /// What other processes took of the machine meanwhile, as far as the system tells.
    pub others: Vec<Others>,
    /// Whether it was interrupted.
    pub interrupted: bool,
}

/// How much was done.
#[derive(Clone, Debug, Serialize)]
pub struct ScaleSummary {
    /// Bytes of a message.
    pub message_bytes: usize,
    /// Sessions of the latencies and the throughput.
    pub sessions: usize,
    /// Messages a second of the latencies, over all sessions.
    pub rate: f64,
    /// Receivers of the fan-out.
    pub receivers: usize,
    /// Sessions whose memory is measured.
    pub idle_sessions: usize,
    /// The same over networks, where both are fewer.
    pub network_sessions: usize,
    /// The same.
    pub network_rate: f64,
}

/// A compared server.
#[derive(Clone, Debug, Serialize)]
pub struct TargetSummary {
    /// Its name.
    pub name: String,
    /// Its echo endpoint.
    pub url: String,
    /// Whether it is a gateway that this program started.
    pub own: bool,
}

/// One technique against one target.
#[derive(Clone, Debug, Serialize)]
pub struct Entry<T> {
    /// How messages travel.
    pub technique: String,
    /// Which target.
    pub target: String,
    /// The findings.
    #[serde(flatten)]
    pub found: T,
}

/// A value, or why there is none.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding<T> {
    /// It was measured.
    Value(T),
    /// It cannot be had, for this reason.
    NotAvailable(String),
}

impl<T> Finding<T> {
    /// It cannot be had.
    pub fn none(reason: impl Into<String>) -> Self {
        Self::NotAvailable(reason.into())
    }

    /// The value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::NotAvailable(_) => None,
        }
    }

    /// Why there is none.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Value(_) => None,
            Self::NotAvailable(reason) => Some(reason),
        }
    }

    /// The same of a value made from this one.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Finding<U> {
        match self {
            Self::Value(value) => Finding::Value(make(value)),
            Self::NotAvailable(reason) => Finding::NotAvailable(reason),
        }
    }
}

impl<T> From<Result<T, String>> for Finding<T> {
    fn from(outcome: Result<T, String>) -> Self {
        outcome.map_or_else(Self::NotAvailable, Self::Value)
    }
}

/// Findings without a network in between.
#[derive(Clone, Debug, Serialize)]
pub struct Direct {
    /// At a fixed rate, from when each message was due.
    pub round_trip: Finding<Distribution>,
    /// The part to the server.
    pub to_server: Finding<Distribution>,
    /// The part to the client.
    pub to_client: Finding<Distribution>,
    /// With one message in flight for each session.
    pub one_in_flight: Finding<Throughput>,
    /// With sixteen.
    pub sixteen_in_flight: Finding<Throughput>,
    /// One message to many.
    pub fan_out: Finding<FanOutFound>,
    /// Resident memory of the server for each idle session, in bytes.
    pub idle_bytes: Finding<f64>,
    /// How long a session takes to open.
    pub opening: Finding<Distribution>,
    /// Sessions a second that open, echo one message and go.
    pub visits_per_second: Finding<f64>,
    /// Of all messages.
    pub correctness: Checked,
}

/// Findings over a network.
#[derive(Clone, Debug, Serialize)]
pub struct OverNetwork {
    /// At a fixed rate, from when each message was due.
    pub round_trip: Finding<Distribution>,
    /// How long a session takes to open.
    pub opening: Finding<Distribution>,
    /// Of all messages.
    pub correctness: Checked,
}

/// A network and the findings over it.
#[derive(Clone, Debug, Serialize)]
pub struct Network {
    /// The network.
    pub profile: Profile,
    /// The findings.
    pub entries: Vec<Entry<OverNetwork>>,
}

/// A distribution of times in milliseconds. A percentile with fewer than ten samples beyond it is
/// not told.
#[derive(Clone, Debug, Serialize)]
pub struct Distribution {
    /// How many samples.
    pub samples: u64,
    /// Half of them took no longer.
    pub p50: Option<f64>,
    /// Nine of ten.
    pub p90: Option<f64>,
    /// All but one of a hundred.
    pub p99: Option<f64>,
    /// All but one of a thousand.
    pub p999: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
    /// The whole of it: (up to so many milliseconds, so many samples).
    pub steps: Vec<(f64, u64)>,
}

impl From<&Latencies> for Distribution {
    fn from(latencies: &Latencies) -> Self {
        let share = |share| latencies.quantile(share).map(millis);
        Self {
            samples: latencies.count(),
            p50: share(0.5),
            p90: share(0.9),
            p99: share(0.99),
            p999: share(0.999),
            max: latencies.max().map(millis),
            steps: latencies.steps().map(|(time, count)| (millis(time), count)).collect(),
        }
    }
}

/// Throughput and cost of messages back and forth.
#[derive(Clone, Debug, Serialize)]
pub struct Throughput {
    /// Echoes a second, over all sessions.
    pub messages_per_second: f64,
    /// Of the server's processor, for each.
    pub server_cpu: Finding<CpuFound>,
    /// Bytes to the server for each, heads and framing included.
    pub bytes_sent: f64,
    /// Bytes from the server for each.
    pub bytes_received: f64,
    /// HTTP requests for each.
    pub requests: f64,
    /// TCP connections for each session.
    pub connections_per_session: f64,
    /// The share of a core that the load took.
    pub driver_share: Option<f64>,
    /// The load had no time left while the server had some: the server could do more.
    pub driver_was_bottleneck: bool,
}

/// Microseconds of processor time for each message.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CpuFound {
    /// In the server's own code.
    pub user: f64,
    /// In the kernel on its behalf.
    pub system: f64,
}

impl CpuFound {
    /// Both.
    pub fn total(self) -> f64 {
        self.user + self.system
    }
}

/// Cost and duration of one message to many sessions.
#[derive(Clone, Debug, Serialize)]
pub struct FanOutFound {
    /// To how many.
    pub receivers: usize,
    /// Over all of them.
    pub deliveries_per_second: f64,
    /// From sent to received by the last one.
    pub last: Distribution,
    /// Of the server's processor, for each delivery.
    pub server_cpu: Finding<CpuFound>,
    /// The load had no time left while the server had some.
    pub driver_was_bottleneck: bool,
}

/// How messages fared.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Checked {
    /// That were awaited.
    pub expected: u64,
    /// Never came.
    pub lost: u64,
    /// Came again.
    pub duplicated: u64,
    /// Came after a later one.
    pub reordered: u64,
    /// Came with other contents.
    pub changed: u64,
    /// Were on their way when their session broke.
    pub cut_off: u64,
    /// Sessions that broke.
    pub broken_sessions: u64,
    /// The cause of the first failure.
    pub first_error: Option<String>,
}

impl Checked {
    /// Adds the findings of a run.
    pub fn add(&mut self, found: Correctness, broken: u64, error: Option<&dyn std::error::Error>) {
        let Correctness { expected, lost, duplicated, reordered, changed, cut_off } = found;
        self.expected += expected;
        self.lost += lost;
        self.duplicated += duplicated;
        self.reordered += reordered;
        self.changed += changed;
        self.cut_off += cut_off;
        self.broken_sessions += broken;
        if let (None, Some(error)) = (&self.first_error, error) {
            self.first_error = Some(with_causes(error));
        }
    }

    /// Whether no message was lost, duplicated, reordered or changed.
    pub fn is_correct(&self) -> bool {
        (self.lost, self.duplicated, self.reordered, self.changed) == (0, 0, 0, 0)
    }
}

impl Results {
    /// Failures, in words: an empty list is a success.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for target in &self.targets {
            let mut of_it =
                self.direct.iter().filter(|entry| entry.target == target.name).peekable();
            let any = of_it.peek().is_some();
            if any
                && !self.interrupted
                && of_it.all(|entry| entry.found.round_trip.value().is_none())
            {
                failures.push(format!("{}: no technique worked", target.name));
            }
        }
        let mut judge = |target: &str, technique: &str, network: Option<&str>, found: &Checked| {
            let place = network.map_or_else(String::new, |network| format!(" over {network:?}"));
            for (count, what) in [
                (found.lost, "lost"),
                (found.duplicated, "duplicated"),
                (found.reordered, "reordered"),
                (found.changed, "changed"),
            ] {
                if count > 0 {
                    let of = found.expected;
                    failures.push(format!(
                        "{target}, {technique}{place}: {count} of {of} messages {what}"
                    ));
                }
            }
            // A network may well break sessions: that is a finding, and not the server's fault.
            if network.is_none() && found.broken_sessions > 0 {
                let (count, error) =
                    (found.broken_sessions, found.first_error.as_deref().unwrap_or("unknown"));
                failures.push(format!("{target}, {technique}: {count} sessions broke: {error}"));
            }
        };
        for entry in &self.direct {
            judge(&entry.target, &entry.technique, None, &entry.found.correctness);
        }
        for network in &self.networks {
            for entry in &network.entries {
                judge(
                    &entry.target,
                    &entry.technique,
                    Some(&network.profile.name),
                    &entry.found.correctness,
                );
            }
        }
        failures
    }

    /// When other processes had so much of the machine that it shows in the figures.
    pub fn disturbances(&self) -> Vec<String> {
        self.others.iter().filter_map(Others::warning).collect()
    }

    /// Where the load was the bottleneck, so that a server could do more than its figures say.
    pub fn bottlenecks(&self) -> Vec<String> {
        let mut places = Vec::new();
        for Entry { technique, target, found } in &self.direct {
            let throughput =
                [(&found.one_in_flight, "1 in flight"), (&found.sixteen_in_flight, "16 in flight")];
            for (throughput, what) in throughput {
                if throughput.value().is_some_and(|found| found.driver_was_bottleneck) {
                    places.push(format!("{target}, {technique}, {what}"));
                }
            }
            if found.fan_out.value().is_some_and(|found| found.driver_was_bottleneck) {
                places.push(format!("{target}, {technique}, fan-out"));
            }
        }
        places
    }
}

/// Of the server's processor for each of `count` things.
pub(super) fn cpu_each(spent: &Spent, count: u64, unknown: &str) -> Finding<CpuFound> {
    match spent.server {
        Some(_) if count == 0 => Finding::none("no message came back"),
        Some(cpu) => {
            let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
            Finding::Value(CpuFound { user: each(cpu.user), system: each(cpu.system) })
        }
        None => Finding::none(unknown),
    }
}

/// An error and all that caused it.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The techniques that are compared, from the most patient to the fastest.
pub const TECHNIQUES: [Technique; 7] = [
    Technique::ShortPolling(Duration::from_secs(1)),
    Technique::ShortPolling(Duration::from_millis(100)),
    Technique::LongPolling,
    Technique::XhrStreaming,
    Technique::EventSource,
    Technique::WebSocket,
    Technique::RawWebSocket,
];
