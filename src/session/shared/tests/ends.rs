//! The rest of a session at its end, and drops under its lock.

use std::sync::Weak;

use bytes::Bytes;

use super::*;
use crate::protocol::frame::Frame;
use crate::session::core::Step;
use crate::session::{ConnectInfoParts, Receipt, Sender, Session};

/// A message, and whether its bytes are still kept somewhere.
fn kept() -> (Message, Weak<Vec<u8>>) {
    struct Owner(Arc<Vec<u8>>);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let bytes = Arc::new(vec![0; 1000]);
    let weak = Arc::downgrade(&bytes);
    (Message::binary(Bytes::from_owner(Owner(bytes))), weak)
}

/// An application keeps the senders of a hundred sessions that have ended. Each held its client's
/// last messages: 97 MiB.
#[tokio::test(start_paused = true)]
async fn a_sender_that_is_kept_after_the_end_keeps_no_messages() {
    type End = fn(Session, Attachment);
    let ends: [(&str, End); 4] = [
        ("the client goes, and its rest comes", |session, attachment| {
            attachment.expect_rest();
            attachment.peer_finished();
            drop(session);
        }),
        ("the client goes", |session, attachment| {
            drop(attachment);
            drop(session);
        }),
        ("a limit closes", |session, _receiver| {
            session.sender().give_up(CloseReason::SLOW_CONSUMER);
            drop(session);
        }),
        ("the application closes", |session, _receiver| drop(session)),
    ];
    for (how, end) in ends {
        let shared = shared(limits());
        let attachment = Attachment::first(Arc::clone(&shared), Liveness::Heartbeats);
        let session = Session::new(Arc::clone(&shared));
        let _sender: Sender = session.sender();
        let (message, queued) = kept();
        assert_eq!(shared.deliver(vec![message], Duration::ZERO, 0).await, Inbound::Taken);
        assert!(queued.upgrade().is_some());
        end(session, attachment);
        assert!(queued.upgrade().is_none(), "{how}");
        let (message, late) = kept();
        assert_eq!(shared.deliver(vec![message], Duration::ZERO, 0).await, Inbound::Taken);
        assert!(late.upgrade().is_none(), "{how}, and then the client sends");
    }
}

/// Messages from before the end are the application's, as long as it can receive them.
#[tokio::test(start_paused = true)]
async fn an_application_that_has_its_session_still_receives_after_the_end() {
    let shared = shared(limits());
    let attachment = Attachment::first(Arc::clone(&shared), Liveness::Heartbeats);
    let mut session = Session::new(Arc::clone(&shared));
    shared.deliver(vec!["last words".into()], Duration::ZERO, 0).await;
    drop(attachment);
    assert_eq!(session.recv().await.expect("it was taken"), "last words");
    assert_eq!(session.recv().await, None);
}

/// The tasks of a connection and of a handler are kept by their wakers; a sender that lives on must
/// keep neither.
#[tokio::test(start_paused = true)]
async fn a_sender_that_is_kept_after_the_end_keeps_no_task() {
    let shared = shared(limits());
    let mut attachment = Attachment::first(Arc::clone(&shared), Liveness::Heartbeats);
    let session = Session::new(Arc::clone(&shared));
    let (connection, handler) = (Arc::new(Task), Arc::new(Task));
    {
        let waker = Waker::from(Arc::clone(&handler));
        assert!(shared.poll_recv(&mut Context::from_waker(&waker)).is_pending());
        let waker = Waker::from(Arc::clone(&connection));
        let mut cx = Context::from_waker(&waker);
        assert_eq!(attachment.poll_step(&mut cx), Poll::Ready(Step::Frame(Frame::Open)));
        assert!(attachment.poll_step(&mut cx).is_pending());
    }
    assert!(Arc::strong_count(&connection) > 1 && Arc::strong_count(&handler) > 1);
    attachment.finish();
    drop(attachment);
    assert_eq!(Arc::strong_count(&connection), 1, "a response has ended, and its session lives");
    drop(session);
    assert_eq!(Arc::strong_count(&handler), 1);
}

/// A session has closed, and its client asks twice at once how. The first answer is ready at once;
/// the second waited out `attach_wait`, because nothing but an end or a departure woke it, and was
/// told that the session was in use.
#[tokio::test(start_paused = true)]
async fn a_close_frame_makes_way_for_the_next_receiver() {
    let session = shared(limits());
    let mut first = Attachment::first(Arc::clone(&session), Liveness::Heartbeats);
    first.close(CloseReason::TOO_LARGE);
    let close = Step::Frame(Frame::Close(CloseReason::TOO_LARGE));
    assert_eq!(poll_fn(|cx| first.poll_step(cx)).await, Step::Frame(Frame::Open));
    assert_eq!(poll_fn(|cx| first.poll_step(cx)).await, close);

    let mut second = Attachment::first(Arc::clone(&session), Liveness::Heartbeats);
    let (attach_wait, start) = (Duration::from_secs(60), clock::now());
    let third =
        tokio::spawn(Attachment::attach(Arc::clone(&session), Liveness::Heartbeats, attach_wait));
    tokio::task::yield_now().await;
    assert_eq!(poll_fn(|cx| second.poll_step(cx)).await, close);
    let mut third = third.await.expect("no panic").expect("the second one has gone");
    assert_eq!(clock::now(), start, "it did not wait");
    assert_eq!(poll_fn(|cx| third.poll_step(cx)).await, close);
}

/// The last waker of a task may be what keeps the task, and the task may hold this very session: a
/// drop under the session's lock would wait for that lock forever.
#[tokio::test(start_paused = true)]
async fn no_waker_is_dropped_under_the_lock() {
    /// Notes whether the lock was free when the last of its wakers was dropped.
    struct Holder(Arc<Shared>, Arc<Mutex<Vec<bool>>>);

    impl Wake for Holder {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Holder {
        fn drop(&mut self) {
            self.1.lock().expect("no panic").push(self.0.state.try_lock().is_ok());
        }
    }

    let one = QueueLimit { messages: 1, bytes: 1 };
    let session = shared(Limits { inbound: one, outbound: one, ..limits() });
    let dropped = Arc::new(Mutex::new(Vec::new()));
    let waker = || Waker::from(Arc::new(Holder(Arc::clone(&session), Arc::clone(&dropped))));
    let check = |what: &str, least: usize| {
        let seen = std::mem::take(&mut *dropped.lock().expect("no panic"));
        assert!(seen.len() >= least && seen.iter().all(|free| *free), "{what}: {seen:?}");
    };

    let mut attachment = Attachment::first(Arc::clone(&session), Liveness::Heartbeats);
    for step in 0..3 {
        assert_eq!(attachment.poll_step(&mut Context::from_waker(&waker())).is_ready(), step == 0);
    }
    check("an attachment is polled by other tasks", 2);
    assert!(attachment.poll_silence(&mut Context::from_waker(&waker())).is_pending());
    // The timer keeps another waker.
    assert!(attachment.poll_silence(&mut Context::from_waker(&waker())).is_pending());
    check("and while its socket takes nothing", 1);
    attachment.awake(false);
    check("and runs", 1);

    for _ in 0..3 {
        assert!(session.poll_recv(&mut Context::from_waker(&waker())).is_pending());
    }
    check("an application moves to another task", 2);
    let mut receiving = boxed(session.recv());
    assert!(receiving.as_mut().poll(&mut Context::from_waker(&waker())).is_pending());
    check("an application receives", 1);
    drop(receiving);
    check("and gives up", 1);

    session.try_send("x".into()).expect("there is room");
    session.deliver(vec!["x".into()], Duration::MAX, 1).await;
    for _ in 0..3 {
        assert!(!attachment.hear(&mut Context::from_waker(&waker()), &mut vec!["y".into()]));
    }
    check("a socket waits for room", 2);
    let mut sink = None;
    for _ in 0..3 {
        assert!(session.poll_space(&mut sink, &mut Context::from_waker(&waker())).is_pending());
    }
    check("a sink waits for room", 2);
    let patience = Duration::from_secs(60);
    let waiting = [
        ("send", boxed(session.send("y".into()))),
        ("deliver", boxed(session.deliver(vec!["y".into()], patience, 1))),
        ("attach", boxed(Attachment::attach(Arc::clone(&session), Liveness::Heartbeats, patience))),
        ("ended", boxed(session.ended())),
    ];
    for (what, mut future) in waiting {
        for _ in 0..3 {
            assert!(
                future.as_mut().poll(&mut Context::from_waker(&waker())).is_pending(),
                "{what}"
            );
        }
        check(what, 2);
        drop(future);
        check(what, 1);
    }
    drop(attachment);
    session.abandon(CloseReason::NORMAL);
    check("the end", 1);
}

/// An owner that notes what it is told.
struct Notes {
    budget: Budget,
    over: Mutex<u32>,
    parked: Mutex<Vec<Instant>>,
}

impl Owner for Notes {
    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn parked(&self, _: &Arc<Shared>, expires_at: Instant) {
        self.parked.lock().expect("no panic").push(expires_at);
    }

    fn over(&self, _: &Arc<Shared>) {
        *self.over.lock().expect("no panic") += 1;
    }
}

impl Notes {
    fn over(&self) -> u32 {
        *self.over.lock().expect("no panic")
    }

    fn parked(&self) -> Option<Instant> {
        self.parked.lock().expect("no panic").last().copied()
    }
}

/// A session over HTTP, whose first attachment has had the open frame.
fn noted() -> (Arc<Shared>, Arc<Notes>, Attachment) {
    let notes = Arc::new(Notes {
        budget: Budget::new(usize::MAX),
        over: Mutex::default(),
        parked: Mutex::default(),
    });
    let info = ConnectInfo::new(ConnectInfoParts {
        peer: None,
        local: None,
        transport: "test",
        subprotocol: None,
        prefix: 0,
        path: "/test".into(),
        query: None,
        headers: Box::default(),
        extensions: http::Extensions::new(),
    });
    let segment = Some("segment".into());
    let owner = Arc::clone(&notes) as Arc<dyn Owner>;
    let shared = Shared::new(info, segment, Carries::Text, Arc::new(limits()), owner);
    let mut attachment = Attachment::first(Arc::clone(&shared), Liveness::Heartbeats);
    take(&mut attachment).written();
    (shared, notes, attachment)
}

/// The next frame's receipt.
fn take(attachment: &mut Attachment) -> Receipt {
    match attachment.poll_frame(&mut Context::from_waker(Waker::noop()), None) {
        Poll::Ready((_, receipt)) => receipt,
        Poll::Pending => panic!("there is no frame"),
    }
}

/// An application closes its session while a message is on its way through a connection. The end
/// is told when the message has left, or is lost, because only then its count is known. A
/// connection that takes nothing may delay it by `disconnect_delay`.
#[tokio::test(start_paused = true)]
async fn the_end_waits_for_the_messages_before_it() {
    for written in [true, false] {
        let (shared, notes, mut attachment) = noted();
        shared.try_send("x".into()).expect("room");
        let mut message = take(&mut attachment);
        let mut ended = boxed(shared.ended());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(shared.close(CloseReason::NORMAL, EndedBy::Application));
        assert_eq!(notes.parked(), Some(clock::now() + limits().disconnect_delay), "its deadline");
        take(&mut attachment).written();
        assert!(ended.as_mut().poll(&mut cx).is_pending());
        if written {
            message.written();
        }
        drop(message);
        assert!(ended.as_mut().poll(&mut cx).is_ready());
        let end = shared.end().expect("it has ended");
        assert_eq!((end.by, end.undelivered), (EndedBy::Application, usize::from(!written)));
    }
}

/// A poll's answer is lost when its attachment has gone already. The session has no other task that
/// could tell its owner, which kept it until the deadline for its return.
#[tokio::test(start_paused = true)]
async fn the_owner_is_told_of_a_session_that_a_lost_frame_has_ended() {
    let (shared, notes, mut attachment) = noted();
    for _ in 0..2 {
        shared.try_send("x".into()).expect("room");
    }
    let frames = [take(&mut attachment), take(&mut attachment)];
    attachment.finish();
    assert_eq!((notes.over(), shared.is_closed()), (0, false));
    let [first, second] = frames;
    drop(first);
    assert_eq!((notes.over(), shared.is_closed()), (1, true));
    drop(second);
    assert_eq!(notes.over(), 1, "once");

    // A attachment that is there tells it itself, when it has taken the close frame.
    let (shared, notes, mut attachment) = noted();
    shared.try_send("x".into()).expect("room");
    drop(take(&mut attachment));
    assert_eq!((notes.over(), shared.is_closed()), (0, true));
    take(&mut attachment).written();
    assert_eq!((notes.over(), shared.is_attached()), (0, false));
    assert_eq!(notes.parked(), Some(clock::now() + limits().disconnect_delay));
}
