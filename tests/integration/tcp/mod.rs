//! TCP clients that speak in records of modified UTF-8: byte transcripts.
//!
//! Most tests run over an in-memory pipe under a paused clock, which jumps ahead when every task
//! waits: a test that takes an hour is done at once, and one that hangs fails.

mod drain;
mod memory;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use common::apps::echo;
use common::records::{Client, EVER, listen, record, serve, serve_with, within};

use sockeye::{EndedBy, SendError, Session, SessionEnd, TcpConfig, TcpEndpoint, TrySendError};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};

// The wire.

#[tokio::test(start_paused = true)]
async fn a_record_is_a_message_and_a_message_a_record() {
    let mut client = serve(echo);
    for (text, record) in [
        ("hello", &b"\0\x05hello"[..]),
        ("", b"\0\0"),
        ("안녕", b"\0\x06\xEC\x95\x88\xEB\x85\x95"),
        ("a\0b", b"\0\x04a\xC0\x80b"),
        ("😀", b"\0\x06\xED\xA0\xBD\xED\xB8\x80"),
    ] {
        client.write_all(record).await.expect("it reads");
        assert_eq!(client.bytes(record.len()).await, record, "{text:?}");
    }
    client.shutdown().await.expect("open");
    assert_eq!(client.rest().await, b"", "no heartbeat, no close frame: FIN");
}

#[tokio::test(start_paused = true)]
async fn half_a_surrogate_pair_arrives_as_a_replacement_character() {
    let mut client = serve(echo);
    client.write_all(b"\0\x05a\xED\xA0\xBDb").await.expect("it reads");
    assert_eq!(client.bytes(7).await, "\0\u{5}a\u{FFFD}b".as_bytes());
}

#[tokio::test(start_paused = true)]
async fn records_may_arrive_in_pieces_and_together() {
    let mut client = serve(echo);
    let three = [record("one"), record("두 번째"), record("")].concat();
    for byte in &three {
        client.write_all(&[*byte]).await.expect("it reads");
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(client.bytes(three.len()).await, three);
    client.write_all(&three).await.expect("it reads");
    assert_eq!(client.bytes(three.len()).await, three);
}

/// A turn may pass with many reads and no whole record; a loop that then stores no waker hangs.
#[tokio::test(start_paused = true)]
async fn a_record_may_come_in_more_pieces_than_a_turn_has_reads() {
    let (mut client, server) = duplex(4096);
    let endpoint = TcpEndpoint::new(echo);
    tokio::spawn(async move { endpoint.serve(ByteByByte(server), None).await });
    let long = record(&"x".repeat(1000));
    client.write_all(&long).await.expect("it reads");
    assert_eq!(client.bytes(long.len()).await, long);
}

/// Such delays mean never, and as soon as possible. Neither the deadlines nor the system's
/// sockets take them as they are.
#[tokio::test]
async fn delays_may_be_for_ever_and_none() {
    let ever = Duration::MAX;
    let for_ever = TcpConfig::new()
        .first_record_timeout(ever)
        .message_timeout(ever)
        .write_timeout(ever)
        .keepalive_delay(ever)
        .linger(ever);
    for config in [for_ever, TcpConfig::new().keepalive_delay(Duration::ZERO)] {
        let (addr, _) = listen(config, echo).await;
        let mut client = TcpStream::connect(addr).await.expect("it listens");
        client.write_all(&record("hello")).await.expect("it reads");
        let mut answer = [0; 7];
        within(client.read_exact(&mut answer)).await.expect("the record");
        assert_eq!(answer[..], record("hello"));
    }
}

/// An empty queue takes one message, so a limit of zero messages means one at a time and no
/// standstill.
#[tokio::test(start_paused = true)]
async fn queues_without_room_pass_on_one_record_at_a_time() {
    let config = TcpConfig::new()
        .inbound_messages(0)
        .inbound_bytes(0)
        .outbound_messages(0)
        .outbound_bytes("three".len());
    let (mut client, server) = duplex(4096);
    let endpoint = TcpEndpoint::with_config(config, echo);
    tokio::spawn(async move { endpoint.serve(server, None).await });
    let three = [record("one"), record("two"), record("three")].concat();
    client.write_all(&three).await.expect("it reads");
    assert_eq!(client.bytes(three.len()).await, three);
}

/// A message that is larger than the whole queue is given back, also by an empty one, and the
/// session goes on.
#[tokio::test(start_paused = true)]
async fn a_message_larger_than_the_outbound_queue_is_given_back() {
    let config = TcpConfig::new().outbound_bytes(5);
    let mut client = serve_with(config, |session: Session| async move {
        assert!(
            matches!(session.send("larger").await, Err(SendError::TooLarge(message)) if message == "larger")
        );
        session.send("large").await.expect("as large as the queue");
    });
    assert_eq!(client.rest().await, record("large"));
}

#[tokio::test]
async fn ten_thousand_records_keep_their_order_over_a_real_socket() {
    let (addr, _) = listen(TcpConfig::default(), echo).await;
    let stream = TcpStream::connect(addr).await.expect("it listens");
    let (mut reading, mut writing) = stream.into_split();
    let all: Vec<u8> =
        (0..10_000).flat_map(|n| record(&format!("{n} {}", "x".repeat(n % 300)))).collect();
    let expected = all.clone();
    let sent = tokio::spawn(async move {
        writing.write_all(&all).await.expect("it reads");
        writing
    });
    let mut answered = vec![0; expected.len()];
    within(reading.read_exact(&mut answered)).await.expect("as much as was sent");
    assert!(answered == expected);
    drop(sent.await);
}

#[tokio::test]
async fn the_application_learns_where_the_client_is_and_what_carries_it() {
    let (told, mut infos) = unbounded_channel();
    let (addr, endpoint) = listen(TcpConfig::default(), move |session: Session| {
        let told = told.clone();
        async move {
            let info = session.info();
            drop(told.send((
                (info.peer(), info.local()),
                (info.transport(), info.prefix().is_empty()),
                info.path().to_owned(),
                session.carries_binary(),
            )));
            session.ended().await;
        }
    })
    .await;
    let client = TcpStream::connect(addr).await.expect("it listens");
    let (ends, carried, path, binary) = within(infos.recv()).await.expect("a session");
    assert_eq!(ends, (client.local_addr().ok(), Some(addr)));
    assert_eq!((carried, &*path, binary), (("tcp", true), "", false));
    assert_eq!(endpoint.sessions(), 1);
}

// Ends.

#[tokio::test(start_paused = true)]
async fn what_was_queued_leaves_before_the_end() {
    let mut client = serve(|session: Session| async move {
        for n in 0..1000 {
            session.send(format!("line {n}")).await.expect("open");
        }
        session.close((3000, "no reason on this wire"));
    });
    let expected: Vec<u8> = (0..1000).flat_map(|n| record(&format!("line {n}"))).collect();
    assert_eq!(client.rest().await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_is_told_as_gone_after_what_it_sent() {
    let (mut client, mut ends) = serve_watched(TcpConfig::default());
    client.write_all(&[record("one"), record("two")].concat()).await.expect("it reads");
    client.shutdown().await.expect("open");
    assert_eq!(ends.next().await, (vec!["one".into(), "two".into()], 1002, EndedBy::Peer));
    assert_eq!(client.rest().await, b"");
}

/// Java's `shutdownOutput`, or `printf … | nc`: the client says FIN and waits for the answer.
#[tokio::test(start_paused = true)]
async fn a_client_that_only_stops_sending_gets_its_answer() {
    let mut client = serve(echo);
    // More than goes into the pipe at once, so that most of the answer is still queued when the end
    // is seen.
    let all: Vec<u8> = (0..50).flat_map(|n| record(&format!("{n} {}", "x".repeat(1000)))).collect();
    client.write_all(&all).await.expect("it reads");
    client.shutdown().await.expect("open");
    assert!(client.rest().await == all);
}

/// The end comes with more than the inbound queue takes: what has been read already is not thrown
/// away.
#[tokio::test(start_paused = true)]
async fn the_last_records_find_room() {
    let (told, mut ends) = unbounded_channel();
    let config = TcpConfig::new().inbound_messages(2);
    let mut client = serve_with(config, move |session: Session| {
        let told = told.clone();
        async move {
            sleep(Duration::from_secs(3600)).await;
            collect(session, told).await;
        }
    });
    client.write_all(&["one", "two", "three"].map(record).concat()).await.expect("it reads");
    client.shutdown().await.expect("open");
    let (texts, end) = ends.recv().await.expect("an end");
    assert_eq!((texts.join(" "), end.by), ("one two three".to_owned(), EndedBy::Peer));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_inside_a_record_is_a_lost_one() {
    let (mut client, mut ends) = serve_watched(TcpConfig::default());
    client
        .write_all(&[record("whole"), record("half")[..4].to_vec()].concat())
        .await
        .expect("it reads");
    client.shutdown().await.expect("open");
    assert_eq!(ends.next().await, (vec!["whole".into()], 1002, EndedBy::Peer));
}

/// The notes' client closes its socket while answers wait in it unread, so the kernel says RST.
/// What the client sent before counts.
#[tokio::test]
async fn a_reset_loses_nothing_that_came_before() {
    let (told, mut ends) = unbounded_channel();
    let (addr, _) =
        listen(TcpConfig::default(), move |session: Session| collect(session, told.clone())).await;
    let mut client = TcpStream::connect(addr).await.expect("it listens");
    client.write_all(&[record("one"), record("two")].concat()).await.expect("it reads");
    client.set_zero_linger().expect("open");
    drop(client);
    let (texts, end) = within(ends.recv()).await.expect("an end");
    assert_eq!((end.reason.code(), end.by), (1002, EndedBy::Peer));
    // A reset may overtake what is still in our kernel's hands, but it takes all that is missing
    // from the end.
    assert!(
        ["one", "two"].starts_with(&texts.iter().map(String::as_str).collect::<Vec<_>>()),
        "{texts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_session_with_fin() {
    let mut client = serve(|_: Session| async { panic!("a test's") });
    assert_eq!(client.rest().await, b"");
}

/// An application may have something to finish when its client has gone.
#[tokio::test(start_paused = true)]
async fn the_application_outlives_its_client() {
    let (told, mut done) = unbounded_channel();
    let mut client = serve(move |mut session: Session| {
        let told = told.clone();
        async move {
            while session.recv().await.is_some() {}
            sleep(Duration::from_secs(3600)).await;
            told.send("done").expect("the test waits");
        }
    });
    client.shutdown().await.expect("open");
    assert_eq!(client.rest().await, b"");
    assert_eq!(done.recv().await, Some("done"));
}

// Silence.

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_no_first_record_is_closed_after_ten_seconds() {
    for sent in [&b""[..], b"\0", b"\0\x05hell"] {
        let (mut client, mut ends) = serve_watched(TcpConfig::default());
        let start = Instant::now();
        client.write_all(sent).await.expect("it reads");
        assert_eq!(client.rest().await, b"");
        assert_eq!(start.elapsed().as_secs(), 10, "{sent:?}");
        assert_eq!(ends.next().await, (vec![], 1008, EndedBy::Gateway));
    }
}

/// Byte after byte is no way to hold a place without a name.
#[tokio::test(start_paused = true)]
async fn a_first_record_that_trickles_in_does_not_extend_its_time() {
    let (mut client, mut ends) = serve_watched(TcpConfig::default());
    let start = Instant::now();
    for byte in record(&"x".repeat(100)) {
        if client.write_all(&[byte]).await.is_err() || ends.is_over() {
            break;
        }
        sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(ends.next().await, (vec![], 1008, EndedBy::Gateway));
}

#[tokio::test(start_paused = true)]
async fn between_records_a_client_may_be_silent() {
    let mut client = serve(echo);
    client.write_all(&record("a name")).await.expect("it reads");
    client.bytes(8).await;
    sleep(Duration::from_secs(3 * 60 * 60)).await;
    client.write_all(&record("still here")).await.expect("it reads");
    assert_eq!(client.bytes(12).await, record("still here"));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_has_begun_must_end() {
    let (mut client, mut ends) = serve_watched(TcpConfig::default());
    client
        .write_all(&[record("a name"), record("half")[..3].to_vec()].concat())
        .await
        .expect("it reads");
    let start = Instant::now();
    assert_eq!(client.rest().await, b"");
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!(ends.next().await, (vec!["a name".into()], 1008, EndedBy::Gateway));
}

// Limits.

#[tokio::test(start_paused = true)]
async fn malformed_text_ends_the_session() {
    for bytes in [&b"\0\x04\xF0\x9F\x98\x80"[..], b"\0\x01\x80", b"\0\x02\xC3a"] {
        let (mut client, mut ends) = serve_watched(TcpConfig::default());
        client
            .write_all(&[record("before"), bytes.to_vec(), record("behind")].concat())
            .await
            .expect("it reads");
        assert_eq!(client.rest().await, b"");
        assert_eq!(ends.next().await, (vec!["before".into()], 1007, EndedBy::Gateway), "{bytes:?}");
    }
}

/// Refused by its length, before the rest has come: the limit bounds memory, too.
#[tokio::test(start_paused = true)]
async fn a_record_over_message_size_ends_the_session() {
    let (mut client, mut ends) = serve_watched(TcpConfig::new().message_size(4));
    client
        .write_all(&[record("four"), record("😀"), b"\0\x0D".to_vec()].concat())
        .await
        .expect("it reads");
    assert_eq!(client.rest().await, b"");
    assert_eq!(ends.next().await, (vec!["four".into(), "😀".into()], 1009, EndedBy::Gateway));
}

#[tokio::test(start_paused = true)]
async fn a_text_that_no_record_can_hold_is_given_back_and_the_session_goes_on() {
    let mut client = serve(|session: Session| async move {
        for text in
            ["x".repeat(65_536), "한".repeat(21_846), "\0".repeat(32_768), "😀".repeat(10_923)]
        {
            let error = session.try_send(text.clone()).expect_err("too large");
            assert!(matches!(error, TrySendError::TooLarge(_)), "{error:?}");
            assert_eq!(error.into_message(), *text);
            let error = session.send(text.clone()).await.expect_err("too large");
            assert!(matches!(error, SendError::TooLarge(_)), "{error:?}");
            assert!(error.to_string().contains("65,535"), "{error}");
            assert_eq!(error.into_message(), *text);
        }
        assert!(matches!(session.try_send(bytes::Bytes::new()), Err(TrySendError::NotCarried(_))));
        session.send("x".repeat(65_535)).await.expect("as large as a record can be");
    });
    assert_eq!(client.rest().await, record(&"x".repeat(65_535)));
}

/// The application takes nothing for an hour: the client's writes stop, no timeout blames it, and
/// then all of it arrives.
#[tokio::test(start_paused = true)]
async fn an_application_that_does_not_receive_stops_its_client() {
    let (told, mut received) = unbounded_channel();
    let config = TcpConfig::new().inbound_messages(8);
    let mut client = serve_with(config, move |mut session: Session| {
        let told = told.clone();
        async move {
            sleep(Duration::from_secs(3600)).await;
            while let Some(message) = session.recv().await {
                drop(told.send(message.as_text().map(str::to_owned)));
            }
        }
    });
    let all: Vec<String> = (0..2000).map(|n| format!("{n} {}", "x".repeat(100))).collect();
    let stream: Vec<u8> = all.iter().flat_map(|text| record(text)).collect();
    let start = Instant::now();
    client.write_all(&stream[..stream.len() - 1]).await.expect("in the end it reads");
    assert_eq!(start.elapsed().as_secs(), 3600, "200 KB do not fit into what is read ahead");
    // Its record has begun, so from here on the clock runs again.
    client.write_all(&stream[stream.len() - 1..]).await.expect("it reads");
    client.shutdown().await.expect("open");
    for text in all {
        assert_eq!(received.recv().await, Some(Some(text)));
    }
    assert_eq!(received.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_fills_its_queue_and_is_given_up() {
    let (told, mut ends) = unbounded_channel();
    let config = TcpConfig::new().outbound_messages(10);
    let mut client = serve_with(config, move |session: Session| {
        let told = told.clone();
        async move {
            let (mut sent, start) = (0, Instant::now());
            while session.send("x".repeat(10_000)).await.is_ok() {
                sent += 1;
            }
            drop(told.send((sent, start.elapsed().as_secs(), session.ended().await)));
        }
    });
    client.write_all(&record("a name")).await.expect("it reads");
    let (sent, seconds, end) = ends.recv().await.expect("an end");
    assert_eq!(
        (end.reason.code(), end.reason.reason(), end.by),
        (1008, "the client does not read", EndedBy::Gateway)
    );
    assert_eq!(seconds, 60);
    assert_eq!(end.undelivered, 10, "the queue; what the socket was given may have arrived");
    assert!((10..20).contains(&sent), "{sent} messages are more than queue, buffers and pipe hold");
    drop(client);
}

/// Slow is not dead: a client that takes a little now and then is not given up, not even when the
/// session has closed long ago.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_gets_everything() {
    let config = TcpConfig::new().least_rate(200);
    let mut client = serve_with(config, |session: Session| async move {
        for n in 0..40 {
            session.send(format!("{n:02}{}", "x".repeat(1022))).await.expect("open");
        }
    });
    client.write_all(&record("a name")).await.expect("it reads");
    let mut all = Vec::new();
    for _ in 0..40 {
        sleep(Duration::from_secs(4)).await;
        all.extend(client.bytes(1026).await);
    }
    let expected: Vec<u8> =
        (0..40).flat_map(|n| record(&format!("{n:02}{}", "x".repeat(1022)))).collect();
    assert!(all == expected);
    assert_eq!(client.rest().await, b"");
}

/// How a session ends whose application always has more to send, and after how many seconds, when
/// its client takes so many bytes every ten.
async fn reads(bytes: usize, config: TcpConfig) -> Option<(SessionEnd, u64)> {
    let (told, mut ends) = unbounded_channel();
    let mut client = serve_with(config.outbound_messages(10), move |session: Session| {
        let told = told.clone();
        async move {
            let start = Instant::now();
            while session.send("x".repeat(1000)).await.is_ok() {}
            drop(told.send((session.ended().await, start.elapsed().as_secs())));
        }
    });
    client.write_all(&record("a name")).await.expect("it reads");
    for _ in 0..360 {
        let until = Instant::now() + Duration::from_secs(10);
        let mut left = vec![0; bytes];
        // A session that is over has no more.
        drop(tokio::time::timeout_at(until, client.read_exact(&mut left)).await);
        tokio::time::sleep_until(until).await;
        if let Ok(end) = ends.try_recv() {
            return Some(end);
        }
    }
    None
}

/// A few kB now and then held a full queue, and whatever waits for it, as long as the client liked.
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_too_little_is_given_up() {
    let (end, _) = reads(3_000, TcpConfig::default()).await.expect("an end");
    assert_eq!(
        (end.reason.code(), end.reason.reason(), end.by),
        (1008, "the client reads too slowly", EndedBy::Gateway)
    );
    assert_eq!(end.undelivered, 10, "the queue");
    assert_eq!(reads(15_000, TcpConfig::default()).await, None);
    assert_eq!(reads(3_000, TcpConfig::new().least_rate(0)).await, None);
}

/// It was held for as long as one that is open.
#[tokio::test(start_paused = true)]
async fn a_closed_session_whose_client_takes_nothing_goes_after_linger() {
    let (told, mut ends) = unbounded_channel();
    let mut client = serve_with(TcpConfig::default(), move |session: Session| {
        let told = told.clone();
        async move {
            for _ in 0..100 {
                session.send("x".repeat(1000)).await.expect("room in the queue");
            }
            sleep(Duration::from_secs(1)).await;
            session.close((3000, "enough"));
            let start = Instant::now();
            drop(told.send((session.ended().await, start.elapsed().as_secs())));
        }
    });
    client.write_all(&record("a name")).await.expect("it reads");
    let (end, seconds) = ends.recv().await.expect("an end");
    assert_eq!((end.reason.code(), end.by, seconds), (3000, EndedBy::Application, 5));
    assert!(end.undelivered > 70, "{}", end.undelivered);
    let start = Instant::now();
    assert!(client.rest().await.len() < 10_000, "what the pipe held");
    assert!(start.elapsed().as_secs() <= 5);
}

/// The end of a client was not seen while its application did not receive: a session that only
/// waits for the end stayed for ever.
#[tokio::test(start_paused = true)]
async fn the_end_is_seen_behind_a_full_queue() {
    // What is still on its way in when the client has gone is received for `linger`, and then
    // dropped.
    for (seconds, all) in [(4, true), (6, false)] {
        let (told, mut ends) = unbounded_channel();
        let config = TcpConfig::new().inbound_messages(4);
        let mut client = serve_with(config, move |session: Session| {
            let told = told.clone();
            async move {
                let start = Instant::now();
                session.ended().await;
                let ended = start.elapsed();
                sleep(Duration::from_secs(seconds)).await;
                let (told_now, mut received) = unbounded_channel();
                collect(session, told_now).await;
                drop(told.send((received.recv().await.expect("told"), ended)));
            }
        });
        client.write_all(&record("x").repeat(100)).await.expect("room");
        client.shutdown().await.expect("open");
        let ((texts, end), ended) = ends.recv().await.expect("an end");
        assert_eq!((end.reason.code(), end.by), (1002, EndedBy::Peer));
        assert_eq!(ended, Duration::ZERO, "at once");
        assert_eq!(texts.len(), if all { 100 } else { 8 }, "after {seconds} s");
    }
}

/// More than is looked at lies before the end. The system tells of it all the same.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[tokio::test]
async fn the_end_is_seen_behind_all_that_a_socket_holds() {
    let (told, mut ends) = unbounded_channel();
    let config = TcpConfig::new().inbound_messages(4);
    let (addr, endpoint) = listen(config, move |session: Session| {
        let told = told.clone();
        async move {
            session.ended().await;
            collect(session, told).await;
        }
    })
    .await;
    let mut client = TcpStream::connect(addr).await.expect("it listens");
    let text = "x".repeat(1000);
    for _ in 0..60 {
        client.write_all(&record(&text)).await.expect("room");
    }
    drop(client);
    let (texts, end) = within(ends.recv()).await.expect("an end");
    assert_eq!((end.reason.code(), end.by, texts.len()), (1002, EndedBy::Peer, 60));
    assert_eq!(endpoint.sessions(), 0);
}

#[tokio::test]
async fn one_client_more_than_sessions_is_closed_at_once() {
    let (addr, endpoint) = listen(TcpConfig::new().sessions(1), echo).await;
    let mut first = TcpStream::connect(addr).await.expect("it listens");
    first.write_all(&record("first")).await.expect("it reads");
    assert_eq!(within(first.bytes(7)).await, record("first"));
    let mut second = TcpStream::connect(addr).await.expect("it listens");
    assert_eq!(within(second.rest()).await, b"");
    assert_eq!(endpoint.sessions(), 1);
    first.shutdown().await.expect("open");
    assert_eq!(within(first.rest()).await, b"");
    assert_eq!(endpoint.sessions(), 0, "its place is free before its client sees the end");
    let mut third = TcpStream::connect(addr).await.expect("it listens");
    third.write_all(&record("third")).await.expect("it reads");
    assert_eq!(within(third.bytes(7)).await, record("third"));
}

/// Many clients at once that send all they can, malformed and not: those that behave notice
/// nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_disturbs_nobody_else() {
    let (addr, endpoint) = listen(TcpConfig::default(), echo).await;
    let mut calm = TcpStream::connect(addr).await.expect("it listens");
    let floods: Vec<_> = (0..20)
        .map(|n| {
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(addr).await.expect("it listens");
                let flood =
                    if n % 2 == 0 { [0xFF; 65_537].to_vec() } else { record(&"x".repeat(60_000)) };
                // The echo of the well-formed floods is not read, so they stall; the others are
                // thrown out.
                for _ in 0..200 {
                    if !matches!(
                        timeout(Duration::from_millis(200), stream.write_all(&flood)).await,
                        Ok(Ok(()))
                    ) {
                        break;
                    }
                }
                stream
            })
        })
        .collect();
    for n in 0..200 {
        let line = record(&format!("calm {n}"));
        calm.write_all(&line).await.expect("it reads");
        assert_eq!(within(calm.bytes(line.len())).await, line);
    }
    for flood in floods {
        within(flood).await.expect("no panic");
    }
    drop(endpoint);
}

// Helpers.

type End = (Vec<String>, SessionEnd);

/// Takes what comes, and tells it with the end.
async fn collect(mut session: Session, told: tokio::sync::mpsc::UnboundedSender<End>) {
    let mut texts = Vec::new();
    while let Some(message) = session.recv().await {
        texts.push(message.as_text().unwrap_or_default().to_owned());
    }
    drop(told.send((texts, session.ended().await)));
}

struct Ends(UnboundedReceiver<End>);

impl Ends {
    /// What came, and the code and the doer of the end.
    async fn next(&mut self) -> (Vec<String>, u16, EndedBy) {
        let (texts, end) = timeout(EVER, self.0.recv()).await.expect("an end").expect("told");
        (texts, end.reason.code(), end.by)
    }

    fn is_over(&self) -> bool {
        !self.0.is_empty()
    }
}

fn serve_watched(config: TcpConfig) -> (DuplexStream, Ends) {
    let (told, ends) = unbounded_channel();
    (serve_with(config, move |session: Session| collect(session, told.clone())), Ends(ends))
}

/// Gives its bytes one by one, however many have come.
struct ByteByByte(DuplexStream);

impl AsyncRead for ByteByByte {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut one = [0];
        let mut one = ReadBuf::new(&mut one);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut one))?;
        buf.put_slice(one.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteByByte {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
