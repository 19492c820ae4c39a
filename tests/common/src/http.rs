//! An HTTP/1.x client that shows the bytes: chunks as chunks, ends as ends.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::within;

/// One TCP connection, with what was read from it and not yet looked at.
pub struct Connection {
    stream: TcpStream,
    unread: BytesMut,
}

impl Connection {
    pub async fn open(addr: SocketAddr) -> Self {
        let stream =
            within("a connection", TcpStream::connect(addr)).await.expect("the server listens");
        stream.set_nodelay(true).expect("the socket is fresh");
        Self { stream, unread: BytesMut::new() }
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("the server reads");
    }

    /// Writes to a server that may have closed.
    pub async fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Sends the request and reads the whole answer.
    pub async fn exchange(&mut self, request: &Request) -> Response {
        self.write(request.to_bytes()).await;
        self.response(request).await
    }

    /// Reads the whole answer to `request`, as its method decides whether there is a body.
    pub async fn response(&mut self, request: &Request) -> Response {
        let head = self.head().await;
        let framing = head.framing(request.method == "HEAD");
        let body = match framing {
            Framing::NoBody => Bytes::new(),
            Framing::Length(length) => self.take(length).await,
            Framing::Chunked => {
                let mut body = BytesMut::new();
                while let Some(chunk) = self.chunk().await {
                    body.extend_from_slice(&chunk);
                }
                body.freeze()
            }
            Framing::UntilEnd => self.rest().await,
        };
        Response { head, framing, body }
    }

    /// Sends the request and reads the head of an answer whose body the test goes through by
    /// itself.
    pub async fn start(&mut self, request: &Request) -> Head {
        self.write(request.to_bytes()).await;
        self.head().await
    }

    /// Reads the status line and the headers.
    pub async fn head(&mut self) -> Head {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(
                self.fill("a response head").await,
                "the connection ended before a whole head: {:?}",
                self.unread
            );
        };
        Head::parse(&self.unread.split_to(end))
    }

    /// Reads exactly one HTTP chunk: `None` is the last one, of length zero.
    pub async fn chunk(&mut self) -> Option<Bytes> {
        let line = loop {
            if let Some(at) = self.unread.windows(2).position(|window| window == b"\r\n") {
                break self.unread.split_to(at + 2);
            }
            assert!(
                self.fill("a chunk").await,
                "the connection ended inside a chunked body: {:?}",
                self.unread
            );
        };
        let digits = std::str::from_utf8(&line[..line.len() - 2]).expect("a chunk length is ASCII");
        let length = usize::from_str_radix(digits, 16)
            .unwrap_or_else(|_| panic!("{digits:?} is no chunk length"));
        let mut chunk = self.take(length + 2).await;
        assert_eq!(&chunk[length..], b"\r\n", "a chunk ends with CR LF");
        chunk.truncate(length);
        (length > 0).then_some(chunk)
    }

    /// Reads exactly `length` bytes.
    pub async fn take(&mut self, length: usize) -> Bytes {
        while self.unread.len() < length {
            assert!(
                self.fill("more bytes").await,
                "the connection ended after {} of {length} bytes: {:?}",
                self.unread.len(),
                self.unread
            );
        }
        self.unread.split_to(length).freeze()
    }

    /// Reads until the server ends the connection, which it must do with FIN.
    pub async fn rest(&mut self) -> Bytes {
        while self.fill("the end of the connection").await {}
        self.unread.split().freeze()
    }

    /// The server ends the connection, with FIN and without another byte.
    #[track_caller]
    pub fn ends(&mut self) -> impl Future<Output = ()> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let rest = self.rest().await;
            assert!(
                rest.is_empty(),
                "{caller}: {} bytes before the end of the connection: {rest:?}",
                rest.len()
            );
        }
    }

    /// Something has come that the test has not yet looked at.
    pub async fn readable(&self) {
        if self.unread.is_empty() {
            within("bytes", self.stream.readable()).await.expect("the socket is open");
        }
    }

    /// Says FIN and goes on reading.
    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.expect("the socket is open");
    }

    /// Breaks the connection off with RST.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("the socket is open");
    }

    /// Reads more bytes; `false` when the server has said FIN.
    async fn fill(&mut self, what: &str) -> bool {
        match within(what, self.stream.read_buf(&mut self.unread)).await {
            Ok(count) => count > 0,
            Err(error) => {
                panic!("waiting for {what}, the connection broke: {error} (a server ends with FIN)")
            }
        }
    }
}

/// A request as it will stand on the wire: no header but those named here.
#[derive(Clone, Debug)]
pub struct Request {
    method: &'static str,
    target: String,
    version: &'static str,
    headers: Vec<(String, String)>,
    body: Option<Bytes>,
}

impl Request {
    pub fn new(method: &'static str, target: impl Into<String>) -> Self {
        let headers = vec![("Host".into(), "localhost".into())];
        Self { method, target: target.into(), version: "HTTP/1.1", headers, body: None }
    }

    pub fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    /// A POST with an empty body and `Content-Length: 0`.
    pub fn post(target: impl Into<String>) -> Self {
        Self::new("POST", target).body("")
    }

    pub fn options(target: impl Into<String>) -> Self {
        Self::new("OPTIONS", target)
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// None of these headers.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| !header.eq_ignore_ascii_case(name));
        self
    }

    /// A body, announced by its length.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Neither a body nor a length.
    pub fn without_body(mut self) -> Self {
        self.body = None;
        self
    }

    pub fn http_1_0(mut self) -> Self {
        self.version = "HTTP/1.0";
        self
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} {}\r\n", self.method, self.target, self.version);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").expect("a String takes everything");
        }
        if let Some(body) = &self.body {
            write!(head, "Content-Length: {}\r\n", body.len()).expect("a String takes everything");
        }
        head.push_str("\r\n");
        [head.as_bytes(), self.body.as_deref().unwrap_or_default()].concat()
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    pub head: Head,
    pub framing: Framing,
    pub body: Bytes,
}

impl Response {
    pub fn status(&self) -> u16 {
        self.head.status
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The body, which must be UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    NoBody,
    Length(usize),
    Chunked,
    UntilEnd,
}

/// A status line and headers.
#[derive(Clone, Debug)]
pub struct Head {
    pub version: String,
    pub status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    fn parse(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).expect("a response head is text");
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let mut start = lines.next().unwrap_or_default().splitn(3, ' ');
        let version = start.next().unwrap_or_default().to_owned();
        let status = start
            .next()
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("no status in {text:?}"));
        assert!(version == "HTTP/1.1" || version == "HTTP/1.0", "no HTTP/1.x answer: {text:?}");
        let headers = lines
            .map(|line| line.split_once(':').unwrap_or_else(|| panic!("{line:?} is no header")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Self { version, status, headers }
    }

    /// The value of a header that may be given once at most.
    pub fn header(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        let mut values =
            self.headers.iter().filter(|(key, _)| *key == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert!(values.next().is_none(), "{name} is given twice: {self:?}");
        value
    }

    /// Names and values, names in lower case, sorted, without those that differ from answer to
    /// answer anyway.
    pub fn stable_headers(&self) -> Vec<(String, String)> {
        let mut headers = self.headers.clone();
        headers.retain(|(name, _)| name != "date" && name != "expires");
        headers.sort();
        headers
    }

    fn framing(&self, to_head: bool) -> Framing {
        if to_head || matches!(self.status, 101 | 204 | 304) {
            return Framing::NoBody;
        }
        let length =
            self.header("Content-Length").map(|value| value.parse().expect("a length is a number"));
        match (length, self.header("Transfer-Encoding")) {
            (Some(length), None) => Framing::Length(length),
            (None, Some(coding)) => {
                assert_eq!(coding, "chunked");
                assert_eq!(self.version, "HTTP/1.1", "HTTP/1.0 knows no transfer coding");
                Framing::Chunked
            }
            (None, None) => {
                let closes = self
                    .header("Connection")
                    .is_some_and(|value| value.eq_ignore_ascii_case("close"));
                assert!(closes, "the end of this body can't be known: {self:?}");
                Framing::UntilEnd
            }
            (Some(_), Some(_)) => panic!("a length and a transfer coding: {self:?}"),
        }
    }
}
