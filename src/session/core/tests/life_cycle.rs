//! Receivers, frames and ends: SockJS 0.3.3, session life cycle.

use super::*;

/// First receiver.
#[test]
fn the_open_frame_is_there_before_the_application_has_done_anything() {
    let mut bench = Bench::new();
    assert_eq!(bench.poll(), "o");
    bench.attach().expect("the first has gone");
    assert_eq!(bench.step(), "");
}

/// First receiver, service that closes at once.
#[test]
fn a_session_that_closes_at_once_still_opens() {
    let mut polling = Bench::new();
    polling.close(3000, "Go away!");
    assert_eq!([polling.poll(), polling.poll()], ["o", r#"c[3000,"Go away!"]"#]);
    let mut streaming = Bench::new();
    streaming.close(3000, "Go away!");
    streaming.attach().expect("nobody is attached");
    assert_eq!(streaming.steps(), ["o", r#"c[3000,"Go away!"]"#]);
}

/// Polling.
#[test]
fn what_waited_for_a_receiver_leaves_in_one_frame() {
    let mut bench = Bench::new();
    bench.send("early");
    assert_eq!(bench.poll(), "o");
    for text in ["a", "", "b"] {
        bench.send(text);
    }
    assert_eq!(bench.poll(), r#"a["early","a","","b"]"#);
    bench.attach().expect("the last has gone");
    assert_eq!(bench.step(), "", "held until there is something");
    bench.send("c");
    bench.send("d");
    assert_eq!(bench.step(), r#"a["c"]"#);
    bench.finish();
    assert_eq!(bench.poll(), r#"a["d"]"#);
}

/// Streaming.
#[test]
fn a_receiver_that_stays_gets_what_waited_and_then_each_message_by_itself() {
    let mut bench = Bench::new();
    bench.send("a");
    bench.send("b");
    bench.attach().expect("nobody is attached");
    bench.send("c");
    assert_eq!(bench.steps(), ["o", r#"a["a","b"]"#, r#"a["c"]"#]);
    bench.send("d");
    bench.send("e");
    assert_eq!(bench.steps(), [r#"a["d"]"#, r#"a["e"]"#]);
}

/// Second receiver.
#[test]
fn a_second_receiver_is_refused_and_the_first_goes_on() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.send("a");
    assert_eq!(bench.attach(), Err(Attached));
    assert_eq!(bench.steps(), [r#"a["a"]"#]);
    assert!(bench.core.is_open());
    bench.finish();
    assert_eq!(bench.attach(), Ok(()));
}

/// Server close.
#[test]
fn a_close_comes_after_the_messages_and_frees_the_line_at_once() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.send("a");
    bench.close(4000, "done");
    assert!(!bench.core.is_open());
    assert_eq!(bench.end(), None, "messages are still to go out");
    assert_eq!(bench.step(), r#"a["a"]"#);
    assert!(!bench.core.ended_untold());
    assert_eq!(bench.step(), r#"c[4000,"done"]"#);
    assert!(
        !bench.core.is_attached(),
        "before any newcomer, which would be told that the session is in use"
    );
    assert_eq!(bench.end(), Some((4000, EndedBy::Application, 0)));
    assert_eq!(
        [bench.poll(), bench.poll()],
        [r#"c[4000,"done"]"#; 2],
        "each that comes later is told the same"
    );
    assert!(!bench.core.ended_untold());
}

/// Server close, polling: messages in one response, the close in the next.
#[test]
fn polls_get_the_messages_and_the_close_one_after_the_other() {
    let mut bench = Bench::new();
    assert_eq!(bench.poll(), "o");
    bench.send("a");
    bench.send("b");
    bench.close(1000, "bye");
    assert_eq!([bench.poll(), bench.poll()], [r#"a["a","b"]"#, r#"c[1000,"bye"]"#]);
    assert_eq!(bench.end(), Some((1000, EndedBy::Application, 0)));
}

/// Server close: forgotten a delay after the last receiver, each of which restarts the time.
#[test]
fn each_receiver_of_a_closed_session_restarts_the_time() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.close(1000, "bye");
    bench.steps();
    for _ in 0..3 {
        bench.wait(DISCONNECT - BLINK);
        assert!(!bench.core.expire(bench.now));
        assert_eq!(bench.poll(), r#"c[1000,"bye"]"#);
    }
    bench.wait(DISCONNECT);
    assert!(bench.core.expire(bench.now));
    assert_eq!(bench.end(), Some((1000, EndedBy::Application, 0)), "the end stays what it was");
}

#[test]
fn the_first_close_counts() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.send("a");
    bench.close(4000, "first");
    bench.close(4001, "second");
    bench.core.close(bench.now, &bench.limits, CloseReason::SLOW_CONSUMER, EndedBy::Gateway);
    bench.core.abort(CloseReason::TOO_LARGE);
    assert_eq!(
        bench.end(),
        Some((4000, EndedBy::Application, 1)),
        "an end in between only loses what was queued"
    );
    bench.core.peer_closed(CloseReason::NORMAL);
    assert_eq!(bench.steps(), [r#"c[4000,"first"]"#]);
    assert_eq!(bench.end(), Some((4000, EndedBy::Application, 1)));
}

/// A closed session without a receiver would hold its messages forever.
#[test]
fn the_rest_of_a_closed_session_is_given_up_when_nobody_takes_it() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.send("a");
    bench.send("b");
    assert_eq!(bench.core.expires_at(), None, "an open session has a receiver and lives");
    bench.close(4000, "done");
    bench.wait(DISCONNECT - BLINK);
    assert!(!bench.core.expire(bench.now));
    assert_eq!(bench.step(), r#"a["a"]"#, "each frame that leaves gives the next its time");
    bench.wait(DISCONNECT - BLINK);
    assert!(!bench.core.expire(bench.now));
    assert_eq!(bench.core.poll_silence(bench.now), Err(Some(bench.now + BLINK)));
    bench.wait(BLINK);
    assert_eq!(bench.core.poll_silence(bench.now), Ok(()));
    assert_eq!(bench.end(), Some((4000, EndedBy::Application, 1)));
    assert!(bench.core.ended_untold());
}

/// Receiver vanishes.
#[test]
fn a_vanished_receiver_ends_the_session_and_its_messages_are_counted() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.send("taken");
    bench.steps();
    bench.send("lost");
    bench.send("lost");
    bench.vanish();
    assert_eq!(bench.end(), Some((1002, EndedBy::Peer, 2)));
    assert!(!bench.core.is_open() && bench.core.ended_untold());
    assert_eq!(bench.core.counts(), (0, 1));
    assert_eq!(bench.poll(), r#"c[1002,"Connection interrupted"]"#);
    assert!(!bench.core.ended_untold());
}

#[test]
fn who_is_not_attached_can_not_vanish() {
    let mut bench = Bench::new();
    bench.poll();
    let expires_at = bench.core.next_timeout();
    bench.wait(BLINK);
    bench.vanish();
    bench.finish();
    assert!(bench.core.is_open());
    assert_eq!(bench.core.next_timeout(), expires_at);
}

/// Response ended by the server.
#[test]
fn a_client_that_does_not_come_back_in_time_ends_the_session() {
    let mut bench = Bench::new();
    assert_eq!(bench.poll(), "o");
    bench.send("lost");
    bench.wait(DISCONNECT - BLINK);
    assert!(bench.push(&["a send does not prolong the time"]));
    assert!(!bench.core.expire(bench.now));
    assert_eq!(bench.core.next_timeout(), bench.now + BLINK);
    bench.wait(BLINK);
    assert!(bench.core.expire(bench.now));
    assert_eq!(bench.end(), Some((1002, EndedBy::Peer, 1)));
    assert_eq!(
        bench.received(),
        ["a send does not prolong the time"],
        "what came before is still the application's"
    );
}

/// Response ended by the server: each receiver that comes in time restarts it.
#[test]
fn a_client_that_comes_back_in_time_finds_its_session() {
    let mut bench = Bench::new();
    bench.poll();
    for _ in 0..3 {
        bench.wait(DISCONNECT - BLINK);
        bench.send("x");
        assert_eq!(bench.poll(), r#"a["x"]"#);
    }
    bench.attach().expect("nobody is attached");
    bench.wait(DISCONNECT * 2);
    assert!(!bench.core.expire(bench.now), "while it is there it is in time");
}

/// A session to which no receiver ever came.
#[test]
fn a_session_without_a_first_receiver_expires() {
    let mut bench = Bench::new();
    bench.wait(DISCONNECT);
    assert!(bench.core.expire(bench.now));
    assert_eq!(
        bench.poll(),
        r#"c[1002,"Connection interrupted"]"#,
        "what never opened does not open any more"
    );
}

/// Heartbeat: of an attached receiver, counted from the last frame.
#[test]
fn heartbeats_count_from_the_last_frame() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.wait(HEARTBEAT - BLINK);
    assert_eq!(bench.steps(), [""; 0]);
    bench.send("x");
    assert_eq!(bench.steps(), [r#"a["x"]"#]);
    assert_eq!(bench.core.next_timeout(), bench.now + HEARTBEAT);
    bench.wait(HEARTBEAT - BLINK);
    assert_eq!(bench.steps(), [""; 0]);
    for _ in 0..3 {
        bench.wait(BLINK);
        assert_eq!(bench.steps(), ["h"]);
        bench.wait(HEARTBEAT - BLINK);
        assert_eq!(bench.steps(), [""; 0]);
    }
}

/// Heartbeat: a poll is attached for the whole delay, whatever went before.
#[test]
fn a_poll_is_answered_by_a_heartbeat() {
    let mut bench = Bench::new();
    bench.poll();
    bench.wait(DISCONNECT - BLINK);
    assert_eq!(bench.poll(), "");
    bench.wait(HEARTBEAT - BLINK);
    assert_eq!(bench.step(), "");
    bench.wait(BLINK);
    assert_eq!(bench.step(), "h");
    bench.finish();
    assert_eq!(bench.poll(), "", "and the next one waits again");
}

#[test]
fn messages_and_closes_go_before_a_heartbeat_that_is_due() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.wait(HEARTBEAT * 2);
    bench.send("x");
    assert_eq!(bench.steps(), [r#"a["x"]"#], "and do for it");
    bench.wait(HEARTBEAT * 2);
    bench.close(1000, "bye");
    assert_eq!(bench.steps(), [r#"c[1000,"bye"]"#]);
}

#[test]
fn an_abort_delivers_nothing_more() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.send("lost");
    bench.core.abort(CloseReason::TOO_LARGE);
    assert_eq!(bench.end(), Some((1009, EndedBy::Gateway, 1)));
    assert_eq!(bench.steps(), [r#"c[1009,"Message too large"]"#]);
}

#[test]
fn a_peer_that_closes_gives_its_own_reason() {
    let mut bench = Bench::streaming(Liveness::Pings);
    bench.send("lost");
    bench.core.peer_closed(CloseReason::new(4321, "enough"));
    bench.vanish();
    assert_eq!(bench.end(), Some((4321, EndedBy::Peer, 1)));
}

/// A server that wants its client to come back: a stream ends behind its next frame.
#[test]
fn a_released_receiver_gets_one_more_frame() {
    let mut bench = Bench::new();
    assert_eq!(bench.poll(), "o");
    bench.attach().expect("the last has gone");
    assert_eq!(bench.step(), "");
    assert!(!bench.core.receiver_leaves());
    bench.core.release_receiver(bench.now);
    assert_eq!((bench.step(), bench.core.receiver_leaves()), ("h".to_owned(), true));
    bench.finish();
    for text in ["a", "b"] {
        bench.send(text);
    }
    bench.attach().expect("the last has gone");
    bench.core.release_receiver(bench.now);
    assert_eq!(bench.step(), r#"a["a","b"]"#, "messages go first");
    assert!(bench.core.receiver_leaves());
    bench.finish();
    bench.attach().expect("the last has gone");
    assert!(!bench.core.receiver_leaves(), "the next stays");
    assert_eq!(bench.step(), "");
    bench.finish();
    bench.core.release_receiver(bench.now);
    assert!(!bench.core.receiver_leaves(), "there is none");
}
