//! Settings of an endpoint.

use std::time::Duration;

use http::{HeaderName, header};

use super::origin::Origins;
use super::registry::Memory;
use super::subprotocol::Subprotocols;
use crate::budget::Budget;
use crate::clock::LONGEST_DELAY;
use crate::protocol::payload::PayloadLimits;
use crate::session::{Limits, QueueLimit, Rate};
use crate::transport::Patience;

/// How one endpoint behaves: transports, limits, delays.
///
/// ```
/// use sockeye::EndpointConfig;
///
/// let config = EndpointConfig::new().response_limit(4096).short_poll(true);
/// assert_eq!(config.message_size, 64 * 1024);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// Which transports clients may use. Default: all.
    pub transports: Transports,
    /// Whose pages may use the endpoint; requests of others are answered with 403. Default:
    /// `same-origin` ([`Origins::same_origin`]).
    pub origins: Origins,
    /// Whether raw WebSockets carry binary messages; elsewhere a binary message closes its session
    /// with 1003. Default: no.
    pub binary: bool,
    /// The sub-protocols that the endpoint speaks over WebSocket. The first in a client's list that
    /// is among them is the session's, and
    /// [`ConnectInfo::subprotocol`](crate::ConnectInfo::subprotocol) tells it. A client that asks
    /// for others only is connected without; a browser then closes the connection, and the session
    /// ends at once. Default: none.
    pub subprotocols: Subprotocols,
    /// The largest message taken from a client, in bytes of UTF-8; a larger one closes the session
    /// with 1009. Default: 64 KiB.
    pub message_size: usize,
    /// The largest payload taken from a client, in bytes: the body of an `xhr_send` or
    /// `jsonp_send`, or one WebSocket message with SockJS framing. It holds the messages as JSON,
    /// up to six bytes for each byte of text. More closes the session with 1009. Default: 1 MiB.
    pub payload_size: usize,
    /// Bytes that are read, and thrown away as they come, of a body over HTTP that is refused for
    /// its size, is sent to a session that doesn't exist or has closed, or comes with a poll:
    /// clients read an answer only when they have sent everything. When there is more, the
    /// connection ends with the answer, which may not arrive then; a poll is answered with 413. Of
    /// polls at least `payload_size` is read. Clients that wait with `Expect: 100-continue` are
    /// answered at once. Default: 8 MiB.
    pub discard_limit: usize,
    /// How long a message may take to arrive, from its first byte to its last. Over HTTP that is
    /// the body of a request, the part of it that is thrown away included; it is answered with 408,
    /// its connection ends, and nothing of it reaches the application. Over WebSocket the session
    /// closes with 1008 "message did not arrive in time". No time counts while the connection is
    /// not read. Default: 60 s.
    pub message_timeout: Duration,
    /// Messages in one payload; more closes the session with 1009. Default: 1,024.
    pub messages_per_payload: usize,
    /// Messages from the client that wait for the application. When they are this many a WebSocket
    /// is no longer read and an `xhr_send` waits. An empty queue takes any payload whole, also when
    /// this is 0. Default: 1,024.
    pub inbound_messages: usize,
    /// The same in bytes. Default: 1 MiB.
    pub inbound_bytes: usize,
    /// Messages of the application that wait for the client. When they are this many,
    /// [`send`](crate::Session::send) waits and [`try_send`](crate::Session::try_send) says `Full`.
    /// An empty queue takes a message also when this is 0. Default: 1,024.
    pub outbound_messages: usize,
    /// The same in bytes. A message that is larger by itself is `TooLarge`, also for an empty
    /// queue; with 0 so is each that isn't empty. Default: 1 MiB.
    pub outbound_bytes: usize,
    /// Keys of which the newest message is kept while the outbound queue is full, for publications
    /// of which only the newest counts ([`WhenFull::Latest`](crate::hub::WhenFull::Latest));
    /// together they hold at most `outbound_bytes`. Messages beyond that are dropped, and their
    /// publishers told. Default: 256.
    pub outbound_keys: usize,
    /// How fast a client may send. A faster client is not read while it is ahead of its rate.
    /// Default: as fast as it can.
    pub inbound_rate: Option<Rate>,
    /// How long a payload waits for room in the inbound queue, beside the time for which its
    /// client's rate holds it back; then it is answered with 503, and the session closes with 1008
    /// "inbound queue full". Default: 10 s.
    pub send_wait: Duration,
    /// Payloads of one session that may arrive or wait for room at the same time; at least one may
    /// arrive, and with 0 none waits for room. A further payload is not read until an earlier one
    /// has been taken; after `message_timeout` it is answered with 503, and its connection ends.
    /// The session goes on. SockJS clients send one at a time. Default: 4.
    pub waiting_payloads: usize,
    /// Bytes of frames after which a streaming response ends, so that the client's buffer and those
    /// on the way can be freed; the client comes again at once. Default: 128 KiB.
    pub response_limit: usize,
    /// Whether the query `sockeye_wait=SECONDS` of an xhr poll bounds how long it waits; then it is
    /// answered with a heartbeat frame. The seconds may have a fraction, and 0 asks for queued
    /// messages only. Some proxies cut long polls. Clients can also poll at intervals with it, at
    /// the price of a request each time. It never makes a poll wait longer than `heartbeat_delay`.
    /// Default: no.
    pub short_poll: bool,
    /// A heartbeat goes out when nothing else did for this long. Keep it below the idle limits of
    /// proxies (60 s in many) and below 35 s, after which JSONP clients give up. Must be above
    /// zero; `Duration::MAX` sends none. Default: 25 s.
    pub heartbeat_delay: Duration,
    /// How long a session waits for its client's next request, how long a closed session is
    /// remembered, how long a closed session waits for a client that takes none of its queued
    /// messages, how long a WebSocket waits for each step of the other side to finish closing, and
    /// how long it reads on after its client is gone. Default: 5 s.
    pub disconnect_delay: Duration,
    /// How long a WebSocket peer may stay without a sign of life after a ping has left: any bytes
    /// that arrive from it, or that its socket, having been full, takes again. The peer also gets
    /// the time to read the bytes ahead of the ping at `least_rate`, at most `write_timeout`.
    /// Default: 10 s.
    pub pong_timeout: Duration,
    /// How long a client may take none of the bytes that wait for it, over WebSocket or HTTP; then
    /// its session closes with 1008 "the client does not read". The connection ends with it: a
    /// response's is reset, where its server gives a [`PeerWatch`](crate::PeerWatch). Default: 60 s.
    pub write_timeout: Duration,
    /// The bytes a second that a client has to take while more wait for it, on the average of
    /// `write_timeout`; a session whose client takes less closes with 1008 "the client reads too
    /// slowly". Over HTTP a response has the time that its bytes take at this rate, and
    /// `write_timeout` on top. `disconnect_delay` then begins when the client can have read the
    /// bytes at this rate, at most `write_timeout` after they left. The time for bytes that lie
    /// ahead of a ping, or are left at the end, follows from this rate too. 0 asks for no rate.
    /// Default: 1,024, a tenth of the rate of a modem of the nineties.
    pub least_rate: usize,
    /// How long a receiver waits for an earlier receiver of its session to go, before it is told
    /// 2010 "Another connection still open": the other's connection may have ended unnoticed.
    /// Default: 50 ms.
    pub attach_wait: Duration,
    /// Live sessions; a request that would exceed them is answered with 503. Default: 100,000.
    pub sessions: usize,
    /// The memory budget of the sessions, which they may share with other endpoints. Default:
    /// [`Budget::process`].
    pub budget: Budget,
    /// How long the id of an ended HTTP session is remembered: a receiver that comes with it is
    /// told once how the session ended, and then the id is free, whether that answer arrives or
    /// not. Zero remembers none. Default: 60 s.
    pub remembered_for: Duration,
    /// Such ids; of more, the oldest are forgotten. Default: 10,000.
    pub remembered_sessions: usize,
    /// Where the page of the iframe transports loads sockjs-client from: a path, or a URL that
    /// begins with `http`. Its version must be exactly that of the embedding page. Default:
    /// sockjs-client 1.6.1 from a public CDN.
    pub client_url: String,
    /// Tells clients to use another base URL for everything but the info request. Default: none.
    pub base_url: Option<String>,
    /// Sets a cookie for load balancers that bind a session to a server by cookie. Default: none.
    pub cookies: Option<CookieConfig>,
    /// The request headers that [`ConnectInfo`](crate::ConnectInfo) keeps; the others are dropped,
    /// because they would cost memory as long as the session lives. Default: those that identify
    /// and locate the client (`host`, `origin`, `referer`, `user-agent`, `cookie`, `authorization`,
    /// `accept-language`, `forwarded`, `via`, `x-real-ip`, `x-forwarded-for`, `-host`, `-port`,
    /// `-proto`).
    pub kept_headers: Vec<HeaderName>,
    /// The names and values of the headers that a session keeps, in bytes; a request that would
    /// open a session with more is answered with 431. Default: 8 KiB.
    pub kept_header_bytes: usize,
    /// Path and query of a request that opens a session, in bytes, for
    /// [`ConnectInfo`](crate::ConnectInfo) keeps them; a longer one is answered with 414. Default:
    /// 8 KiB.
    pub target_size: usize,
}

__setters!(EndpointConfig {
    transports: Transports,
    origins: Origins,
    binary: bool,
    subprotocols: impl Into<Subprotocols>,
    message_size: usize,
    payload_size: usize,
    discard_limit: usize,
    message_timeout: Duration,
    messages_per_payload: usize,
    inbound_messages: usize,
    inbound_bytes: usize,
    outbound_messages: usize,
    outbound_bytes: usize,
    outbound_keys: usize,
    inbound_rate: impl Into<Option<Rate>>,
    send_wait: Duration,
    waiting_payloads: usize,
    response_limit: usize,
    short_poll: bool,
    heartbeat_delay: Duration,
    disconnect_delay: Duration,
    pong_timeout: Duration,
    write_timeout: Duration,
    least_rate: usize,
    attach_wait: Duration,
    sessions: usize,
    budget: Budget,
    remembered_for: Duration,
    remembered_sessions: usize,
    client_url: impl Into<String>,
    base_url: impl Into<Option<String>>,
    cookies: impl Into<Option<CookieConfig>>,
    kept_headers: impl Into<Vec<HeaderName>>,
    kept_header_bytes: usize,
    target_size: usize,
});

/// Which transports an endpoint offers: `Transports::ALL.jsonp(false)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transports {
    /// WebSocket with SockJS frames. Info tells clients whether it is on.
    pub websocket: bool,
    /// WebSocket without frames, at `/websocket` and at the bare prefix.
    pub raw_websocket: bool,
    /// Long polling.
    pub xhr: bool,
    /// Streaming over one long response.
    pub xhr_streaming: bool,
    /// Server-sent events.
    pub eventsource: bool,
    /// Streaming into a hidden iframe.
    pub htmlfile: bool,
    /// Long polling by script elements.
    pub jsonp: bool,
}

__setters!(Transports {
    websocket: bool,
    raw_websocket: bool,
    xhr: bool,
    xhr_streaming: bool,
    eventsource: bool,
    htmlfile: bool,
    jsonp: bool,
});

impl Transports {
    /// All transports.
    pub const ALL: Self = Self {
        websocket: true,
        raw_websocket: true,
        xhr: true,
        xhr_streaming: true,
        eventsource: true,
        htmlfile: true,
        jsonp: true,
    };
    /// All but the two WebSocket transports.
    pub const HTTP: Self = Self { websocket: false, raw_websocket: false, ..Self::ALL };

    /// Whether anything is on that sends through `xhr_send`.
    pub(crate) fn send_by_xhr(self) -> bool {
        self.xhr || self.xhr_streaming || self.eventsource || self.htmlfile
    }
}

/// The cookie `JSESSIONID`, for load balancers (SockJS 0.3.3, cookies).
///
/// ```
/// use sockeye::{CookieConfig, EndpointConfig, SameSite};
///
/// let cookie = CookieConfig::new().same_site(SameSite::None).secure(true);
/// let config = EndpointConfig::new().cookies(cookie);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CookieConfig {
    /// `SameSite`. Pages of another site send the cookie back only with [`SameSite::None`] and
    /// `secure`. Default: not said.
    pub same_site: Option<SameSite>,
    /// `Secure`: only over HTTPS. Default: no.
    pub secure: bool,
}

__setters!(CookieConfig {
    same_site: impl Into<Option<SameSite>>,
    secure: bool,
});

impl CookieConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }
}

/// The values of a cookie's `SameSite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Sent from pages of the same site only.
    Strict,
    /// The same, and when a link leads to the site.
    Lax,
    /// Sent from everywhere; browsers want `Secure` with it.
    None,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            transports: Transports::ALL,
            origins: Origins::same_origin(),
            binary: false,
            subprotocols: Subprotocols::default(),
            message_size: 64 * 1024,
            payload_size: 1024 * 1024,
            discard_limit: 8 * 1024 * 1024,
            message_timeout: Duration::from_secs(60),
            messages_per_payload: 1024,
            inbound_messages: 1024,
            inbound_bytes: 1024 * 1024,
            outbound_messages: 1024,
            outbound_bytes: 1024 * 1024,
            outbound_keys: 256,
            inbound_rate: None,
            send_wait: Duration::from_secs(10),
            waiting_payloads: 4,
            response_limit: 128 * 1024,
            short_poll: false,
            heartbeat_delay: Duration::from_secs(25),
            disconnect_delay: Duration::from_secs(5),
            pong_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            least_rate: 1024,
            attach_wait: Duration::from_millis(50),
            sessions: 100_000,
            budget: Budget::process(),
            remembered_for: Duration::from_secs(60),
            remembered_sessions: 10_000,
            client_url: "https://cdn.jsdelivr.net/npm/sockjs-client@1.6.1/dist/sockjs.min.js"
                .to_owned(),
            base_url: None,
            cookies: None,
            kept_headers: KEPT_HEADERS.to_vec(),
            kept_header_bytes: 8 * 1024,
            target_size: 8 * 1024,
        }
    }
}

const KEPT_HEADERS: [HeaderName; 14] = [
    header::HOST,
    header::ORIGIN,
    header::REFERER,
    header::USER_AGENT,
    header::COOKIE,
    header::AUTHORIZATION,
    header::ACCEPT_LANGUAGE,
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-proto"),
];

impl EndpointConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// # Panics
    ///
    /// When `heartbeat_delay` is zero: a heartbeat would be due always, and nothing else would ever
    /// leave.
    pub(crate) fn session_limits(&self) -> Limits {
        assert!(
            !self.heartbeat_delay.is_zero(),
            "heartbeat_delay is 0, so that nothing but heartbeats would be sent: give it a time above 0, or Duration::MAX to send none"
        );
        Limits {
            inbound: QueueLimit { messages: self.inbound_messages, bytes: self.inbound_bytes },
            inbound_rate: self.inbound_rate,
            outbound: QueueLimit { messages: self.outbound_messages, bytes: self.outbound_bytes },
            outbound_keys: self.outbound_keys,
            payloads: self.waiting_payloads,
            heartbeat_delay: self.heartbeat_delay.min(LONGEST_DELAY),
            disconnect_delay: self.disconnect_delay.min(LONGEST_DELAY),
            pong_timeout: self.pong_timeout.min(LONGEST_DELAY / 2),
            write_timeout: self.write_timeout.min(LONGEST_DELAY / 2),
            least_rate: self.least_rate,
        }
    }

    pub(super) fn patience(&self) -> Patience {
        Patience {
            message_timeout: self.message_timeout,
            write_timeout: self.write_timeout,
            least_rate: self.least_rate,
            linger: self.disconnect_delay,
        }
    }

    /// Bytes and messages that a socket is read ahead before the application has taken them.
    pub(super) fn read_ahead(&self) -> (usize, usize) {
        read_ahead((self.inbound_bytes, self.inbound_messages), self.inbound_rate)
    }

    pub(super) fn memory(&self) -> Memory {
        Memory::new(self.remembered_for, self.remembered_sessions)
    }

    pub(crate) fn payload_limits(&self) -> PayloadLimits {
        PayloadLimits { message_size: self.message_size, messages: self.messages_per_payload }
    }
}

/// Bytes read at once are taken at once: with a rate, at most a burst. At least 1: an empty queue
/// takes any message, and a socket that is never read brings none.
pub(super) fn read_ahead((bytes, messages): (usize, usize), rate: Option<Rate>) -> (usize, usize) {
    let (most_bytes, most) = rate.map_or((usize::MAX, usize::MAX), |rate| rate.at_once());
    (bytes.min(most_bytes).max(1), messages.min(most).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    #[should_panic(expected = "heartbeat_delay is 0")]
    fn heartbeats_need_a_time_between_them() {
        EndpointConfig { heartbeat_delay: Duration::ZERO, ..EndpointConfig::default() }
            .session_limits();
    }

    #[tokio::test]
    async fn a_delay_of_for_ever_is_a_date_all_the_same() {
        let never = Duration::MAX;
        let config = EndpointConfig {
            heartbeat_delay: never,
            disconnect_delay: never,
            pong_timeout: never,
            ..EndpointConfig::default()
        };
        let limits = config.session_limits();
        for delay in [limits.heartbeat_delay, limits.disconnect_delay, limits.pong_timeout] {
            assert!(clock::now().checked_add(delay).is_some());
        }
    }
}
