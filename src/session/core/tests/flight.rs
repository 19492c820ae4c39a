//! Frames on their way: while their bytes leave, when they have left, and when they are lost.

use super::*;

const RATE: usize = 1000;

impl Bench {
    /// The attached receiver takes a frame with a receipt: so many messages, and bytes.
    fn hand_over(&mut self, messages: usize, bytes: usize) -> String {
        let step = self.step();
        self.core.frame_handed_over(self.now, &self.limits, messages, bytes);
        step
    }

    /// A poll takes a frame with a message of so many bytes, which stays on its way.
    fn answer(&mut self, bytes: usize) {
        self.send("x");
        self.attach().expect("nobody is attached");
        self.hand_over(1, bytes);
        self.finish();
    }

    fn written(&mut self, messages: usize) {
        self.core.frame_written(self.now, &self.limits, messages);
    }

    fn moved(&mut self) {
        self.core.frame_moved(self.now, &self.limits);
    }

    /// Whether the session goes when it is looked at, a little before this time and then.
    fn expires_after(&mut self, time: Duration) -> (bool, bool) {
        let before = self.core.expire(self.now + time - BLINK);
        (before, self.core.expire(self.now + time))
    }
}

fn opened() -> Bench {
    let mut bench = Bench::new();
    assert_eq!(bench.poll(), "o");
    bench
}

#[test]
fn the_delay_runs_from_when_the_last_bytes_have_left() {
    let mut bench = opened();
    bench.answer(RATE / 2);
    for _ in 0..3 {
        bench.wait(WRITE / 4);
        assert!(!bench.core.expire(bench.now), "bytes still leave");
        bench.moved();
    }
    bench.written(1);
    assert_eq!(bench.expires_after(DISCONNECT), (false, true));
    assert_eq!(bench.end(), Some((1002, EndedBy::Peer, 0)), "what was written is delivered");
}

#[test]
fn what_the_kernel_took_is_read_at_the_least_rate() {
    let mut bench = opened();
    bench.answer(RATE * 8);
    bench.written(1);
    assert_eq!(bench.expires_after(DISCONNECT + Duration::from_secs(8)), (false, true));

    // And the time is at most the write timeout.
    let mut bench = opened();
    bench.answer(RATE * 1000);
    bench.written(1);
    assert_eq!(bench.expires_after(DISCONNECT + WRITE), (false, true));

    // A client that comes back has read it.
    let mut bench = opened();
    bench.answer(RATE * 8);
    bench.written(1);
    bench.answer(1);
    bench.written(1);
    assert_eq!(bench.expires_after(DISCONNECT), (false, true));
}

#[test]
fn a_client_that_takes_nothing_is_given_up() {
    let mut bench = opened();
    bench.answer(RATE * 1000);
    bench.send("queued");
    bench.moved();
    assert_eq!(bench.expires_after(WRITE), (false, true));
    assert_eq!(
        bench.end(),
        Some((1008, EndedBy::Gateway, 2)),
        "the one on its way, and the one in the queue"
    );

    // With a receiver, too: a stream whose connection takes nothing.
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.send("x");
    bench.hand_over(1, 1);
    assert_eq!(bench.core.expires_at(), Some(bench.now + WRITE));
    assert_eq!(bench.expires_after(WRITE), (false, true));
    assert_eq!(bench.end(), Some((1008, EndedBy::Gateway, 1)));
    assert_eq!(bench.step(), "c[1008,\"the client does not read\"]");
}

#[test]
fn a_client_that_takes_too_little_is_given_up() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.send("x");
    bench.hand_over(1, RATE * 10);
    for _ in 0..7 {
        assert!(!bench.core.expire(bench.now));
        bench.wait(Duration::from_secs(10));
        bench.moved();
    }
    assert!(bench.core.expire(bench.now), "ten seconds for the bytes, and the write timeout");
    assert_eq!(bench.step(), "c[1008,\"the client reads too slowly\"]");
    // A receiver with nothing on its way waits forever.
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.send("x");
    bench.hand_over(1, RATE * 10);
    bench.written(1);
    assert_eq!(bench.core.expires_at(), None);
}

/// Without a least rate a client that takes a byte now and then is waited for, for as long as it
/// does. It had `write_timeout` for the whole of a frame.
#[test]
fn without_a_least_rate_any_byte_will_do() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.limits.least_rate = 0;
    bench.send("x");
    bench.hand_over(1, RATE * 10);
    for _ in 0..100 {
        bench.wait(WRITE - BLINK);
        assert!(!bench.core.expire(bench.now));
        bench.moved();
    }
    assert_eq!(bench.expires_after(WRITE), (false, true));
    assert_eq!(bench.step(), "c[1008,\"the client does not read\"]");
}

#[test]
fn a_lost_frame_ends_the_session_and_is_counted() {
    for back in [false, true] {
        let mut bench = opened();
        bench.answer(100);
        bench.send("behind it");
        if back {
            bench.attach().expect("nobody is attached");
        }
        bench.core.frame_lost(1);
        assert_eq!(bench.end(), Some((1002, EndedBy::Peer, 2)));
        if !back {
            bench.attach().expect("nobody is attached");
        }
        assert_eq!(bench.step(), "c[1002,\"Connection interrupted\"]");
    }
}

#[test]
fn a_frame_is_counted_once_whatever_is_told_of_it_later() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.send("x");
    bench.hand_over(1, 1);
    bench.vanish();
    assert_eq!(bench.end(), Some((1002, EndedBy::Peer, 1)));
    bench.core.frame_lost(1);
    assert_eq!(bench.end(), Some((1002, EndedBy::Peer, 1)));
}

#[test]
fn a_close_ends_the_session_when_what_is_before_it_has_left() {
    for lost in [false, true] {
        let mut bench = Bench::streaming(Liveness::Heartbeats);
        bench.send("x");
        bench.close(3000, "enough");
        bench.hand_over(1, 1);
        assert_eq!(bench.hand_over(0, 0), "c[3000,\"enough\"]");
        assert_eq!(bench.end(), None, "the message may get lost");
        if lost {
            bench.core.frame_lost(1);
            bench.core.frame_lost(0);
        } else {
            bench.written(1);
            bench.written(0);
        }
        assert_eq!(bench.end(), Some((3000, EndedBy::Application, usize::from(lost))));
        // Lost or not, the next receiver is told of it.
        assert_eq!(bench.poll(), "c[3000,\"enough\"]");
    }
}

#[test]
fn a_closed_session_waits_no_longer_for_a_client_that_takes_nothing() {
    let mut bench = opened();
    bench.answer(100);
    bench.wait(Duration::from_secs(1));
    bench.close(3000, "enough");
    bench.wait(DISCONNECT - BLINK);
    bench.moved();
    assert_eq!(bench.expires_after(DISCONNECT), (false, true));
    assert_eq!(bench.end(), Some((3000, EndedBy::Application, 1)));
}

/// A poll's answer is on its way when the application closes, and its client takes nothing: the
/// deadline of an open session stood, a minute away. One that is earlier still stands.
#[test]
fn a_close_brings_the_deadline_of_what_is_on_its_way_forward() {
    let mut bench = opened();
    bench.answer(100);
    bench.wait(Duration::from_secs(1));
    bench.close(3000, "enough");
    assert_eq!(bench.expires_after(DISCONNECT), (false, true));
    assert_eq!(bench.end(), Some((3000, EndedBy::Application, 1)));

    let mut bench = opened();
    bench.answer(100);
    bench.wait(WRITE - Duration::from_secs(1));
    bench.close(3000, "enough");
    assert_eq!(bench.expires_after(Duration::from_secs(1)), (false, true));
}
