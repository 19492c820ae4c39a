//! The slow, the silent and the hostile: five hundred connections of each kind against the program
//! with its defaults, a process of its own under an address-space limit, beside a well-behaved
//! client on each transport.
//!
//! Three things must hold. Every message of the well-behaved clients comes back. The process keeps
//! little: after the first round at most 32 MiB more than at the start, after a second, equal one
//! at most 5 % or 8 MiB more than after the first. And no file stays open.
//!
//! `SOCKEYE_ABUSE=deaf,half_closed` runs some kinds only, `SOCKEYE_ABUSE_EACH=1000` with so many
//! connections of each, `SOCKEYE_ABUSE_ROUNDS=20` more rounds, and `SOCKEYE_ABUSE_MINUTES=10` as many
//! rounds as begin within that time (`make faults`, `make soak`).

#![cfg(target_os = "linux")]

mod guests;
mod kinds;
mod server;

use std::time::{Duration, Instant};

use guests::Guests;
use kinds::{EACH, Kind};
use server::Server;

const MIB: u64 = 1024 * 1024;
/// Far more than the defaults of all delays that have to pass. Only a failing test waits so long.
const SETTLED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_peers_cost_the_others_nothing_and_leave_nothing() {
    let server = Server::start();
    let mut guests = Guests::arrive(&server);
    guests.all_served("at the start").await;
    let start = server.usage();
    let kinds = Kind::chosen();

    let number = |name: &str| -> Option<u64> {
        std::env::var(name).ok().map(|text| text.parse().expect("a number"))
    };
    let each = number("SOCKEYE_ABUSE_EACH")
        .map_or(EACH, |each| usize::try_from(each).expect("as many as memory can number"));
    let began = Instant::now();
    let minutes = number("SOCKEYE_ABUSE_MINUTES").map(|minutes| Duration::from_secs(60 * minutes));
    let rounds =
        number("SOCKEYE_ABUSE_ROUNDS").unwrap_or(if minutes.is_some() { u64::MAX } else { 2 });
    let mut first: Option<u64> = None;
    for round in 1..=rounds {
        if round > 2 && minutes.is_some_and(|minutes| began.elapsed() >= minutes) {
            break;
        }
        // Two at a time: a kind spends most of its time on waiting.
        for pair in kinds.chunks(2) {
            let began = Instant::now();
            let names = pair.iter().map(|kind| kind.name).collect::<Vec<_>>().join(" and ");
            let held = match pair {
                [one, other] => {
                    tokio::join!(one.attack(&server, each), other.attack(&server, each))
                }
                _ => (pair[0].attack(&server, each).await, Vec::new()),
            };
            guests.all_served(&names).await;
            eprintln!(
                "round {round}: {names} at {} MiB after {:.1?}",
                server.usage().resident / MIB,
                began.elapsed()
            );
            drop(held);
        }
        let most = match first {
            None => start.resident + 32 * MIB,
            Some(first) => first + (first / 20).max(8 * MIB),
        };
        let now = server.settle(most, start.files, SETTLED).await;
        guests.all_served("after the round").await;
        eprintln!(
            "round {round}: {} MiB at the start, {} MiB left",
            start.resident / MIB,
            now.resident / MIB
        );
        assert!(
            now.resident <= most,
            "round {round} leaves {} KiB, {} are allowed",
            now.resident / 1024,
            most / 1024
        );
        assert!(
            now.files <= start.files,
            "round {round} leaves {} files open, there were {}",
            now.files,
            start.files
        );
        first.get_or_insert(now.resident);
    }
    drop(guests);
    server.stop().await;
}
