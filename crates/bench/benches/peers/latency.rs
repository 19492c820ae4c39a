//! Round trips at a rate that all of them can bear.

use std::time::Duration;

use sockeye_bench::driver::echo::{self, Echo, EchoOutcome, Pace};
use sockeye_bench::driver::{self, Latencies, Technique, Timing};
use sockeye_bench::spread::Spread;

use crate::common::rows::{SIZE, check, explain};
use crate::common::servers::Server;
use crate::common::{Scale, text};
use crate::contender::{Contender, Running};
use crate::figures::{Figures, TOO_FEW, TableRow};

const PATIENCE: Duration = Duration::from_secs(30);
/// So much longer than other turns, that 999 of 1,000 can be told of all of them together.
pub const LONGER: u32 = 4;

pub fn measure(contenders: &[Contender], scale: &Scale, wanted: &dyn Fn(&str) -> bool) -> Figures {
    let mut figures = Figures {
        title: "Round trip, ms",
        about: "1,000 messages a second over 100 sessions, timed from when each was due. The figure is that of all turns together, its \
                spread that of each turn by itself.",
        remarks: &[],
        file: "latency",
        floor: false,
        columns: Figures::columns(false, contenders),
        rows: Vec::new(),
    };
    let techniques = [
        ("latency: framed WebSocket", Technique::WebSocket),
        ("latency: xhr_streaming", Technique::XhrStreaming),
        ("latency: xhr", Technique::LongPolling),
    ];
    let techniques: Vec<_> = techniques.into_iter().filter(|(name, _)| wanted(name)).collect();
    if techniques.is_empty() {
        return figures;
    }
    let mut running: Vec<_> = contenders.iter().map(Running::start).collect();
    for (name, technique) in techniques {
        eprintln!("{name} …");
        let mut seen: Vec<Result<Vec<Latencies>, String>> = Vec::new();
        for running in &mut running {
            let warm = running.warm_up(false, scale, |server, scale| {
                run(server, technique, Pace::InFlight(1), scale).map(drop)
            });
            seen.push(warm.map(|()| Vec::new()));
        }
        let longer = Scale { measured: scale.measured * LONGER, ..*scale };
        for _ in 0..scale.rounds {
            for (running, seen) in running.iter().zip(&mut seen) {
                let Ok(turns) = seen else { continue };
                let pace = Pace::PerSecond(1000.0);
                match running.server().and_then(|server| run(server, technique, pace, &longer)) {
                    Ok(found) => turns.push(found.round_trips),
                    Err(error) => *seen = Err(error),
                }
            }
        }
        for (share, label) in
            [(0.5, "half of all messages"), (0.99, "99 of 100"), (0.999, "999 of 1,000")]
        {
            let cell = |(seen, contender): (&Result<Vec<Latencies>, String>, &Contender)| match seen
            {
                Ok(turns) => spread(turns, share).ok_or_else(|| TOO_FEW.to_owned()),
                Err(error) => Err(contender.explain(error)),
            };
            let cells = seen.iter().zip(contenders).map(cell).collect();
            let name = format!("{}, {label}", name.replace("latency: ", ""));
            let pictured = share < 0.999;
            figures.rows.push(TableRow { name, pictured, cells, asides: Vec::new() });
        }
    }
    figures
}

/// A share of all turns together, between those of the turns.
fn spread(turns: &[Latencies], share: f64) -> Option<Spread> {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let mut together = Latencies::default();
    turns.iter().for_each(|turn| together.add(turn));
    let median = together.quantile(share).map(millis)?;
    let each: Vec<_> = turns.iter().filter_map(|turn| quantile(turn, share)).map(millis).collect();
    // The turns' own shares are told as extremes only, so they may be of fewer samples.
    Some(Spread { median, ..Spread::of(&each)? })
}

/// The time that this share of the samples did not exceed, however few lie beyond it.
fn quantile(turn: &Latencies, share: f64) -> Option<Duration> {
    let enough = turn.count() as f64 * share;
    let mut so_far = 0;
    turn.steps().find_map(|(time, count)| {
        so_far += count;
        (so_far as f64 >= enough).then_some(time)
    })
}

fn run(
    server: &Server,
    technique: Technique,
    pace: Pace,
    scale: &Scale,
) -> Result<EchoOutcome, String> {
    let timing = Timing { warm_up: scale.warm_up, measured: scale.measured, patience: PATIENCE };
    let sessions = scale.sessions(100);
    let plan = Echo { technique, sessions, size: SIZE, pace, stamped: false, timing };
    let seen = driver::block_on(echo::run(&server.target("/echo"), None, &plan))
        .map_err(text)?
        .map_err(explain)?;
    check(seen.correctness, seen.first_error.clone())?;
    Ok(seen)
}
