mod memory;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use super::*;
use crate::Message;
use crate::protocol::frame::Frame;
use crate::session::QueueLimit;
use crate::session::core::Limits;
use crate::session::testing::{limits, shared};

/// A ping leaves when the socket is flushed, which is after the session was asked for the last time
/// in that turn. The attachment's timer then still stands at the next heartbeat, and a peer that is
/// dead would be missed until then.
#[tokio::test(start_paused = true)]
async fn the_pong_is_awaited_from_when_the_ping_has_left() {
    let limits = limits();
    let mut attachment = Attachment::first(shared(limits.clone()), Liveness::Pings);
    let mut steps = Vec::new();
    while steps.last() != Some(&Step::Ping) {
        steps.push(poll_fn(|cx| attachment.poll_step(cx)).await);
    }
    assert_eq!(steps, [Step::Frame(Frame::Open), Step::Frame(Frame::Heartbeat), Step::Ping]);

    // The turn in which the ping is handed to the socket ends, and then its bytes leave.
    let end = poll_fn(|cx| match attachment.poll_step(cx) {
        Poll::Pending => {
            attachment.ping_left(0);
            Poll::Pending
        }
        Poll::Ready(step) => Poll::Ready(step),
    });
    let left = clock::now();
    assert_eq!(end.await, Step::Frame(Frame::Close(CloseReason::NO_PONG)));
    assert_eq!(clock::now() - left, limits.pong_timeout);
}

/// A pong found the inbound queue over its limit, which one large payload may bring about, and was
/// taken for the beginning of a pause. That pause had no end, because no message waited for room: a
/// peer that fell silent then was never missed.
#[tokio::test(start_paused = true)]
async fn a_pong_needs_no_room_in_the_inbound_queue() {
    let limits = Limits { inbound: QueueLimit { messages: 8, bytes: 8 }, ..limits() };
    let shared = shared(limits.clone());
    let mut attachment = Attachment::first(Arc::clone(&shared), Liveness::Pings);
    poll_fn(|cx| {
        assert!(attachment.hear(cx, &mut vec!["larger than the queue".into()]));
        assert!(attachment.hear(cx, &mut Vec::new()), "a pong");
        assert!(shared.poll_recv(cx).is_ready());
        Poll::Ready(())
    })
    .await;

    let began = clock::now();
    let end = async {
        loop {
            match poll_fn(|cx| attachment.poll_step(cx)).await {
                Step::Ping => attachment.ping_left(0),
                Step::Frame(Frame::Close(reason)) => break reason,
                Step::Frame(_) => {}
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(600), end).await, Ok(CloseReason::NO_PONG));
    assert_eq!(clock::now() - began, limits.heartbeat_delay * 2 + limits.pong_timeout);
}

/// Notes that it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The timer is asked only when it must be. A body that goes from one task to another, a timer that
/// has fired meanwhile, and a task that has used up its budget are when it must.
#[tokio::test(start_paused = true)]
async fn the_timer_wakes_the_task_that_asked_last() {
    let limits = limits();
    let mut attachment = Attachment::first(shared(limits.clone()), Liveness::Heartbeats);
    let mut poll = |waker: &Arc<Woken>| {
        let waker = Waker::from(Arc::clone(waker));
        attachment.poll_step(&mut Context::from_waker(&waker))
    };
    let (first, second): (Arc<Woken>, Arc<Woken>) = Default::default();
    assert_eq!(poll(&first), Poll::Ready(Step::Frame(Frame::Open)));
    for _ in 0..3 {
        assert!(poll(&first).is_pending());
        assert!(poll(&second).is_pending());
        assert!(poll(&second).is_pending());
        tokio::time::sleep(limits.heartbeat_delay).await;
        assert!(second.0.swap(false, Ordering::Relaxed));
        assert_eq!(poll(&first), Poll::Ready(Step::Frame(Frame::Heartbeat)));
    }
    assert!(!first.0.load(Ordering::Relaxed));

    // Without budget: woken at once, to ask again.
    while tokio::task::coop::has_budget_remaining() {
        let _: Poll<()> =
            pin!(tokio::task::coop::consume_budget()).poll(&mut Context::from_waker(Waker::noop()));
    }
    assert!(poll(&first).is_pending());
    tokio::task::yield_now().await;
    assert!(first.0.swap(false, Ordering::Relaxed));
    assert!(poll(&first).is_pending());
    tokio::time::sleep(limits.heartbeat_delay).await;
    assert!(first.0.load(Ordering::Relaxed));
}

/// A client is over its rate for a minute. Its socket is not read, which is not its fault: no pong
/// is missed, and its waiting messages are taken in time, without another event.
#[tokio::test(start_paused = true)]
async fn a_socket_over_its_rate_is_read_when_it_is_time() {
    let rate = crate::Rate::new(1, u32::MAX).burst(Duration::from_secs(1));
    let shared = shared(Limits { inbound_rate: Some(rate), ..limits() });
    let mut attachment = Attachment::first(Arc::clone(&shared), Liveness::Pings);
    let start = clock::now();
    let mut messages: Vec<Message> = vec!["x".into(); 60];
    assert!(poll_fn(|cx| Poll::Ready(attachment.hear(cx, &mut messages))).await);
    let mut more = vec!["more".into()];
    let taken = poll_fn(|cx| {
        while let Poll::Ready(step) = attachment.poll_step(cx) {
            match step {
                Step::Ping => attachment.ping_left(0),
                step => assert!(!matches!(step, Step::Frame(Frame::Close(_))), "{step:?}"),
            }
        }
        if attachment.hear_again(cx, &mut more) { Poll::Ready(()) } else { Poll::Pending }
    });
    taken.await;
    let waited = clock::now() - start;
    assert_eq!(waited.as_secs(), 60, "{waited:?}");
    assert!(!shared.is_closed());
}
