//! The same loads on every server, in turn.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sockeye::compare::cost;
use sockeye::compare::driver::echo::{self, Echo, Pace};
use sockeye::compare::driver::idle::Held;
use sockeye::compare::driver::{self, Latencies, Technique, Timing};

use crate::build::Built;
use crate::common::rows::{self, Row, SIZE, check, explain};
use crate::common::servers::Server;
use crate::common::{Scale, median, text};

/// A SockJS server that takes part.
pub struct Contender {
    pub name: &'static str,
    pub version: String,
    program: Program,
}

enum Program {
    Sockeye(PathBuf),
    Peer(Built),
}

impl Contender {
    pub fn sockeye(binary: &Path) -> Self {
        Self { name: "Sockeye", version: String::new(), program: Program::Sockeye(binary.to_owned()) }
    }

    pub fn peer(built: Built) -> Self {
        Self { name: built.name, version: built.version.clone(), program: Program::Peer(built) }
    }

    fn start(&self) -> Result<Server, String> {
        match &self.program {
            Program::Sockeye(binary) => Server::sockeye(binary, &[]).map_err(text),
            Program::Peer(built) => Server::start(built.command()).map_err(text),
        }
    }
}

/// A table, and a picture.
pub struct Figures {
    pub title: &'static str,
    pub file: &'static str,
    pub first_is_a_floor: bool,
    pub columns: Vec<String>,
    pub rows: Vec<(String, Vec<Result<f64, String>>)>,
}

impl Figures {
    fn new(title: &'static str, file: &'static str, first_is_a_floor: bool, contenders: &[Contender]) -> Self {
        let floor = first_is_a_floor.then(|| "its libraries alone".to_owned());
        let columns = floor.into_iter().chain(contenders.iter().map(|contender| contender.name.to_owned())).collect();
        Self { title, file, first_is_a_floor, columns, rows: Vec::new() }
    }
}

/// Server time for a message, over everything.
pub fn cpu(contenders: &[Contender], scale: &Scale, wanted: &dyn Fn(&str) -> bool) -> Figures {
    let title = "Server time for a message, µs of one core (100 sessions, 64 bytes; times the libraries' own)";
    let mut figures = Figures::new(title, "cpu", true, contenders);
    for row in rows::all().into_iter().filter(|row| wanted(row.name)) {
        eprintln!("{} …", row.name);
        let floor = row.floor().map_err(text);
        let servers: Vec<_> = contenders.iter().map(Contender::start).collect();
        let mut seen: Vec<Result<Vec<f64>, String>> = vec![Ok(Vec::new()); servers.len() + 1];
        for round in 0..=scale.rounds {
            for (index, seen) in seen.iter_mut().enumerate() {
                let server = if index == 0 { &floor } else { &servers[index - 1] };
                let Ok(values) = seen else { continue };
                match turn(&row, server, index == 0, scale) {
                    Err(error) => *seen = Err(error),
                    // The first round is for compilers that learn.
                    Ok(_) if round == 0 => {}
                    Ok(each) => values.push(each),
                }
            }
        }
        let cells = seen.into_iter().map(|seen| seen.map(|mut values| median(&mut values))).collect();
        figures.rows.push((row.name.to_owned(), cells));
    }
    figures
}

fn turn(row: &Row, server: &Result<Server, String>, is_floor: bool, scale: &Scale) -> Result<f64, String> {
    let server = server.as_ref().map_err(Clone::clone)?;
    let run = async { if is_floor { row.run_floor(server, scale).await } else { row.run_sockjs(server, scale).await } };
    let each = driver::block_on(run).map_err(text)??.each();
    if each.is_finite() { Ok(each) } else { Err("no message came back".to_owned()) }
}

const PATIENCE: Duration = Duration::from_secs(30);
const IDLE: usize = 5000;
/// What is freed at all is freed by then.
const SETTLE: Duration = Duration::from_millis(500);

/// Resident memory of idle sessions.
pub fn memory(contenders: &[Contender], scale: &Scale, wanted: &dyn Fn(&str) -> bool) -> Figures {
    let mut figures = Figures::new("Memory of an idle session, KB (5,000 of them)", "memory", false, contenders);
    for (name, technique) in [
        ("memory: framed WebSocket", Technique::WebSocket),
        ("memory: xhr_streaming, open", Technique::XhrStreaming),
        ("memory: xhr, poll waiting", Technique::LongPolling),
    ] {
        if wanted(name) {
            eprintln!("{name} …");
            let cells = contenders.iter().map(|contender| idle(contender, technique, scale.sessions(IDLE)));
            figures.rows.push((name.replace("memory: ", ""), cells.collect()));
        }
    }
    figures
}

fn idle(contender: &Contender, technique: Technique, count: usize) -> Result<f64, String> {
    let server = contender.start()?;
    let hold = async {
        let target = server.target("/echo");
        let resident = || cost::resident(server.pid()).map(|bytes| bytes as f64).map_err(text);
        // What is allocated only once is allocated for these.
        drop(Held::open(&target, technique, 50, PATIENCE).await.map_err(explain)?);
        tokio::time::sleep(SETTLE).await;
        let before = resident()?;
        let _held = Held::open(&target, technique, count, PATIENCE).await.map_err(explain)?;
        tokio::time::sleep(SETTLE).await;
        Ok((resident()? - before) / count as f64 / 1000.0)
    };
    driver::block_on(hold).map_err(text)?
}

/// Round trips at a rate that all of them can bear.
pub fn latency(contenders: &[Contender], scale: &Scale, wanted: &dyn Fn(&str) -> bool) -> Figures {
    let title = "Round trip at 2,000 messages a second over 100 sessions, ms";
    let mut figures = Figures::new(title, "latency", false, contenders);
    for (name, technique) in [
        ("latency: framed WebSocket", Technique::WebSocket),
        ("latency: xhr_streaming", Technique::XhrStreaming),
        ("latency: xhr", Technique::LongPolling),
    ] {
        if !wanted(name) {
            continue;
        }
        eprintln!("{name} …");
        let servers: Vec<_> = contenders.iter().map(Contender::start).collect();
        let mut seen: Vec<Result<Latencies, String>> = vec![Ok(Latencies::default()); servers.len()];
        for round in 0..=scale.rounds {
            for (server, seen) in servers.iter().zip(&mut seen) {
                let Ok(latencies) = seen else { continue };
                match round_trips(server, technique, scale) {
                    Err(error) => *seen = Err(error),
                    Ok(_) if round == 0 => {}
                    Ok(found) => latencies.add(&found),
                }
            }
        }
        for (share, label) in [(0.5, "half of all messages"), (0.99, "99 of 100"), (0.999, "999 of 1,000")] {
            let cell = |seen: &Result<Latencies, String>| match seen {
                Ok(latencies) => {
                    latencies.quantile(share).map(|time| time.as_secs_f64() * 1e3).ok_or("too few samples".to_owned())
                }
                Err(error) => Err(error.clone()),
            };
            figures.rows.push((format!("{}, {label}", name.replace("latency: ", "")), seen.iter().map(cell).collect()));
        }
    }
    figures
}

fn round_trips(server: &Result<Server, String>, technique: Technique, scale: &Scale) -> Result<Latencies, String> {
    let server = server.as_ref().map_err(Clone::clone)?;
    let timing = Timing { warm_up: scale.warm_up, measured: scale.measured * 2, patience: PATIENCE };
    let (sessions, pace) = (scale.sessions(100), Pace::PerSecond(2000.0));
    let plan = Echo { technique, sessions, size: SIZE, pace, stamped: false, timing };
    let seen = driver::block_on(echo::run(&server.target("/echo"), None, &plan)).map_err(text)?.map_err(explain)?;
    check(seen.correctness, seen.first_error.clone())?;
    Ok(seen.round_trips)
}
