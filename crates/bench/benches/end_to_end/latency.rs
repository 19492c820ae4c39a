//! How long messages take at a rate that the server can well bear.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sockeye_bench::driver::echo::{self, Echo, EchoOutcome, Pace};
use sockeye_bench::driver::fan_out::{self, FanOut};
use sockeye_bench::driver::{self, Error, Latencies, Target, Technique, Timing};

use crate::Bench;
use crate::common::floors::Floor;
use crate::common::rows::{SIZE, check, explain};
use crate::common::servers::Server;
use crate::common::text;

/// The name of both measurements.
pub const STEADY: &str = "latency: 5,000 messages/s over 1,000 framed WebSockets";
pub const BUSY: &str = "latency: echo while a fan-out to 5,000 others goes on";

const PATIENCE: Duration = Duration::from_secs(30);
const ROUNDS: usize = 3;
const OTHERS: usize = 5000;
/// Ten messages a second to 5,000 sessions.
const INTERVAL: Duration = Duration::from_millis(100);

/// Latencies beside the floor's.
pub fn steady(bench: &Bench) -> Result<Vec<String>, String> {
    let floor = Server::floor(Floor::WebSocketEcho).map_err(text)?;
    let ours = Server::sockeye(&bench.args.server, &[]).map_err(text)?;
    let (mut low, mut high) = (Latencies::default(), Latencies::default());
    for _ in 0..bench.scale.rounds.min(ROUNDS) {
        low.add(
            &at_rate(&floor.target(""), Technique::RawWebSocket, 1000, 5000.0, bench)?.round_trips,
        );
        high.add(
            &at_rate(&ours.target("/echo"), Technique::WebSocket, 1000, 5000.0, bench)?.round_trips,
        );
    }
    let ratio = ratio(&high, &low, 0.999);
    Ok(vec![
        line("floor", &low, ""),
        line("Sockeye", &high, &format!("p99.9: {ratio} times the floor's; aim 1.5")),
    ])
}

/// Latencies of an endpoint while another one is busy, beside those while it is not.
pub fn busy(bench: &Bench) -> Result<Vec<String>, String> {
    let server = Server::sockeye(&bench.args.server, &[]).map_err(text)?;
    let run = || at_rate(&server.target("/echo"), Technique::WebSocket, 100, 1000.0, bench);
    let (mut quiet, mut busy) = (Latencies::default(), Latencies::default());
    for _ in 0..bench.scale.rounds.min(ROUNDS) {
        quiet.add(&run()?.round_trips);
        let fan_out = Load::start(&server.target("/broadcast"), bench)?;
        busy.add(&run()?.round_trips);
        fan_out.finish()?;
    }
    let ratio = ratio(&busy, &quiet, 0.99);
    Ok(vec![
        line("echo, quiet", &quiet, ""),
        line(
            "echo, ten messages/s to 5,000 others",
            &busy,
            &format!("p99: {ratio} times the quiet one; aim 5"),
        ),
    ])
}

fn at_rate(
    target: &Target,
    technique: Technique,
    sessions: usize,
    rate: f64,
    bench: &Bench,
) -> Result<EchoOutcome, String> {
    let (sessions, rate) =
        if bench.scale.smoke { (sessions / 50, rate / 10.0) } else { (sessions, rate) };
    let timing = Timing {
        warm_up: bench.scale.warm_up,
        measured: bench.scale.measured * 4,
        patience: PATIENCE,
    };
    let plan = Echo {
        technique,
        sessions,
        size: SIZE,
        pace: Pace::PerSecond(rate),
        stamped: false,
        timing,
    };
    let seen = driver::block_on(echo::run(target, None, &plan)).map_err(text)?.map_err(explain)?;
    check(seen.correctness, seen.first_error.clone())?;
    Ok(seen)
}

fn line(name: &str, latencies: &Latencies, verdict: &str) -> String {
    let [p50, p90, p99, p999] =
        [0.5, 0.9, 0.99, 0.999].map(|share| cell(latencies.quantile(share)));
    format!("| {name} | {p50} | {p90} | {p99} | {p999} | {} | {verdict} |", cell(latencies.max()))
}

fn cell(time: Option<Duration>) -> String {
    time.map_or_else(|| "too few".to_owned(), |time| format!("{:.3}", time.as_secs_f64() * 1e3))
}

fn ratio(ours: &Latencies, other: &Latencies, share: f64) -> String {
    match (ours.quantile(share), other.quantile(share)) {
        (Some(ours), Some(other)) => format!("{:.2}", ours.as_secs_f64() / other.as_secs_f64()),
        _ => "?".to_owned(),
    }
}

/// A fan-out in a process of its own: in the one that measures the echo it would be in its way.
struct Load {
    child: Child,
}

impl Load {
    fn start(target: &Target, bench: &Bench) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(text)?;
        let seconds = (bench.scale.measured * 5).as_secs_f64().to_string();
        let receivers = bench.scale.sessions(OTHERS).to_string();
        let url = target.to_string();
        // It shares a core with the one that measures, and must not keep it waiting.
        let command = |program: &Path, nice: bool| {
            let mut command = if nice { Command::new("nice") } else { Command::new(program) };
            if nice {
                command.args(["-n", "19"]).arg(program);
            }
            command.args(["--fan-out", &url, "--receivers", &receivers, "--seconds", &seconds]);
            command.stdin(Stdio::null()).stdout(Stdio::piped());
            command
        };
        let child = command(&program, true)
            .spawn()
            .or_else(|_| command(&program, false).spawn())
            .map_err(text)?;
        let mut load = Self { child };
        load.ready()?;
        Ok(load)
    }

    fn ready(&mut self) -> Result<(), String> {
        use std::io::{BufRead, BufReader};
        let stdout = self.child.stdout.as_mut().ok_or("it is piped")?;
        match BufReader::new(stdout).lines().next() {
            Some(Ok(_)) => Ok(()),
            _ => Err("the fan-out does not begin".to_owned()),
        }
    }

    fn finish(mut self) -> Result<(), String> {
        let status = self.child.wait().map_err(text)?;
        if status.success() { Ok(()) } else { Err("the fan-out failed".to_owned()) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

/// Be the process that [`Load`] starts.
pub fn load(url: &str, receivers: usize, time: Duration) -> Result<(), String> {
    sockeye_bench::os::raise_open_files();
    let target: Target = url.parse().map_err(|error: driver::TargetError| error.to_string())?;
    let timing = Timing { warm_up: Duration::ZERO, measured: time, patience: PATIENCE };
    let technique = Technique::WebSocket;
    let plan = FanOut { technique, receivers, size: SIZE, interval: INTERVAL, timing };
    let running = fan_out::run_telling(&target, None, &plan, || println!("all hear"));
    let seen = driver::block_on(running).map_err(text)?.map_err(explain)?;
    // At the end of the measurement the server is not stopped, so nothing may be missing.
    check(
        seen.correctness,
        seen.first_error.clone().filter(|error| !matches!(error, Error::Closed { .. })),
    )
}
