//! One client for every transport: what differs between them is in here, so that a scenario need
//! not know of it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::http::{Connection, Request, Response};
use super::transport::{Frame, Transport, loaded};
use super::websocket::{self, WebSocket};

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Message(String),
    Binary(Bytes),
    /// A heartbeat frame; on a raw WebSocket a ping.
    Heartbeat,
    Close(u16, String),
    /// Nothing will come any more.
    End,
}

/// A session, from the client's side.
pub struct Client {
    transport: Transport,
    addr: SocketAddr,
    session: String,
    down: Down,
    up: Option<Connection>,
    /// Events of the last frame that were not asked for yet.
    events: VecDeque<Event>,
    /// The last frame as it came, without its wrapping.
    pub last: String,
    closed: bool,
}

enum Down {
    /// No receiver is attached; a connection may be left from the last one.
    Idle(Option<Connection>),
    Polling(Connection),
    Streaming(Connection),
    Socket(WebSocket),
}

impl Client {
    /// A client that has not said anything yet.
    pub fn new(addr: SocketAddr, prefix: &str, transport: Transport) -> Self {
        let session = match transport {
            Transport::RawWebSocket => prefix.to_owned(),
            _ => transport.fresh(prefix),
        };
        Self::of_session(addr, &session, transport)
    }

    /// A client for the session at this path, such as `/echo/000/abc`.
    pub fn of_session(addr: SocketAddr, session: &str, transport: Transport) -> Self {
        Self {
            transport,
            addr,
            session: session.to_owned(),
            down: Down::Idle(None),
            up: None,
            events: VecDeque::new(),
            last: String::new(),
            closed: false,
        }
    }

    /// Opens a session; the open frame has come, where there is one.
    pub async fn open(addr: SocketAddr, prefix: &str, transport: Transport) -> Self {
        let mut client = Self::new(addr, prefix, transport);
        client
            .try_open()
            .await
            .unwrap_or_else(|status| panic!("{transport:?} answers with {status}"));
        client
    }

    /// Opens the session, or tells with which status that was refused.
    pub async fn try_open(&mut self) -> Result<(), u16> {
        self.attach().await?;
        if self.transport.is_raw() {
            return Ok(());
        }
        let frame = if self.transport.is_socket() {
            self.socket_frame().await
        } else {
            self.http_frame().await?
        };
        assert_eq!(frame, Frame::Open, "{:?}", self.transport);
        Ok(())
    }

    /// The path of the session, without the transport's name.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Sends the request that attaches a receiver. A poll's answer is not waited for; of the others
    /// the status is looked at.
    pub async fn attach(&mut self) -> Result<(), u16> {
        let Down::Idle(connection) = &mut self.down else { return Ok(()) };
        let mut connection = match connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.addr).await,
        };
        let request = self.transport.request(&self.session);
        connection.write(request.to_bytes()).await;
        if self.transport.polls() {
            self.down = Down::Polling(connection);
            return Ok(());
        }
        let wanted = if self.transport.is_socket() { 101 } else { 200 };
        let head = connection.head().await;
        if head.status != wanted {
            return Err(head.status);
        }
        self.down = if self.transport.is_socket() {
            Down::Socket(WebSocket { connection })
        } else {
            connection.chunk().await.expect("a prelude");
            Down::Streaming(connection)
        };
        Ok(())
    }

    /// The next frame. An HTTP client comes again for it, if need be.
    pub async fn frame(&mut self) -> Frame {
        let frame = match self.transport {
            transport if transport.is_socket() => self.socket_frame().await,
            _ if self.closed => self.http_end().await,
            transport => {
                let frame = self.http_frame().await;
                frame.unwrap_or_else(|status| panic!("{transport:?} answers with {status}"))
            }
        };
        self.closed |= matches!(frame, Frame::Close(..));
        frame
    }

    async fn http_frame(&mut self) -> Result<Frame, u16> {
        loop {
            self.attach().await?;
            let wrapped = match std::mem::replace(&mut self.down, Down::Idle(None)) {
                Down::Polling(mut connection) => {
                    let answer = connection.response(&self.transport.request(&self.session)).await;
                    if answer.status() != 200 {
                        return Err(answer.status());
                    }
                    self.down = Down::Idle(Some(connection));
                    answer.body
                }
                Down::Streaming(mut connection) => match connection.chunk().await {
                    Some(chunk) => {
                        self.down = Down::Streaming(connection);
                        chunk
                    }
                    None => {
                        self.down = Down::Idle(Some(connection));
                        continue;
                    }
                },
                Down::Idle(_) | Down::Socket(_) => {
                    unreachable!("an HTTP receiver has just been attached")
                }
            };
            self.last =
                self.transport.unwrap(std::str::from_utf8(&wrapped).expect("frames are UTF-8"));
            return Ok(Frame::parse(&self.last));
        }
    }

    /// Behind the close frame nothing comes: the response ends.
    async fn http_end(&mut self) -> Frame {
        if let Down::Streaming(connection) = &mut self.down {
            assert_eq!(connection.chunk().await, None, "nothing follows a close frame");
        }
        Frame::End
    }

    async fn socket_frame(&mut self) -> Frame {
        loop {
            let Down::Socket(socket) = &mut self.down else { return Frame::End };
            let frame = socket.frame().await;
            let text = || String::from_utf8(frame.payload.to_vec()).expect("text is UTF-8");
            assert!(frame.last, "{frame:?} is a fragment");
            match frame.opcode {
                websocket::Frame::TEXT if self.transport.is_raw() => {
                    return Frame::Messages(vec![text()]);
                }
                websocket::Frame::TEXT => {
                    assert!(!self.closed, "{frame:?} follows the close frame");
                    self.last = text();
                    return Frame::parse(&self.last);
                }
                websocket::Frame::BINARY => return Frame::Binary(frame.payload),
                websocket::Frame::PING => {
                    socket
                        .write(&websocket::Frame::new(websocket::Frame::PONG, frame.payload))
                        .await;
                    if self.transport.is_raw() {
                        return Frame::Heartbeat;
                    }
                }
                websocket::Frame::CLOSE => {
                    let (code, reason) = close_of(&frame);
                    socket
                        .write(&websocket::Frame::new(websocket::Frame::CLOSE, frame.payload))
                        .await;
                    socket.connection.ends().await;
                    self.down = Down::Idle(None);
                    if !self.closed {
                        return Frame::Close(code, reason);
                    }
                    assert_eq!(
                        (code, &*reason),
                        (1000, "Normal closure"),
                        "what follows a close frame"
                    );
                    return Frame::End;
                }
                _ => panic!("{frame:?} is nothing that a server sends"),
            }
        }
    }

    /// What comes next.
    pub async fn recv(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            match self.frame().await {
                Frame::Open => panic!("a second open frame"),
                Frame::Heartbeat => return Event::Heartbeat,
                Frame::Messages(texts) => self.events.extend(texts.into_iter().map(Event::Message)),
                Frame::Binary(bytes) => return Event::Binary(bytes),
                Frame::Close(code, reason) => return Event::Close(code, reason),
                Frame::End => return Event::End,
            }
        }
    }

    /// The next message; heartbeats don't count.
    #[track_caller]
    pub fn message(&mut self) -> impl Future<Output = String> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            loop {
                match self.recv().await {
                    Event::Message(text) => return text,
                    Event::Heartbeat => {}
                    other => {
                        panic!("{caller}: a message is due on {:?}, not {other:?}", self.transport)
                    }
                }
            }
        }
    }

    /// Code and reason of the close that comes next, and is the last thing to come.
    #[track_caller]
    pub fn closed(&mut self) -> impl Future<Output = (u16, String)> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            match self.recv().await {
                Event::Close(code, reason) => {
                    assert_eq!(self.recv().await, Event::End, "{caller}");
                    (code, reason)
                }
                other => panic!("{caller}: a close is due on {:?}, not {other:?}", self.transport),
            }
        }
    }

    /// Sends messages as one payload, which must be taken; on a raw WebSocket one by one.
    pub async fn send(&mut self, messages: &[&str]) {
        if self.transport.is_raw() {
            for message in messages {
                self.write(&websocket::Frame::text(message)).await;
            }
            return;
        }
        self.send_json(&json(messages)).await;
    }

    /// Sends a payload as it stands.
    pub async fn send_json(&mut self, json: &str) {
        if self.transport.is_socket() {
            return self.write(&websocket::Frame::text(json)).await;
        }
        let answer = self.post(json).await;
        assert!(answer.is_taken(), "{:?}: {answer:?}", self.transport);
    }

    /// Sends a payload over HTTP and returns the answer.
    pub async fn post(&mut self, json: &str) -> Response {
        let request = self.uplink().request(json);
        let connection = match &mut self.up {
            Some(connection) => connection,
            None => self.up.insert(Connection::open(self.addr).await),
        };
        connection.exchange(&request).await
    }

    /// What sends payloads of this session over connections of its own.
    pub fn uplink(&self) -> Uplink {
        Uplink { addr: self.addr, session: self.session.clone(), transport: self.transport }
    }

    /// Writes a WebSocket frame.
    pub async fn write(&mut self, frame: &websocket::Frame) {
        let Down::Socket(socket) = &mut self.down else {
            panic!("{:?} is no open WebSocket", self.transport)
        };
        socket.write(frame).await;
    }

    /// Writes WebSocket frames at once.
    pub async fn write_all(&mut self, frames: &[websocket::Frame]) {
        let Down::Socket(socket) = &mut self.down else {
            panic!("{:?} is no open WebSocket", self.transport)
        };
        socket.write_all(frames).await;
    }

    /// Leaves as a client does that was told to close: with code and reason on a WebSocket, without
    /// a word on the others.
    pub async fn leave(mut self, code: u16, reason: &str) {
        let Down::Socket(socket) = &mut self.down else { return };
        let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
        socket.write(&websocket::Frame::new(websocket::Frame::CLOSE, payload)).await;
        let answer = socket.frame().await;
        assert_eq!((answer.opcode, close_of(&answer).0), (websocket::Frame::CLOSE, code));
        socket.connection.ends().await;
    }

    /// Breaks the receiver's connection off with RST.
    pub fn reset(self) {
        match self.down {
            Down::Idle(_) => {}
            Down::Polling(connection) | Down::Streaming(connection) => connection.reset(),
            Down::Socket(socket) => socket.connection.reset(),
        }
    }
}

/// Sends payloads over HTTP, each on a connection of its own.
#[derive(Clone, Debug)]
pub struct Uplink {
    addr: SocketAddr,
    session: String,
    transport: Transport,
}

impl Uplink {
    pub async fn post(&self, json: &str) -> Response {
        Connection::open(self.addr).await.exchange(&self.request(json)).await
    }

    fn request(&self, json: &str) -> Request {
        match self.transport {
            Transport::Jsonp => loaded(Request::post(format!("{}/jsonp_send", self.session)))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(format!("d={}", utf8_percent_encode(json, NON_ALPHANUMERIC))),
            _ => Request::post(format!("{}/xhr_send", self.session)).body(json.to_owned()),
        }
    }
}

impl Response {
    /// Whether this answers a payload that was taken.
    pub fn is_taken(&self) -> bool {
        matches!((self.status(), self.text()), (204, "") | (200, "ok"))
    }
}

/// A payload.
pub fn json<T: serde::Serialize>(messages: &[T]) -> String {
    serde_json::to_string(messages).expect("strings are JSON")
}

fn close_of(frame: &websocket::Frame) -> (u16, String) {
    match frame.payload.split_at_checked(2) {
        // What a browser shows when there is no code.
        None => (1005, String::new()),
        Some((code, reason)) => (
            u16::from_be_bytes([code[0], code[1]]),
            String::from_utf8(reason.to_vec()).expect("a close reason is UTF-8"),
        ),
    }
}
