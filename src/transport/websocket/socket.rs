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

use super::intake::Intake;

/// The server's end of a WebSocket.
///
/// tungstenite reads, checks and answers what the protocol wants answered. It is driven without
/// tokio-tungstenite, which puts two wakers in place for each packet, and what is sent does not go
/// through its buffer, which would be kept for as long as the connection lives.
pub(super) struct PacketSocket<S> {
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
pub(super) const READ_BUFFER: usize = 2 * 1024;
/// Answers to pings are not added to output beyond this, so that a client that only pings and never
/// reads costs no memory. The latest ping is answered when there is room (RFC 6455, Pong).
const ROOM_FOR_ANSWERS: usize = 32 * 1024;
/// tungstenite holds back one answer while there is no room for it.
const ONE_ANSWER: usize = 256;
/// Larger room for output is not kept for the next connection.
const SPARE: usize = 64 * 1024;

thread_local! {
    /// As a rule all output leaves in the turn in which it was written.
    static SPARE_OUTPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl<S: AsyncRead + AsyncWrite + Unpin> PacketSocket<S> {
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

    /// The next packet. What answers it is appended to the output.
    pub(super) fn poll_packet(&mut self, cx: &mut Context<'_>) -> Poll<Result<Packet, Error>> {
        let mut socket =
            Polled::new(&mut self.stream, &mut self.intake, &mut self.output, self.written, cx);
        let packet = self.codec.read(&mut socket);
        if self.intake.has_arrived() {
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
        if (bytes.len() as u64).saturating_mul(2) < self.intake.buffer() {
            Bytes::copy_from_slice(&bytes)
        } else {
            bytes
        }
    }

    /// Whether anything has arrived since this was asked before, be it a part of a packet.
    pub(super) fn take_arrived(&mut self) -> bool {
        self.intake.take_arrived()
    }

    /// Whether a message, or a frame between messages, has ended since this was asked before.
    pub(super) fn take_ended(&mut self) -> bool {
        self.intake.take_ended()
    }

    /// Whether a message or a frame has begun to arrive and has not ended.
    pub(super) fn has_begun(&self) -> bool {
        !self.intake.is_between_messages()
    }

    /// tungstenite never makes its buffer smaller: a session that once got a large message, or many
    /// at once, would keep the room for them.
    fn give_input_back(&mut self) {
        if self.intake.has_grown()
            && self.intake.is_between_messages()
            && !self.answering
            && self.codec.can_write()
        {
            self.codec = WebSocketContext::new(Role::Server, Some(config(self.largest)));
            self.intake.buffer_is_new();
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

    /// Appends a text message to the output; it must be UTF-8.
    pub(super) fn put_text(&mut self, text: &[u8]) {
        self.put(OpCode::Data(Data::Text), text);
    }

    /// Appends a binary message to the output.
    pub(super) fn put_binary(&mut self, bytes: &[u8]) {
        self.put(OpCode::Data(Data::Binary), bytes);
    }

    /// Appends an empty ping to the output.
    pub(super) fn put_ping(&mut self) {
        self.put(OpCode::Control(Control::Ping), &[]);
    }

    /// Appends the last frame to the output. Answers that found no room before it are given up.
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

    /// The memory of the output.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.output.capacity()
    }

    #[cfg(test)]
    pub(super) fn has_grown(&self) -> bool {
        self.intake.has_grown()
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

    /// For an output that is never empty: a peer that always leaves some of it waiting would else have
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

    /// The connection, without the output that still waits.
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

/// The socket as tungstenite wants it: one whose reads would block while nothing has arrived, and
/// whose writes only extend the output.
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
