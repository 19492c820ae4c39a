use std::future::Future;
use std::pin::Pin;
use std::task::Wake;

use super::*;
use crate::session::core::Liveness;
use crate::session::testing::{limits, shared};
use crate::session::{QueueLimit, Receiver};

struct Task;

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// A client that comes again and again for a session that is in use, or an application that gives up sending after a while, must not leave
/// a waker behind each time: it keeps all of a task's memory, and nobody would call it for as long as nothing happens.
#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_leaves_nothing_behind() {
    let one = QueueLimit { messages: 1, bytes: 1 };
    let session = shared(Limits { inbound: one, outbound: one, ..limits() });
    let _receiver = Receiver::first(Arc::clone(&session), Liveness::Heartbeats);
    session.try_send("full".into()).expect("there is room");
    session.deliver(vec!["full".into()], Duration::MAX, 1).await;

    let patience = Duration::from_secs(60);
    let waiting = [
        ("send", boxed(session.send("more".into()))),
        ("deliver", boxed(session.deliver(vec!["more".into()], patience, 1))),
        ("attach", boxed(Receiver::attach(Arc::clone(&session), Liveness::Heartbeats, patience))),
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

fn boxed<'f, F: Future + 'f>(future: F) -> Pin<Box<dyn Future<Output = ()> + 'f>> {
    Box::pin(async {
        future.await;
    })
}
