//! Bare HTTP, the floor of the HTTP techniques.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use super::http::Side;
use crate::driver::error::Error;
use crate::driver::http::Event;
use crate::driver::target::Target;

pub(crate) struct Exchange {
    sides: [Side; 2],
    requests: [Vec<u8>; 2],
    /// A session begins with a poll that brings no message.
    open: bool,
    /// Answers still to come.
    waiting: usize,
    /// The message on its way: a bare server sends none back.
    message: Vec<u8>,
}

impl Exchange {
    pub(super) fn new(target: &Target) -> Self {
        let (prefix, authority) = (target.prefix(), target.authority());
        let head = |path, length| {
            format!("POST {prefix}/{path} HTTP/1.1\r\nHost: {authority}\r\n{length}")
        };
        let mut exchange = Self {
            sides: [Side::new(target), Side::new(target)],
            // As long as the heads of a SockJS client's requests, up to the path.
            requests: [
                head("send", "Content-Type: text/plain\r\nContent-Length: ").into(),
                head("poll", "Content-Length: 0\r\n\r\n").into(),
            ],
            open: false,
            waiting: 0,
            message: Vec::new(),
        };
        exchange.start_anew();
        exchange
    }

    pub(super) fn start_anew(&mut self) {
        self.open = false;
        self.poll_again();
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    fn poll_again(&mut self) {
        self.sides[1].request(&self.requests[1]);
        self.waiting += 1;
    }

    pub(super) fn send(&mut self, text: &[u8]) {
        self.message.clear();
        self.message.extend_from_slice(text);
        let [send, poll] = &mut self.sides;
        send.request(&self.requests[0]);
        let out = send.socket.out();
        out.extend_from_slice((text.len() + 4).to_string().as_bytes());
        out.extend_from_slice(b"\r\n\r\n[\"");
        out.extend_from_slice(text);
        out.extend_from_slice(b"\"]");
        poll.request(&self.requests[1]);
        self.waiting = 2;
    }

    /// One exchange, on the connection of the polls.
    pub(super) async fn poll_once(&mut self) -> Result<(), Error> {
        self.poll_again();
        poll_fn(|cx| {
            while self.waiting > 0 {
                ready!(self.poll_progress(cx, &mut |_| ()))?;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    pub(super) fn poll_progress(
        &mut self,
        cx: &mut Context<'_>,
        received: &mut dyn FnMut(&[u8]),
    ) -> Poll<Result<(), Error>> {
        let Self { sides, open, waiting, message, .. } = self;
        let mut progress = false;
        for side in sides {
            let _ = side.socket.poll_flush(cx)?;
            let arrived = side.poll_events(cx, "of a bare exchange", &mut |event| match event {
                Event::Head(head) if !matches!(head.status, 200 | 204) => {
                    Err(Error::Status { request: "a bare exchange", status: head.status })
                }
                Event::End => {
                    *waiting -= 1;
                    Ok(())
                }
                _ => Ok(()),
            });
            progress |= arrived?.is_ready();
        }
        if !progress {
            return Poll::Pending;
        }
        if *waiting == 0 {
            *open = true;
            if !message.is_empty() {
                received(message);
                message.clear();
            }
        }
        Poll::Ready(Ok(()))
    }
}
