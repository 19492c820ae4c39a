//! The load driver finds every fault, over every technique.

use std::time::Duration;

use sockeye_bench::driver::churn::{self, Churn};
use sockeye_bench::driver::echo::{self, Echo, EchoOutcome, Pace};
use sockeye_bench::driver::fan_out::{self, FanOut};
use sockeye_bench::driver::{Correctness, Technique, Timing, block_on};

use crate::target;
use common::odd_servers::{Sin, gateway, late_ends};

pub(crate) const TECHNIQUES: [Technique; 6] = [
    Technique::ShortPolling(Duration::from_millis(20)),
    Technique::LongPolling,
    Technique::XhrStreaming,
    Technique::EventSource,
    Technique::WebSocket,
    Technique::RawWebSocket,
];

/// Tests reach this deadline only when the awaited event is broken.
const PATIENCE: Duration = Duration::from_secs(20);

fn timing(measured: Duration, patience: Duration) -> Timing {
    Timing { warm_up: Duration::from_millis(20), measured, patience }
}

fn run_echo(prefix: &str, technique: Technique, pace: Pace, timing: Timing) -> EchoOutcome {
    let target = target(gateway(), prefix);
    let plan = Echo { technique, sessions: 5, size: 64, pace, stamped: false, timing };
    block_on(echo::run(&target, Some(std::process::id()), &plan))
        .expect("a runtime")
        .expect("sessions open")
}

#[test]
fn a_good_server_loses_nothing_over_any_technique() {
    let timing = timing(Duration::from_millis(150), PATIENCE);
    for technique in TECHNIQUES {
        for pace in [Pace::InFlight(1), Pace::InFlight(16), Pace::PerSecond(400.0)] {
            let seen = run_echo("/echo", technique, pace, timing);
            assert!(seen.first_error.is_none(), "{technique}, {pace:?}: {:?}", seen.first_error);
            assert!(seen.correctness.is_perfect(), "{technique}, {pace:?}: {:?}", seen.correctness);
            assert!(
                seen.correctness.expected >= 5 && seen.openings.count() == 5,
                "{technique}, {pace:?}: {seen:?}"
            );
            let cpu = seen.spent.server.expect("the process is this one");
            assert!(!cpu.total().is_zero() && seen.spent.resident > Some(0), "{technique}");
        }
    }
}

#[test]
fn visits_are_whole_over_any_technique() {
    for technique in TECHNIQUES {
        let plan = Churn {
            technique,
            visitors: 3,
            size: 64,
            timing: timing(Duration::from_millis(300), PATIENCE),
        };
        let seen = block_on(churn::run(&target(gateway(), "/echo"), None, &plan))
            .expect("a runtime")
            .expect("visits");
        assert!(
            seen.first_error.is_none() && seen.correctness.is_perfect(),
            "{technique}: {seen:?}"
        );
        assert!(seen.correctness.expected >= 3, "{technique}: {:?}", seen.correctness);
    }
}

/// The next session's poll must not wait behind one of the session before. Here the end of each
/// answer comes after its frame; a client that took the frame for the whole polled once more than
/// it knew of, and the next visit hung behind that poll.
#[test]
fn visits_do_not_wait_behind_answers_that_end_late() {
    let timing = timing(Duration::from_millis(300), Duration::from_secs(2));
    let plan = Churn { technique: Technique::LongPolling, visitors: 1, size: 64, timing };
    let seen = block_on(churn::run(&target(late_ends(), "/echo"), None, &plan))
        .expect("a runtime")
        .expect("visits");
    assert!(seen.first_error.is_none() && seen.correctness.is_perfect(), "{seen:?}");
    assert!(seen.correctness.expected > 3, "{:?}", seen.correctness);
}

#[test]
fn everybody_hears_over_any_technique() {
    for technique in TECHNIQUES {
        let timing = timing(Duration::from_millis(200), PATIENCE);
        let plan = FanOut { technique, receivers: 20, size: 64, interval: Duration::ZERO, timing };
        let seen = block_on(fan_out::run(&target(gateway(), "/broadcast"), None, &plan));
        let seen = seen.expect("a runtime").expect("all sessions get it");
        assert!(
            seen.first_error.is_none() && seen.correctness.is_perfect(),
            "{technique}: {seen:?}"
        );
        assert!(
            seen.deliveries >= 20 && seen.last.count() >= 1,
            "{technique}: {} {:?}",
            seen.deliveries,
            seen.last
        );
    }
}

/// At a rate that does not depend on answers, and with a patience that ends before the test does.
#[test]
fn every_sin_is_seen_for_what_it_is() {
    let timing = timing(Duration::from_millis(300), Duration::from_millis(500));
    for technique in [Technique::WebSocket, Technique::LongPolling] {
        for sin in Sin::ALL {
            let seen = run_echo(sin.prefix(), technique, Pace::PerSecond(500.0), timing);
            let Correctness { lost, duplicated, reordered, changed, .. } = seen.correctness;
            let seen_as = match sin {
                Sin::Loses => lost > 0 && (duplicated, reordered, changed) == (0, 0, 0),
                Sin::Duplicates => duplicated > 0 && (lost, reordered, changed) == (0, 0, 0),
                // The last one that was held back has none after it to follow.
                Sin::Reorders => reordered > 0 && lost <= 5 && (duplicated, changed) == (0, 0),
                Sin::Changes => changed > 0 && (lost, duplicated, reordered) == (0, 0, 0),
            };
            assert!(
                seen_as && seen.first_error.is_none(),
                "{technique}, {sin:?}: {:?}",
                seen.correctness
            );
        }
    }
}

#[test]
fn a_load_that_waits_for_answers_goes_on_after_a_loss() {
    let timing = timing(Duration::from_millis(1500), Duration::from_millis(300));
    let seen = run_echo("/loses", Technique::WebSocket, Pace::InFlight(1), timing);
    assert!(seen.correctness.lost > 5, "every session lost more than once: {:?}", seen.correctness);
}
