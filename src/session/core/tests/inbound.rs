//! Messages from the client, and the bounds of both queues.

use super::*;

#[test]
fn a_payload_is_admitted_whole_or_not_at_all() {
    let mut bench = Bench::new();
    assert!(bench.push(&["1", "2", "3", "4", "5"]));
    assert!(!bench.push(&["6", "7", "8", "9"]), "nine messages in all");
    assert!(bench.push(&["6", "7", "8"]));
    assert_eq!(bench.received(), ["1", "2", "3", "4", "5", "6", "7", "8"]);
    assert!(bench.push(&[&"x".repeat(60)]));
    assert!(!bench.push(&["y", &"x".repeat(40)]), "101 bytes in all");
    assert!(bench.push(&["y", &"x".repeat(39)]));
    assert_eq!(bench.received().len(), 3);
    assert_eq!(bench.core.counts(), (11, 0), "what was refused is not counted");
}

#[test]
fn what_was_refused_comes_back_as_it_was() {
    let mut bench = Bench::new();
    bench.push(&["in the way"]);
    let payload: Vec<Message> = (0..8).map(|n| Message::from(n.to_string())).collect();
    let mut offered = payload.clone();
    assert!(!bench.core.push_inbound(&bench.limits, &mut offered));
    assert_eq!(offered, payload);
}

/// It would wait forever otherwise; its size was limited before.
#[test]
fn an_empty_queue_takes_a_payload_larger_than_itself() {
    let mut bench = Bench::new();
    assert!(bench.push(&[&"x".repeat(1000)]));
    assert!(!bench.push(&[""]));
}

#[test]
fn the_outbound_queue_is_bounded_alike() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    for _ in 0..8 {
        assert!(bench.core.has_space(&bench.limits, 0));
        bench.send("x");
    }
    assert!(!bench.core.has_space(&bench.limits, 0));
    assert!(!bench.core.has_space(&bench.limits, 0));
    assert_eq!(bench.step(), r#"a["x"]"#);
    assert!(bench.core.has_space(&bench.limits, 93));
    assert!(!bench.core.has_space(&bench.limits, 94));
}

/// Also while it is empty: a hub's next publication would find it over its limit, and close a
/// session that has kept up.
#[test]
fn the_outbound_queue_takes_nothing_larger_than_itself() {
    let bench = Bench::streaming(Liveness::Heartbeats);
    assert!(bench.core.has_space(&bench.limits, 100));
    assert!(!bench.core.has_space(&bench.limits, 101));
}

#[test]
fn an_application_that_closes_receives_no_more() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.push(&["unread"]);
    bench.close(1000, "bye");
    assert!(bench.push(&["its client can't know yet"]));
    assert_eq!(bench.received(), [""; 0]);
}

#[test]
fn a_limit_that_closes_takes_nothing_from_the_application() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    bench.push(&["unread"]);
    bench.core.close(bench.now, &bench.limits, CloseReason::INBOUND_FULL, EndedBy::Gateway);
    assert!(bench.push(&["too late"]));
    assert_eq!(bench.received(), ["unread"]);
}

#[test]
fn what_a_client_sent_before_it_went_is_still_received() {
    for end in [Bench::vanish, |bench: &mut Bench| bench.core.abort(CloseReason::BROKEN_FRAMING)] {
        let mut bench = Bench::streaming(Liveness::Heartbeats);
        bench.push(&["last words"]);
        end(&mut bench);
        assert!(bench.push(&["too late"]));
        assert_eq!(bench.received(), ["last words"]);
    }
}

#[test]
fn the_last_messages_of_a_client_need_no_room() {
    let mut bench = Bench::streaming(Liveness::Heartbeats);
    assert!(bench.push(&["x"; 8]));
    bench.core.push_last(&mut vec!["last".into()]);
    bench.vanish();
    bench.core.push_last(&mut vec!["too late".into()]);
    assert_eq!(bench.received()[7..], ["x", "last"]);
    assert_eq!(bench.core.counts(), (9, 0));
}
