//! The measurements show the relay's networks.

use std::time::Duration;

use sockeye_bench::driver::echo::{self, Echo, EchoOutcome, Pace};
use sockeye_bench::driver::{Error, Technique, Timing, block_on};
use sockeye_bench::profiles::{Profile, parse};
use sockeye_bench::relay::Relay;

use crate::driver::TECHNIQUES;
use crate::target;
use common::odd_servers::gateway;

fn profile(fields: &str) -> Profile {
    parse(&format!("[[profile]]\nname = \"test\"\n{fields}")).expect("a profile").remove(0)
}

fn over(
    profile: &Profile,
    technique: Technique,
    seconds: f64,
    patience: Duration,
) -> Result<EchoOutcome, Error> {
    let server = gateway();
    let relay = Relay::start(profile, server).expect("a relay");
    let target = target(server, "/echo").through(relay.addr());
    let measured = Duration::from_secs_f64(seconds);
    let timing = Timing { warm_up: profile.delay() * 10, measured, patience };
    let plan = Echo {
        technique,
        sessions: 20,
        size: 64,
        pace: Pace::PerSecond(40.0),
        stamped: false,
        timing,
    };
    block_on(echo::run(&target, None, &plan)).expect("a runtime")
}

const PATIENCE: Duration = Duration::from_secs(20);
const DELAY: Duration = Duration::from_millis(80);
/// The delay that a busy machine may add to the median. A delay that came twice, or not at all,
/// would be told apart by twice as much.
const TOLERANCE: Duration = Duration::from_millis(60);

/// A message takes the delay once each way, over whatever transport.
#[test]
fn a_known_delay_is_found_again_over_every_technique() {
    let profile = profile("delay_ms = 80");
    let found = TECHNIQUES.map(|technique| {
        let profile = profile.clone();
        std::thread::spawn(move || {
            (technique, over(&profile, technique, 2.0, PATIENCE).expect("sessions open"))
        })
    });
    for thread in found {
        let (technique, seen) = thread.join().expect("no panic");
        let median = seen.round_trips.quantile(0.5).expect("eighty messages");
        // A poll that is not waiting when the message comes has to come first.
        let least = DELAY * 2;
        let most = least
            + TOLERANCE
            + if let Technique::ShortPolling(interval) = technique {
                DELAY * 2 + interval
            } else {
                Duration::ZERO
            };
        // Times are kept to three digits.
        assert!(
            median >= least.mul_f64(0.999) && median <= most,
            "{technique}: {median:?}, not {least:?} to {most:?}"
        );
        assert!(seen.correctness.is_perfect() && seen.broken == 0, "{technique}: {seen:?}");
        // A session opens after a round trip for the connection and one for each question on it.
        let opening = seen.openings.quantile(0.5).expect("twenty sessions");
        assert!(opening >= DELAY * 4, "{technique}: {opening:?}");
    }
}

#[test]
fn a_narrow_link_takes_its_time() {
    // 64 kbit/s to the server: a request of some 150 bytes takes 19 ms.
    let seen = over(&profile("up_kbit = 64"), Technique::LongPolling, 0.5, PATIENCE)
        .expect("sessions open");
    let fastest = seen.round_trips.quantile(0.5).expect("twenty messages");
    assert!(fastest >= Duration::from_millis(15), "{fastest:?}");
}

#[test]
fn a_buffering_proxy_keeps_streams_from_opening() {
    let profile = profile("buffer = 65536");
    let short = Duration::from_millis(500);
    for technique in [Technique::XhrStreaming, Technique::EventSource] {
        let error = over(&profile, technique, 0.3, short).expect_err("no stream comes through");
        assert!(
            matches!(error, Error::Silence { step: "opening a session", .. }),
            "{technique}: {error:?}"
        );
    }
    for technique in [Technique::LongPolling, Technique::WebSocket] {
        let seen = over(&profile, technique, 0.3, PATIENCE).expect("sessions open");
        assert!(
            seen.correctness.is_perfect() && seen.correctness.expected > 0,
            "{technique}: {seen:?}"
        );
    }
}

#[test]
fn proxies_break_websockets_in_each_of_their_ways() {
    let error = |upgrade: &str| {
        let profile = profile(&format!("upgrade = \"{upgrade}\""));
        let long_polling =
            over(&profile, Technique::LongPolling, 0.2, PATIENCE).expect("polls pass");
        assert!(long_polling.correctness.is_perfect(), "{upgrade}: {long_polling:?}");
        over(&profile, Technique::WebSocket, 0.2, Duration::from_millis(500))
            .expect_err("no WebSocket comes through")
    };
    assert!(matches!(error("refuse"), Error::Status { status: 403, .. }));
    assert!(matches!(error("strip"), Error::Status { status: 400, .. }));
    assert!(matches!(error("stall"), Error::Silence { .. }));
}

#[test]
fn what_is_cut_is_not_called_lost() {
    let seen =
        over(&profile("cut_s = 0.3"), Technique::WebSocket, 0.6, PATIENCE).expect("sessions open");
    assert_eq!(seen.broken, 20, "{:?}", seen.first_error);
    assert!(
        seen.correctness.is_perfect()
            && matches!(seen.first_error, Some(Error::Ended(_) | Error::Io(_))),
        "{seen:?}"
    );
}
