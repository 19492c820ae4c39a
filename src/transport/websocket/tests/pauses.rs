//! A socket that is not read for a while, and one that takes nothing meanwhile.

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::signs::{EVER, SECOND, four, head, now, patience, serve, serve_over, told};
use super::*;
use crate::budget::Budget;
use crate::session::testing::shared_in;
use crate::session::{EndedBy, Sender, SessionEnd};
use crate::transport::WatchedStream;

/// A message has begun when memory runs short, and its session holds so much that its socket is
/// not read. The message's time ran on, and it was late as soon as there was memory again.
#[tokio::test(start_paused = true)]
async fn a_message_is_not_late_while_memory_is_short() {
    for framing in [Framing::Raw, Framing::SockJs] {
        let budget = Budget::new(10 << 20);
        let (ours, mut client) = duplex(64 * 1024);
        let (session, read_ahead) = (shared_in(&budget, limits()), (1 << 20, 4096));
        let (receive, may_receive) = oneshot::channel();
        let (tell, received) = oneshot::channel();
        let _server = serve_over(
            ours,
            None,
            session,
            read_ahead,
            framing,
            patience(),
            |mut session| async move {
                may_receive.await.expect("the test waits");
                let first = session.recv().await.map(|message| message.len());
                let second = session.recv().await.map(|message| message.len());
                tell.send((first, second)).expect("the test waits");
            },
        );
        let payload = |length: usize| match framing {
            Framing::Raw => "x".repeat(length),
            Framing::SockJs => format!("[\"{}\"]", "x".repeat(length)),
        };
        let (much, slow) = (payload(100_000), payload(200));
        client.write_all(&head(much.len() as u64)).await.expect("connected");
        client.write_all(much.as_bytes()).await.expect("it reads");
        client.write_all(&head(slow.len() as u64)).await.expect("connected");
        let mut held = None;
        for (index, byte) in slow.bytes().enumerate() {
            match index {
                6 => held = Some(budget.hold(9 << 20)),
                // 50 seconds before its last byte.
                _ if index + 10 == slow.len() => drop(held.take()),
                _ => {}
            }
            sleep(5 * SECOND).await;
            client.write_all(&[byte]).await.expect("connected");
        }
        receive.send(()).expect("the application waits");
        assert_eq!(received.await, Ok((Some(100_000), Some(200))), "{framing:?}");
    }
}

/// After half a minute an application sends all that a socket takes and more. It tells how its
/// session ended, and after how many seconds.
fn floods_late(
    sender: oneshot::Sender<Sender>,
    tell: oneshot::Sender<(SessionEnd, u64)>,
) -> impl FnOnce(Session) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    |session| {
        Box::pin(async move {
            let begun = now();
            // Some tests need none.
            drop(sender.send(session.sender()));
            sleep(30 * SECOND).await;
            while session.send("x".repeat(1000)).await.is_ok() {}
            let end = session.ended().await;
            tell.send((end, begun.elapsed().as_secs())).expect("the test waits");
        })
    }
}

/// A ping has left into room that there was, and then the socket takes nothing more: it must not
/// keep the missing pong from being seen. While the inbound queue is full the pong may lie in the
/// socket, unread: then only the write deadline counts.
#[tokio::test(start_paused = true)]
async fn a_full_socket_hides_no_missing_pong() {
    for full_queue in [false, true] {
        for framing in [Framing::Raw, Framing::SockJs] {
            let ((sender, _), (tell, ended)) = (oneshot::channel(), oneshot::channel());
            let (mut client, _server) =
                serve(4096, framing, four(), patience(), floods_late(sender, tell));
            if full_queue {
                fill_the_queue(&mut client, framing).await;
            }
            let end = tokio::time::timeout(EVER, ended).await.expect("an end");
            let (end, seconds) = end.expect("told");
            let expected = if full_queue {
                (1008, "the client does not read", EndedBy::Gateway)
            } else {
                (3000, "No response from heartbeat", EndedBy::Gateway)
            };
            assert_eq!(told(&end), expected, "{framing:?}");
            assert_eq!(seconds, if full_queue { 90 } else { 35 }, "{framing:?}");
        }
    }
}

/// A session is closed from elsewhere while its inbound queue is full, and its socket takes
/// nothing: it goes after `disconnect_delay`, not only when the write deadline has come.
#[tokio::test(start_paused = true)]
async fn a_closed_session_goes_in_time_though_its_queues_and_its_socket_are_full() {
    for framing in [Framing::Raw, Framing::SockJs] {
        let ((sender, closer), (tell, ended)) = (oneshot::channel(), oneshot::channel());
        let (mut client, _server) =
            serve(4096, framing, four(), patience(), floods_late(sender, tell));
        fill_the_queue(&mut client, framing).await;
        sleep(40 * SECOND).await;
        closer.await.expect("sent").close((3000, "enough"));
        let end = tokio::time::timeout(EVER, ended).await.expect("an end");
        let (end, seconds) = end.expect("told");
        assert_eq!(told(&end), (3000, "enough", EndedBy::Application), "{framing:?}");
        assert_eq!(seconds, 45, "{framing:?}");
    }
}

async fn fill_the_queue(client: &mut DuplexStream, framing: Framing) {
    let text = match framing {
        Framing::Raw => "x",
        Framing::SockJs => r#"["x"]"#,
    };
    client.write_all(&from_client(1, text.as_bytes()).repeat(10)).await.expect("room");
}

/// What is read of a client that has gone was in no count. And behind a full queue less was looked
/// at than was said, because each message was counted again with every later one.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[tokio::test]
async fn the_rest_of_a_client_that_has_gone_counts_in_the_budget() {
    let budget = Budget::new(usize::MAX);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let mut client = TcpStream::connect(addr).await.expect("it listens");
    let stream = WatchedStream::new(listener.accept().await.expect("a client").0);
    let watch = Some(stream.watch());
    let limits = four();
    let read_ahead = (limits.inbound.bytes, limits.inbound.messages);
    let session = shared_in(&budget, limits);
    let idle = budget.used();
    let (tell, ended) = oneshot::channel();
    let patience = Patience { linger: EVER, ..patience() };
    let (receive, may_receive) = oneshot::channel::<()>();
    let server = serve_over(
        stream,
        watch,
        session,
        read_ahead,
        Framing::Raw,
        patience,
        |mut session| async move {
            tell.send(session.ended().await).expect("the test waits");
            may_receive.await.expect("the test waits");
            while session.recv().await.is_some() {}
        },
    );
    let message = [&head(1000)[..], &[b'x'; 1000]].concat();
    client.write_all(&message.repeat(60)).await.expect("room");
    client.shutdown().await.expect("connected");
    assert_eq!(told(&ended.await.expect("told")), (1002, "Connection interrupted", EndedBy::Peer));
    // Twice as much as is looked at behind a full queue: once before the end, and once behind it.
    let counted = async {
        while budget.used() - idle < 2 * LOOK_AHEAD.0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(60 * SECOND, counted).await.expect("it counts");
    receive.send(()).expect("the application waits");
    drop(client);
    server.await.expect("no panic");
    assert_eq!(budget.used(), 0);
}

/// Messages lie behind a full queue when the client goes. The application receives all of them, or
/// none that came too late, and then the end: without a word that the rest is in, it waits forever.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[tokio::test]
async fn the_application_receives_to_the_end_of_a_client_that_has_gone() {
    for linger in [EVER, Duration::ZERO] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let mut client = TcpStream::connect(addr).await.expect("it listens");
        let stream = WatchedStream::new(listener.accept().await.expect("a client").0);
        let watch = Some(stream.watch());
        let read_ahead = (four().inbound.bytes, four().inbound.messages);
        let (tell, received) = oneshot::channel();
        let _server = serve_over(
            stream,
            watch,
            shared(four()),
            read_ahead,
            Framing::Raw,
            Patience { linger, ..patience() },
            |mut session| async move {
                session.ended().await;
                let mut count = 0;
                while session.recv().await.is_some() {
                    count += 1;
                }
                tell.send(count).expect("the test waits");
            },
        );
        let message = [&head(1000)[..], &[b'x'; 1000]].concat();
        client.write_all(&message.repeat(60)).await.expect("room");
        client.shutdown().await.expect("connected");
        let count = tokio::time::timeout(60 * SECOND, received).await.expect("the end");
        let count: usize = count.expect("told");
        assert!(if linger == EVER { count == 60 } else { count >= 4 }, "{linger:?}: {count}");
    }
}
