mod ends;
mod turns;

use std::future::Future;
use std::pin::Pin;
use std::task::Wake;

use super::*;
use crate::session::core::Liveness;
use crate::session::testing::{limits, shared};
use crate::session::{Attachment, QueueLimit, SendError};

struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// A client that comes again and again for a session that is in use, or an application that cancels
/// its sending after a while, must not leave a waker behind each time: it keeps all of a task's
/// memory, and is not called for as long as nothing happens.
#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_leaves_nothing_behind() {
    let one = QueueLimit { messages: 1, bytes: 4 };
    let session = shared(Limits { inbound: one, outbound: one, ..limits() });
    let _receiver = Attachment::first(Arc::clone(&session), Liveness::Heartbeats);
    session.try_send("full".into()).expect("there is room");
    session.deliver(vec!["full".into()], Duration::MAX, 1).await;

    let patience = Duration::from_secs(60);
    let waiting = [
        ("send", boxed(session.send("more".into()))),
        ("deliver", boxed(session.deliver(vec!["more".into()], patience, 1))),
        ("attach", boxed(Attachment::attach(Arc::clone(&session), Liveness::Heartbeats, patience))),
        ("ended", boxed(session.ended())),
    ];
    for (what, mut future) in waiting {
        let task = Arc::new(Task);
        for _ in 0..3 {
            let waker = Waker::from(Arc::clone(&task));
            assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "{what}");
        }
        assert!(Arc::strong_count(&task) > 1, "{what} is to be woken");
        drop(future);
        assert_eq!(Arc::strong_count(&task), 1, "{what} was given up");
    }
}

/// An application waits for a message in one task, gives up, and hands its session to another task:
/// the first must not be kept until the client says something, or goes.
#[test]
fn who_gives_up_receiving_leaves_nothing_behind() {
    let session = shared(limits());
    let task = Arc::new(Task);
    let waker = Waker::from(Arc::clone(&task));
    let mut receiving = boxed(session.recv());
    assert!(receiving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    assert_eq!(Arc::strong_count(&task), 2, "it is to be woken");
    drop(receiving);
    assert_eq!(Arc::strong_count(&task), 1, "it gave up");
}

/// A payload's wait ends, and the payload behind it gets its turn just when the application makes
/// room: it must not be taken, because the application could not see that a payload is missing
/// before it.
#[tokio::test(start_paused = true)]
async fn no_payload_passes_one_that_gave_up() {
    /// Notes whether the session was closed when it was woken.
    struct Behind(Arc<Shared>, Mutex<Vec<bool>>);

    impl Wake for Behind {
        fn wake(self: Arc<Self>) {
            self.1.lock().expect("no panic").push(self.0.is_closed());
        }
    }

    let session = shared(Limits { inbound: QueueLimit { messages: 1, bytes: 1 }, ..limits() });
    session.deliver(vec!["full".into()], Duration::MAX, 2).await;
    let behind = Arc::new(Behind(Arc::clone(&session), Mutex::default()));
    let first = session.deliver(vec!["first".into()], Duration::from_secs(1), 2);
    let second = session.deliver(vec!["second".into()], Duration::from_secs(9), 2);
    let (mut first, mut second) = (Box::pin(first), Box::pin(second));
    assert!(poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx))).await.is_pending());
    assert!(
        second.as_mut().poll(&mut Context::from_waker(&Arc::clone(&behind).into())).is_pending()
    );
    assert_eq!(first.await, Inbound::Full);
    assert_eq!(*behind.1.lock().expect("no panic"), [true]);
}

fn boxed<'f, F: Future + 'f>(future: F) -> Pin<Box<dyn Future<Output = ()> + 'f>> {
    Box::pin(async {
        future.await;
    })
}
