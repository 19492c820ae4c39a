//! Pings and pongs: a peer that answers is alive, one that can't be heard is given time.

use super::*;

/// A session whose peer has just been sent a ping, which has left.
fn pinged() -> Bench {
    let mut bench = Bench::streaming(Liveness::Pings);
    bench.wait(HEARTBEAT);
    assert_eq!(bench.steps(), ["h", "ping"]);
    bench.core.ping_left(bench.now, &bench.limits);
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

/// What the server sends proves nothing about the peer.
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
    bench.core.ping_left(bench.now, &bench.limits);
    bench.wait(PONG);
    assert_eq!(bench.end(), None);
    bench.steps();
    assert_eq!(bench.end(), Some((3000, EndedBy::Gateway, 0)));
}

/// A socket that takes nothing for a minute says nothing about who reads it: the time counts from when the ping has left.
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
    bench.core.ping_left(bench.now, &bench.limits);
    bench.wait(PONG - BLINK);
    assert_eq!(bench.steps(), [""; 0]);
    bench.wait(BLINK);
    assert_eq!(bench.steps(), [r#"c[3000,"No response from heartbeat"]"#]);
}

#[test]
fn only_a_ping_that_was_sent_can_leave() {
    let mut bench = Bench::streaming(Liveness::Pings);
    bench.core.ping_left(bench.now, &bench.limits);
    bench.wait(PONG * 2);
    assert_eq!(bench.steps(), [""; 0]);
    bench.core.heard();
    bench.wait(PONG * 2);
    bench.steps();
    assert!(bench.core.is_open());
}

/// While the application doesn't receive, nobody reads the socket, in which the pong may lie.
#[test]
fn time_stands_still_while_nobody_reads() {
    let mut bench = pinged();
    bench.wait(PONG - BLINK);
    bench.core.reading_paused();
    for _ in 0..10 {
        bench.wait(HEARTBEAT);
        assert_eq!(bench.steps(), ["h"], "no second ping before the first is answered");
    }
    bench.core.reading_resumed(bench.now, &bench.limits);
    bench.wait(PONG - BLINK);
    assert_eq!(bench.steps(), [""; 0], "the whole time anew");
    bench.wait(BLINK);
    assert_eq!(bench.steps(), [r#"c[3000,"No response from heartbeat"]"#]);
}

/// The pause may be older than the ping: the socket is not read, a look finds the peer silent, and the ping leaves.
#[test]
fn a_ping_that_leaves_while_nobody_reads_blames_nobody() {
    for pause_first in [true, false] {
        let mut bench = Bench::streaming(Liveness::Pings);
        if pause_first {
            bench.core.reading_paused();
        }
        bench.wait(HEARTBEAT);
        assert_eq!(bench.steps(), ["h", "ping"]);
        bench.core.reading_paused();
        bench.core.ping_left(bench.now, &bench.limits);
        bench.wait(HEARTBEAT);
        assert_eq!(bench.steps(), ["h"]);
        bench.core.reading_resumed(bench.now, &bench.limits);
        bench.wait(PONG - BLINK);
        assert_eq!(bench.steps(), [""; 0]);
        bench.core.heard();
        bench.wait(BLINK);
        assert_eq!(bench.steps(), [""; 0]);
        assert!(bench.core.is_open());
    }
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

/// What one receiver left open does not follow the next.
#[test]
fn a_new_receiver_starts_with_a_clean_sheet() {
    let mut bench = pinged();
    bench.finish();
    bench.core.attach(bench.now, &bench.limits, Liveness::Pings).expect("nobody is attached");
    bench.wait(PONG * 2);
    assert_eq!(bench.steps(), [""; 0]);
    assert!(bench.core.is_open());
}
