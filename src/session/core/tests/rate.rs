//! A client's rate: the payloads that it lets in, and when.

use super::*;
use crate::session::core::rate::Buckets;

const SECOND: Duration = Duration::from_secs(1);

/// How many single messages of `bytes` get in now.
fn flood(buckets: &mut Buckets, now: Instant, rate: &Rate, bytes: usize) -> usize {
    std::iter::repeat_with(|| buckets.take(now, rate, 1, bytes)).take_while(Result::is_ok).count()
}

#[test]
fn messages_and_bytes_both_bound() {
    let start = clock::now();
    let rate = Rate::new(10, 1000).burst(3 * SECOND);
    let mut small = Buckets::full(start);
    assert_eq!(flood(&mut small, start, &rate, 1), 30, "three seconds' worth at once");
    assert_eq!(small.take(start, &rate, 1, 1), Err(start + SECOND / 10), "then as they are earned");
    assert_eq!(small.take(start + SECOND / 10 - BLINK, &rate, 1, 1), Err(start + SECOND / 10));
    assert_eq!(flood(&mut small, start + SECOND, &rate, 1), 10);
    assert_eq!(
        flood(&mut small, start + 100 * SECOND, &rate, 1),
        30,
        "no pause earns more than a burst"
    );
    let mut large = Buckets::full(start);
    assert_eq!(flood(&mut large, start, &rate, 500), 6);
    assert_eq!(flood(&mut large, start + SECOND, &rate, 500), 2);
    assert_eq!(rate.at_once(), (3000, 30));
}

/// A payload comes whole or not at all, also one that is more than a burst. It needs a full bucket,
/// else a client could send a burst and such a payload in one moment, which together are more than
/// the queues of its hearers hold.
#[test]
fn a_payload_that_is_more_than_a_burst_takes_the_time_that_it_costs() {
    let start = clock::now();
    let rate = Rate::new(10, 1000).burst(3 * SECOND);
    let mut buckets = Buckets::full(start);
    buckets.take(start, &rate, 1, 100).expect("the first");
    assert_eq!(buckets.take(start, &rate, 1, 10_000), Err(start + SECOND / 10));
    let at = start + SECOND / 10;
    buckets.take(at, &rate, 1, 10_000).expect("the bucket is full");
    assert_eq!(
        buckets.take(at, &rate, 1, 0),
        Err(at + 7 * SECOND),
        "nothing more before the debt is paid"
    );
    assert_eq!(
        buckets.take(at, &rate, 1, 1000),
        Err(at + 8 * SECOND),
        "and then what it costs itself"
    );
}

#[test]
fn without_a_burst_payloads_come_one_by_one() {
    let start = clock::now();
    let rate = Rate::new(10, 1000).burst(Duration::ZERO);
    let mut buckets = Buckets::full(start);
    assert_eq!(flood(&mut buckets, start, &rate, 1), 1);
    assert_eq!(flood(&mut buckets, start + SECOND / 10, &rate, 1), 1);
    assert_eq!(rate.at_once(), (1, 1));
}

#[test]
fn no_payload_is_so_large_that_time_overflows() {
    let start = clock::now();
    let rate = Rate::new(1, 1).burst(Duration::MAX);
    let mut buckets = Buckets::full(start);
    buckets.take(start, &rate, usize::MAX, usize::MAX).expect("it is full");
    assert!(buckets.take(start, &rate, usize::MAX, usize::MAX).is_err());
}

#[test]
#[should_panic(expected = "a rate of 0 lets nothing in")]
fn a_rate_of_zero_is_refused() {
    let _ = Rate::new(0, 1);
}

/// A payload that finds no room costs nothing, and messages that a closed session drops are not
/// held back either.
#[test]
fn only_what_comes_in_is_counted() {
    let mut bench = Bench::new();
    let rate = Rate::new(1, 1000).burst(SECOND);
    let push = |bench: &mut Bench, text: &str| {
        bench.core.push_at_rate(bench.now, &bench.limits, &rate, &mut vec![Message::from(text)])
    };
    assert!(bench.push(&["x"; 8]));
    assert_eq!(push(&mut bench, "x"), Err(NotAdmitted::Full));
    bench.received();
    assert_eq!(push(&mut bench, "x"), Ok(()));
    let at = bench.now + SECOND;
    assert_eq!(push(&mut bench, "x"), Err(NotAdmitted::OverRate(at)));
    assert_eq!(bench.core.held_by_rate_until(), Some(at));
    bench.close(1000, "bye");
    assert_eq!(push(&mut bench, "x"), Ok(()), "dropped");
}
