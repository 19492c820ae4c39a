//! Resident memory of idle sessions.

use std::time::Duration;

use sockeye_bench::cost;
use sockeye_bench::driver::idle::Held;
use sockeye_bench::driver::{self, Technique};
use sockeye_bench::spread::Spread;

use crate::common::rows::explain;
use crate::common::{Scale, text};
use crate::contender::{Contender, collect};
use crate::figures::{Figures, TableRow};

const PATIENCE: Duration = Duration::from_secs(30);
const IDLE: usize = 5000;
/// Each turn takes a fresh process, or two.
pub const ROUNDS: usize = 2;
/// Memory that is freed at all is freed by then.
const SETTLE: Duration = Duration::from_millis(500);

/// As it is found, and after a collection.
pub fn measure(contenders: &[Contender], scale: &Scale, wanted: &dyn Fn(&str) -> bool) -> Figures {
    let mut figures = Figures {
        title: "Memory of an idle session, KB",
        about: "Resident memory that 5,000 sessions add to a process that has just started and has had 50 before. \"As found\" counts what a \
                garbage collector has not collected yet, as the machine does. \"After a collection\" is from another process that was told to \
                collect before and after the sessions came (Node.js: gc(), Go: debug.FreeOSMemory(), Java: System.gc()): what the sessions \
                need. Sockeye has no collector, so both are the same.",
        remarks: &[],
        file: "memory",
        floor: false,
        columns: Figures::columns(false, contenders),
        rows: Vec::new(),
    };
    for (name, technique) in [
        ("memory: framed WebSocket", Technique::WebSocket),
        ("memory: xhr_streaming, open", Technique::XhrStreaming),
        ("memory: xhr, poll waiting", Technique::LongPolling),
    ] {
        if !wanted(name) {
            continue;
        }
        eprintln!("{name} …");
        let mut seen = vec![(Ok(Vec::new()), Ok(Vec::new())); contenders.len()];
        for _ in 0..scale.rounds.min(ROUNDS) {
            for (contender, (found, collected)) in contenders.iter().zip(&mut seen) {
                let count = scale.sessions(IDLE);
                turn(found, || idle(contender, technique, count, false));
                if contender.collects() {
                    turn(collected, || idle(contender, technique, count, true));
                }
            }
        }
        let cells = |pick: fn(&(Turns, Turns)) -> &Turns| {
            let told = |(contender, seen): (&Contender, &(Turns, Turns))| {
                let turns = if contender.collects() { pick(seen) } else { &seen.0 };
                let spread = turns.clone().and_then(|turns| Spread::of(&turns).ok_or_else(none));
                spread.map_err(|reason| contender.explain(&reason))
            };
            contenders.iter().zip(&seen).map(told).collect()
        };
        let name = name.replace("memory: ", "");
        let row = |how: &str, cells| TableRow {
            name: format!("{name}: {how}"),
            pictured: true,
            cells,
            asides: Vec::new(),
        };
        figures.rows.push(row("as found", cells(|seen| &seen.0)));
        figures.rows.push(row("after a collection", cells(|seen| &seen.1)));
    }
    figures
}

type Turns = Result<Vec<f64>, String>;

fn none() -> String {
    "nothing was measured".to_owned()
}

fn turn(turns: &mut Turns, measure: impl FnOnce() -> Result<f64, String>) {
    let Ok(sum) = turns else { return };
    match measure() {
        Ok(found) => sum.push(found),
        Err(error) => *turns = Err(error),
    }
}

fn idle(
    contender: &Contender,
    technique: Technique,
    count: usize,
    collected: bool,
) -> Result<f64, String> {
    let server = contender.start()?;
    let hold = async {
        let target = server.target("/echo");
        let resident = || cost::resident(server.pid()).map(|bytes| bytes as f64).map_err(text);
        let settle = async || {
            tokio::time::sleep(SETTLE).await;
            // What the first one let go of, the second one gives back.
            for _ in 0..if collected { 2 } else { 0 } {
                collect(&server)?;
                tokio::time::sleep(SETTLE).await;
            }
            Ok::<_, String>(())
        };
        // Allocations that happen only once happen for these.
        drop(Held::open(&target, technique, 50, PATIENCE).await.map_err(explain)?);
        settle().await?;
        let before = resident()?;
        let _held = Held::open(&target, technique, count, PATIENCE).await.map_err(explain)?;
        settle().await?;
        let added = resident()? - before;
        if added > 0.0 {
            Ok(added / count as f64 / 1000.0)
        } else {
            Err("its memory did not grow: a garbage collector gave back more than the sessions took".to_owned())
        }
    };
    driver::block_on(hold).map_err(text)?
}
