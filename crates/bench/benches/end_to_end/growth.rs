//! The cost of each message as the number of sessions grows.

use std::time::Duration;

use sockeye_bench::driver::echo::{self, Echo, Pace};
use sockeye_bench::driver::fan_out::{self, FanOut};
use sockeye_bench::driver::idle::Held;
use sockeye_bench::driver::{self, Error, Technique, Timing};

use crate::Bench;
use crate::common::floors::Floor;
use crate::common::rows::{Run, SIZE, check, explain};
use crate::common::servers::Server;
use crate::common::{median, text};

/// A row of the table.
pub struct Row {
    /// The load.
    pub name: &'static str,
    /// From the first size to the last.
    aim: Option<f64>,
    work: Work,
    /// Measured in place of the gateway.
    floor: Option<Floor>,
}

#[derive(Clone, Copy)]
enum Work {
    /// Some active sessions among idle ones.
    Echo,
    FanOut,
}

/// How many sessions there are.
pub const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
const ACTIVE: usize = 100;
const PATIENCE: Duration = Duration::from_secs(30);
const ROUNDS: usize = 3;

/// All rows.
pub fn all() -> Vec<Row> {
    vec![
        Row {
            name: "growth: framed WebSocket echo, 100 active sessions",
            aim: Some(1.1),
            work: Work::Echo,
            floor: None,
        },
        Row {
            name: "growth: fan-out to framed WebSockets, per delivery",
            aim: Some(1.2),
            work: Work::FanOut,
            floor: None,
        },
        // What of it is the system's, whose sockets are in no cache any more when there are
        // thousands.
        Row {
            name: "growth: the floor's fan-out, per delivery",
            aim: None,
            work: Work::FanOut,
            floor: Some(Floor::WebSocketFanOut),
        },
    ]
}

/// Measures one row, as a line of the table.
pub fn measure(row: &Row, bench: &Bench) -> Result<String, String> {
    let mut each: [Vec<f64>; 4] = Default::default();
    for _ in 0..bench.scale.rounds.min(ROUNDS) {
        for (size, seen) in SIZES.into_iter().zip(&mut each) {
            // A fresh one for each size: remains of a larger size would slow a smaller one.
            let server = match row.floor {
                Some(floor) => Server::floor(floor),
                None => Server::sockeye(&bench.args.server, &[]),
            };
            let server = server.map_err(text)?;
            let run = driver::block_on(run(&server, row, size, bench))
                .map_err(text)?
                .map_err(explain)??;
            seen.push(run.each());
        }
    }
    let [first, second, third, last] = each.each_mut().map(|values| median(values));
    let (name, growth) = (row.name, last / first);
    let aim = row.aim.map_or_else(String::new, |aim| aim.to_string());
    Ok(format!(
        "| {name} | {first:.2} | {second:.2} | {third:.2} | {last:.2} | {growth:.2} | {aim} |"
    ))
}

async fn run(
    server: &Server,
    row: &Row,
    size: usize,
    bench: &Bench,
) -> Result<Result<Run, String>, Error> {
    let size = bench.scale.sessions(size);
    let timing =
        Timing { warm_up: bench.scale.warm_up, measured: bench.scale.measured, patience: PATIENCE };
    let pid = Some(server.pid());
    let (technique, fan_out) = match row.floor {
        Some(_) => (Technique::RawWebSocket, ""),
        None => (Technique::WebSocket, "/broadcast"),
    };
    Ok(match row.work {
        Work::Echo => {
            let target = server.target("/echo");
            let _idle =
                Held::open(&target, technique, size.saturating_sub(ACTIVE), PATIENCE).await?;
            let pace = Pace::InFlight(1);
            let seen = echo::run(
                &target,
                pid,
                &Echo {
                    technique,
                    sessions: size.min(ACTIVE),
                    size: SIZE,
                    pace,
                    stamped: false,
                    timing,
                },
            )
            .await?;
            check(seen.correctness, seen.first_error)
                .map(|()| Run { count: seen.messages, spent: seen.spent })
        }
        Work::FanOut => {
            let target = server.target(fan_out);
            let plan =
                FanOut { technique, receivers: size, size: SIZE, interval: Duration::ZERO, timing };
            let seen = fan_out::run(&target, pid, &plan).await?;
            check(seen.correctness, seen.first_error)
                .map(|()| Run { count: seen.deliveries, spent: seen.spent })
        }
    })
}
