//! The comparison itself: which measurement comes when.

mod direct;
mod network;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use super::driver::{self, Technique, probe};
use super::gateway::GatewayError;
use super::machine::Machine;
use super::os;
use super::others::{Others, Usage};
use super::profiles::Profile;
use super::results::{Results, ScaleSummary};
use super::subject::{Named, Subject};

/// The scope of a comparison.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The targets.
    pub targets: Targets,
    /// How messages travel.
    pub techniques: Vec<Technique>,
    /// Over which networks, after none.
    pub profiles: Vec<Profile>,
    /// A tenth of the time and of the sessions.
    pub quick: bool,
}

/// The compared servers.
#[derive(Clone, Debug)]
pub enum Targets {
    /// A gateway that is started from this program.
    Own(PathBuf),
    /// Servers that run already.
    Named(Vec<Named>),
}

/// The progress of a comparison.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'p> {
    /// So many measurements are to come.
    Planned(usize),
    /// One begins, or is skipped.
    Begins(&'p str),
}

/// Why nothing can be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The own gateway doesn't start.
    #[error("no gateway to measure")]
    Gateway(#[from] GatewayError),
    /// A server doesn't answer.
    #[error("{name} ({url}) cannot be measured")]
    Target {
        /// Its name.
        name: String,
        /// Where it should be.
        url: String,
        /// The cause.
        #[source]
        source: driver::Error,
    },
    /// The system gives no thread or no port.
    #[error("the relay cannot be started")]
    Relay(#[source] std::io::Error),
}

/// Compares, until it is done or `stop` resolves.
///
/// # Errors
///
/// When a server cannot be reached at all. Failures of one technique are in the results.
pub async fn run(
    settings: &Settings,
    progress: &mut dyn FnMut(Progress<'_>),
    stop: impl Future<Output = ()>,
) -> Result<Results, CompareError> {
    let open_files = os::raise_open_files();
    let mut stop = Box::pin(stop);
    let (subjects, stopped) = tokio::select! {
        subjects = subjects(&settings.targets) => (subjects?, false),
        () = stop.as_mut() => (Vec::new(), true),
    };
    let mut suite =
        Suite { scale: Scale::new(settings.quick, open_files), subjects, progress, stop, stopped };
    let rounds = suite.scale.rounds(suite.subjects.len());
    let direct = settings.techniques.len() * suite.subjects.len() * direct::turns(rounds);
    let networks = settings.profiles.len() * settings.techniques.len() * suite.subjects.len();
    (suite.progress)(Progress::Planned(direct + networks));

    let mut results = Results {
        version: env!("CARGO_PKG_VERSION"),
        machine: Machine::this(SystemTime::now()),
        scale: suite.scale.summary(),
        targets: suite.subjects.iter().map(Subject::summary).collect(),
        direct: Vec::new(),
        networks: Vec::new(),
        others: Vec::new(),
        interrupted: false,
    };
    for technique in &settings.techniques {
        // Steps that have not begun have no results.
        if !suite.stopped {
            let before = suite.usage();
            results.direct.extend(suite.direct(*technique).await);
            results.others.extend(suite.others(before, technique.to_string()));
        }
    }
    for profile in &settings.profiles {
        let before = suite.usage();
        results.networks.extend(suite.network(profile, &settings.techniques).await?);
        results.others.extend(suite.others(before, format!("over {}", profile.name)));
    }
    results.interrupted = suite.stopped;
    Ok(results)
}

async fn subjects(targets: &Targets) -> Result<Vec<Subject>, CompareError> {
    let mut subjects = Vec::new();
    match targets {
        Targets::Own(binary) => subjects.push(Subject::own(binary)?),
        Targets::Named(named) => {
            for named in named {
                let (name, url) = (named.name.clone(), named.echo.to_string());
                let answers = probe::answers(&named.echo, FIRST_ANSWER).await;
                answers.map_err(|source| CompareError::Target { name, url, source })?;
                subjects.push(Subject::foreign(named.clone(), FIRST_ANSWER).await);
            }
        }
    }
    Ok(subjects)
}

/// A server that takes longer to answer `info` cannot be measured.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

struct Suite<'p> {
    scale: Scale,
    subjects: Vec<Subject>,
    progress: &'p mut dyn FnMut(Progress<'_>),
    stop: Pin<Box<dyn Future<Output = ()> + 'p>>,
    stopped: bool,
}

/// The note on a measurement that was not made.
const INTERRUPTED: &str = "interrupted";

impl Suite<'_> {
    /// Announces the next step, unless the comparison was stopped.
    fn begins(&mut self, what: &str) {
        if !self.stopped {
            (self.progress)(Progress::Begins(what));
        }
    }

    /// Of the machine and of the measured servers. Of a server whose process is not known nothing
    /// tells whether it runs here, so that its work would be taken for that of others.
    fn usage(&self) -> Option<Usage> {
        let servers =
            self.subjects.iter().map(|subject| subject.pid).collect::<Option<Vec<_>>>()?;
        Usage::now(servers)
    }

    fn others(&self, before: Option<Usage>, during: String) -> Option<Others> {
        Some(before?.until(self.usage()?, during))
    }

    /// Does it, unless the comparison is stopped before or meanwhile.
    async fn step<T>(
        &mut self,
        work: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        if !self.stopped {
            tokio::select! {
                // A finished step counts, also when both are ready.
                biased;
                outcome = work => return outcome,
                () = self.stop.as_mut() => self.stopped = true,
            }
        }
        Err(INTERRUPTED.to_owned())
    }
}

/// How much is done.
#[derive(Clone, Copy, Debug)]
struct Scale {
    quick: bool,
    receivers: usize,
    idle: usize,
}

impl Scale {
    fn new(quick: bool, open_files: Option<u64>) -> Self {
        let part = if quick { 10 } else { 1 };
        // A session takes a file or two; some are needed for other things.
        let files = open_files.unwrap_or(1024).saturating_sub(100) / 2;
        let at_most = |wanted: usize| wanted.min(files as usize).max(2);
        Self { quick, receivers: at_most(1000 / part), idle: at_most(1000 / part) }
    }

    fn summary(self) -> ScaleSummary {
        ScaleSummary {
            message_bytes: SIZE,
            sessions: self.sessions(),
            rate: self.rate(),
            receivers: self.receivers,
            idle_sessions: self.idle,
            network_sessions: NETWORK_SESSIONS,
            network_rate: NETWORK_RATE,
        }
    }

    fn sessions(self) -> usize {
        if self.quick { 20 } else { 100 }
    }

    fn rate(self) -> f64 {
        if self.quick { 500.0 } else { 2500.0 }
    }

    /// The number of turns of each target, so that other load of the machine affects all alike.
    fn rounds(self, subjects: usize) -> usize {
        if subjects > 1 && !self.quick { 3 } else { 1 }
    }

    /// How long an answer may take before it counts as lost.
    fn patience(self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { 5 })
    }

    /// A turn's part of the time for a measurement.
    fn time(self, whole: Duration, rounds: usize) -> Duration {
        whole / rounds as u32 / if self.quick { 10 } else { 1 }
    }
}

/// Bytes of a message.
const SIZE: usize = 64;
const NETWORK_SESSIONS: usize = 20;
const NETWORK_RATE: f64 = 40.0;
