//! What is a sign of life of a peer and what is none, and how slow it may be.

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::clock;
use crate::session::{EndedBy, Limits, QueueLimit, SessionEnd, Shared};

pub(super) const SECOND: Duration = Duration::from_secs(1);
/// Longer than all that is waited for here.
pub(super) const EVER: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn now() -> Instant {
    clock::now().into()
}

/// A session over a pipe that holds so many bytes each way: the client's side, and the server's
/// task.
pub(super) fn serve<A>(
    pipe: usize,
    framing: Framing,
    limits: Limits,
    patience: Patience,
    app: impl FnOnce(Session) -> A,
) -> (DuplexStream, JoinHandle<()>)
where
    A: Future<Output = ()> + Send + 'static,
{
    let (ours, theirs) = duplex(pipe);
    let read_ahead = (limits.inbound.bytes, limits.inbound.messages);
    let server = serve_over(ours, None, shared(limits), read_ahead, framing, patience, app);
    (theirs, server)
}

/// The same over a stream of the test's own, for a session of the test's own.
pub(super) fn serve_over<S, A>(
    stream: S,
    watch: Option<PeerWatch>,
    session: Arc<Shared>,
    read_ahead: (usize, usize),
    framing: Framing,
    patience: Patience,
    app: impl FnOnce(Session) -> A,
) -> JoinHandle<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let attachment = Attachment::first(Arc::clone(&session), Liveness::Pings);
    let settings = Settings {
        binary: false,
        payload_size: 2 << 20,
        payload: PayloadLimits { message_size: 2 << 20, messages: 16 },
        read_ahead,
        patience,
    };
    let application = Box::pin(app(Session::new(session)));
    let server =
        run(stream, Vec::new(), watch, attachment, application, framing, Arc::new(settings));
    tokio::spawn(server)
}

/// The defaults.
pub(super) fn patience() -> Patience {
    Patience { least_rate: 1024, ..PATIENCE }
}

/// The head of a text frame of a client's, masked with zeros.
pub(super) fn head(length: u64) -> Vec<u8> {
    [&[0x81, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat()
}

pub(super) fn told(end: &SessionEnd) -> (u16, &str, EndedBy) {
    (end.reason.code(), end.reason.reason(), end.by)
}

/// Only whole packets counted as a sign of life, so a client in the middle of a large message was
/// closed with 3000: 1 MiB at 22 kB/s died after 35 s.
#[tokio::test(start_paused = true)]
async fn a_client_in_the_middle_of_a_large_message_lives() {
    for framing in [Framing::Raw, Framing::SockJs] {
        let (tell, received) = oneshot::channel();
        let (client, _server) =
            serve(64 * 1024, framing, limits(), patience(), |mut session| async move {
                let message = session.recv().await.map(|message| message.len());
                tell.send(message).expect("the test waits");
            });
        let text = match framing {
            Framing::Raw => "x".repeat(1 << 20),
            Framing::SockJs => format!("[\"{}\"]", "x".repeat(1 << 20)),
        };
        let (mut reading, mut writing) = tokio::io::split(client);
        // It takes what comes, and is too busy to answer pings.
        let reading =
            tokio::spawn(
                async move { tokio::io::copy(&mut reading, &mut tokio::io::sink()).await },
            );
        let begun = now();
        writing.write_all(&head(text.len() as u64)).await.expect("connected");
        for piece in text.as_bytes().chunks(22_000) {
            sleep(SECOND).await;
            writing.write_all(piece).await.expect("connected");
        }
        assert_eq!(received.await, Ok(Some(1 << 20)), "{framing:?}");
        assert!(begun.elapsed() > 45 * SECOND);
        reading.abort();
    }
}

/// A client that always sends a little more of a message would otherwise live for ever, and hold
/// what has come of it.
#[tokio::test(start_paused = true)]
async fn a_message_that_never_ends_has_a_deadline() {
    let fragment = [&[0x01, 0x81, 0, 0, 0, 0][..], b"x"].concat();
    let more = [&[0x00, 0x81, 0, 0, 0, 0][..], b"x"].concat();
    let ping = from_client(9, b"");
    let whole = head(1_000_000);
    for (what, first, again) in [
        ("one frame", &whole[..], &b"x"[..]),
        ("fragments", &fragment, &more),
        ("pings between fragments", &fragment, &ping),
        ("half a head", &whole[..1], b""),
    ] {
        let (tell, ended) = oneshot::channel();
        let (client, server) =
            serve(64 * 1024, Framing::Raw, limits(), patience(), |session| async move {
                tell.send(session.ended().await).expect("the test waits");
            });
        let (mut reading, mut writing) = tokio::io::split(client);
        let (first, again) = (first.to_vec(), again.to_vec());
        let dribble = tokio::spawn(async move {
            let mut next = first;
            // Until the connection ends.
            while writing.write_all(&next).await.is_ok() {
                sleep(5 * SECOND).await;
                next.clone_from(&again);
            }
        });
        let begun = now();
        let drain = tokio::spawn(async move {
            let mut all = Vec::new();
            let _ = reading.read_to_end(&mut all).await;
            (all, reading)
        });
        let end = tokio::time::timeout(EVER, ended).await.expect("an end").expect("told");
        let (code, reason, by) = told(&end);
        assert_eq!(
            (code, reason, by),
            (1008, "message did not arrive in time", EndedBy::Gateway),
            "{what}"
        );
        assert_eq!(begun.elapsed().as_secs(), 60, "{what}");
        dribble.abort();
        let (all, _) = drain.await.expect("no panic");
        let close = [&code.to_be_bytes()[..], reason.as_bytes()].concat();
        assert!(all.ends_with(&close), "{what}: told to the client as well");
        server.await.expect("no panic");
    }
}

/// Each message has its own time, also when the next one begins in the read that ends one.
#[tokio::test(start_paused = true)]
async fn each_message_has_its_own_time() {
    let (tell, ended) = oneshot::channel();
    let (mut client, _server) =
        serve(64 * 1024, Framing::Raw, limits(), patience(), |mut session| async move {
            let mut received = 0;
            while session.recv().await.is_some() {
                received += 1;
            }
            tell.send(received).expect("the test waits");
        });
    let begun = now();
    client.write_all(&head(2)).await.expect("connected");
    for _ in 0..5 {
        for _ in 0..2 {
            sleep(25 * SECOND).await;
            client.write_all(b"x").await.expect("connected");
        }
        client.write_all(&head(2)).await.expect("connected");
    }
    assert_eq!(tokio::time::timeout(EVER, ended).await.expect("an end"), Ok(5));
    assert!(begun.elapsed() >= 5 * 50 * SECOND, "{:?}", begun.elapsed());
}

/// While nothing is read, no time is counted: the rest of the message may lie in the socket. The
/// message has begun in the very read that brought more than the queue takes, so that its time has
/// begun as well.
#[tokio::test(start_paused = true)]
async fn a_message_is_not_late_while_nobody_reads() {
    let (tell, received) = oneshot::channel();
    let (mut client, _server) =
        serve(64 * 1024, Framing::Raw, four(), patience(), |mut session| async move {
            sleep(1_000 * SECOND).await;
            let mut lengths = Vec::new();
            while lengths.len() < 6
                && let Some(message) = session.recv().await
            {
                lengths.push(message.len());
            }
            tell.send(lengths).expect("the test waits");
        });
    client.write_all(&from_client(1, b"a").repeat(3)).await.expect("room");
    sleep(SECOND).await;
    let two = from_client(1, &[b'b'; 100]).repeat(2);
    client.write_all(&[&two[..], &head(40_000), &[b'c'; 20_000]].concat()).await.expect("room");
    sleep(1_000 * SECOND).await;
    client.write_all(&[b'c'; 20_000]).await.expect("room");
    let expected = vec![1, 1, 1, 100, 100, 40_000];
    assert_eq!(tokio::time::timeout(EVER, received).await.expect("soon"), Ok(expected));
}

/// An application that always has more to send, and tells how that ended, and after how many
/// seconds.
fn flood(
    tell: oneshot::Sender<(SessionEnd, u64)>,
) -> impl FnOnce(Session) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    |session| {
        Box::pin(async move {
            let begun = now();
            while session.send("x".repeat(1000)).await.is_ok() {}
            let end = session.ended().await;
            // Some tests end before it does.
            let _ = tell.send((end, begun.elapsed().as_secs()));
        })
    }
}

/// A client that takes so many bytes every ten seconds for an hour, and says nothing: how its
/// session ended, if it did.
async fn reads(
    bytes: usize,
    framing: Framing,
    patience: Patience,
) -> Option<(u16, String, EndedBy, u64, usize)> {
    let (tell, mut ended) = oneshot::channel();
    let limits = Limits { outbound: QueueLimit { messages: 100, bytes: 1 << 20 }, ..limits() };
    let (mut client, _server) = serve(4096, framing, limits, patience, flood(tell));
    for _ in 0..360 {
        let mut piece = vec![0; bytes];
        let mut read = 0;
        let until = now() + 10 * SECOND;
        // A little at a time: the pipe is short.
        while read < bytes
            && let Ok(Ok(more)) =
                tokio::time::timeout_at(until, client.read(&mut piece[read..])).await
            && more > 0
        {
            read += more;
        }
        tokio::time::sleep_until(until).await;
        if let Ok((end, seconds)) = ended.try_recv() {
            let (code, reason, by) = told(&end);
            return Some((code, reason.to_owned(), by, seconds, end.undelivered));
        }
    }
    None
}

/// A client that reads without a pause, and too much waits for it to answer a ping in time, was
/// closed with 3000.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_under_load_lives() {
    for framing in [Framing::Raw, Framing::SockJs] {
        assert_eq!(reads(50_000, framing, patience()).await, None, "{framing:?}");
        assert_eq!(reads(15_000, framing, patience()).await, None, "{framing:?}");
    }
}

/// A ping has left into room that there was, and no byte comes from the client. It is not given up
/// for want of a pong while its socket, which is full by now, takes bytes again and again.
#[tokio::test(start_paused = true)]
async fn a_full_socket_that_takes_bytes_again_is_a_sign_of_life() {
    let (tell, mut ended) = oneshot::channel();
    let (mut client, _server) =
        serve(64 * 1024, Framing::Raw, limits(), patience(), |session| async move {
            // The ping comes 25 s later.
            session.send("x".repeat(30_000)).await.expect("open");
            sleep(30 * SECOND).await;
            while session.send("x".repeat(1000)).await.is_ok() {}
            let _ = tell.send(session.ended().await);
        });
    for _ in 0..100 {
        sleep(10 * SECOND).await;
        client.read_exact(&mut vec![0; 12_000]).await.expect("it is open");
        assert_eq!(ended.try_recv().ok(), None);
    }
}

/// Its session was held for ever.
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_given_up() {
    for framing in [Framing::Raw, Framing::SockJs] {
        let end = reads(0, framing, patience()).await;
        let expected = (1008, "the client does not read".to_owned(), EndedBy::Gateway, 60, 100);
        assert_eq!(end, Some(expected), "{framing:?}");
    }
}

/// A few kB now and then held a full queue, and whatever waits for it, as long as the client liked.
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_too_little_is_given_up() {
    for framing in [Framing::Raw, Framing::SockJs] {
        let end = reads(3_000, framing, patience()).await.expect("an end");
        assert_eq!(
            (end.0, &*end.1, end.2),
            (1008, "the client reads too slowly", EndedBy::Gateway),
            "{framing:?}"
        );
        assert_eq!(end.4, 100, "what no transport had taken is counted");
        let any = Patience { least_rate: 0, ..patience() };
        assert_eq!(reads(3_000, framing, any).await, None, "{framing:?}");
    }
}

/// Bytes that the system's buffers take tell nothing about the peer: a dead peer was not missed
/// while there was something to send.
#[tokio::test(start_paused = true)]
async fn a_write_into_room_that_was_there_is_no_sign_of_life() {
    let (tell, ended) = oneshot::channel();
    let (_client, _server) =
        serve(1 << 24, Framing::Raw, limits(), patience(), |session| async move {
            let begun = now();
            while session.send("x").await.is_ok() {
                sleep(SECOND / 10).await;
            }
            tell.send((session.ended().await, begun.elapsed())).expect("the test waits");
        });
    let (end, after) = tokio::time::timeout(EVER, ended).await.expect("an end").expect("told");
    assert_eq!(told(&end), (3000, "No response from heartbeat", EndedBy::Gateway));
    assert!(after < 40 * SECOND, "{after:?}");
}

/// tokio refuses a task that has worked for long, until others had their turn. That says nothing
/// about the socket.
#[tokio::test(start_paused = true)]
async fn a_spent_budget_is_no_full_socket() {
    let (ours, mut theirs) = duplex(1024);
    let mut socket = PacketSocket::new(ours, Vec::new(), 1024);
    socket.put_text(b"there is room");
    poll_fn(|cx| {
        while has_budget() {
            let _: Poll<()> = std::pin::pin!(tokio::task::coop::consume_budget()).poll(cx);
        }
        assert!(socket.poll_flush(cx).is_pending());
        assert!(!socket.is_full());
        Poll::Ready(())
    })
    .await;
    tokio::task::yield_now().await;
    poll_fn(|cx| socket.poll_flush(cx)).await.expect("room");
    assert!(!socket.take_takes_again());

    // And this is one.
    socket.put_text(&[b'x'; 2000]);
    assert!(poll_fn(|cx| Poll::Ready(socket.poll_flush(cx))).await.is_pending());
    assert!(socket.is_full());
    assert!(!socket.take_takes_again(), "into room that was there");
    theirs.read_exact(&mut [0; 500]).await.expect("connected");
    assert!(poll_fn(|cx| Poll::Ready(socket.poll_flush(cx))).await.is_pending());
    assert!(socket.take_takes_again());
}

fn has_budget() -> bool {
    tokio::task::coop::has_budget_remaining()
}

/// A client that takes a byte now and then of what is left had the whole delay again for each of
/// them.
#[tokio::test(start_paused = true)]
async fn a_close_that_dribbles_has_one_deadline() {
    let (mut client, server) =
        serve(64, Framing::Raw, limits(), patience(), |session| async move {
            session.send("x".repeat(10_000)).await.expect("open");
            session.close((3000, "done"));
        });
    let begun = now();
    let dribble = tokio::spawn(async move {
        let mut one = [0];
        while client.read(&mut one).await.is_ok_and(|read| read > 0) {
            sleep(SECOND).await;
        }
    });
    server.await.expect("no panic");
    let after = begun.elapsed().as_secs();
    assert!(
        (14..=20).contains(&after),
        "{after} s: `linger`, and ten seconds for 10 kB at the least rate"
    );
    dribble.abort();
}

/// An application that waits for the end, tells it, and receives what there is only then.
fn waits_for_the_end(
    tell: oneshot::Sender<(SessionEnd, u64, usize, u64)>,
) -> impl FnOnce(Session) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    |mut session| {
        Box::pin(async move {
            let begun = now();
            let end = session.ended().await;
            let ended = begun.elapsed().as_secs();
            let mut received = 0;
            while session.recv().await.is_some() {
                received += 1;
            }
            tell.send((end, ended, received, begun.elapsed().as_secs())).expect("the test waits");
        })
    }
}

pub(super) fn four() -> Limits {
    Limits { inbound: QueueLimit { messages: 4, bytes: 1 << 20 }, ..limits() }
}

/// The inbound queue was full, nothing was read, and so the end never seen.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_client_is_seen_behind_a_full_queue() {
    for close in [true, false] {
        let (tell, ended) = oneshot::channel();
        let (mut client, _server) =
            serve(64 * 1024, Framing::Raw, four(), patience(), waits_for_the_end(tell));
        let messages = from_client(1, b"x").repeat(10);
        let bye = [&4001_u16.to_be_bytes()[..], b"bye"].concat();
        let close_frame = if close { from_client(8, &bye) } else { Vec::new() };
        client.write_all(&[messages, close_frame].concat()).await.expect("room");
        if !close {
            client.shutdown().await.expect("connected");
        }
        let (end, seconds, received, _) =
            tokio::time::timeout(EVER, ended).await.expect("an end").expect("told");
        let expected = if close {
            (4001, "bye", EndedBy::Peer)
        } else {
            (1002, "Connection interrupted", EndedBy::Peer)
        };
        assert_eq!(told(&end), expected);
        assert_eq!(seconds, 0, "at once");
        assert_eq!(received, 10);
    }
}

/// More lies before the end than is looked at. Where the connection can't tell of the end, a ping
/// does: its write fails.
#[tokio::test(start_paused = true)]
async fn a_ping_that_fails_tells_of_an_end_that_is_not_seen() {
    let (tell, ended) = oneshot::channel();
    let (mut client, _server) =
        serve(1 << 20, Framing::Raw, four(), patience(), waits_for_the_end(tell));
    client.write_all(&from_client(1, b"x").repeat(10_000)).await.expect("room");
    drop(client);
    let (end, seconds, received, _) =
        tokio::time::timeout(EVER, ended).await.expect("an end").expect("told");
    assert_eq!(told(&end), (1002, "Connection interrupted", EndedBy::Peer));
    assert!((25..=50).contains(&seconds), "{seconds}");
    assert!(received >= 4, "{received}");
}
