//! Messages of which only the newest of a key counts.

use super::*;
use crate::session::core::latest::Kept;

fn put(bench: &mut Bench, key: &str, text: &str) -> Kept {
    bench.core.send_latest(&bench.limits, ("topic".into(), key.into()), text.into())
}

fn full() -> Bench {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.limits.outbound.messages = 2;
    bench.send("1");
    bench.send("2");
    bench
}

/// The client reads again: it gets the newest of each key, in the order in which these were
/// published.
#[test]
fn a_full_queue_keeps_the_newest_of_each_key() {
    let mut bench = full();
    assert_eq!(put(&mut bench, "a", "a1"), Kept::Waits { replaced: false });
    assert_eq!(put(&mut bench, "b", "b1"), Kept::Waits { replaced: false });
    assert_eq!(put(&mut bench, "a", "a2"), Kept::Waits { replaced: true });
    assert!(!bench.core.has_space(&bench.limits, 0));
    assert_eq!(bench.step(), r#"a["1"]"#);
    assert!(
        !bench.core.has_space(&bench.limits, 0),
        "one that waited has taken the room; nothing passes those that wait"
    );
    assert_eq!(put(&mut bench, "b", "b2"), Kept::Waits { replaced: false }, "b1 is in the queue");
    assert_eq!(bench.steps(), [r#"a["2"]"#, r#"a["b1"]"#, r#"a["a2"]"#, r#"a["b2"]"#]);
    assert_eq!(put(&mut bench, "a", "a3"), Kept::Queued);
    assert_eq!(bench.steps(), [r#"a["a3"]"#]);
    assert!(bench.core.latest.is_none(), "a client that keeps up costs nothing");
}

#[test]
fn keys_and_bytes_are_bounded() {
    let mut bench = full();
    bench.limits.outbound_keys = 2;
    bench.limits.outbound.bytes = 10;
    for (key, text) in [("a", "aaaa"), ("b", "bbbb")] {
        assert_eq!(put(&mut bench, key, text), Kept::Waits { replaced: false });
    }
    assert_eq!(put(&mut bench, "c", ""), Kept::NoPlace, "a third key");
    assert_eq!(put(&mut bench, "a", "aaaaaaa"), Kept::NoPlace, "11 bytes");
    assert_eq!(put(&mut bench, "a", "AAAAAA"), Kept::Waits { replaced: true });
    assert_eq!(bench.steps()[2..], [r#"a["bbbb"]"#, r#"a["AAAAAA"]"#]);
}

/// Waiting messages go out before a later close, and are counted when no receiver takes them.
#[test]
fn what_waits_is_delivered_or_counted() {
    let mut bench = full();
    put(&mut bench, "a", "a1");
    bench.close(1000, "bye");
    assert_eq!(bench.steps(), [r#"a["1"]"#, r#"a["2"]"#, r#"a["a1"]"#, r#"c[1000,"bye"]"#]);
    let mut bench = full();
    put(&mut bench, "a", "a1");
    put(&mut bench, "a", "a2");
    bench.vanish();
    assert_eq!(bench.end(), Some((1002, EndedBy::Peer, 3)), "the replaced one was told of before");
}
