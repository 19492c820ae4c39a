//! Settings of a client.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::drive::DriveLimits;
use super::frame::FrameLimits;
use super::link::LinkLimits;
use super::silence::Silence;
use super::tls::{Identity, Tls};
use super::transport::Transport;
use crate::session::QueueLimit;

/// Settings, each with a default; [`connect`](Self::connect) may be called any number of times.
///
/// ```no_run
/// use std::time::Duration;
/// use http::{HeaderValue, header};
/// use sockeye::client::{Client, Transport};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let connection = Client::builder()
///     .transports([Transport::XhrStreaming, Transport::XhrPolling])
///     .header(header::AUTHORIZATION, HeaderValue::from_static("Bearer 1234"))
///     .silence_timeout(Duration::from_secs(40))
///     .connect("https://example.com/echo?room=7")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) transports: Vec<Transport>,
    pub(super) headers: HeaderMap,
    pub(super) tls: Tls,
    pub(super) info_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) minimum_open_timeout: Duration,
    pub(super) send_timeout: Duration,
    pub(super) send_pause: Duration,
    pub(super) heartbeat_delay: Option<Duration>,
    pub(super) silence_timeout: Option<Duration>,
    pub(super) close_timeout: Duration,
    pub(super) frame_size: usize,
    pub(super) messages_per_frame: usize,
    pub(super) payload_size: usize,
    pub(super) messages_per_payload: usize,
    pub(super) inbound_messages: usize,
    pub(super) inbound_bytes: usize,
    pub(super) outbound_messages: usize,
    pub(super) outbound_bytes: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            transports: Transport::DEFAULT.to_vec(),
            headers: HeaderMap::new(),
            tls: Tls::default(),
            info_timeout: Duration::from_secs(8),
            connect_timeout: Duration::from_secs(8),
            minimum_open_timeout: Duration::ZERO,
            send_timeout: Duration::from_secs(30),
            send_pause: Duration::from_millis(25),
            heartbeat_delay: None,
            silence_timeout: None,
            close_timeout: Duration::from_secs(5),
            frame_size: 16 * 1024 * 1024,
            messages_per_frame: 65_536,
            payload_size: 1024 * 1024,
            messages_per_payload: 1024,
            inbound_messages: 1024,
            inbound_bytes: 1024 * 1024,
            outbound_messages: 1024,
            outbound_bytes: 1024 * 1024,
        }
    }
}

impl Builder {
    /// The transports to try, in this order. Default: [`Transport::DEFAULT`].
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.transports = transports.into_iter().collect();
        self
    }

    /// A header for every request, WebSocket handshakes included; may be called several times for
    /// the same name. Default: none.
    ///
    /// `Cookie`, `Authorization` and values marked as sensitive go only to the origin of the URL,
    /// wherever the server's `base_url` leads. Cookies that the server sets meanwhile (load
    /// balancers do, to bind a session to one process) are sent along by themselves.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The certificates of the authorities to trust, one or more, in PEM; no others are trusted.
    /// [`connect`](Self::connect) reads them, and fails if it can't. Default: the certificates that
    /// this machine trusts, read at each `connect` to an `https` URL.
    pub fn trusted_roots(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.tls.roots = Some(pem.as_ref().into());
        self
    }

    /// The client's own certificate, followed by those that lead to its authority, and its private
    /// key, both in PEM, for servers that ask for one. [`connect`](Self::connect) reads them, and
    /// fails if it can't. Default: none.
    pub fn identity(mut self, certificates: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.tls.identity =
            Some(Identity { certificates: certificates.as_ref().into(), key: key.as_ref().into() });
        self
    }

    /// How long the info request may take, connection and answer together. Default: 8 s.
    pub fn info_timeout(mut self, limit: Duration) -> Self {
        self.info_timeout = limit;
        self
    }

    /// How long a connection may take, TLS included. Default: 8 s.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// The least time that each transport is given to open the session. The round trip of the info
    /// request decides otherwise: twice 300 ms + RTT, or above 100 ms twice 4 RTT; 5 s where only
    /// raw WebSocket is allowed. Default: zero.
    pub fn minimum_open_timeout(mut self, limit: Duration) -> Self {
        self.minimum_open_timeout = limit;
        self
    }

    /// How long a payload may take to be taken, over HTTP to be answered. Keep it above the time
    /// for which a server may hold a payload back while its queue is full. Default: 30 s.
    pub fn send_timeout(mut self, limit: Duration) -> Self {
        self.send_timeout = limit;
        self
    }

    /// HTTP transports wait so long between the answer to a payload and the next payload. Default:
    /// 25 ms.
    pub fn send_pause(mut self, pause: Duration) -> Self {
        self.send_pause = pause;
        self
    }

    /// The server's own heartbeat delay; a `sockeye` lists it in `/endpoints.json`. When nothing
    /// comes for ten seconds longer, the connection is lost and ends with
    /// [`TransportError::Silent`](super::TransportError::Silent).
    ///
    /// Default: unknown. Then silence lasts up to 35 s: over a WebSocket, which is pinged twice in
    /// this time, from the start, and over HTTP from the first heartbeat, for there are servers
    /// that send none.
    pub fn heartbeat_delay(mut self, delay: Duration) -> Self {
        self.heartbeat_delay = Some(delay);
        self
    }

    /// How long a server may say nothing, not even a heartbeat, before it is taken for dead,
    /// whatever its [`heartbeat_delay`](Self::heartbeat_delay) is. Every byte from it counts. A
    /// WebSocket is pinged twice in this time. Default: by the heartbeats.
    pub fn silence_timeout(mut self, limit: Duration) -> Self {
        self.silence_timeout = Some(limit);
        self
    }

    /// How long closing may take: to send the queued messages, and then to finish a WebSocket's
    /// closing handshake. Default: 5 s.
    pub fn close_timeout(mut self, limit: Duration) -> Self {
        self.close_timeout = limit;
        self
    }

    /// The largest frame taken from the server, and the largest answer to the info request, in
    /// bytes. Default: 16 MiB.
    pub fn frame_size(mut self, bytes: usize) -> Self {
        self.frame_size = bytes;
        self
    }

    /// Messages in one frame of the server. Default: 65,536.
    pub fn messages_per_frame(mut self, messages: usize) -> Self {
        self.messages_per_frame = messages;
        self
    }

    /// The largest payload sent, in bytes of JSON (bytes of the message on a raw WebSocket). Keep
    /// it at or below the server's limit. Default: 1 MiB.
    pub fn payload_size(mut self, bytes: usize) -> Self {
        self.payload_size = bytes;
        self
    }

    /// Messages in one payload sent. Default: 1,024.
    pub fn messages_per_payload(mut self, messages: usize) -> Self {
        self.messages_per_payload = messages;
        self
    }

    /// Messages from the server that wait for the application. When they are this many nothing more
    /// is read; a frame enters whole. Default: 1,024.
    pub fn inbound_messages(mut self, messages: usize) -> Self {
        self.inbound_messages = messages;
        self
    }

    /// The same in bytes. Default: 1 MiB.
    pub fn inbound_bytes(mut self, bytes: usize) -> Self {
        self.inbound_bytes = bytes;
        self
    }

    /// Messages of the application that wait to be sent. When they are this many
    /// [`send`](super::Connection::send) waits. Default: 1,024.
    pub fn outbound_messages(mut self, messages: usize) -> Self {
        self.outbound_messages = messages;
        self
    }

    /// The same in bytes. An empty queue takes any message that fits in a payload. Default: 1 MiB.
    pub fn outbound_bytes(mut self, bytes: usize) -> Self {
        self.outbound_bytes = bytes;
        self
    }

    /// The first header that was set and must not be.
    pub(super) fn reserved_header(&self) -> Option<&HeaderName> {
        self.headers.keys().find(|&name| RESERVED.contains(name))
    }

    pub(super) fn frame_limits(&self) -> FrameLimits {
        FrameLimits { size: self.frame_size, messages: self.messages_per_frame }
    }

    pub(super) fn link_limits(&self) -> LinkLimits {
        LinkLimits {
            inbound: QueueLimit { messages: self.inbound_messages, bytes: self.inbound_bytes },
            outbound: QueueLimit { messages: self.outbound_messages, bytes: self.outbound_bytes },
            payload_size: self.payload_size,
            messages_per_payload: self.messages_per_payload,
        }
    }

    pub(super) fn drive_limits(&self) -> DriveLimits {
        let silence = Silence::new(self.silence_timeout, self.heartbeat_delay);
        DriveLimits { silence, close: self.close_timeout }
    }
}

/// Headers that frame a message or make the handshake: another value breaks the request.
const RESERVED: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_VERSION,
];
