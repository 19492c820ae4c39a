//! The workloads of the table, each with its floor.

use std::time::Duration;

use sockeye_bench::driver::churn::{self, Churn};
use sockeye_bench::driver::echo::{self, Echo, Pace};
use sockeye_bench::driver::fan_out::{self, FanOut};
use sockeye_bench::driver::{Correctness, Error, Spent, Technique, Timing};
use sockeye_bench::results::with_causes;

use super::Scale;
use super::floors::Floor;
use super::servers::Server;

/// A row of the table.
pub struct Row {
    /// The load.
    pub name: &'static str,
    /// To be multiplied with the floor.
    pub aim: f64,
    work: Work,
    ours: Technique,
    floor: Floor,
    floor_technique: Technique,
}

#[derive(Clone, Copy)]
enum Work {
    Echo { in_flight: usize },
    FanOut,
    Churn,
}

/// The findings of one run.
pub struct Run {
    /// Messages, deliveries or visits.
    pub count: u64,
    /// Their cost.
    pub spent: Spent,
}

impl Run {
    /// Microseconds of server time for each.
    pub fn each(&self) -> f64 {
        let cpu = self.spent.server.map_or(f64::NAN, |cpu| cpu.total().as_secs_f64());
        cpu * 1e6 / self.count as f64
    }
}

/// Bytes of a message.
pub const SIZE: usize = 64;
const SESSIONS: usize = 100;

/// All rows.
pub fn all() -> Vec<Row> {
    use Technique::{
        BareExchange, EventSource, LongPolling, RawWebSocket, WebSocket, XhrStreaming,
    };
    let row = |name, ours, work, floor, floor_technique, aim| Row {
        name,
        aim,
        work,
        ours,
        floor,
        floor_technique,
    };
    let websocket = |name, ours, in_flight, aim| {
        row(name, ours, Work::Echo { in_flight }, Floor::WebSocketEcho, RawWebSocket, aim)
    };
    let http = |name, ours, in_flight, aim| {
        row(name, ours, Work::Echo { in_flight }, Floor::Http, BareExchange, aim)
    };
    vec![
        websocket("raw WebSocket echo, 1 in flight", RawWebSocket, 1, 1.05),
        websocket("framed WebSocket echo, 1 in flight", WebSocket, 1, 1.12),
        websocket("raw WebSocket echo, 16 in flight", RawWebSocket, 16, 1.15),
        websocket("framed WebSocket echo, 16 in flight", WebSocket, 16, 2.0),
        http("xhr (poll + send), 1 in flight", LongPolling, 1, 1.25),
        http("xhr_streaming (frame + send), 1 in flight", XhrStreaming, 1, 0.80),
        http("eventsource (frame + send), 1 in flight", EventSource, 1, 0.80),
        http("xhr_streaming, 16 in flight", XhrStreaming, 16, 0.12),
        row(
            "fan-out to 1,000 framed WebSockets, per delivery",
            WebSocket,
            Work::FanOut,
            Floor::WebSocketFanOut,
            RawWebSocket,
            1.05,
        ),
        row(
            "fan-out to 1,000 xhr_streaming, per delivery",
            XhrStreaming,
            Work::FanOut,
            Floor::WebSocketFanOut,
            RawWebSocket,
            1.25,
        ),
        row(
            "open, one echo, close: framed WebSocket",
            WebSocket,
            Work::Churn,
            Floor::WebSocketEcho,
            RawWebSocket,
            1.2,
        ),
        row("open, one echo, close: xhr", LongPolling, Work::Churn, Floor::Http, BareExchange, 1.5),
    ]
}

impl Row {
    /// Flags of the gateway's binary.
    pub fn flags(&self) -> &'static [&'static str] {
        match self.work {
            // Sessions that ended between two polls are forgotten after this time. With the default
            // 5 s, remains of one run would be freed during the next.
            Work::Churn => &["--disconnect-delay", "1"],
            Work::Echo { .. } | Work::FanOut => &[],
        }
    }

    /// Whether one message goes to many.
    pub fn is_fan_out(&self) -> bool {
        matches!(self.work, Work::FanOut)
    }

    /// Whether sessions open and close all the time.
    pub fn is_visits(&self) -> bool {
        matches!(self.work, Work::Churn)
    }

    /// The floor's server.
    pub fn floor(&self) -> std::io::Result<Server> {
        Server::floor(self.floor)
    }

    /// One run against the floor.
    pub async fn run_floor(&self, server: &Server, scale: &Scale) -> Result<Run, String> {
        let work = match self.work {
            // A bare exchange carries one message.
            Work::Echo { .. } if self.floor == Floor::Http => Work::Echo { in_flight: 1 },
            work => work,
        };
        run(server, "", self.floor_technique, work, scale).await
    }

    /// One run against a SockJS server.
    pub async fn run_sockjs(&self, server: &Server, scale: &Scale) -> Result<Run, String> {
        let prefix = if let Work::FanOut = self.work { "/broadcast" } else { "/echo" };
        run(server, prefix, self.ours, self.work, scale).await
    }
}

async fn run(
    server: &Server,
    prefix: &str,
    technique: Technique,
    work: Work,
    scale: &Scale,
) -> Result<Run, String> {
    let (target, pid) = (server.target(prefix), Some(server.pid()));
    let timing = Timing {
        warm_up: scale.warm_up,
        measured: scale.measured,
        patience: Duration::from_secs(10),
    };
    let (count, spent, correctness, error) = match work {
        Work::Echo { in_flight } => {
            let plan = Echo {
                technique,
                sessions: scale.sessions(SESSIONS),
                size: SIZE,
                pace: Pace::InFlight(in_flight),
                stamped: false,
                timing,
            };
            let seen = echo::run(&target, pid, &plan).await.map_err(explain)?;
            (seen.messages, seen.spent, seen.correctness, seen.first_error)
        }
        Work::FanOut => {
            let plan = FanOut {
                technique,
                receivers: scale.sessions(1000),
                size: SIZE,
                interval: Duration::ZERO,
                timing,
            };
            let seen = fan_out::run(&target, pid, &plan).await.map_err(explain)?;
            (seen.deliveries, seen.spent, seen.correctness, seen.first_error)
        }
        Work::Churn => {
            let plan = Churn { technique, visitors: 16, size: SIZE, timing };
            let seen = churn::run(&target, pid, &plan).await.map_err(explain)?;
            (seen.visits, seen.spent, seen.correctness, seen.first_error)
        }
    };
    check(correctness, error)?;
    Ok(Run { count, spent })
}

/// A benchmark of a server that fails is none.
pub fn check(correctness: Correctness, error: Option<Error>) -> Result<(), String> {
    match error {
        Some(error) => Err(explain(error)),
        None if !correctness.is_perfect() => Err(format!("{correctness:?}")),
        None => Ok(()),
    }
}

/// An error with its causes.
pub fn explain(error: Error) -> String {
    with_causes(&error)
}
