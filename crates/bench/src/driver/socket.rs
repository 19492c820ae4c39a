//! One TCP connection, made when the first bytes are to be written.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::error::Error;
use super::target::Target;

pub(super) struct Socket {
    target: Target,
    stream: Stream,
    /// Bytes that were read and not parsed yet.
    rest: Vec<u8>,
    out: Vec<u8>,
    written: usize,
}

enum Stream {
    Closed,
    Connecting(Pin<Box<dyn Future<Output = Result<TcpStream, Error>> + Send>>),
    Open(TcpStream),
}

/// The outcome of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    Bytes,
    End,
}

thread_local! {
    /// Every socket of a thread is read into the same memory: it stays in the cache, and ten
    /// thousand idle sockets have no buffers.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; 64 * 1024].into());
}

impl Socket {
    pub(super) fn new(target: Target) -> Self {
        Self { target, stream: Stream::Closed, rest: Vec::new(), out: Vec::new(), written: 0 }
    }

    /// The buffer for bytes to write.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Counts a request that was appended.
    pub(super) fn count_request(&self) {
        self.target.counters().requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the connection; the next write makes a new one.
    pub(super) fn close(&mut self) {
        self.stream = Stream::Closed;
        self.rest.clear();
    }

    /// Connects, as long as there is no connection.
    pub(super) fn poll_connect(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            match &mut self.stream {
                Stream::Open(_) => return Poll::Ready(Ok(())),
                Stream::Closed => {
                    self.stream = Stream::Connecting(Box::pin(self.target.clone().connect()))
                }
                Stream::Connecting(connecting) => match ready!(connecting.as_mut().poll(cx)) {
                    Ok(stream) => self.stream = Stream::Open(stream),
                    Err(error) => {
                        self.stream = Stream::Closed;
                        return Poll::Ready(Err(error));
                    }
                },
            }
        }
    }

    /// Writes the appended bytes.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.written < self.out.len() {
            ready!(self.poll_connect(cx))?;
            let Stream::Open(stream) = &mut self.stream else { return Poll::Pending };
            let length = ready!(Pin::new(stream).poll_write(cx, &self.out[self.written..]))?;
            self.written += length;
            self.target.counters().sent.fetch_add(length as u64, Ordering::Relaxed);
        }
        self.out.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Reads once, and lets `parse` take complete items from the front; the rest comes again, with
    /// more behind it.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        parse: impl FnOnce(&[u8]) -> Result<usize, Error>,
    ) -> Poll<Result<Arrived, Error>> {
        let Stream::Open(stream) = &mut self.stream else { return Poll::Pending };
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
            let bytes = buffer.filled();
            if bytes.is_empty() {
                return Poll::Ready(Ok(Arrived::End));
            }
            self.target.counters().received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            if self.rest.is_empty() {
                let done = parse(bytes)?;
                self.rest.extend_from_slice(&bytes[done..]);
            } else {
                self.rest.extend_from_slice(bytes);
                let done = parse(&self.rest)?;
                self.rest.drain(..done);
            }
            Poll::Ready(Ok(Arrived::Bytes))
        })
    }
}
