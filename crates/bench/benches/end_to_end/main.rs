//! The release server under load, beside its libraries by themselves: `make bench`.
//!
//! Servers run on one core, the load on another. Each row and its floor are run in turn, several
//! times, so that other load of the machine affects both alike; the figures are medians.

#![allow(
    unreachable_pub,
    missing_docs,
    dead_code,
    reason = "a program has no users who read its documentation, and what both benchmarks share has parts that only one of them needs"
)]

#[path = "../common/mod.rs"]
mod common;
mod growth;
mod latency;
mod memory;
mod own;
mod peak;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use sockeye_bench::driver;
use sockeye_bench::machine::Machine;
use sockeye_bench::os;

use self::common::floors::Floor;
use self::common::rows::{self, Row};
use self::common::servers::{self, Server};
use self::common::{Scale, median, put, text, versions};
use self::own::Own;

#[derive(Debug, Parser)]
struct Args {
    /// The gateway's binary
    #[arg(long, default_value = "sockeye")]
    server: PathBuf,
    /// Only rows whose name holds this text; may be repeated
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Tiny sizes: it must run, not measure
    #[arg(long)]
    smoke: bool,
    /// How often each row is run
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each run is measured
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Put the tables into this file as well, between the lines <!-- bench --> and <!-- /bench -->
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Be a floor's server
    #[arg(long, hide = true)]
    serve: Option<Floor>,
    /// Be a program of one's own that holds a gateway
    #[arg(long, hide = true)]
    own: Option<Own>,
    /// Be a load of its own
    #[arg(long, hide = true)]
    fan_out: Option<String>,
    #[arg(long, hide = true, default_value_t = 2)]
    receivers: usize,
    /// The argument of `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// The measurement to run.
struct Bench {
    args: Args,
    scale: Scale,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match (args.serve, args.own, &args.fan_out) {
        (Some(floor), ..) => floor.serve().map_err(text),
        (_, Some(own), _) => own.serve().map_err(text),
        (_, _, Some(url)) => {
            latency::load(url, args.receivers, Duration::from_secs_f64(args.seconds))
        }
        (None, None, None) => Bench::new(args).run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Bench {
    fn new(args: Args) -> Self {
        let scale = Scale::new(args.smoke, args.seconds, args.rounds);
        Self { args, scale }
    }

    fn run(&self) -> Result<(), String> {
        os::raise_open_files();
        // Before this thread is bound to one core, which is all that it could see then.
        let machine = Machine::this(SystemTime::now());
        let pinned = servers::pin_driver();
        let mut report = Report { text: String::new(), failed: false };
        report.line(&format!("Measured {machine}. {}.\n", versions()));
        if !pinned {
            report.line(
                "Servers and load were not bound to a core each, so the figures say little.\n",
            );
        }
        report.table(
            "| 100 sessions, 64-byte messages | floor, µs | Sockeye, µs | in floors | aim | load, of a core |",
            rows::all().into_iter().map(|row| (row.name, move || self.compare(&row).map(|line| vec![line]))),
            self,
        );
        report.table(
            "| memory of 5,000 idle sessions, KB each | fresh | aim | after bursts | aim |",
            memory::all()
                .into_iter()
                .map(|row| (row.name, move || memory::measure(&row, self).map(|line| vec![line]))),
            self,
        );
        report.table(
            "| memory of a peak, MB | start | peak | kept 20 s after | aim |",
            std::iter::once((peak::NAME, || peak::measure(self))),
            self,
        );
        report.table(
            "| sessions | 10 | 100 | 1,000 | 10,000 | last / first | aim |",
            growth::all()
                .into_iter()
                .map(|row| (row.name, move || growth::measure(&row, self).map(|line| vec![line]))),
            self,
        );
        type Measure = fn(&Bench) -> Result<Vec<String>, String>;
        let latencies =
            [(latency::STEADY, latency::steady as Measure), (latency::BUSY, latency::busy)];
        report.table(
            "| round trip, ms | p50 | p90 | p99 | p99.9 | max | |",
            latencies.into_iter().map(|(name, measure)| (name, move || measure(self))),
            self,
        );
        if let Some(page) = &self.args.page {
            put(page, "bench", &report.text)?;
        }
        if report.failed { Err("not every row could be measured".to_owned()) } else { Ok(()) }
    }

    fn compare(&self, row: &Row) -> Result<String, String> {
        let floor = row.floor().map_err(text)?;
        let ours = Server::sockeye(&self.args.server, row.flags()).map_err(text)?;
        let (mut floors, mut ourselves, mut ratios, mut shares) = (vec![], vec![], vec![], vec![]);
        for _ in 0..self.scale.rounds {
            let low = driver::block_on(row.run_floor(&floor, &self.scale)).map_err(text)??;
            let high = driver::block_on(row.run_sockjs(&ours, &self.scale)).map_err(text)??;
            shares.extend([&low, &high].map(|run| run.spent.driver_share().unwrap_or(f64::NAN)));
            floors.push(low.each());
            ourselves.push(high.each());
            ratios.push(high.each() / low.each());
        }
        let [floor, ours, ratio] =
            [&mut floors, &mut ourselves, &mut ratios].map(|values| median(values));
        let (name, aim, share) =
            (row.name, row.aim, shares.into_iter().fold(0.0, f64::max) * 100.0);
        Ok(format!("| {name} | {floor:.2} | {ours:.2} | {ratio:.2} | {aim:.2} | {share:.0} % |"))
    }

    fn wants(&self, name: &str) -> bool {
        self.args.only.is_empty() || self.args.only.iter().any(|text| name.contains(text.as_str()))
    }
}

/// The output, printed and kept for the file.
struct Report {
    text: String,
    failed: bool,
}

impl Report {
    fn line(&mut self, line: &str) {
        println!("{line}");
        let _ = writeln!(self.text, "{line}");
    }

    fn table<M: FnOnce() -> Result<Vec<String>, String>>(
        &mut self,
        head: &str,
        rows: impl Iterator<Item = (&'static str, M)>,
        bench: &Bench,
    ) {
        let mut rows = rows.filter(|(name, _)| bench.wants(name)).peekable();
        if rows.peek().is_none() {
            return;
        }
        let columns = head.matches('|').count() - 1;
        self.line(&format!("{head}\n|{}", "---|".repeat(columns)));
        for (name, measure) in rows {
            eprintln!("{name} …");
            match measure() {
                Ok(lines) => lines.iter().for_each(|line| self.line(line)),
                Err(error) => {
                    self.failed = true;
                    self.line(&format!(
                        "| {name} | not measured: {error} |{}",
                        " |".repeat(columns - 2)
                    ));
                }
            }
        }
        self.line("");
    }
}
