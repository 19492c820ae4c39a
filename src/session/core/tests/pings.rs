//! Pings and pongs: a peer that answers is alive, a peer that can't be heard is given time.

use super::*;

/// A session whose peer has just been sent a ping, which has left.
fn pinged() -> Bench {
    let mut bench = Bench::streaming(Liveness::Pings);
    bench.wait(HEARTBEAT);
    assert_eq!(bench.steps(), ["h", "ping"]);
    bench.core.ping_left(bench.now, &bench.limits, 0);
    assert_eq!(bench.core.next_timeout(), bench.now + PONG);
    bench
}

#[test]
fn who_only_takes_heartbeats_is_never_pinged() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    for _ in 0..5 {
        bench.wait(HEARTBEAT);
        assert_eq!(bench.steps(), ["h"]);
    }
}

#[test]
fn a_peer_that_was_heard_is_not_pinged() {
    let mut bench = Bench::streaming(Liveness::Pings);
    for _ in 0..3 {
        bench.wait(BLINK);
        bench.core.heard();
        bench.wait(HEARTBEAT - BLINK);
        assert_eq!(bench.steps(), ["h"]);
    }
    bench.wait(HEARTBEAT);
    assert_eq!(bench.steps(), ["h", "ping"], "silent for a whole delay");
}

/// Bytes from the server prove nothing about the peer.
#[test]
fn frames_do_not_put_off_a_ping() {
    let mut bench = Bench::streaming(Liveness::Pings);
    bench.wait(HEARTBEAT - BLINK);
    bench.send("x");
    assert_eq!(bench.steps(), [r#"a["x"]"#]);
    bench.wait(BLINK);
    assert_eq!(bench.steps(), ["ping"]);
}

#[test]
fn a_ping_that_is_not_answered_ends_the_session() {
    let mut bench = pinged();
    bench.send("taken");
    assert_eq!(bench.steps(), [r#"a["taken"]"#]);
    bench.wait(PONG - BLINK);
    assert_eq!(bench.steps(), [""; 0]);
    bench.send("lost");
    bench.wait(BLINK);
    assert_eq!(
        bench.steps(),
        [r#"c[3000,"No response from heartbeat"]"#],
        "nothing more for somebody who is not there"
    );
    assert_eq!(bench.end(), Some((3000, EndedBy::Gateway, 1)));
}

#[test]
fn anything_that_arrives_answers_a_ping() {
    let mut bench = pinged();
    bench.wait(PONG - BLINK);
    bench.core.heard();
    bench.wait(HEARTBEAT - PONG + BLINK);
    assert_eq!(bench.steps(), ["h"], "heard since the last look");
    bench.wait(HEARTBEAT);
    assert_eq!(bench.steps(), ["h", "ping"]);
    bench.core.ping_left(bench.now, &bench.limits, 0);
    bench.wait(PONG);
    assert_eq!(bench.end(), None);
    bench.steps();
    assert_eq!(bench.end(), Some((3000, EndedBy::Gateway, 0)));
}

/// A socket that takes nothing for a minute says nothing about its peer: the time counts from when
/// the ping has left.
#[test]
fn a_ping_that_has_not_left_blames_nobody() {
    let mut bench = Bench::streaming(Liveness::Pings);
    bench.wait(HEARTBEAT);
    assert_eq!(bench.steps(), ["h", "ping"]);
    bench.wait(HEARTBEAT - BLINK);
    assert_eq!(bench.steps(), [""; 0]);
    bench.wait(BLINK);
    assert_eq!(bench.steps(), ["h"], "and one ping on its way is enough");
    bench.core.heard();
    bench.core.ping_left(bench.now, &bench.limits, 0);
    bench.wait(PONG - BLINK);
    assert_eq!(bench.steps(), [""; 0]);
    bench.wait(BLINK);
    assert_eq!(bench.steps(), [r#"c[3000,"No response from heartbeat"]"#]);
}

#[test]
fn only_a_ping_that_was_sent_can_leave() {
    let mut bench = Bench::streaming(Liveness::Pings);
    bench.core.ping_left(bench.now, &bench.limits, 0);
    bench.wait(PONG * 2);
    assert_eq!(bench.steps(), [""; 0]);
    bench.core.heard();
    bench.wait(PONG * 2);
    bench.steps();
    assert!(bench.core.is_open());
}

/// While the application doesn't receive, the socket is not read, and the pong may lie in it.
#[test]
fn time_stands_still_while_nobody_reads() {
    let mut bench = pinged();
    bench.wait(PONG - BLINK);
    bench.core.reading_paused(Pause::ROOM);
    for _ in 0..10 {
        bench.wait(HEARTBEAT);
        assert_eq!(bench.steps(), ["h", "ping"]);
        bench.core.ping_left(bench.now, &bench.limits, 0);
    }
    bench.core.reading_resumed(bench.now, &bench.limits, Pause::ROOM);
    bench.wait(PONG - BLINK);
    assert_eq!(bench.steps(), [""; 0], "the whole time anew");
    bench.wait(BLINK);
    assert_eq!(bench.steps(), [r#"c[3000,"No response from heartbeat"]"#]);
}

/// The pause may be older than the ping: the socket is not read, a look finds the peer silent, and
/// the ping leaves.
#[test]
fn a_ping_that_leaves_while_nobody_reads_blames_nobody() {
    for pause_first in [true, false] {
        let mut bench = Bench::streaming(Liveness::Pings);
        if pause_first {
            bench.core.reading_paused(Pause::ROOM);
        }
        bench.wait(HEARTBEAT);
        assert_eq!(bench.steps(), ["h", "ping"]);
        bench.core.reading_paused(Pause::ROOM);
        bench.core.ping_left(bench.now, &bench.limits, 0);
        bench.wait(PONG);
        assert_eq!(bench.steps(), [""; 0]);
        bench.core.reading_resumed(bench.now, &bench.limits, Pause::ROOM);
        bench.wait(PONG - BLINK);
        assert_eq!(bench.steps(), [""; 0]);
        bench.core.heard();
        bench.wait(BLINK);
        assert_eq!(bench.steps(), [""; 0]);
        assert!(bench.core.is_open());
    }
}

/// A peer that has gone while its socket is not read is noticed by a failed write, and the first
/// write never fails: so pings go on, each heartbeat, though none can be answered.
#[test]
fn pings_go_on_while_nobody_reads() {
    let mut bench = pinged();
    bench.core.reading_paused(Pause::ROOM);
    for _ in 0..3 {
        bench.wait(HEARTBEAT);
        assert_eq!(bench.steps(), ["h", "ping"]);
        bench.wait(HEARTBEAT);
        assert_eq!(bench.steps(), ["h"], "one on its way is enough");
        bench.core.ping_left(bench.now, &bench.limits, 0);
    }
    assert!(bench.core.is_open());
}

/// A client that reads 100 KB/s had megabytes ahead of the ping in buffers of the system, and was
/// closed before it could have seen it.
#[test]
fn a_peer_gets_time_for_what_is_ahead_of_the_ping() {
    for (ahead, seconds) in
        [(0, 0), (999, 0), (1_000, 1), (30_000, 30), (5_000_000, 60), (usize::MAX, 60)]
    {
        let mut bench = Bench::streaming(Liveness::Pings);
        bench.wait(HEARTBEAT);
        assert_eq!(bench.steps(), ["h", "ping"]);
        bench.core.ping_left(bench.now, &bench.limits, ahead);
        let until = bench.now + PONG + Duration::from_secs(seconds);
        assert_eq!(bench.core.poll_silence(until - BLINK), Err(Some(until)), "{ahead}");
        assert_eq!(bench.core.poll_silence(until), Ok(()), "{ahead}");
    }
    let mut bench = Bench::streaming(Liveness::Pings);
    bench.limits.least_rate = 0;
    bench.wait(HEARTBEAT);
    bench.steps();
    bench.core.ping_left(bench.now, &bench.limits, 2048);
    assert_eq!(
        bench.core.poll_silence(bench.now),
        Err(Some(bench.now + PONG + Duration::from_secs(2)))
    );
}

/// The clock of the pong runs again when no reason is left not to read.
#[test]
fn one_reason_of_two_keeps_the_clock_still() {
    let other = Pause::of_a_test();
    let mut bench = pinged();
    bench.core.reading_paused(Pause::ROOM);
    bench.core.reading_paused(other);
    bench.core.reading_resumed(bench.now, &bench.limits, Pause::ROOM);
    assert!(bench.core.is_reading_paused(other) && !bench.core.is_reading_paused(Pause::ROOM));
    bench.wait(PONG);
    assert_eq!(bench.core.poll_silence(bench.now), Err(None));
    bench.core.reading_resumed(bench.now, &bench.limits, other);
    assert_eq!(bench.core.poll_silence(bench.now), Err(Some(bench.now + PONG)));
}

/// For a receiver that is not polled because its socket takes nothing.
#[test]
fn silence_can_be_asked_for_without_taking_a_frame() {
    let mut bench = pinged();
    bench.send("waits");
    assert_eq!(bench.core.poll_silence(bench.now), Err(Some(bench.now + PONG)));
    bench.core.heard();
    assert_eq!(bench.core.poll_silence(bench.now), Err(None));
    let mut bench = pinged();
    bench.wait(PONG);
    assert_eq!(bench.core.poll_silence(bench.now), Ok(()));
    assert_eq!(bench.end(), Some((3000, EndedBy::Gateway, 0)));
}

/// The open ping of a receiver does not follow the next.
#[test]
fn a_new_receiver_starts_with_a_clean_sheet() {
    let mut bench = pinged();
    bench.finish();
    bench.core.attach(bench.now, &bench.limits, Liveness::Pings).expect("nobody is attached");
    bench.wait(PONG * 2);
    assert_eq!(bench.steps(), [""; 0]);
    assert!(bench.core.is_open());
}
