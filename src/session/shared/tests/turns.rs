//! Room in the outbound queue: which sender gets it, and in which order.

use futures_sink::Sink;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::budget::Holder;
use crate::protocol::frame::Frame;
use crate::session::Session;
use crate::session::core::Step;
use crate::session::testing::shared_in;

/// A queue that holds so many bytes.
fn narrow(bytes: usize) -> Arc<Shared> {
    shared(Limits { outbound: QueueLimit { messages: 64, bytes }, ..limits() })
}

fn of(bytes: usize) -> Message {
    "x".repeat(bytes).into()
}

fn poll(future: &mut Pin<Box<impl Future>>) -> bool {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// A task that notes whether it was woken.
struct Woken(Mutex<bool>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        *self.0.lock().expect("no panic") = true;
    }
}

/// A publication over `outbound_bytes` found an empty queue that took anything, and the next
/// publication closed a session that had kept up. A message that never can keep to the limit is
/// refused, whatever there is room for, and the session goes on.
#[tokio::test]
async fn a_message_larger_than_the_queue_is_refused_also_by_an_empty_one() {
    use futures_util::SinkExt;

    let shared = narrow(10);
    let mut session = Session::new(Arc::clone(&shared));
    assert!(
        matches!(session.try_send(of(11)), Err(TrySendError::TooLarge(message)) if message == of(11))
    );
    assert!(
        matches!(Session::send(&session, of(11)).await, Err(SendError::TooLarge(message)) if message == of(11))
    );
    assert!(
        matches!(session.feed(of(11)).await, Err(TrySendError::TooLarge(_))),
        "a promise of room is none of more"
    );
    session.try_send(of(10)).expect("as large as the queue");
    assert!(
        matches!(session.try_send(of(11)), Err(TrySendError::TooLarge(_))),
        "nor is it worth waiting"
    );
    assert!(matches!(session.try_send(of(1)), Err(TrySendError::Full(_))));
}

/// Without room for bytes only empty messages pass, one at a time: no sender waits for room that
/// can't come.
#[tokio::test]
async fn a_queue_without_bytes_takes_empty_messages() {
    let session = shared(Limits { outbound: QueueLimit { messages: 0, bytes: 0 }, ..limits() });
    assert!(matches!(session.send(of(1)).await, Err(SendError::TooLarge(_))));
    session.send(of(0)).await.expect("it needs none");
    assert!(matches!(session.try_send(of(0)), Err(TrySendError::Full(_))));
}

/// A handler that echoes waits with a message that is in no queue. Such messages were in no count:
/// one of each session.
#[tokio::test]
async fn a_message_that_waits_for_room_counts_in_the_budget() {
    const SIZE: usize = 100_000;
    let about = |bytes: usize, expected: usize| {
        assert!(bytes.abs_diff(expected) < 4096, "{bytes}, expected {expected}");
    };
    let budget = Budget::new(usize::MAX);
    let outbound = QueueLimit { messages: 1, bytes: SIZE };
    let sessions = [(); 3].map(|()| shared_in(&budget, Limits { outbound, ..limits() }));
    let mut attachments = sessions
        .each_ref()
        .map(|session| Attachment::first(Arc::clone(session), Liveness::Heartbeats));
    let (idle, own) = (budget.used(), sessions[0].held());
    for session in &sessions {
        session.try_send(of(1)).expect("room");
    }
    let mut first = Box::pin(sessions[0].send(of(SIZE)));
    for _ in 0..3 {
        assert!(!poll(&mut first));
    }
    about(budget.used() - idle, SIZE);
    about(sessions[0].held() - own, SIZE);

    // Two that wait with the same message share its memory.
    let shared = of(SIZE);
    let mut second = Box::pin(sessions[1].send(shared.clone()));
    let mut third = Box::pin(sessions[2].send(shared.clone()));
    assert!(!poll(&mut second) && !poll(&mut third));
    // The text, its line, and the first one.
    about(budget.used() - idle, 3 * SIZE);
    about(sessions[2].held() - own, SIZE);
    drop((second, third, shared));
    about(budget.used() - idle, SIZE);
    about(sessions[2].held(), own);

    // So does the message of a sink.
    let mut cx = Context::from_waker(Waker::noop());
    let handle = Session::new(Arc::clone(&sessions[1]));
    let mut sink = handle.sender().into_sink();
    Pin::new(&mut sink).start_send(of(SIZE)).expect("it waits");
    assert!(Pin::new(&mut sink).poll_flush(&mut cx).is_pending());
    about(sessions[1].held() - own, SIZE);
    drop(sink);
    about(sessions[1].held(), own);
    drop(handle);

    // It has its turn, and counts as queued; then it leaves.
    for _ in 0..2 {
        assert!(attachments[0].poll_step(&mut cx).is_ready());
    }
    assert!(poll(&mut first));
    drop(first);
    about(budget.used() - idle, SIZE);
    assert!(attachments[0].poll_step(&mut cx).is_ready());
    about(budget.used(), idle);
    drop((attachments, sessions));
    assert_eq!(budget.used(), 0);
}

/// A large message waits for room; small ones come later, and each finds room that is too small for
/// the large one. It waited as long as they came.
#[tokio::test]
async fn what_comes_later_does_not_overtake_what_waits() {
    let session = narrow(10);
    let mut attachment = Attachment::first(Arc::clone(&session), Liveness::Heartbeats);
    assert_eq!(poll_fn(|cx| attachment.poll_step(cx)).await, Step::Frame(Frame::Open));
    session.try_send(of(6)).expect("there is room");
    let mut large = Box::pin(session.send(of(7)));
    assert!(!poll(&mut large));
    let mut small = Box::pin(session.send(of(1)));
    assert!(!poll(&mut small), "there is room, but not in its turn");
    assert!(
        matches!(session.try_send(of(1)), Err(TrySendError::Full(_))),
        "nor for a sender that does not wait"
    );

    assert_eq!(poll_fn(|cx| attachment.poll_step(cx)).await, Step::Frame(Frame::Message(of(6))));
    assert!(!poll(&mut small), "still the large one's turn");
    assert!(poll(&mut large));
    drop(large);
    assert!(poll(&mut small));
    drop(small);
    session.try_send(of(1)).expect("no sender waits");
    for bytes in [7, 1, 1] {
        assert_eq!(
            poll_fn(|cx| attachment.poll_step(cx)).await,
            Step::Frame(Frame::Message(of(bytes)))
        );
    }
}

/// A hub can't wait, and closes a session that has no room. A session with room is healthy, though
/// a sender waits for more.
#[tokio::test]
async fn a_publication_takes_the_room_that_there_is() {
    let session = narrow(10);
    session.try_send(of(6)).expect("there is room");
    let mut large = Box::pin(session.send(of(7)));
    assert!(!poll(&mut large));
    session.try_send_past_senders(of(4)).expect("there is room");
    assert!(matches!(session.try_send_past_senders(of(1)), Err(TrySendError::Full(_))));
}

/// The first sender is cancelled. The next sender is woken, because it needs less.
#[tokio::test]
async fn a_sender_that_gives_up_leaves_its_turn_to_the_next() {
    let session = narrow(10);
    session.try_send(of(6)).expect("there is room");
    let mut large = Box::pin(session.send(of(7)));
    assert!(!poll(&mut large));
    let task = Arc::new(Woken(Mutex::new(false)));
    let waker = Waker::from(Arc::clone(&task));
    let mut small = Box::pin(session.send(of(4)));
    assert!(small.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(large);
    assert!(*task.0.lock().expect("no panic"));
    assert!(poll(&mut small));
}

/// A sink is asked in a `select!`, say, and never again. A sender behind it must not wait for that.
#[tokio::test]
async fn a_sink_that_is_not_asked_again_holds_up_nobody() {
    let session = narrow(10);
    let mut attachment = Attachment::first(Arc::clone(&session), Liveness::Heartbeats);
    assert_eq!(poll_fn(|cx| attachment.poll_step(cx)).await, Step::Frame(Frame::Open));
    for _ in 0..64 {
        session.try_send(of(0)).expect("there is room");
    }
    let mut sink = None;
    assert!(session.poll_space(&mut sink, &mut Context::from_waker(Waker::noop())).is_pending());
    let mut behind = Box::pin(session.send(of(1)));
    assert!(!poll(&mut behind));
    assert_eq!(poll_fn(|cx| attachment.poll_step(cx)).await, Step::Frame(Frame::Message(of(0))));
    assert!(poll(&mut behind), "the sink has had its turn");
    drop(behind);
    // If it is asked after all, its turn counts, though there is no room left.
    assert!(session.poll_space(&mut sink, &mut Context::from_waker(Waker::noop())).is_ready());
    assert!(
        session.poll_space(&mut sink, &mut Context::from_waker(Waker::noop())).is_pending(),
        "once"
    );
}

/// The turns of a session's senders.
#[derive(Clone, Copy, Debug)]
enum Op {
    Send(usize),
    TrySend(usize),
    GiveUp(usize),
    Take,
}

/// Any senders, whose tasks are polled only when woken: messages enter in the order in which their
/// senders came, each sender that can have room gets it, and a sender that doesn't wait passes none
/// that does.
#[tokio::test]
async fn any_senders_are_served_in_the_order_in_which_they_came() {
    let op = prop_oneof![
        4 => (0..12usize).prop_map(Op::Send),
        2 => (0..12usize).prop_map(Op::TrySend),
        1 => (0..8usize).prop_map(Op::GiveUp),
        4 => Just(Op::Take),
    ];
    let config =
        ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = proptest::test_runner::TestRunner::new(config).run(&vec(op, 0..60), |ops| {
        play(&ops);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

fn play(ops: &[Op]) {
    const BYTES: usize = 16;
    const MESSAGES: usize = 3;
    let session =
        shared(Limits { outbound: QueueLimit { messages: MESSAGES, bytes: BYTES }, ..limits() });
    let mut attachment = Attachment::first(Arc::clone(&session), Liveness::Heartbeats);
    let mut take = || {
        let mut step = None;
        attachment.poll_steps(&mut Context::from_waker(Waker::noop()), |taken| {
            step = Some(taken);
            std::ops::ControlFlow::Break(())
        });
        match step {
            Some(Step::Frame(Frame::Message(message))) => Some(message.len()),
            _ => None,
        }
    };
    take();
    let fits = |queued: &[usize], bytes: usize| {
        queued.is_empty()
            || queued.len() < MESSAGES && queued.iter().sum::<usize>() + bytes <= BYTES
    };
    let (mut waiting, mut queued) = (Vec::new(), Vec::new());
    for op in ops.iter().copied().chain(std::iter::repeat_n(Op::Take, 100)) {
        match op {
            Op::Send(bytes) => {
                let task = Arc::new(Woken(Mutex::new(true)));
                waiting.push((bytes, task, Box::pin(session.send(of(bytes)))));
            }
            Op::TrySend(bytes) => {
                let room = waiting.is_empty() && fits(&queued, bytes);
                assert_eq!(session.try_send(of(bytes)).is_ok(), room);
                queued.extend(room.then_some(bytes));
            }
            Op::GiveUp(at) if at < waiting.len() => drop(waiting.remove(at)),
            Op::GiveUp(_) => {}
            Op::Take => {
                let expected = if queued.is_empty() { None } else { Some(queued.remove(0)) };
                assert_eq!(take(), expected);
            }
        }
        // Tasks run, the last that came first, as long as any was woken.
        while let Some(at) =
            waiting.iter().rposition(|(_, task, _)| *task.0.lock().expect("no panic"))
        {
            let (bytes, task, sending) = &mut waiting[at];
            *task.0.lock().expect("no panic") = false;
            let (bytes, waker) = (*bytes, Waker::from(Arc::clone(task)));
            if sending.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                assert_eq!(at, 0, "it was not its turn");
                assert!(fits(&queued, bytes));
                queued.push(bytes);
                drop(waiting.remove(at));
            }
        }
        if let Some((first, ..)) = waiting.first() {
            assert!(!fits(&queued, *first), "the first one waits though there is room");
        }
    }
    assert!(waiting.is_empty() && queued.is_empty());
}

/// Two tasks forward streams to one session, and its client reads slowly: each message waits in its
/// turn, none makes the queue larger than its limit, and a sink that is given up holds up no other.
#[tokio::test]
async fn sinks_of_senders_wait_in_line_with_all_others() {
    let shared = narrow(10);
    let mut attachment = Attachment::first(Arc::clone(&shared), Liveness::Heartbeats);
    assert_eq!(poll_fn(|cx| attachment.poll_step(cx)).await, Step::Frame(Frame::Open));
    let session = Session::new(Arc::clone(&shared));
    let mut cx = Context::from_waker(Waker::noop());
    let [mut first, mut second, mut third] =
        [(); 3].map(|()| Box::pin(session.sender().into_sink()));
    for (sink, bytes) in [(&mut first, 8), (&mut second, 7), (&mut third, 6)] {
        assert_eq!(sink.as_mut().poll_ready(&mut cx).map_err(drop), Poll::Ready(Ok(())));
        sink.as_mut().start_send(of(bytes)).expect("it is queued, or waits in the sink");
    }
    assert_eq!(first.as_mut().poll_flush(&mut cx).map_err(drop), Poll::Ready(Ok(())));
    for sink in [&mut second, &mut third] {
        assert!(sink.as_mut().poll_flush(&mut cx).is_pending());
        assert!(sink.as_mut().poll_ready(&mut cx).is_pending(), "one message waits in it");
        let unasked = sink.as_mut().start_send(of(1));
        assert!(matches!(unasked, Err(TrySendError::Full(message)) if message == of(1)));
    }
    assert!(matches!(session.try_send(of(1)), Err(TrySendError::Full(_))), "two wait before it");

    assert_eq!(poll_fn(|cx| attachment.poll_step(cx)).await, Step::Frame(Frame::Message(of(8))));
    assert!(third.as_mut().poll_flush(&mut cx).is_pending(), "the second is first now");
    drop(second);
    assert_eq!(third.as_mut().poll_flush(&mut cx).map_err(drop), Poll::Ready(Ok(())));
    assert_eq!(poll_fn(|cx| attachment.poll_step(cx)).await, Step::Frame(Frame::Message(of(6))));

    // A message that still waits at the end comes back.
    first.as_mut().start_send(of(9)).expect("there is room");
    third.as_mut().start_send(of(9)).expect("it waits in the sink");
    session.close(CloseReason::NORMAL);
    let end = third.as_mut().poll_flush(&mut cx);
    assert!(
        matches!(&end, Poll::Ready(Err(TrySendError::Closed(message))) if *message == of(9)),
        "{end:?}"
    );
}
