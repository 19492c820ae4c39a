//! A session over HTTP: one connection to receive on, one to send on.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Sleep, sleep};

use super::technique::Technique;
use crate::driver::error::Error;
use crate::driver::frame::{self, Kind, Lines};
use crate::driver::http::{End, Event, Reader};
use crate::driver::socket::{Arrived, Socket};
use crate::driver::target::Target;

pub(crate) struct Http {
    technique: Technique,
    open: bool,
    receive: Side,
    /// The request that is answered by frames.
    request: Vec<u8>,
    lines: Lines,
    next: Next,
    send: Side,
    /// An `xhr_send` up to its length.
    send_head: Vec<u8>,
    posting: bool,
    /// The messages of the next `xhr_send`, as JSON without the last bracket; empty when there are
    /// none.
    batch: Vec<u8>,
}

/// When to ask for messages again.
enum Next {
    /// When the answer is complete, or the client comes back.
    NotYet,
    Now,
    /// With polls that don't wait.
    After(Pin<Box<Sleep>>),
}

/// A connection that carries requests, one after the other.
pub(super) struct Side {
    pub(super) socket: Socket,
    reader: Reader,
    closes: bool,
    /// Requests without their whole answer.
    unanswered: usize,
}

impl Side {
    pub(super) fn new(target: &Target) -> Self {
        Self {
            socket: Socket::new(target.clone()),
            reader: Reader::default(),
            closes: false,
            unanswered: 0,
        }
    }

    pub(super) fn request(&mut self, bytes: &[u8]) {
        if std::mem::take(&mut self.closes) {
            self.socket.close();
        }
        self.socket.out().extend_from_slice(bytes);
        self.socket.count_request();
        self.unanswered += 1;
    }

    fn leave(&mut self) {
        self.socket.close();
        self.socket.out().clear();
        (self.reader, self.unanswered) = (Reader::default(), 0);
    }

    /// Reads once and returns its meaning.
    pub(super) fn poll_events(
        &mut self,
        cx: &mut Context<'_>,
        name: &'static str,
        handle: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
    ) -> Poll<Result<(), Error>> {
        let Self { socket, reader, closes, unanswered } = self;
        let arrived = socket.poll_read(cx, |bytes| {
            let mut done = 0;
            loop {
                let (length, event) = reader.read(&bytes[done..])?;
                done += length;
                match event {
                    None => return Ok(done),
                    Some(Event::Head(head)) => {
                        *closes = head.closes;
                        handle(Event::Head(head))?;
                    }
                    Some(event) => {
                        *unanswered -= usize::from(event == Event::End);
                        handle(event)?;
                    }
                }
            }
        });
        match ready!(arrived)? {
            Arrived::Bytes => Poll::Ready(Ok(())),
            Arrived::End => {
                socket.close();
                match reader.end() {
                    // Nothing is asked that would not be answered: the next request makes a new
                    // connection.
                    End::Between if *unanswered == 0 => Poll::Pending,
                    End::OfBody => {
                        *unanswered -= 1;
                        Poll::Ready(handle(Event::End))
                    }
                    End::Between | End::Within => Poll::Ready(Err(Error::Ended(name))),
                }
            }
        }
    }
}

impl Http {
    pub(super) fn new(target: &Target, technique: Technique) -> Self {
        let mut http = Self {
            technique,
            open: false,
            receive: Side::new(target),
            request: Vec::new(),
            lines: Lines::default(),
            next: Next::NotYet,
            send: Side::new(target),
            send_head: Vec::new(),
            posting: false,
            batch: Vec::new(),
        };
        http.start_anew(target);
        http
    }

    pub(super) fn start_anew(&mut self, target: &Target) {
        let (path, authority, headers) =
            (target.session_path(), target.authority(), target.headers());
        let (method, resource, length) = match self.technique {
            Technique::EventSource => ("GET", "eventsource", ""),
            Technique::XhrStreaming => ("POST", "xhr_streaming", "Content-Length: 0\r\n"),
            Technique::ShortPolling(_) => ("POST", "xhr?sockeye_wait=0", "Content-Length: 0\r\n"),
            _ => ("POST", "xhr", "Content-Length: 0\r\n"),
        };
        self.request = format!(
            "{method} {path}/{resource} HTTP/1.1\r\nHost: {authority}\r\n{headers}{length}\r\n"
        )
        .into_bytes();
        self.send_head = format!(
            "POST {path}/xhr_send HTTP/1.1\r\nHost: {authority}\r\n{headers}Content-Type: text/plain\r\nContent-Length: "
        )
        .into_bytes();
        if self.receive.unanswered > 0 {
            // A stream has no end yet, or a poll was given up: the next request would wait behind
            // it.
            self.receive.leave();
        }
        self.open = false;
        self.next = Next::Now;
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Goes away between two polls: no connection is left.
    pub(super) fn leave(&mut self) {
        self.receive.leave();
        self.send.leave();
        self.next = Next::NotYet;
    }

    /// Closes the connection that it sends on, as a browser does with one that it has not used for
    /// a while.
    pub(super) fn rest(&mut self) {
        self.send.leave();
    }

    /// Polls again.
    pub(super) fn come_back(&mut self) {
        self.next = Next::Now;
    }

    /// Waits for the answers to sent requests and for the end of a begun one, and asks for no more
    /// messages.
    pub(super) async fn finish(&mut self) -> Result<(), Error> {
        poll_fn(|cx| {
            while self.posting {
                ready!(self.poll_sent(cx))?;
            }
            // A server may send the end of an answer after the frame in it.
            let streams =
                matches!(self.technique, Technique::XhrStreaming | Technique::EventSource);
            while !streams && self.receive.reader.is_amid_answer() {
                ready!(self.poll_received(cx, &mut |_| ()))?;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    pub(super) async fn info(&mut self, target: &Target) -> Result<(), Error> {
        let (prefix, authority, headers) = (target.prefix(), target.authority(), target.headers());
        self.send.request(
            format!("GET {prefix}/info HTTP/1.1\r\nHost: {authority}\r\n{headers}\r\n").as_bytes(),
        );
        let mut waiting = true;
        poll_fn(|cx| {
            while waiting {
                ready!(self.send.socket.poll_flush(cx))?;
                let answered = self.send.poll_events(
                    cx,
                    "that it asks for info on",
                    &mut |event| match event {
                        Event::Head(head) if head.status != 200 => {
                            Err(Error::Status { request: "info", status: head.status })
                        }
                        Event::End => {
                            waiting = false;
                            Ok(())
                        }
                        _ => Ok(()),
                    },
                );
                ready!(answered)?;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    pub(super) fn send(&mut self, text: &[u8]) {
        self.batch.extend_from_slice(if self.batch.is_empty() { b"[\"" } else { b",\"" });
        self.batch.extend_from_slice(text);
        self.batch.push(b'"');
    }

    pub(super) fn poll_progress(
        &mut self,
        cx: &mut Context<'_>,
        received: &mut dyn FnMut(&[u8]),
    ) -> Poll<Result<(), Error>> {
        if !self.posting && !self.batch.is_empty() {
            self.post();
        }
        let due = match &mut self.next {
            Next::NotYet => false,
            Next::Now => true,
            Next::After(pause) => pause.as_mut().poll(cx).is_ready(),
        };
        if due {
            self.next = Next::NotYet;
            self.receive.request(&self.request);
        }
        // Both, whether or not the other one waits.
        let _ = self.send.socket.poll_flush(cx)?;
        let _ = self.receive.socket.poll_flush(cx)?;
        let sent = self.poll_sent(cx)?;
        let received = self.poll_received(cx, received)?;
        if sent.is_ready() || received.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn post(&mut self) {
        self.batch.push(b']');
        let mut digits = itoa(self.batch.len());
        self.send.request(&self.send_head);
        let out = self.send.socket.out();
        out.append(&mut digits);
        out.extend_from_slice(b"\r\n\r\n");
        out.append(&mut self.batch);
        self.posting = true;
    }

    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Self { send, posting, .. } = self;
        send.poll_events(cx, "that it sends on", &mut |event| match event {
            Event::Head(head) if !matches!(head.status, 200 | 204) => {
                Err(Error::Status { request: "xhr_send", status: head.status })
            }
            Event::End => {
                *posting = false;
                Ok(())
            }
            _ => Ok(()),
        })
    }

    fn poll_received(
        &mut self,
        cx: &mut Context<'_>,
        received: &mut dyn FnMut(&[u8]),
    ) -> Poll<Result<(), Error>> {
        let Self { receive, lines, open, technique, .. } = self;
        let (event_stream, mut ended) = (*technique == Technique::EventSource, false);
        let mut line = |line: &[u8]| {
            if let Some(frame) = frame_in(line, event_stream) {
                *open |= frame::read(&frame, received)? == Kind::Open;
            }
            Ok(())
        };
        let arrived = receive.poll_events(cx, "that it receives on", &mut |event| match event {
            Event::Head(head) if head.status != 200 => {
                Err(Error::Status { request: "the request for messages", status: head.status })
            }
            Event::Head(_) => Ok(()),
            Event::Body(piece) => lines.read(piece, &mut line),
            Event::End => {
                ended = true;
                Ok(())
            }
        });
        ready!(arrived)?;
        if ended {
            self.lines.end();
            self.next = match self.technique {
                Technique::ShortPolling(interval) => Next::After(Box::pin(sleep(interval))),
                _ => Next::Now,
            };
        }
        Poll::Ready(Ok(()))
    }
}

/// The frame that a line of a response holds, if it holds one.
fn frame_in(line: &[u8], event_stream: bool) -> Option<std::borrow::Cow<'_, [u8]>> {
    if event_stream {
        let data = line.strip_prefix(b"data:")?;
        let frame = data.strip_prefix(b" ").unwrap_or(data);
        return Some(frame::percent_decoded(frame));
    }
    // The prelude of a stream is a line of 2,048 times `h`: that it looks like a heartbeat is its
    // inventor's intent.
    (!line.is_empty()).then_some(line.into())
}

fn itoa(number: usize) -> Vec<u8> {
    number.to_string().into_bytes()
}
