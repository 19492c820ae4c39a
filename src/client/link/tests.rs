use std::pin::pin;
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::outbound::{Work, json};
use super::*;
use crate::Message;
use crate::client::error::SendError;

const LIMITS: LinkLimits = LinkLimits {
    inbound: QueueLimit { messages: 2, bytes: 100 },
    outbound: QueueLimit { messages: 4, bytes: 100 },
    payload_size: 14,
    messages_per_payload: 3,
};

fn link() -> Link {
    Link::new(LIMITS, PayloadFormat::Json)
}

fn now<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn work(link: &Link) -> Poll<String> {
    now(link.work()).map(|work| match work {
        Work::Send(messages) => String::from_utf8(json(&messages)).expect("JSON is text"),
        Work::Leave(reason) => reason.to_string(),
    })
}

#[test]
fn everything_queued_leaves_as_one_payload_within_its_limits() {
    let link = link();
    for text in ["a", "b", "c", "d"] {
        link.try_send(text.into()).expect("there is room");
    }
    assert_eq!(work(&link), Poll::Ready(r#"["a","b","c"]"#.into()), "three messages at the most");
    assert_eq!(work(&link), Poll::Ready(r#"["d"]"#.into()));
    link.try_send("12345".into()).expect("there is room");
    link.try_send("678".into()).expect("there is room");
    assert_eq!(
        work(&link),
        Poll::Ready(r#"["12345"]"#.into()),
        "fourteen bytes at the most: both would be 15"
    );
    assert_eq!(work(&link), Poll::Ready(r#"["678"]"#.into()));
    link.try_send("1234".into()).expect("there is room");
    link.try_send("567".into()).expect("there is room");
    assert_eq!(work(&link), Poll::Ready(r#"["1234","567"]"#.into()), "and here they are 14");
    assert_eq!(work(&link), Poll::Pending);
}

#[test]
fn what_is_not_taken_comes_back() {
    let link = link();
    let error =
        link.try_send("12345678901".into()).expect_err("fifteen bytes with quotes and brackets");
    assert!(matches!(error, SendError::TooLarge { limit: 14, .. }), "{error:?}");
    assert_eq!(error.into_message(), "12345678901");
    link.try_send("1234567890".into()).expect("fourteen bytes fit");
    let error = link.try_send(Message::binary(&b"x"[..])).expect_err("JSON carries no bytes");
    assert!(matches!(error, SendError::NotCarried(_)), "{error:?}");
    for _ in 0..3 {
        link.try_send("x".into()).expect("there is room");
    }
    let error = link.try_send("full".into()).expect_err("four are queued");
    assert!(matches!(&error, SendError::Full(message) if message == "full"), "{error:?}");
    assert!(now(link.send("full".into())).is_pending());
    link.leave(CloseReason::NORMAL);
    let error = link.try_send("late".into()).expect_err("it is closing");
    assert!(matches!(&error, SendError::Closed(message) if message == "late"), "{error:?}");
}

#[test]
fn leaving_comes_after_all_that_was_sent() {
    let link = link();
    link.try_send("last".into()).expect("there is room");
    link.leave(CloseReason::NORMAL);
    link.leave(CloseReason::INTERRUPTED);
    assert_eq!(work(&link), Poll::Ready(r#"["last"]"#.into()));
    assert!(now(link.flushed()).is_pending(), "it is in flight");
    link.sent();
    assert!(now(link.flushed()).is_ready());
    assert_eq!(work(&link), Poll::Ready("1000 Normal closure".into()));
}

#[test]
fn what_was_not_sent_is_counted_and_what_came_stays() {
    let link = link();
    for text in ["a", "b", "c", "d"] {
        link.try_send(text.into()).expect("there is room");
    }
    assert!(work(&link).is_ready());
    assert!(now(link.deliver(vec!["in".into()])).is_ready());
    let end = link.end(CloseReason::INTERRUPTED, EndedBy::Server);
    assert_eq!(end.undelivered, 4, "three in flight, one queued");
    assert_eq!(
        link.end(CloseReason::NORMAL, EndedBy::Client).reason,
        CloseReason::INTERRUPTED,
        "the first counts"
    );
    assert_eq!(now(link.recv()), Poll::Ready(Some("in".into())));
    assert_eq!(now(link.recv()), Poll::Ready(None));
}

#[test]
fn a_frame_waits_for_room() {
    let link = link();
    let frame = vec!["a".into(), "b".into(), "c".into()];
    assert!(now(link.deliver(frame)).is_ready(), "an empty queue takes any frame");
    let mut next = pin!(link.deliver(vec!["d".into()]));
    for expected in ["a", "b"] {
        assert!(now(next.as_mut()).is_pending());
        assert_eq!(now(link.recv()), Poll::Ready(Some(expected.into())));
    }
    assert!(now(next).is_ready(), "one waits, two may");
    for expected in ["c", "d"] {
        assert_eq!(now(link.recv()), Poll::Ready(Some(expected.into())));
    }
}

struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// An application tries for a while to receive, send, flush or wait for the end, each time in
/// another task: each left a waker behind, with all of its task's memory, and found the list of
/// those before it longer. The task of a transport does no better when it is stopped.
#[test]
fn who_gives_up_waiting_leaves_nothing_behind() {
    let link = link();
    for _ in 0..4 {
        link.try_send("full".into()).expect("there is room");
    }
    let full = vec!["a".into(), "b".into()];
    let waits: [(&str, Boxed<'_>); 4] = [
        ("send", boxed(link.send("more".into()))),
        ("flushed", boxed(link.flushed())),
        ("ended", boxed(link.ended())),
        ("recv", boxed(link.recv())),
    ];
    let mut waits = Vec::from(waits);
    let task = Arc::new(Task);
    let gives_up = |(what, mut wait): (&str, Boxed<'_>)| {
        for _ in 0..3 {
            let waker = Waker::from(Arc::clone(&task));
            assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "{what}");
        }
        assert!(Arc::strong_count(&task) > 1, "{what} is to be woken");
        drop(wait);
        assert_eq!(Arc::strong_count(&task), 1, "{what} was given up");
    };
    waits.drain(..).for_each(&gives_up);

    assert!(now(link.deliver(full)).is_ready());
    while work(&link) != Poll::Pending {}
    gives_up(("deliver", boxed(link.deliver(vec!["c".into()]))));
    gives_up(("work", boxed(link.work())));
    gives_up(("leaving", boxed(link.leaving())));
}

/// Two waits of one task: the end of the first must not end the second.
#[test]
fn a_cancelled_wait_leaves_the_task_s_other_waits() {
    struct Woken(std::sync::atomic::AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    let link = link();
    let task = Arc::new(Woken(0.into()));
    let waker = Waker::from(Arc::clone(&task));
    let mut cx = Context::from_waker(&waker);
    let (mut first, mut second) = (boxed(link.ended()), boxed(link.ended()));
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert!(second.as_mut().poll(&mut cx).is_pending());
    drop(first);
    link.end(CloseReason::NORMAL, EndedBy::Server);
    assert_eq!(task.0.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert!(second.as_mut().poll(&mut cx).is_ready());
}

/// An application drops its connection and keeps a sender: the messages that it did not receive
/// were kept with it. And a frame may arrive while the connection's task is being stopped.
#[test]
fn an_abandoned_link_keeps_no_messages() {
    struct Bytes {
        _counted: Arc<()>,
    }

    impl AsRef<[u8]> for Bytes {
        fn as_ref(&self) -> &[u8] {
            b"x"
        }
    }

    let link = link();
    let kept = Arc::new(());
    let message =
        || Message::binary(bytes::Bytes::from_owner(Bytes { _counted: Arc::clone(&kept) }));
    assert!(now(link.deliver(vec![message(), message()])).is_ready());
    let mut late = pin!(link.deliver(vec![message()]));
    assert!(now(late.as_mut()).is_pending());
    link.end(CloseReason::NORMAL, EndedBy::Client);
    link.abandon();
    assert!(now(late.as_mut()).is_ready());
    assert!(now(link.deliver(vec![message()])).is_ready());
    assert_eq!(Arc::strong_count(&kept), 1);
    assert_eq!(now(link.recv()), Poll::Ready(None));
}

type Boxed<'f> = std::pin::Pin<Box<dyn Future<Output = ()> + 'f>>;

fn boxed<'f, F: Future + 'f>(future: F) -> Boxed<'f> {
    Box::pin(async {
        future.await;
    })
}
