//! The memory of frames on their way, and a socket that is not read for want of memory.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::budget::{Budget, Holder};
use crate::session::testing::shared_in;

const SIZE: usize = 100_000;

/// A connection that takes nothing and notes that it was shut.
#[derive(Default)]
struct Stuck(AtomicUsize);

impl Connection for Stuck {
    fn shut(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn stuck() -> (Arc<Stuck>, Arc<dyn Connection>) {
    let stuck = Arc::new(Stuck::default());
    (Arc::clone(&stuck), stuck)
}

/// An attachment that has had its first frame.
fn streaming(budget: &Budget, connection: &Arc<dyn Connection>) -> (Arc<Shared>, Attachment) {
    let session = shared_in(budget, limits());
    let mut attachment = Attachment::first(Arc::clone(&session), Liveness::Heartbeats);
    take(&mut attachment, connection);
    (session, attachment)
}

/// Takes a frame, which is written at once if the test drops it so.
fn take(attachment: &mut Attachment, connection: &Arc<dyn Connection>) -> Receipt {
    let mut cx = Context::from_waker(Waker::noop());
    match attachment.poll_frame(&mut cx, Some(connection)) {
        Poll::Ready((_, mut receipt)) => {
            receipt.written();
            receipt
        }
        Poll::Pending => panic!("there is no frame"),
    }
}

fn about(bytes: usize, expected: usize) {
    assert!(bytes.abs_diff(expected) < 4096, "{bytes}, expected {expected}");
}

/// A message left the queue when it was handed to hyper, and counted no more, though hyper held it
/// for as long as its client took nothing.
#[tokio::test(start_paused = true)]
async fn what_a_connection_has_not_taken_counts_as_the_sessions() {
    let budget = Budget::new(usize::MAX);
    let (_, connection) = stuck();
    let (session, mut attachment) = streaming(&budget, &connection);
    let (idle, own) = (budget.used(), session.held());
    session.try_send("x".repeat(SIZE).into()).expect("room");
    about(budget.used() - idle, SIZE);
    let receipt = take(&mut attachment, &connection);
    about(budget.used() - idle, SIZE);
    about(session.held() - own, SIZE);
    drop(receipt);
    about(budget.used(), idle);
    about(session.held(), own);
    drop((attachment, session));
    assert_eq!(budget.used(), 0);
}

/// A transport's form of a message may be larger, or another copy of a shared line.
#[tokio::test(start_paused = true)]
async fn a_frame_counts_as_large_as_its_transport_has_made_it() {
    let budget = Budget::new(usize::MAX);
    let (_, connection) = stuck();
    let (session, mut attachment) = streaming(&budget, &connection);
    let idle = budget.used();
    session.try_send("x".repeat(SIZE).into()).expect("room");
    let mut receipt = take(&mut attachment, &connection);
    receipt.weigh(&vec![0; 6 * SIZE].into());
    about(budget.used() - idle, 6 * SIZE);
    drop(receipt);

    let shared = Message::from("x".repeat(SIZE));
    session.try_send(shared.clone()).expect("room");
    let mut receipt = take(&mut attachment, &connection);
    about(budget.used() - idle, SIZE);
    receipt.weigh(shared.line().expect("text"));
    about(budget.used() - idle, SIZE);
    receipt.weigh(&vec![0; SIZE].into());
    about(budget.used() - idle, SIZE);
    drop((receipt, attachment, session));
    assert_eq!(budget.used(), 0);
}

/// A publication to a hundred streams, none of which takes it: the process holds it once with its
/// line, and each session as its own.
#[tokio::test(start_paused = true)]
async fn a_line_of_many_streams_counts_once_for_the_process() {
    let budget = Budget::new(usize::MAX);
    let (_, connection) = stuck();
    let mut all: Vec<_> = (0..100).map(|_| streaming(&budget, &connection)).collect();
    let (idle, own) = (budget.used(), all[0].0.held());
    let message = Message::from("x".repeat(SIZE));
    for (session, _) in &all {
        session.try_send(message.clone()).expect("room");
    }
    let receipts: Vec<_> = all
        .iter_mut()
        .map(|(_, attachment)| {
            let mut receipt = take(attachment, &connection);
            receipt.weigh(message.line().expect("text"));
            receipt
        })
        .collect();
    // The text and its line; places come on top.
    let used = budget.used() - idle;
    assert!((2 * SIZE..2 * SIZE + 100 * 100).contains(&used), "{used}");
    about(all[0].0.held() - own, SIZE);
    drop(receipts);
    drop((message, all));
    assert_eq!(budget.used(), 0);
}

/// A session was ended for its memory, but the memory stayed in hyper because its client took
/// nothing. Its connection is shut, and no other session is ended for memory on its way back.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_ended_for_its_memory_has_its_connection_shut() {
    let budget = Budget::new(SIZE + 50_000);
    let (hoarding, first) = stuck();
    let (modest, second) = stuck();
    let (hoarder, mut attachment) = streaming(&budget, &first);
    let (other, mut beside) = streaming(&budget, &second);
    hoarder.try_send("x".repeat(SIZE).into()).expect("room");
    other.try_send("x".repeat(2_000).into()).expect("room");
    let receipts = (take(&mut attachment, &first), take(&mut beside, &second));
    let held = budget.hold(60_000);
    assert_eq!(hoarding.0.load(Ordering::Relaxed), 1);
    assert_eq!(modest.0.load(Ordering::Relaxed), 0);
    assert!(hoarder.is_closed() && !other.is_closed());
    assert_eq!(budget.ended(), 1);
    let before = budget.used();
    drop(receipts);
    about(before - budget.used(), SIZE + 2_000);
    drop((held, attachment, beside, hoarder, other));
    assert_eq!(budget.used(), 0);
    // No memory on its way back is left over: the limit is as before.
    let held = budget.hold(SIZE + 49_000);
    assert_eq!(budget.ended(), 1);
    drop(held);
}

/// A stream that takes nothing for `write_timeout` ends, and with it hyper's bytes for it.
#[tokio::test(start_paused = true)]
async fn a_connection_that_takes_nothing_for_too_long_is_shut() {
    let budget = Budget::new(usize::MAX);
    let (stuck, connection) = stuck();
    let (session, mut attachment) = streaming(&budget, &connection);
    session.try_send("x".repeat(2_000).into()).expect("room");
    let receipt = take(&mut attachment, &connection);
    assert!(!session.expire(clock::now()));
    assert_eq!(stuck.0.load(Ordering::Relaxed), 0);
    tokio::time::sleep(limits().write_timeout + Duration::from_secs(3)).await;
    assert!(session.expire(clock::now()));
    assert_eq!(stuck.0.load(Ordering::Relaxed), 1);
    drop(receipt);
    tokio::time::sleep(Duration::from_secs(1)).await;
    session.expire(clock::now());
    assert_eq!(stuck.0.load(Ordering::Relaxed), 1, "what was written needs no end");
}

/// Memory is short for ten minutes, and a socket whose session holds much is not read: the pong
/// that may lie in it can't be missed. When it is read again the peer has the whole time anew.
#[tokio::test(start_paused = true)]
async fn no_pong_is_missed_while_memory_is_short() {
    let budget = Budget::new(10 << 20);
    let shared = shared_in(&budget, limits());
    let mut attachment = Attachment::first(Arc::clone(&shared), Liveness::Pings);
    let mut much = vec!["x".repeat(SIZE).into()];
    assert!(poll_fn(|cx| Poll::Ready(attachment.hear(cx, &mut much))).await);
    let held = budget.hold(9 << 20);
    let mut ended = None;
    let mut serve = async |attachment: &mut Attachment, time: Duration| {
        let served = poll_fn(|cx| {
            let _may = attachment.may_read(cx);
            while let Poll::Ready(step) = attachment.poll_step(cx) {
                match step {
                    Step::Ping => attachment.ping_left(0),
                    Step::Frame(Frame::Close(reason)) => return Poll::Ready(reason),
                    Step::Frame(_) => {}
                }
            }
            Poll::Pending
        });
        ended = tokio::time::timeout(time, served).await.ok();
        ended.clone()
    };
    assert_eq!(serve(&mut attachment, Duration::from_secs(600)).await, None);
    drop(held);
    let (began, pong) = (clock::now(), limits().pong_timeout);
    assert_eq!(serve(&mut attachment, Duration::from_secs(600)).await, Some(CloseReason::NO_PONG));
    assert!(clock::now() - began >= pong, "it has the whole time anew");
}
