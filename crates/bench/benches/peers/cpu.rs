//! Server time for a message.

use sockeye_bench::driver;
use sockeye_bench::spread::Spread;

use crate::common::rows::{self, Row, Run};
use crate::common::{Scale, text};
use crate::contender::{Contender, Running};
use crate::figures::{Aside, Figures, TableRow};

/// Over all loads. `tuned` are measured with the fan-outs only.
pub fn measure(
    contenders: &[Contender],
    tuned: &[Contender],
    scale: &Scale,
    wanted: &dyn Fn(&str) -> bool,
) -> Figures {
    let mut figures = Figures {
        title: "Server CPU for a message, µs",
        about: "Processor time of the server, user and system, for each of as many messages of 64 bytes as one core takes, over 100 \
                sessions (fan-out: for each delivery; visits: for each, 16 at a time). The floor is what is below any server on these \
                libraries: tokio-tungstenite alone for the WebSockets and the fan-outs, hyper alone for the rest, one exchange for a \
                message.",
        remarks: &[(
            "16 in flight",
            "With 16 in flight, Sockeye and the floor of the WebSockets write what they have to answer together, and the peers write each \
             answer by itself. These rows tell that, and little else: an application that answers one message at a time sees the rows \
             with 1 in flight.",
        )],
        file: "cpu",
        floor: true,
        columns: Figures::columns(true, contenders),
        rows: Vec::new(),
    };
    let rows: Vec<_> = rows::all().into_iter().filter(|row| wanted(row.name)).collect();
    if rows.is_empty() {
        return figures;
    }
    let mut running: Vec<_> = contenders.iter().map(Running::start).collect();
    for row in rows {
        eprintln!("{} …", row.name);
        let mut aside: Vec<_> =
            tuned.iter().filter(|_| row.is_fan_out()).map(Running::start).collect();
        let mut seen = cells(&row, &mut running, &mut aside, scale);
        let asides = seen.split_off(1 + running.len());
        let asides = asides
            .into_iter()
            .zip(&aside)
            .map(|(seen, running)| Aside { name: running.contender.name.clone(), seen });
        figures.rows.push(TableRow {
            name: row.name.to_owned(),
            pictured: PICTURED.contains(&row.name),
            cells: seen,
            asides: asides.collect(),
        });
    }
    figures
}

/// The floor, all servers, and those with another setting, in turn.
fn cells<'c>(
    row: &Row,
    running: &mut [Running<'c>],
    aside: &mut [Running<'c>],
    scale: &Scale,
) -> Vec<Result<Spread, String>> {
    let mut floor: Result<Vec<f64>, String> = Ok(Vec::new());
    let mut seen = Vec::new();
    for server in running.iter_mut().chain(aside.iter_mut()) {
        let warm = server.warm_up(row.is_visits(), scale, |server, scale| {
            driver::block_on(row.run_sockjs(server, scale)).map_err(text)?.map(drop)
        });
        seen.push(warm.map(|()| Vec::new()));
    }
    let floor_server = row.floor().map_err(text);
    for _ in 0..scale.rounds {
        turn(&mut floor, || {
            let server = floor_server.as_ref().map_err(String::clone)?;
            driver::block_on(row.run_floor(server, scale)).map_err(text)
        });
        for (server, turns) in running.iter().chain(aside.iter()).zip(&mut seen) {
            turn(turns, || driver::block_on(row.run_sockjs(server.server()?, scale)).map_err(text));
        }
    }
    let told = |turns: Result<Vec<f64>, String>| Spread::of(&turns?).ok_or_else(nothing);
    let servers = running
        .iter()
        .chain(aside.iter())
        .zip(seen)
        .map(|(server, turns)| told(turns).map_err(|reason| server.contender.explain(&reason)));
    std::iter::once(told(floor)).chain(servers).collect()
}

fn turn(
    turns: &mut Result<Vec<f64>, String>,
    run: impl FnOnce() -> Result<Result<Run, String>, String>,
) {
    let Ok(sum) = turns else { return };
    match run().and_then(|run| run).map(|run| run.each()) {
        Ok(each) if each.is_finite() => sum.push(each),
        Ok(_) => *turns = Err(nothing()),
        Err(error) => *turns = Err(error),
    }
}

fn nothing() -> String {
    "no message came back".to_owned()
}

/// One of each kind.
const PICTURED: [&str; 6] = [
    "framed WebSocket echo, 1 in flight",
    "xhr (poll + send), 1 in flight",
    "xhr_streaming (frame + send), 1 in flight",
    "fan-out to 1,000 framed WebSockets, per delivery",
    "fan-out to 1,000 xhr_streaming, per delivery",
    "open, one echo, close: framed WebSocket",
];
