mod pauses;
mod signs;

use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::sleep;

use super::*;
use crate::session::testing::{limits, shared};
use crate::session::{Liveness, Session};

const PATIENCE: Patience = Patience {
    message_timeout: Duration::from_secs(60),
    write_timeout: Duration::from_secs(60),
    least_rate: 200,
    linger: Duration::from_secs(5),
};

/// A client's frame, masked with zeros, which change nothing.
fn from_client(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short frame");
    assert!(length < 126);
    [&[0x80 | opcode, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

async fn poll_once(socket: &mut PacketSocket<DuplexStream>) -> Option<Packet> {
    poll_fn(|cx| {
        Poll::Ready(match socket.poll_packet(cx) {
            Poll::Ready(packet) => Some(packet.expect("sound frames")),
            Poll::Pending => None,
        })
    })
    .await
}

/// A client that pings and never reads must not fill our memory with answers; the last ping is
/// answered when it reads again.
#[tokio::test(start_paused = true)]
async fn answers_to_pings_are_bounded() {
    let (ours, mut theirs) = duplex(1024);
    let mut socket = PacketSocket::new(ours, Vec::new(), 1024);
    let mut most = 0;
    for count in 0..10_000_u32 {
        theirs
            .write_all(&from_client(9, &count.to_be_bytes().repeat(25)))
            .await
            .expect("room for one frame");
        while poll_once(&mut socket).await.is_some() {}
        let _: Poll<_> = poll_fn(|cx| Poll::Ready(socket.poll_flush(cx))).await;
        most = most.max(socket.pending());
    }
    assert!((16 * 1024..64 * 1024).contains(&most), "{most} bytes of answers");

    let mut last = Vec::new();
    while !last.ends_with(&9_999_u32.to_be_bytes()) {
        // A task that never rests is refused by tokio's pipe after a while.
        tokio::task::yield_now().await;
        let mut piece = [0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(1), theirs.read(&mut piece)).await;
        last.extend_from_slice(
            &piece[..read.expect("an answer to the last ping").expect("connected")],
        );
        while poll_once(&mut socket).await.is_some() {}
        let _: Poll<_> = poll_fn(|cx| Poll::Ready(socket.poll_flush(cx))).await;
    }
}

/// A client that reads a little now and then never lets the output run empty. What has left must
/// not stay in memory all the same.
#[tokio::test(start_paused = true)]
async fn what_has_left_is_forgotten_while_the_rest_waits() {
    let (ours, mut theirs) = duplex(1024);
    let mut socket = PacketSocket::new(ours, Vec::new(), 1024);
    socket.put_text(&[b'x'; 2000]);
    for _ in 0..1000 {
        tokio::task::yield_now().await;
        socket.put_text(&[b'x'; 1020]);
        assert!(poll_fn(|cx| Poll::Ready(socket.poll_flush(cx))).await.is_pending());
        theirs.read_exact(&mut [0; 1024]).await.expect("connected");
    }
    assert!(socket.room() < 16 * 1024, "{} bytes for {}", socket.room(), socket.pending());
}

/// Answers that found no room come before the answer to a close, and none of them is the last word.
#[tokio::test(start_paused = true)]
async fn a_close_is_answered_behind_answers_that_wait() {
    for close in [Some(Ending::ByPeer(None)), None] {
        let (ours, mut theirs) = duplex(1024);
        let mut socket = PacketSocket::new(ours, Vec::new(), 1024);
        for _ in 0..1000 {
            tokio::task::yield_now().await;
            theirs.write_all(&from_client(9, &[b'x'; 125])).await.expect("room for one frame");
            while poll_once(&mut socket).await.is_some() {}
        }
        let ending = match close {
            Some(ending) => {
                theirs
                    .write_all(&from_client(8, &1000_u16.to_be_bytes()))
                    .await
                    .expect("room for one frame");
                while !matches!(poll_once(&mut socket).await, Some(Packet::Close(_))) {}
                ending
            }
            None => Ending::Closed(CloseReason::NORMAL),
        };
        let told = format!("{ending:?}");
        let finished = tokio::spawn(finish(socket, ending, Framing::Raw, PATIENCE));
        let mut all = Vec::new();
        loop {
            tokio::task::yield_now().await;
            if theirs.read_buf(&mut all).await.expect("connected") == 0 {
                break;
            }
        }
        drop(theirs);
        finished.await.expect("no panic").expect("in order");
        assert_eq!(opcodes(&all).last(), Some(&8), "{told}");
    }
}

/// The opcodes of a server's short frames.
fn opcodes(mut frames: &[u8]) -> Vec<u8> {
    let mut opcodes = Vec::new();
    while let [first, length, rest @ ..] = frames {
        opcodes.push(first & 0x0f);
        frames = &rest[usize::from(*length)..];
    }
    opcodes
}

#[tokio::test(start_paused = true)]
async fn room_for_output_is_given_back() {
    let (ours, mut theirs) = duplex(64 * 1024);
    let mut socket = PacketSocket::new(ours, Vec::new(), 1024);
    socket.put_text(&[b'x'; 20_000]);
    assert_eq!(socket.pending(), 20_004);
    poll_fn(|cx| socket.poll_flush(cx)).await.expect("room enough");
    assert_eq!((socket.pending(), socket.room()), (0, 0));
    let mut frame = vec![0; 20_004];
    theirs.read_exact(&mut frame).await.expect("the frame");
    assert_eq!(frame[..4], [0x81, 126, 0x4e, 0x20]);
}

/// An idle session must not pay for a large message that it once got. What has been read ahead of a
/// packet stays, of course.
#[tokio::test(start_paused = true)]
async fn room_for_input_is_given_back_between_packets() {
    let (ours, mut theirs) = duplex(64 * 1024);
    let large = [&[0x81, 0xfe, 0x20, 0x00, 0, 0, 0, 0][..], &[b'x'; 0x2000]].concat();
    // With the end of the handshake came the first bytes.
    let mut socket = PacketSocket::new(ours, large[..5000].to_vec(), 16 * 1024);
    assert!(poll_once(&mut socket).await.is_none());
    theirs.write_all(&large[5000..]).await.expect("room");
    theirs.write_all(&from_client(1, b"next")[..3]).await.expect("room");
    assert_eq!(poll_once(&mut socket).await.map(|packet| packet.len()), Some(0x2000));
    assert!(poll_once(&mut socket).await.is_none());
    assert!(socket.has_grown(), "a packet has begun");

    theirs.write_all(&from_client(1, b"next")[3..]).await.expect("room");
    theirs.write_all(&from_client(9, b"ping")).await.expect("room");
    assert_eq!(poll_once(&mut socket).await, Some(Packet::text("next")));
    assert_eq!(poll_once(&mut socket).await, Some(Packet::Ping("ping".into())));
    assert!(poll_once(&mut socket).await.is_none());
    assert!(!socket.has_grown());
    theirs.write_all(&from_client(1, b"more")).await.expect("room");
    assert_eq!(poll_once(&mut socket).await, Some(Packet::text("more")));
}

/// Ten bytes that an application keeps kept the 64 KiB that they came with, and counted as ten.
#[tokio::test(start_paused = true)]
async fn a_small_binary_message_keeps_no_large_buffer() {
    let (ours, mut theirs) = duplex(64 * 1024);
    let mut socket = PacketSocket::new(ours, Vec::new(), 64 * 1024);
    let large = [&[0x82, 0xfe, 0x40, 0x00, 0, 0, 0, 0][..], &[b'x'; 0x4000]].concat();
    theirs.write_all(&[from_client(2, b"ten bytes."), large].concat()).await.expect("room");
    for (size, copied) in [(10, true), (0x4000, false)] {
        let Some(Packet::Binary(bytes)) = poll_once(&mut socket).await else { panic!("no packet") };
        assert_eq!(bytes.len(), size);
        let before = bytes.as_ptr();
        assert_eq!(socket.alone(bytes).as_ptr() != before, copied, "{size}");
    }
}

/// Nor for many small ones that came together, which make the read buffer grow as well.
#[tokio::test(start_paused = true)]
async fn room_for_a_burst_is_given_back() {
    for (size, count) in [(100, 300), (300, 200), (500, 60)] {
        // A task that never rests is refused by tokio's pipe after a while.
        tokio::task::yield_now().await;
        let (ours, mut theirs) = duplex(128 * 1024);
        let mut socket = PacketSocket::new(ours, Vec::new(), 1024);
        let [high, low] = u16::to_be_bytes(size);
        let header = if size < 126 { vec![0x81, 0x80 | low] } else { vec![0x81, 0xfe, high, low] };
        let frame = [&header[..], &[0; 4], &vec![b'x'; size.into()]].concat();
        theirs.write_all(&frame.repeat(count)).await.expect("room");
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut read = 0;
        let memory = allocation_counter::measure(|| {
            while let Poll::Ready(packet) = socket.poll_packet(&mut cx) {
                read += usize::from(packet.expect("sound frames").is_text());
            }
        });
        assert_eq!(read, count);
        assert!(
            memory.bytes_current < 256,
            "{} bytes more after {count} packets of {size}",
            memory.bytes_current
        );
    }
}

/// Nor for one that came in fragments, as browsers send what is large, with whatever lengths and
/// with pings in between.
#[tokio::test(start_paused = true)]
async fn room_for_fragments_is_given_back_after_the_last() {
    let (ours, mut theirs) = duplex(64 * 1024);
    let mut socket = PacketSocket::new(ours, Vec::new(), 64 * 1024);
    let large = |first: u8| [&[first, 0xfe, 0x20, 0, 0, 0, 0, 0][..], &[b'x'; 0x2000]].concat();
    let roundabout = [&[0x00, 0xff, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0][..], b"end"].concat();
    let empty = [0x80, 0x80, 0, 0, 0, 0];
    let ping = from_client(9, b"ping");
    for part in [&large(0x01), &ping, &large(0x00), &roundabout] {
        theirs.write_all(part).await.expect("room");
        assert!(poll_once(&mut socket).await.is_none_or(|packet| packet.is_ping()));
        assert!(poll_once(&mut socket).await.is_none());
        assert!(socket.has_grown(), "the message has not ended");
    }
    // Its last bytes come one by one.
    for (index, byte) in empty.into_iter().enumerate() {
        theirs.write_all(&[byte]).await.expect("room");
        let length = poll_once(&mut socket).await.map(|packet| packet.len());
        assert_eq!(length, (index == 5).then_some(2 * 0x2000 + 3));
    }
    assert!(poll_once(&mut socket).await.is_none());
    assert!(!socket.has_grown());
    theirs.write_all(&from_client(1, b"more")).await.expect("room");
    assert_eq!(poll_once(&mut socket).await, Some(Packet::text("more")));
}

/// What has been handed to the transport counts as delivered, so a slow client gets all of it, also
/// when that takes longer than the disconnect delay: the delay is for each step that the client
/// makes.
#[tokio::test(start_paused = true)]
async fn a_slow_client_gets_all_that_was_sent_before_the_close() {
    let (ours, mut theirs) = duplex(1024);
    let session = shared(limits());
    let attachment = Attachment::first(Arc::clone(&session), Liveness::Pings);
    let settings = Settings {
        binary: false,
        payload_size: 1024,
        payload: PayloadLimits { message_size: 1024, messages: 16 },
        read_ahead: (1024, 16),
        patience: PATIENCE,
    };
    let application = Box::pin(async move {
        let session = Session::new(session);
        for _ in 0..20 {
            session.send("x".repeat(1000)).await.expect("open");
        }
        session.close((3000, "done"));
    });
    let server = tokio::spawn(run(
        ours,
        Vec::new(),
        None,
        attachment,
        application,
        Framing::Raw,
        Arc::new(settings),
    ));
    let mut read = 0;
    let mut last = Vec::new();
    loop {
        sleep(Duration::from_secs(4)).await;
        let mut piece = [0; 1024];
        match theirs.read(&mut piece).await.expect("no error") {
            0 => break,
            count => {
                read += count;
                last = piece[..count].to_vec();
            }
        }
    }
    assert_eq!(read, 20 * (4 + 1000) + 2 + 2 + 4, "20 messages and the close frame");
    assert!(last.ends_with(b"done"));
    drop(theirs);
    server.await.expect("no panic");
}
