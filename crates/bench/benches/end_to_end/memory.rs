//! The cost of an idle session.

use std::time::Duration;

use sockeye_bench::cost;
use sockeye_bench::driver::idle::{Burst, Held, Silent};
use sockeye_bench::driver::{self, Error, Target, Technique};

use crate::Bench;
use crate::common::rows::explain;
use crate::common::servers::Server;
use crate::common::text;
use crate::own::Own;

/// A row of the table.
pub struct Row {
    /// The held sessions.
    pub name: &'static str,
    /// In KB, fresh and after bursts.
    pub aims: (f64, Option<f64>),
    state: State,
    /// The program of one's own that serves it, if it is not the gateway's.
    own: Option<Own>,
}

#[derive(Clone, Copy)]
enum State {
    Session(Technique),
    BetweenPolls,
    Silent,
}

const SESSIONS: usize = 5000;
const BURST: Burst = Burst { rounds: 3, messages: 16, size: 1000, rests: true };
const PATIENCE: Duration = Duration::from_secs(30);
/// Ended sessions are freed by then.
const SETTLE: Duration = Duration::from_millis(500);

/// All rows.
pub fn all() -> Vec<Row> {
    let row = |name, state, fresh, after| Row { name, aims: (fresh, after), state, own: None };
    let raw = State::Session(Technique::RawWebSocket);
    vec![
        row("framed WebSocket", State::Session(Technique::WebSocket), 5.0, Some(6.0)),
        row("raw WebSocket", raw, 5.0, Some(6.0)),
        Row {
            own: Some(Own::Hyper),
            ..row("raw WebSocket, a program of hyper", raw, 5.0, Some(6.0))
        },
        Row {
            own: Some(Own::Axum),
            ..row("raw WebSocket, a program of axum", raw, 5.0, Some(6.0))
        },
        row("xhr_streaming, open", State::Session(Technique::XhrStreaming), 12.5, Some(13.5)),
        row("xhr, poll waiting", State::Session(Technique::LongPolling), 12.0, Some(13.0)),
        row("xhr, between polls, connection closed", State::BetweenPolls, 1.2, Some(1.5)),
        row("connection that has sent nothing", State::Silent, 2.0, None),
    ]
}

/// Measures one row, as a line of the table.
pub fn measure(row: &Row, bench: &Bench) -> Result<String, String> {
    let server = match row.own {
        // Sessions between two polls have to outlast the measurement.
        None => Server::sockeye(&bench.args.server, &["--disconnect-delay", "300"]),
        Some(own) => own.start(),
    };
    let server = server.map_err(text)?;
    let count = bench.scale.sessions(SESSIONS);
    let (fresh, after) =
        driver::block_on(hold(&server, row.state, count)).map_err(text)?.map_err(explain)?;
    let kb = |bytes: f64| format!("{:.1}", bytes / 1000.0);
    let (fresh_aim, after_aim) = row.aims;
    Ok(format!(
        "| {} | {} | {fresh_aim} | {} | {} |",
        row.name,
        kb(fresh),
        after.map_or_else(String::new, kb),
        after_aim.map_or_else(String::new, |aim| aim.to_string()),
    ))
}

async fn hold(server: &Server, state: State, count: usize) -> Result<(f64, Option<f64>), Error> {
    let target = server.target("/echo");
    // Allocations that happen only once happen for these.
    let mut first = held(&target, state, 50).await?;
    if let Some(first) = &mut first {
        first.burst(BURST).await?;
    }
    drop(first);
    tokio::time::sleep(SETTLE).await;
    let before = resident(server);
    let each = |now: f64| (now - before) / count as f64;

    if let State::Silent = state {
        let _silent = Silent::connect(&target, count).await?;
        tokio::time::sleep(SETTLE).await;
        return Ok((each(resident(server)), None));
    }
    let Some(mut sessions) = held(&target, state, count).await? else {
        return Ok((f64::NAN, None));
    };
    tokio::time::sleep(SETTLE).await;
    let fresh = each(resident(server));
    sessions.burst(BURST).await?;
    tokio::time::sleep(SETTLE).await;
    Ok((fresh, Some(each(resident(server)))))
}

async fn held(target: &Target, state: State, count: usize) -> Result<Option<Held>, Error> {
    Ok(match state {
        State::Session(technique) => Some(Held::open(target, technique, count, PATIENCE).await?),
        State::BetweenPolls => Some(Held::open_between_polls(target, count, PATIENCE).await?),
        State::Silent => None,
    })
}

fn resident(server: &Server) -> f64 {
    cost::resident(server.pid()).map_or(f64::NAN, |bytes| bytes as f64)
}
