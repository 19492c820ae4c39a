//! WebSocket packets over a socket that is polled.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::LocalKey;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::has_budget_remaining;
use tungstenite::Message as Packet;
use tungstenite::error::Error;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame, FrameHeader};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

/// The server's end of a WebSocket.
///
/// tungstenite reads, checks and answers what the protocol wants answered. It is driven without
/// tokio-tungstenite, which puts two wakers in place for each packet, and what is sent does not go
/// through its buffer, which would be kept for as long as the connection lives.
pub(super) struct Wire<S> {
    stream: S,
    codec: WebSocketContext,
    largest: usize,
    intake: Intake,
    /// Frames on their way to the socket. While there are none, it has no memory.
    output: Vec<u8>,
    /// How much of `output` has left.
    written: usize,
    unflushed: bool,
    /// The socket takes nothing now.
    full: bool,
    /// Bytes that it took, since they were asked for.
    taken: usize,
    /// It took some after it had been full, since that was asked.
    takes_again: bool,
    /// Bytes that have left since anything arrived: what the system may still hold of them.
    ahead: usize,
    /// tungstenite holds an answer for which there was no room.
    answering: bool,
}

/// Allocated for as long as the connection lives, so small; larger messages, and many at once, grow
/// it while they are read.
const READ_BUFFER: usize = 2 * 1024;
/// While no more than this waits in the read buffer, it has room for the packet that is read,
/// wherever in the buffer that begins: what waits is moved to the front when it fits in front of
/// itself, and the room for a packet is asked for on top of it.
const UNGROWN: u64 = READ_BUFFER as u64 / 3;
/// Answers to pings are not added to output beyond this, so that a client that only pings and never
/// reads costs no memory. The latest ping is answered when there is room (RFC 6455, Pong).
const ROOM_FOR_ANSWERS: usize = 32 * 1024;
/// tungstenite holds back one answer while there is no room for it.
const ONE_ANSWER: usize = 256;
/// Larger room for output is not kept for the next connection.
const SPARE: usize = 64 * 1024;

thread_local! {
    /// As a rule all output leaves in the turn in which it was put in line.
    static SPARE_OUTPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Takes a connection after its handshake, with what has been read behind that. A message may
    /// have up to `largest` bytes.
    pub(super) fn new(stream: S, read: Vec<u8>, largest: usize) -> Self {
        let mut intake = Intake::default();
        intake.take(&read);
        let codec =
            WebSocketContext::from_partially_read(read, Role::Server, Some(config(largest)));
        Self {
            stream,
            codec,
            largest,
            intake,
            output: Vec::new(),
            written: 0,
            unflushed: false,
            full: false,
            taken: 0,
            takes_again: false,
            ahead: 0,
            answering: false,
        }
    }

    /// The next packet. What answers it is put in line by itself.
    pub(super) fn poll_packet(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet, Error>> {
        let mut socket =
            Polled::new(&mut self.stream, &mut self.intake, &mut self.output, self.written, cx);
        let packet = self.codec.read(&mut socket);
        if self.intake.arrived {
            self.ahead = 0;
        }
        match packet {
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                self.give_input_back();
                Poll::Pending
            }
            packet => {
                if let Ok(Packet::Ping(_) | Packet::Close(_)) = packet {
                    self.answer(cx);
                }
                Poll::Ready(packet)
            }
        }
    }

    /// A binary packet's bytes are a part of the read buffer, and keep all of it, however few they
    /// are: they are copied if that is much more than themselves.
    pub(super) fn alone(&self, bytes: Bytes) -> Bytes {
        let buffer = self.intake.most.max(READ_BUFFER as u64);
        if (bytes.len() as u64).saturating_mul(2) < buffer {
            Bytes::copy_from_slice(&bytes)
        } else {
            bytes
        }
    }

    /// Whether anything has arrived since this was asked before, be it a part of a packet.
    pub(super) fn take_arrived(&mut self) -> bool {
        std::mem::take(&mut self.intake.arrived)
    }

    /// Whether a message, or a frame between messages, has ended since this was asked before.
    pub(super) fn take_ended(&mut self) -> bool {
        std::mem::take(&mut self.intake.ended)
    }

    /// Whether a message or a frame has begun to arrive and has not ended.
    pub(super) fn has_begun(&self) -> bool {
        !self.intake.is_between_messages()
    }

    /// tungstenite never makes its buffer smaller: a session that once got a large message, or many
    /// at once, would keep the room for them.
    fn give_input_back(&mut self) {
        if self.intake.has_grown
            && self.intake.is_between_messages()
            && !self.answering
            && self.codec.can_write()
        {
            self.codec = WebSocketContext::new(Role::Server, Some(config(self.largest)));
            (self.intake.has_grown, self.intake.most) = (false, 0);
        }
    }

    fn answer(&mut self, cx: &mut Context<'_>) {
        let mut socket =
            Polled::new(&mut self.stream, &mut self.intake, &mut self.output, self.written, cx);
        // Twice, for the first makes room in tungstenite itself for an answer that it still holds.
        // Failures other than a lack of room say that this is the end of a closing, the first also
        // while the answer to the close is still held.
        self.answering = (0..2).any(|_| match self.codec.flush(&mut socket) {
            Err(Error::Io(error)) => error.kind() == ErrorKind::WouldBlock,
            _ => false,
        });
    }

    /// Puts a text message in line, which must be UTF-8.
    pub(super) fn put_text(&mut self, text: &[u8]) {
        self.put(OpCode::Data(Data::Text), text);
    }

    /// Puts a binary message in line.
    pub(super) fn put_binary(&mut self, bytes: &[u8]) {
        self.put(OpCode::Data(Data::Binary), bytes);
    }

    /// Puts an empty ping in line.
    pub(super) fn put_ping(&mut self) {
        self.put(OpCode::Control(Control::Ping), &[]);
    }

    /// Puts the last frame in line. Answers that found no room before it are given up.
    pub(super) fn put_close(&mut self, close: CloseFrame) {
        self.answering = false;
        let frame = Frame::close(Some(close));
        self.put(OpCode::Control(Control::Close), frame.payload());
    }

    fn put(&mut self, opcode: OpCode, payload: &[u8]) {
        if self.output.capacity() == 0 {
            self.output = SPARE_OUTPUT.take();
        }
        let header = FrameHeader { opcode, ..FrameHeader::default() };
        header
            .format(payload.len() as u64, &mut self.output)
            .expect("a `Vec` takes all that is written to it");
        self.output.extend_from_slice(payload);
    }

    /// What it holds of memory, beside what an idle one does.
    pub(super) fn held(&self) -> usize {
        self.output.capacity() + self.intake.held(self.largest)
    }

    /// Bytes that wait for the socket to take them.
    pub(super) fn pending(&self) -> usize {
        self.output.len() - self.written
    }

    /// Whether the socket takes nothing now. A task that has spent its budget says nothing about
    /// that.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Bytes that the socket took since this was asked before.
    pub(super) fn take_taken(&mut self) -> usize {
        std::mem::take(&mut self.taken)
    }

    /// Whether it took some after it had been full, since this was asked before. What goes into
    /// room that was there is no sign of the peer.
    pub(super) fn take_takes_again(&mut self) -> bool {
        std::mem::take(&mut self.takes_again)
    }

    /// Bytes that have left since anything arrived.
    pub(super) fn ahead(&self) -> usize {
        self.ahead
    }

    /// What the line has of memory.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.output.capacity()
    }

    #[cfg(test)]
    pub(super) fn has_grown(&self) -> bool {
        self.intake.has_grown
    }

    /// Ready when the socket has taken everything.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.pending() > 0 {
            let Poll::Ready(written) =
                Pin::new(&mut self.stream).poll_write(cx, &self.output[self.written..])
            else {
                self.full |= has_budget_remaining();
                self.forget_what_has_left();
                return Poll::Pending;
            };
            let written = written?;
            if written == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.written += written;
            self.ahead = self.ahead.saturating_add(written);
            self.taken = self.taken.saturating_add(written);
            self.takes_again |= std::mem::take(&mut self.full);
            self.unflushed = true;
            if self.answering && self.pending() == 0 {
                self.give_output_back();
                self.answer(cx);
            }
        }
        if self.unflushed {
            self.give_output_back();
            let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx) else {
                self.full |= has_budget_remaining();
                return Poll::Pending;
            };
            flushed?;
            self.unflushed = false;
            self.takes_again |= std::mem::take(&mut self.full);
        }
        Poll::Ready(Ok(()))
    }

    /// For a line that is never empty: a peer that always leaves some of it waiting would else have
    /// all of it kept. Nothing is moved before more than that has left, so that moving costs no
    /// more than writing.
    fn forget_what_has_left(&mut self) {
        if self.written > self.pending() {
            self.output.drain(..self.written);
            self.written = 0;
        }
    }

    fn give_output_back(&mut self) {
        self.written = 0;
        give_back(&SPARE_OUTPUT, &mut self.output, SPARE);
    }

    /// The connection, without what waits in line.
    pub(super) fn into_stream(self) -> S {
        self.stream
    }
}

/// Hands room to the next connection of the thread that needs some, so that none keeps it while it
/// is idle.
pub(super) fn give_back<T>(spare: &'static LocalKey<Cell<Vec<T>>>, room: &mut Vec<T>, most: usize) {
    let mut room = std::mem::take(room);
    if room.capacity() <= most {
        room.clear();
        spare.set(room);
    }
}

fn config(largest: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(ONE_ANSWER)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest))
}

/// Where in the client's frames the reading stands, told from the bytes as they come: tungstenite
/// does not say whether it holds any. Frames that are not sound are its to find; nothing is read
/// after them.
#[derive(Default)]
struct Intake {
    /// The frame's beginning, up to its length.
    head: [u8; 10],
    /// Bytes of the frame that have come.
    begun: u64,
    /// Bytes of the whole frame, once its length has come.
    whole: Option<u64>,
    /// A message has begun, and its last fragment has not come (RFC 6455, fragmentation).
    in_fragments: bool,
    /// tungstenite's buffer may be larger than it was made.
    has_grown: bool,
    /// The most bytes that it had to have room for since it was made.
    most: u64,
    /// Bytes of the message's fragments that have come.
    fragments: u64,
    /// Bytes have come, since that was asked.
    arrived: bool,
    /// A message, or a frame between messages, has ended, since that was asked.
    ended: bool,
}

impl Intake {
    fn take(&mut self, mut bytes: &[u8]) {
        self.arrived |= !bytes.is_empty();
        self.has_room_for(self.begun.saturating_add(bytes.len() as u64));
        // As a rule whole frames come.
        while self.begun == 0
            && let Some(whole) = frame_size(bytes)
            && let Some((frame, rest)) =
                usize::try_from(whole).ok().and_then(|whole| bytes.split_at_checked(whole))
        {
            self.end_frame(frame[0], whole);
            bytes = rest;
        }
        while !bytes.is_empty() {
            let Some(whole) = self.whole else {
                self.head[self.begun as usize] = bytes[0];
                self.begun += 1;
                bytes = &bytes[1..];
                self.whole = frame_size(&self.head[..self.begun as usize]);
                // tungstenite makes room for all of a frame when it has seen its length.
                self.has_room_for(self.whole.unwrap_or(0));
                continue;
            };
            let more = (whole - self.begun).min(bytes.len() as u64);
            self.begun += more;
            bytes = &bytes[more as usize..];
            if self.begun == whole {
                self.end_frame(self.head[0], whole);
            }
        }
    }

    fn has_room_for(&mut self, bytes: u64) {
        self.most = self.most.max(bytes);
        self.has_grown |= bytes > UNGROWN;
    }

    /// What tungstenite holds more than when it was made, in bytes; it takes no frame and no
    /// message over `largest`.
    fn held(&self, largest: usize) -> usize {
        let buffer = if self.has_grown { self.most } else { 0 };
        let at_most = |bytes| {
            usize::try_from(bytes).unwrap_or(usize::MAX).min(largest.saturating_add(READ_BUFFER))
        };
        at_most(buffer).saturating_add(at_most(self.fragments))
    }

    /// A frame with this first byte has come, of so many bytes.
    fn end_frame(&mut self, first: u8, bytes: u64) {
        // Control frames may come between fragments.
        let (is_last, is_control) = (first & 0x80 != 0, first & 0x08 != 0);
        if !is_control {
            self.in_fragments = !is_last;
            self.fragments = if is_last { 0 } else { self.fragments.saturating_add(bytes) };
        }
        (self.begun, self.whole) = (0, None);
        self.ended |= !self.in_fragments;
    }

    fn is_between_messages(&self) -> bool {
        self.begun == 0 && !self.in_fragments
    }
}

/// Bytes of a frame that begins so: head, mask, which all frames of clients have, and payload.
/// `None` while its length has not come.
fn frame_size(head: &[u8]) -> Option<u64> {
    let (length, extended) = match head.get(1)? & 0x7f {
        126 => (0, head.get(2..4)?),
        127 => (0, head.get(2..10)?),
        length => (u64::from(length), &[][..]),
    };
    let payload = extended.iter().fold(length, |length, byte| length << 8 | u64::from(*byte));
    Some(payload.saturating_add(2 + extended.len() as u64 + 4))
}

/// The socket as tungstenite wants it: one whose reads would block while nothing has arrived, and
/// whose writes only join the line.
struct Polled<'a, 'cx, S> {
    stream: &'a mut S,
    intake: &'a mut Intake,
    cx: &'a mut Context<'cx>,
    output: &'a mut Vec<u8>,
    has_room: bool,
}

impl<'a, 'cx, S> Polled<'a, 'cx, S> {
    fn new(
        stream: &'a mut S,
        intake: &'a mut Intake,
        output: &'a mut Vec<u8>,
        written: usize,
        cx: &'a mut Context<'cx>,
    ) -> Self {
        let has_room = output.len() - written < ROOM_FOR_ANSWERS;
        Self { stream, intake, cx, output, has_room }
    }
}

impl<S: AsyncRead + Unpin> Read for Polled<'_, '_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.stream).poll_read(self.cx, &mut buffer)? {
            Poll::Ready(()) => {
                self.intake.take(buffer.filled());
                Ok(buffer.filled().len())
            }
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl<S> Write for Polled<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.has_room {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
