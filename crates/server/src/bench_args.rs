//! `sockeye bench`: flags to settings, results to tables, files and an exit code.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use sockeye_bench::driver::{Target, Technique, block_on};
use sockeye_bench::profiles::{self, Profile, ProfilesError};
use sockeye_bench::results::{Results, TECHNIQUES, with_causes};
use sockeye_bench::subject::Named;
use sockeye_bench::suite::{self, CompareError, Progress, Settings, Targets};
use sockeye_bench::{report, table};

/// Targets, scope and outputs of the comparison.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// Measure a running server, in place of a gateway started for the comparison: a name and the
    /// URL of its echo endpoint; may be repeated
    #[arg(long = "target", value_name = "NAME=URL")]
    targets: Vec<NameAnd<Target>>,

    /// The target's endpoint that sends every message to all sessions
    #[arg(long = "broadcast", value_name = "NAME=URL", requires = "targets")]
    broadcasts: Vec<NameAnd<Target>>,

    /// The target's process on this machine, to measure its CPU time and memory
    #[arg(long = "pid", value_name = "NAME=PID", requires = "targets")]
    pids: Vec<NameAnd<u32>>,

    /// Measure over all networks as well, which takes minutes
    #[arg(long)]
    full: bool,

    /// Measure over this network as well; may be repeated
    #[arg(long = "network", value_name = "NAME", conflicts_with = "full")]
    networks: Vec<String>,

    /// Take the networks from this file
    #[arg(long, value_name = "FILE")]
    profiles: Option<PathBuf>,

    /// Measure only this technique, such as "long polling"; may be repeated
    #[arg(long = "technique", value_name = "NAME", value_parser = technique)]
    techniques: Vec<Technique>,

    /// A tenth of the time and of the sessions, for rougher results
    #[arg(long)]
    quick: bool,

    /// Write a report with pictures: one HTML file that needs no network
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Write the results as JSON; - is stdout, in place of the tables
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// `NAME=VALUE`.
#[derive(Clone, Debug)]
struct NameAnd<T> {
    name: String,
    value: T,
}

impl<T: FromStr<Err: std::fmt::Display>> FromStr for NameAnd<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                let value = value.parse().map_err(|error: T::Err| error.to_string())?;
                Ok(Self { name: name.to_owned(), value })
            }
            _ => Err(format!("{text:?} is not of the form NAME={}", "VALUE")),
        }
    }
}

fn technique(name: &str) -> Result<Technique, String> {
    let names = || TECHNIQUES.map(|technique| format!("{:?}", technique.to_string())).join(", ");
    let found =
        TECHNIQUES.into_iter().find(|technique| technique.to_string().eq_ignore_ascii_case(name));
    found.ok_or_else(|| format!("{name:?} is none of {}", names()))
}

/// Why a comparison failed, or its results could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{flag} names {name:?}, which no --target does")]
    UnknownName { flag: &'static str, name: String },
    #[error("{flag} names {name:?} twice: leave one of them out")]
    Twice { flag: &'static str, name: String },
    #[error("no network is called {name:?}; there are {known}")]
    UnknownNetwork { name: String, known: String },
    #[error("--profiles {}", file.display())]
    ReadProfiles { file: PathBuf, source: io::Error },
    #[error("--profiles {}", file.display())]
    Profiles { file: PathBuf, source: Box<ProfilesError> },
    #[error("this program's own file cannot be found")]
    Program(#[source] io::Error),
    #[error("cannot start")]
    Start(#[source] io::Error),
    #[error(transparent)]
    Compare(#[from] CompareError),
    #[error("cannot write {}", file.display())]
    Write { file: PathBuf, source: io::Error },
}

/// Compares and reports. The exit code is 0 when all measurements succeeded and every message was
/// correct, else 1; 130 when interrupted.
pub(crate) fn run<S: Future<Output = ()>>(
    args: &BenchArgs,
    stop_signal: fn() -> io::Result<S>,
) -> Result<ExitCode, BenchError> {
    let settings = args.settings()?;
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{elapsed:>4} {bar:30} {pos}/{len} {wide_msg}");
    bar.set_style(style.expect("the template is written in the program"));
    // The elapsed time keeps moving during a long measurement.
    bar.enable_steady_tick(Duration::from_secs(1));
    let mut show = |progress: Progress<'_>| match progress {
        Progress::Planned(steps) => bar.set_length(steps as u64),
        Progress::Begins(what) if bar.is_hidden() => eprintln!("{what} …"),
        Progress::Begins(what) => {
            bar.set_message(what.to_owned());
            bar.inc(1);
        }
    };
    let comparing = async {
        let stop = stop_signal().map_err(BenchError::Start)?;
        Ok::<_, BenchError>(suite::run(&settings, &mut show, stop).await?)
    };
    let results = block_on(comparing).map_err(BenchError::Start)??;
    bar.finish_and_clear();
    args.tell(&results)?;
    Ok(match (results.interrupted, results.failures().is_empty()) {
        (true, _) => ExitCode::from(130),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

impl BenchArgs {
    fn settings(&self) -> Result<Settings, BenchError> {
        Ok(Settings {
            targets: self.targets()?,
            techniques: if self.techniques.is_empty() {
                TECHNIQUES.to_vec()
            } else {
                self.techniques.clone()
            },
            profiles: self.profiles()?,
            quick: self.quick,
        })
    }

    fn targets(&self) -> Result<Targets, BenchError> {
        if self.targets.is_empty() {
            return Ok(Targets::Own(std::env::current_exe().map_err(BenchError::Program)?));
        }
        let targets = by_name("--target", &self.targets)?;
        let mut broadcasts = by_name("--broadcast", &self.broadcasts)?;
        let mut pids = by_name("--pid", &self.pids)?;
        let named = targets.into_iter().map(|(name, echo)| Named {
            broadcast: broadcasts.remove(name).cloned(),
            pid: pids.remove(name).copied(),
            name: name.to_owned(),
            echo: echo.clone(),
        });
        let mut named: Vec<Named> = named.collect();
        // In the order of the flags, not of the alphabet.
        named.sort_by_key(|named| self.targets.iter().position(|target| target.name == named.name));
        let stray = broadcasts.into_keys().map(|name| ("--broadcast", name));
        match stray.chain(pids.into_keys().map(|name| ("--pid", name))).next() {
            Some((flag, name)) => Err(BenchError::UnknownName { flag, name: name.to_owned() }),
            None => Ok(Targets::Named(named)),
        }
    }

    fn profiles(&self) -> Result<Vec<Profile>, BenchError> {
        let all = match &self.profiles {
            None => profiles::embedded(),
            Some(file) => {
                let read = fs::read_to_string(file);
                let text =
                    read.map_err(|source| BenchError::ReadProfiles { file: file.clone(), source })?;
                let parsed = profiles::parse(&text);
                parsed.map_err(|source| BenchError::Profiles {
                    file: file.clone(),
                    source: Box::new(source),
                })?
            }
        };
        if self.full {
            return Ok(all);
        }
        let find = |name: &String| {
            let found = all.iter().find(|profile| profile.name.eq_ignore_ascii_case(name)).cloned();
            found.ok_or_else(|| {
                let known = all
                    .iter()
                    .map(|profile| format!("{:?}", profile.name))
                    .collect::<Vec<_>>()
                    .join(", ");
                BenchError::UnknownNetwork { name: name.clone(), known }
            })
        };
        self.networks.iter().map(find).collect()
    }

    fn tell(&self, results: &Results) -> Result<(), BenchError> {
        let write = |file: &PathBuf, text: String| {
            fs::write(file, text).map_err(|source| BenchError::Write { file: file.clone(), source })
        };
        let json =
            || serde_json::to_string_pretty(results).expect("results are made of what JSON has");
        let to_stdout = self.json.as_ref().is_some_and(|file| file.as_os_str() == "-");
        match &self.json {
            Some(_) if to_stdout => println!("{}", json()),
            Some(file) => write(file, json())?,
            None => {}
        }
        if !to_stdout {
            println!("{}\n\n{}", results.machine, table::text(results));
        }
        if let Some(file) = &self.report {
            write(file, report::html(results))?;
        }
        Ok(())
    }
}

fn by_name<'a, T>(
    flag: &'static str,
    all: &'a [NameAnd<T>],
) -> Result<BTreeMap<&'a str, &'a T>, BenchError> {
    let mut map = BTreeMap::new();
    for NameAnd { name, value } in all {
        if map.insert(name.as_str(), value).is_some() {
            return Err(BenchError::Twice { flag, name: name.clone() });
        }
    }
    Ok(map)
}

/// The text of an error.
pub(crate) fn explain(error: &BenchError) -> String {
    let mut text = with_causes(error);
    if let BenchError::Compare(CompareError::Target { .. }) = error {
        text.push_str(": is it running, and is this the URL of a SockJS endpoint that echoes?");
    }
    text
}
