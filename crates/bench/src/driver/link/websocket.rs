//! A session over a WebSocket.

use std::task::{Context, Poll, ready};

use crate::driver::error::Error;
use crate::driver::frame;
use crate::driver::http::{self, Event as HttpEvent};
use crate::driver::socket::{Arrived, Socket};
use crate::driver::target::Target;
use crate::driver::websocket::{self as wire, Event};

pub(crate) struct WebSocket {
    socket: Socket,
    framed: bool,
    state: State,
    /// The same for all frames of a connection: it protects proxies from hostile scripts, and there
    /// is no script here.
    mask: [u8; 4],
    closing: bool,
}

enum State {
    Upgrading(http::Reader),
    Upgraded { reader: wire::Reader, open: bool },
}

impl WebSocket {
    pub(super) fn new(target: &Target, framed: bool) -> Self {
        let mut socket = Socket::new(target.clone());
        let path = if framed { target.session_path() } else { target.prefix().to_owned() };
        let (authority, headers) =
            (target.authority(), target.headers().trim_start_matches("Connection: keep-alive\r\n"));
        let key = tokio_tungstenite::tungstenite::handshake::client::generate_key();
        socket.out().extend_from_slice(
            format!(
                "GET {path}/websocket HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{headers}\
                 Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            .as_bytes(),
        );
        socket.count_request();
        let [a, b, c, d, ..] = *uuid::Uuid::new_v4().as_bytes();
        Self {
            socket,
            framed,
            state: State::Upgrading(http::Reader::default()),
            mask: [a, b, c, d],
            closing: false,
        }
    }

    pub(super) fn is_framed(&self) -> bool {
        self.framed
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Upgraded { open: true, .. })
    }

    pub(super) fn send(&mut self, text: &[u8]) {
        let parts: [&[u8]; 3] = if self.framed { [b"[\"", text, b"\"]"] } else { [b"", text, b""] };
        wire::text(self.socket.out(), self.mask, parts);
    }

    pub(super) fn poll_progress(
        &mut self,
        cx: &mut Context<'_>,
        received: &mut dyn FnMut(&[u8]),
    ) -> Poll<Result<(), Error>> {
        // Also when not all of it leaves: arriving bytes are read meanwhile.
        let _ = self.socket.poll_flush(cx)?;
        let Self { state, framed, .. } = self;
        let mut pongs = Vec::new();
        let arrived =
            self.socket.poll_read(cx, |bytes| read(state, *framed, bytes, received, &mut pongs));
        match ready!(arrived)? {
            Arrived::End => return Poll::Ready(Err(Error::Ended("of a WebSocket"))),
            Arrived::Bytes => {}
        }
        if !pongs.is_empty() {
            wire::pong(self.socket.out(), self.mask, &pongs);
        }
        Poll::Ready(Ok(()))
    }

    /// Says that it closes, and waits for the server's end of the connection.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if !std::mem::replace(&mut self.closing, true) {
            wire::close(self.socket.out(), self.mask, 1000);
        }
        ready!(self.socket.poll_flush(cx))?;
        // Further bytes of the server are ignored.
        while let Arrived::Bytes = ready!(self.socket.poll_read(cx, |bytes| Ok(bytes.len())))? {}
        self.socket.close();
        Poll::Ready(Ok(()))
    }
}

fn read(
    state: &mut State,
    framed: bool,
    bytes: &[u8],
    received: &mut dyn FnMut(&[u8]),
    pongs: &mut Vec<u8>,
) -> Result<usize, Error> {
    let mut done = 0;
    if let State::Upgrading(reader) = state {
        let (length, event) = reader.read(bytes)?;
        done += length;
        match event {
            None => return Ok(done),
            Some(HttpEvent::Head(head)) if head.status == 101 => {}
            Some(HttpEvent::Head(head)) => {
                return Err(Error::Status {
                    request: "the WebSocket's handshake",
                    status: head.status,
                });
            }
            Some(_) => return Err(Error::Protocol("an answer begins with its body")),
        }
        *state = State::Upgraded { reader: wire::Reader::default(), open: !framed };
    }
    let State::Upgraded { reader, open } = state else { return Ok(done) };
    loop {
        let (length, event) = reader.read(&bytes[done..])?;
        done += length;
        let message = match event {
            None => return Ok(done),
            Some(Event::Message(message)) => message,
            Some(Event::Assembled) => reader.assembled(),
            Some(Event::Ping(payload)) => {
                pongs.clear();
                pongs.extend_from_slice(payload);
                // An empty pong is answered as well: any answer counts.
                if payload.is_empty() {
                    pongs.push(b'-');
                }
                continue;
            }
            Some(Event::Pong) => continue,
            Some(Event::Close(payload)) => {
                let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                let reason =
                    String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
                return Err(Error::Closed { code, reason });
            }
        };
        if !framed {
            received(message);
        } else if frame::read(message, received)? == frame::Kind::Open {
            *open = true;
        }
    }
}
