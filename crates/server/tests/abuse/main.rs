//! The slow, the silent and the hostile: five hundred connections of each kind against the program
//! with its defaults, a process of its own under an address-space limit, beside a well-behaved
//! client on each transport.
//!
//! Three things must hold. Every message of the well-behaved clients comes back. The process keeps
//! little: after the first round at most 32 MiB more than at the start, after a second, equal one
//! at most 5 % or 8 MiB more than after the first. And no file stays open.
//!
//! `SOCKEYE_ABUSE=deaf,half_close` runs some kinds only, `SOCKEYE_ABUSE_ROUNDS=20` more rounds.

#![cfg(target_os = "linux")]

mod guests;
mod kinds;
mod server;

use std::time::Duration;

use guests::Guests;
use kinds::Kind;
use server::Server;

const MIB: u64 = 1024 * 1024;
/// Far more than the defaults of every delay that has to pass. Only a failing test ever waits so
/// long.
const SETTLED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_peers_cost_the_others_nothing_and_leave_nothing() {
    let server = Server::start();
    let mut guests = Guests::arrive(server.http);
    guests.all_served("at the start").await;
    let start = server.usage();
    let kinds = Kind::chosen();

    let rounds: u64 =
        std::env::var("SOCKEYE_ABUSE_ROUNDS").map_or(2, |rounds| rounds.parse().expect("a number"));
    let mut first: Option<u64> = None;
    for round in 1..=rounds {
        for kind in &kinds {
            let began = std::time::Instant::now();
            let held = kind.attack(&server).await;
            guests.all_served(kind.name).await;
            eprintln!(
                "round {round}: {} at {} MiB after {:?}",
                kind.name,
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
