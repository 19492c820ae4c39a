//! Sockeye beside other SockJS servers, and beside its libraries by themselves: `make bench-peers`.
//!
//! Each server runs on one core, the load on another; all have their turn in each round. A peer is
//! built if this machine has its tools; a missing server is reported with the reason and without
//! figures.

#![allow(
    unreachable_pub,
    missing_docs,
    dead_code,
    reason = "a program has no users who read its documentation"
)]

mod build;
#[path = "../common/mod.rs"]
mod common;
mod contender;
mod cpu;
mod figures;
mod latency;
mod memory;
mod page;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use sockeye_bench::machine::Machine;
use sockeye_bench::os;
use sockeye_bench::others::Usage;
use sockeye_bench::report;

use self::common::floors::Floor;
use self::common::{Scale, put, servers, text};
use self::contender::Contender;
use self::page::Page;

#[derive(Debug, Parser)]
struct Args {
    /// The gateway's binary
    #[arg(long, default_value = "sockeye")]
    server: PathBuf,
    /// Only measurements whose name holds this text; may be repeated
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Tiny sizes: it must run, not measure
    #[arg(long)]
    smoke: bool,
    /// How often each measurement is made, when its server has warmed up
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each is measured
    #[arg(long, default_value_t = 0.55)]
    seconds: f64,
    /// Put the tables into this file as well, between the lines <!-- peers --> and <!-- /peers -->
    #[arg(long, value_name = "FILE", requires = "pictures")]
    page: Option<PathBuf>,
    /// Write the page's pictures into this folder, which lies beside the page
    #[arg(long, value_name = "FOLDER", requires = "page")]
    pictures: Option<PathBuf>,
    /// Be a floor's server
    #[arg(long, hide = true)]
    serve: Option<Floor>,
    /// The argument of `cargo bench`
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
    let mut remarks = Vec::new();
    for peer in build::PEERS {
        eprintln!("building {} …", peer.name);
        match peer.build(Path::new(env!("CARGO_MANIFEST_DIR"))) {
            Ok(built) => {
                remarks.extend(built.remark.clone());
                contenders.push(Contender::peer(built));
            }
            Err(reason) => remarks.push(format!("{} was not measured: {reason}", peer.name)),
        }
    }
    let tuned: Vec<_> = contenders.iter().filter_map(Contender::tuned).collect();
    let pinned = servers::pin_driver();
    let scale = Scale::new(args.smoke, args.seconds, args.rounds);
    let wanted = |name: &str| {
        args.only.is_empty() || args.only.iter().any(|text| name.contains(text.as_str()))
    };
    // All servers are children that have ended when it is read again.
    let before = Usage::now([]);
    let figures = vec![
        cpu::measure(&contenders, &tuned, &scale, &wanted),
        memory::measure(&contenders, &scale, &wanted),
        latency::measure(&contenders, &scale, &wanted),
    ];
    let others = before.zip(Usage::now([])).map(|(before, now)| before.until(now, "all the time"));
    let contenders = &contenders;
    let page = Page { machine, scale, contenders, remarks, pinned, others, figures };
    println!("{}", page.markdown(""));
    if let (Some(file), Some(folder)) = (&args.page, &args.pictures) {
        std::fs::create_dir_all(folder).map_err(text)?;
        for figures in page.figures() {
            if let Some(file) = figures.picture() {
                let picture = report::picture(&figures.caption(), &figures.groups());
                std::fs::write(folder.join(file), picture).map_err(text)?;
            }
        }
        // The page has to show them wherever the tree lies.
        let beside = file.parent().and_then(|root| folder.strip_prefix(root).ok());
        put(file, "peers", &page.markdown(&format!("{}/", beside.unwrap_or(folder).display())))?;
    }
    page.own_failures()
}
