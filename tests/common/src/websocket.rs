//! A WebSocket client that shows the frames (RFC 6455, section 5).

use std::net::SocketAddr;

use bytes::Bytes;

use super::http::{Connection, Head, Request};

/// The handshake key of RFC 6455, section 1.3, and the answer to it that is printed there.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The request that opens a WebSocket.
pub fn handshake(path: &str) -> Request {
    Request::get(path)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", KEY)
}

pub struct WebSocket {
    pub connection: Connection,
}

impl WebSocket {
    pub async fn open(addr: SocketAddr, path: &str) -> Self {
        Self::open_with(addr, &handshake(path)).await.0
    }

    /// Opens with a handshake of the test's own, and shows the answer's head.
    pub async fn open_with(addr: SocketAddr, request: &Request) -> (Self, Head) {
        let mut connection = Connection::open(addr).await;
        let head = connection.start(request).await;
        assert_eq!(head.status, 101, "{head:?}");
        assert_eq!(head.header("Sec-WebSocket-Accept"), Some(ACCEPT));
        (Self { connection }, head)
    }

    pub async fn send(&mut self, text: &str) {
        self.write(&Frame::text(text)).await;
    }

    /// Sends a frame, masked as a client's frames have to be.
    pub async fn write(&mut self, frame: &Frame) {
        self.connection.write(frame.masked()).await;
    }

    /// Sends frames in one write.
    pub async fn write_all(&mut self, frames: &[Frame]) {
        self.connection.write(frames.iter().flat_map(Frame::masked).collect::<Vec<_>>()).await;
    }

    /// The next frame, whatever it is. A server's frames are neither masked nor marked by an
    /// extension.
    pub async fn frame(&mut self) -> Frame {
        let head = self.connection.take(2).await;
        assert_eq!(head[0] & 0x70, 0, "a reserved bit is set");
        assert_eq!(head[1] & 0x80, 0, "a server's frame is not masked");
        let length = match head[1] {
            126 => usize::from(u16::from_be_bytes(self.array().await)),
            127 => {
                u64::from_be_bytes(self.array().await).try_into().expect("a frame fits into memory")
            }
            short => usize::from(short),
        };
        Frame {
            last: head[0] & 0x80 != 0,
            opcode: head[0] & 0x0f,
            payload: self.connection.take(length).await,
        }
    }

    /// The text of the next frame, which must be one unfragmented text message.
    #[track_caller]
    pub fn text(&mut self) -> impl Future<Output = String> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let frame = self.frame().await;
            assert!(
                frame.last && frame.opcode == Frame::TEXT,
                "{caller}: {frame:?} is no whole text message"
            );
            String::from_utf8(frame.payload.into()).expect("text is UTF-8")
        }
    }

    /// The next frame is a close frame: its code, if it has one, and reason. The client answers it,
    /// as RFC 6455 asks.
    #[track_caller]
    pub fn closed(&mut self) -> impl Future<Output = (Option<u16>, String)> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let frame = self.frame().await;
            assert!(
                frame.last && frame.opcode == Frame::CLOSE,
                "{caller}: {frame:?} is no close frame"
            );
            self.write(&Frame {
                payload: frame.payload.slice(..frame.payload.len().min(2)),
                ..Frame::close()
            })
            .await;
            match frame.payload.split_at_checked(2) {
                None => (None, String::new()),
                Some((code, reason)) => (
                    Some(u16::from_be_bytes([code[0], code[1]])),
                    String::from_utf8(reason.into()).expect("a close reason is UTF-8"),
                ),
            }
        }
    }

    /// The server has ended the connection with FIN, and goes on reading what is still on its way
    /// to it: closing the socket then would be answered with RST, which can destroy what the client
    /// has not read yet.
    #[track_caller]
    pub fn ends(mut self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let rest = self.connection.rest().await;
            assert!(
                rest.is_empty(),
                "{caller}: {} bytes before the end of the connection: {rest:?}",
                rest.len()
            );
            // The first one is what brings the RST on, the next one meets it.
            for _ in 0..3 {
                let sent = self.connection.try_write(Frame::text("late").masked()).await;
                assert!(sent.is_ok(), "{caller}: the connection was reset");
                tokio::task::yield_now().await;
            }
        }
    }

    async fn array<const N: usize>(&mut self) -> [u8; N] {
        self.connection.take(N).await.as_ref().try_into().expect("just so many were taken")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub last: bool,
    pub opcode: u8,
    pub payload: Bytes,
}

impl Frame {
    pub const CONTINUATION: u8 = 0;
    pub const TEXT: u8 = 1;
    pub const BINARY: u8 = 2;
    pub const CLOSE: u8 = 8;
    pub const PING: u8 = 9;
    pub const PONG: u8 = 10;

    pub fn new(opcode: u8, payload: impl Into<Bytes>) -> Self {
        Self { last: true, opcode, payload: payload.into() }
    }

    pub fn text(text: &str) -> Self {
        Self::new(Self::TEXT, text.to_owned())
    }

    /// A close frame without code, as `WebSocket.close()` of a browser sends it.
    pub fn close() -> Self {
        Self::new(Self::CLOSE, "")
    }

    fn masked(&self) -> Vec<u8> {
        const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
        let mut bytes = vec![u8::from(self.last) << 7 | self.opcode];
        match self.payload.len() {
            short @ ..126 => bytes.push(0x80 | short as u8),
            middle @ ..0x1_0000 => {
                bytes.push(0x80 | 126);
                bytes.extend((middle as u16).to_be_bytes());
            }
            long => {
                bytes.push(0x80 | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        bytes.extend(MASK);
        bytes.extend(self.payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }
}
