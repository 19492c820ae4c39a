//! The same loads on every server, in turn.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sockeye_bench::cost;
use sockeye_bench::driver::echo::{self, Echo, Pace};
use sockeye_bench::driver::idle::Held;
use sockeye_bench::driver::{self, Latencies, Technique, Timing};

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
        Self {
            name: "Sockeye",
            version: String::new(),
            program: Program::Sockeye(binary.to_owned()),
        }
    }

    pub fn peer(built: Built) -> Self {
        Self { name: built.name, version: built.version.clone(), program: Program::Peer(built) }
    }

    /// Whether it is compiled while it runs, so that its first turn says nothing.
    fn learns(&self) -> bool {
        matches!(&self.program, Program::Peer(built) if built.learns)
    }

    /// Why it has no figure, with the known cause.
    fn explain(&self, reason: String) -> String {
        let known = match &self.program {
            Program::Sockeye(_) => None,
            Program::Peer(built) => {
                built.known.iter().find(|(symptom, _)| reason.contains(symptom))
            }
        };
        let known = known.map_or_else(String::new, |(_, cause)| format!(" ({cause})"));
        format!("{}: {reason}{known}", self.name)
    }

    fn start(&self) -> Result<Server, String> {
        match &self.program {
            Program::Sockeye(binary) => Server::sockeye(binary, &[]).map_err(text),
            Program::Peer(built) => Server::start(built.command()).map_err(text),
        }
    }
}

/// A table, and a picture. Of all figures, less is better.
pub struct Figures {
    pub title: &'static str,
    /// The subject and method of the measurement, in a sentence.
    pub about: &'static str,
    pub file: &'static str,
    /// Whether the first column is the libraries' own; Sockeye's is the next.
    pub floor: bool,
    pub columns: Vec<String>,
    pub lines: Vec<Line>,
}

/// A line of the table.
pub struct Line {
    pub name: String,
    /// Whether the picture has it, which is to be seen at a glance.
    pub pictured: bool,
    pub cells: Vec<Result<f64, String>>,
}

impl Figures {
    fn columns(floor: bool, contenders: &[Contender]) -> Vec<String> {
        let floor = floor.then(|| "floor".to_owned());
        floor
            .into_iter()
            .chain(contenders.iter().map(|contender| contender.name.to_owned()))
            .collect()
    }
}

/// Server time for a message, over everything.
pub fn cpu(contenders: &[Contender], scale: &Scale, wanted: &dyn Fn(&str) -> bool) -> Figures {
    let mut figures = Figures {
        title: "Server CPU for a message, µs",
        about: "Processor time of the server, user and system, for each of as many messages of 64 bytes as one core takes, over 100 \
                sessions (fan-out: for each delivery; visits: for each, 16 at a time). The floor is what is below any server on these \
                libraries: tokio-tungstenite alone for the WebSockets and the fan-outs, hyper alone for the rest, one exchange for a \
                message.",
        file: "cpu",
        floor: true,
        columns: Figures::columns(true, contenders),
        lines: Vec::new(),
    };
    for row in rows::all().into_iter().filter(|row| wanted(row.name)) {
        eprintln!("{} …", row.name);
        let floor = row.floor().map_err(text);
        let servers: Vec<_> = contenders.iter().map(Contender::start).collect();
        let mut seen: Vec<Result<Vec<f64>, String>> = vec![Ok(Vec::new()); servers.len() + 1];
        for round in 0..=scale.rounds {
            for (index, seen) in seen.iter_mut().enumerate() {
                let (server, contender) = if index == 0 {
                    (&floor, None)
                } else {
                    (&servers[index - 1], Some(&contenders[index - 1]))
                };
                let learns = contender.is_some_and(Contender::learns);
                let Ok(values) = seen else { continue };
                match round {
                    0 if !learns => {}
                    0 => *seen = turn(&row, server, false, &learning(scale)).map(|_| Vec::new()),
                    _ => match turn(&row, server, index == 0, scale) {
                        Ok(each) => values.push(each),
                        Err(error) => *seen = Err(error),
                    },
                }
            }
        }
        let explained = |(index, cell): (usize, Result<Vec<f64>, String>)| {
            let told = cell.map(|mut values| median(&mut values));
            if index == 0 {
                told
            } else {
                told.map_err(|reason| contenders[index - 1].explain(reason))
            }
        };
        let cells = seen.into_iter().enumerate().map(explained).collect();
        figures.lines.push(Line {
            name: row.name.to_owned(),
            pictured: PICTURED.contains(&row.name),
            cells,
        });
    }
    figures
}

/// One of each kind.
const PICTURED: [&str; 6] = [
    "framed WebSocket echo, 1 in flight",
    "framed WebSocket echo, 16 in flight",
    "xhr (poll + send), 1 in flight",
    "xhr_streaming (frame + send), 1 in flight",
    "fan-out to 1,000 framed WebSockets, per delivery",
    "open, one echo, close: framed WebSocket",
];

/// Longer than a turn that counts.
fn learning(scale: &Scale) -> Scale {
    Scale { measured: scale.measured * 3, ..*scale }
}

fn turn(
    row: &Row,
    server: &Result<Server, String>,
    is_floor: bool,
    scale: &Scale,
) -> Result<f64, String> {
    let server = server.as_ref().map_err(Clone::clone)?;
    let run = async {
        if is_floor {
            row.run_floor(server, scale).await
        } else {
            row.run_sockjs(server, scale).await
        }
    };
    let each = driver::block_on(run).map_err(text)??.each();
    if each.is_finite() { Ok(each) } else { Err("no message came back".to_owned()) }
}

const PATIENCE: Duration = Duration::from_secs(30);
const IDLE: usize = 5000;
/// Memory that is freed at all is freed by then.
const SETTLE: Duration = Duration::from_millis(500);

/// Resident memory of idle sessions.
pub fn memory(contenders: &[Contender], scale: &Scale, wanted: &dyn Fn(&str) -> bool) -> Figures {
    let mut figures = Figures {
        title: "Memory of an idle session, KB",
        about: "Resident memory that 5,000 sessions add to a process that has just started and has had 50 before. What a garbage collector \
                has not collected yet counts as well, as it does for the machine.",
        file: "memory",
        floor: false,
        columns: Figures::columns(false, contenders),
        lines: Vec::new(),
    };
    for (name, technique) in [
        ("memory: framed WebSocket", Technique::WebSocket),
        ("memory: xhr_streaming, open", Technique::XhrStreaming),
        ("memory: xhr, poll waiting", Technique::LongPolling),
    ] {
        if wanted(name) {
            eprintln!("{name} …");
            let idle = |contender: &Contender| {
                let found = idle(contender, technique, scale.sessions(IDLE));
                found.map_err(|reason| contender.explain(reason))
            };
            let cells = contenders.iter().map(idle).collect();
            figures.lines.push(Line { name: name.replace("memory: ", ""), pictured: true, cells });
        }
    }
    figures
}

fn idle(contender: &Contender, technique: Technique, count: usize) -> Result<f64, String> {
    let server = contender.start()?;
    let hold = async {
        let target = server.target("/echo");
        let resident = || cost::resident(server.pid()).map(|bytes| bytes as f64).map_err(text);
        // Allocations that happen only once happen for these.
        drop(Held::open(&target, technique, 50, PATIENCE).await.map_err(explain)?);
        tokio::time::sleep(SETTLE).await;
        let before = resident()?;
        let _held = Held::open(&target, technique, count, PATIENCE).await.map_err(explain)?;
        tokio::time::sleep(SETTLE).await;
        let added = resident()? - before;
        if added > 0.0 {
            Ok(added / count as f64 / 1000.0)
        } else {
            Err("its memory did not grow: a garbage collector gave back more than the sessions took".to_owned())
        }
    };
    driver::block_on(hold).map_err(text)?
}

/// Why the time of rare messages is not told: fewer than ten were rarer.
pub const TOO_FEW: &str = "too few samples";

/// Round trips at a rate that all of them can bear.
pub fn latency(contenders: &[Contender], scale: &Scale, wanted: &dyn Fn(&str) -> bool) -> Figures {
    let mut figures = Figures {
        title: "Round trip, ms",
        about: "1,000 messages a second over 100 sessions, timed from when each was due.",
        file: "latency",
        floor: false,
        columns: Figures::columns(false, contenders),
        lines: Vec::new(),
    };
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
        let mut seen: Vec<Result<Latencies, String>> =
            vec![Ok(Latencies::default()); servers.len()];
        for round in 0..=scale.rounds {
            for ((server, seen), contender) in servers.iter().zip(&mut seen).zip(contenders) {
                let Ok(latencies) = seen else { continue };
                match round {
                    0 if !contender.learns() => {}
                    0 => {
                        *seen = round_trips(server, technique, scale).map(|_| Latencies::default())
                    }
                    _ => match round_trips(server, technique, scale) {
                        Ok(found) => latencies.add(&found),
                        Err(error) => *seen = Err(error),
                    },
                }
            }
        }
        for (share, label) in
            [(0.5, "half of all messages"), (0.99, "99 of 100"), (0.999, "999 of 1,000")]
        {
            let cell = |(seen, contender): (&Result<Latencies, String>, &Contender)| match seen {
                Ok(latencies) => latencies
                    .quantile(share)
                    .map(|time| time.as_secs_f64() * 1e3)
                    .ok_or(TOO_FEW.to_owned()),
                Err(error) => Err(contender.explain(error.clone())),
            };
            let cells = seen.iter().zip(contenders).map(cell).collect();
            let name = format!("{}, {label}", name.replace("latency: ", ""));
            figures.lines.push(Line { name, pictured: share < 0.999, cells });
        }
    }
    figures
}

fn round_trips(
    server: &Result<Server, String>,
    technique: Technique,
    scale: &Scale,
) -> Result<Latencies, String> {
    let server = server.as_ref().map_err(Clone::clone)?;
    // With three rounds of a second so many messages that 999 of 1,000 can be told.
    let timing =
        Timing { warm_up: scale.warm_up, measured: scale.measured * 4, patience: PATIENCE };
    let (sessions, pace) = (scale.sessions(100), Pace::PerSecond(1000.0));
    let plan = Echo { technique, sessions, size: SIZE, pace, stamped: false, timing };
    let seen = driver::block_on(echo::run(&server.target("/echo"), None, &plan))
        .map_err(text)?
        .map_err(explain)?;
    check(seen.correctness, seen.first_error.clone())?;
    Ok(seen.round_trips)
}
