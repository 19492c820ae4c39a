//! Sockeye beside other SockJS servers, and beside what its libraries cost by themselves: `make bench-peers`.
//!
//! Each server runs on one core, the load on another; all have their turn in each round. A peer is built if this machine has what it
//! takes; of one that is not, nothing is told.

#![allow(unreachable_pub, missing_docs, dead_code, reason = "a program has no users who read its documentation")]

mod build;
#[path = "../common/mod.rs"]
mod common;
mod measure;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use sockeye::compare::machine::Machine;
use sockeye::compare::os;
use sockeye::compare::report::{self, Group};

use self::common::floors::Floor;
use self::common::{Scale, servers, text, versions};
use self::measure::{Contender, Figures};

#[derive(Debug, Parser)]
struct Args {
    /// The gateway's binary
    #[arg(long, default_value = env!("CARGO_BIN_EXE_sockeye"))]
    server: PathBuf,
    /// Only measurements whose name holds this text; may be repeated
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Tiny sizes: it must run, not measure
    #[arg(long)]
    smoke: bool,
    /// How often each measurement is made; one more, before, is for compilers that learn while they run
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each is measured
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Write the tables and pictures into this folder
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Be a floor's server
    #[arg(long, hide = true)]
    serve: Option<Floor>,
    /// What `cargo bench` says
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match args.serve {
        Some(floor) => floor.serve().map_err(text),
        None => bench(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(args: &Args) -> Result<(), String> {
    os::raise_open_files();
    let machine = Machine::this(SystemTime::now());
    let mut contenders = vec![Contender::sockeye(&args.server)];
    let mut skipped = Vec::new();
    for peer in build::PEERS {
        eprintln!("building {} …", peer.name);
        match peer.build(Path::new(env!("CARGO_MANIFEST_DIR"))) {
            Ok(built) => contenders.push(Contender::peer(built)),
            Err(reason) => skipped.push(format!("{} was not measured: {reason}", peer.name)),
        }
    }
    let pinned = servers::pin_driver();
    let scale = Scale::new(args.smoke, args.seconds, args.rounds);
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|text| name.contains(text.as_str()));
    let found = [
        measure::cpu(&contenders, &scale, &wanted),
        measure::memory(&contenders, &scale, &wanted),
        measure::latency(&contenders, &scale, &wanted),
    ];

    let mut page = format!("Measured {machine}.\n\n{}", versions());
    for contender in &contenders[1..] {
        let _ = write!(page, "; {}", contender.version);
    }
    page.push_str(".\n");
    if !pinned {
        page.push_str("\nServers and load were not bound to a core each, so the figures say little.\n");
    }
    for reason in skipped {
        let _ = write!(page, "\n{reason}.\n");
    }
    for figures in found.iter().filter(|figures| !figures.rows.is_empty()) {
        page.push_str(&figures.markdown());
        if let Some(folder) = &args.output {
            std::fs::create_dir_all(folder).map_err(text)?;
            let file = folder.join(format!("peers-{}.svg", figures.file));
            std::fs::write(file, report::picture(&figures.groups())).map_err(text)?;
        }
    }
    println!("{page}");
    match &args.output {
        Some(folder) => std::fs::write(folder.join("peers.md"), page).map_err(text),
        None => Ok(()),
    }
}

impl Figures {
    /// The table; the lowest figure of a line is bold, whosever it is.
    fn markdown(&self) -> String {
        let mut notes: Vec<&str> = Vec::new();
        let mut table = format!("\n### {}\n\n| |", self.title);
        for name in &self.columns {
            let _ = write!(table, " {name} |");
        }
        let _ = write!(table, "\n|---|{}\n", "---:|".repeat(self.columns.len()));
        for (name, cells) in &self.rows {
            let contenders = cells.iter().skip(usize::from(self.first_is_a_floor));
            let best =
                contenders.filter_map(|cell| cell.as_ref().ok()).fold(f64::INFINITY, |best, cell| best.min(*cell));
            let floor = cells.first().filter(|_| self.first_is_a_floor).and_then(|cell| cell.as_ref().ok());
            let _ = write!(table, "| {name} |");
            for (index, cell) in cells.iter().enumerate() {
                let shown = match cell {
                    Ok(value) => {
                        let is_floor = self.first_is_a_floor && index == 0;
                        let figure =
                            if *value == best && !is_floor { format!("**{value:.2}**") } else { format!("{value:.2}") };
                        match floor {
                            Some(floor) if index > 0 => format!("{figure} (×{:.2})", value / floor),
                            _ => figure,
                        }
                    }
                    Err(reason) => {
                        let known = notes.iter().position(|note| note == reason);
                        let number = known.unwrap_or_else(|| {
                            notes.push(reason);
                            notes.len() - 1
                        });
                        format!("n/a [{}]", number + 1)
                    }
                };
                let _ = write!(table, " {shown} |");
            }
            table.push('\n');
        }
        for (number, note) in notes.iter().enumerate() {
            let _ = write!(table, "\n[{}] {note}\n", number + 1);
        }
        table
    }

    fn groups(&self) -> Vec<Group> {
        let group = |(name, cells): &(String, Vec<Result<f64, String>>)| Group {
            title: name.clone(),
            values: self.columns.iter().cloned().zip(cells.iter().cloned()).collect(),
        };
        self.rows.iter().map(group).collect()
    }
}
