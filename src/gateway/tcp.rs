//! TCP clients that speak in records: a listener, its application and its sessions.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Extensions;
use socket2::TcpKeepalive;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::config::read_ahead;
use super::drain::{DrainConfig, Drained, drain};
use super::handler::{Contained, Handler};
use super::registry::{Keeper, Memory, NoRoom, Registry};
use crate::budget::Budget;
use crate::clock::LONGEST_DELAY;
use crate::escape::Escaped;
use crate::protocol::modified_utf8;
use crate::serve::{Connection, Establish, Listener, accept_all};
use crate::session::{
    Attachment, Carries, ConnectInfo, ConnectInfoParts, Limits, Liveness, Owner, QueueLimit, Rate,
    Shared,
};
use crate::tally::Tally;
use crate::transport::tcp::{self, Settings};
use crate::transport::{Patience, PeerWatch};

/// Serves clients that speak over plain TCP in records of modified UTF-8: Java's
/// `DataOutputStream.writeUTF` and `DataInputStream.readUTF`.
///
/// Each record is a message, each message a record: two bytes of length, big-endian, and the text
/// in modified UTF-8 (as UTF-8, but U+0000 takes two bytes, and characters above U+FFFF take six).
/// Nothing else is on the wire; the records' meaning is the handler's affair. Half of a surrogate
/// pair, which Java can send and text can't hold, arrives as U+FFFD. A message of more than 65,535
/// encoded bytes is refused with [`SendError::TooLarge`](crate::SendError::TooLarge). No wire
/// reason tells a client why its session ends: it sees FIN.
///
/// A client that shuts down its sending side only is taken for gone, but messages that the
/// application had queued by then still reach it.
///
/// ```no_run
/// use sockeye::{Session, TcpEndpoint};
/// use tokio::net::TcpListener;
///
/// # async fn run() -> std::io::Result<()> {
/// let endpoint = TcpEndpoint::new(async |mut session: Session| {
///     if let Some(line) = session.recv().await {
///         let _ = session.send(line).await;
///     }
/// });
/// let listener = TcpListener::bind("127.0.0.1:9999").await?;
/// endpoint.listen(listener).await;
/// # Ok(())
/// # }
/// ```
///
/// Cloning it is cheap; clones share their sessions.
#[derive(Clone)]
pub struct TcpEndpoint {
    inner: Arc<Inner>,
}

struct Inner {
    config: TcpConfig,
    handler: Arc<dyn Handler>,
    limits: Arc<Limits>,
    settings: Arc<Settings>,
    registry: Arc<Registry>,
    owner: Arc<dyn Owner>,
    refused: Tally<Option<SocketAddr>>,
}

/// How a [`TcpEndpoint`] behaves: limits and delays.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TcpConfig {
    /// The largest message taken from a client, in bytes of UTF-8; a larger one closes the session
    /// with 1009. Default: 64 KiB, which no record reaches.
    pub message_size: usize,
    /// Messages from the client that wait for the application. When they are this many the
    /// connection is no longer read. Default: 1,024.
    pub inbound_messages: usize,
    /// The same in bytes. Default: 1 MiB.
    pub inbound_bytes: usize,
    /// How fast a client may send. A faster client is not read while it is ahead of its rate.
    /// Default: as fast as it can.
    pub inbound_rate: Option<Rate>,
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
    /// How long the first record may take to arrive; then the session closes with 1008 "no record
    /// in time". A listener's handshake before it, as of TLS, may take as long again. Default: 10 s.
    pub first_record_timeout: Duration,
    /// How long a later record may take from its first byte to its last; then the session closes
    /// likewise. A client may be silent between records as long as it likes. Default: 30 s.
    pub message_timeout: Duration,
    /// How long a client may take no bytes at all while there are some for it; then its session
    /// closes with 1008 "the client does not read". Default: 60 s.
    pub write_timeout: Duration,
    /// The bytes a second that a client has to take while more wait for it, on the average of
    /// `write_timeout`; a session whose client takes less closes with 1008 "the client reads too
    /// slowly". 0 asks for no rate. Default: 1,024.
    pub least_rate: usize,
    /// How long a connection that [`listen`](TcpEndpoint::listen) has accepted is silent before the
    /// system probes whether its other end is still there (TCP keepalive). A connection that
    /// acknowledges neither probes nor data is aborted a little after `write_timeout` (Linux;
    /// elsewhere when the system decides), and its session ends with 1002. Default: 25 s.
    pub keepalive_delay: Duration,
    /// How many bytes the system keeps for a client before they are sent (`TCP_NOTSENT_LOWAT`,
    /// Linux and Android; elsewhere the system decides). These bytes are behind the session's own
    /// queue and can't be counted when the client goes; by default they are up to 4 MB for a client
    /// that does not read. 0 leaves it to the system. Default: 64 KiB.
    pub unsent_bytes: u32,
    /// How long a closed session waits for a client that takes nothing, how long an ended
    /// connection waits for each step in which the last bytes leave and for the client's own end,
    /// and how long a gone client's bytes are read on. Default: 5 s.
    pub linger: Duration,
    /// Live sessions; a further connection is closed at once. Default: 100,000.
    pub sessions: usize,
    /// The memory budget of the sessions, which they may share with other endpoints. Default:
    /// [`Budget::process`].
    pub budget: Budget,
}

__setters!(TcpConfig {
    message_size: usize,
    inbound_messages: usize,
    inbound_bytes: usize,
    inbound_rate: impl Into<Option<Rate>>,
    outbound_messages: usize,
    outbound_bytes: usize,
    outbound_keys: usize,
    first_record_timeout: Duration,
    message_timeout: Duration,
    write_timeout: Duration,
    least_rate: usize,
    keepalive_delay: Duration,
    unsent_bytes: u32,
    linger: Duration,
    sessions: usize,
    budget: Budget,
});

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            message_size: 64 * 1024,
            inbound_messages: 1024,
            inbound_bytes: 1024 * 1024,
            inbound_rate: None,
            outbound_messages: 1024,
            outbound_bytes: 1024 * 1024,
            outbound_keys: 256,
            first_record_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            least_rate: 1024,
            keepalive_delay: Duration::from_secs(25),
            unsent_bytes: 64 * 1024,
            linger: Duration::from_secs(5),
            sessions: 100_000,
            budget: Budget::process(),
        }
    }
}

impl TcpEndpoint {
    /// An endpoint with the default configuration.
    pub fn new(handler: impl Handler) -> Self {
        Self::with_config(TcpConfig::default(), handler)
    }

    /// An endpoint.
    pub fn with_config(config: TcpConfig, handler: impl Handler) -> Self {
        let registry = Registry::new(config.sessions, Memory::default(), config.budget.clone());
        let registry = Arc::new(registry.named("tcp"));
        let inner = Inner {
            handler: Arc::new(handler),
            limits: Arc::new(config.session_limits()),
            settings: Arc::new(config.settings()),
            owner: Arc::new(Keeper(Arc::clone(&registry))),
            registry,
            refused: report(config.sessions),
            config,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Accepts the connections of a listener, such as tokio's `TcpListener`, and serves each in a
    /// task of its own, forever: causes of a failed accept pass.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener; sessions that are open go on.
    pub async fn listen(&self, listener: impl Listener) -> Infallible {
        accept_all(listener, |accepted| self.accept(accepted)).await
    }

    /// Serves one connection, accepted by the caller, until it has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks the connection off and ends its session and handler.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time enabled.
    pub async fn serve<S>(&self, stream: S, peer: Option<SocketAddr>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.serve_watched(stream, None, peer, None).await;
    }

    async fn serve_watched<S>(
        &self,
        stream: S,
        watch: Option<PeerWatch>,
        peer: Option<SocketAddr>,
        local: Option<SocketAddr>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Inner { config, handler, limits, settings, registry, owner, refused, .. } =
            &*self.inner;
        let entered = registry.enter_socket(|| {
            Shared::new(
                connect_info(peer, local),
                None,
                Carries::Records,
                Arc::clone(limits),
                Arc::clone(owner),
            )
        });
        let session = match entered {
            Ok(session) => session,
            Err(NoRoom::Sessions) => return refused.add(1, peer),
            Err(NoRoom::Memory) => return config.budget.tell_refused(),
            // The drain tells how many sessions it has ended; a client on its way finds no server.
            Err(NoRoom::Draining { .. }) => return,
        };
        let _work = registry.work();
        let attachment = Attachment::first(Arc::clone(&session), Liveness::Heartbeats);
        let application = Contained::new(Arc::clone(handler), session);
        tcp::run(stream, watch, attachment, application, Arc::clone(settings)).await;
    }

    /// The longest record, in bytes of modified UTF-8.
    pub const LONGEST_RECORD: usize = modified_utf8::LONGEST;

    /// Bytes of the record that carries `text`, without its length; more than
    /// [`LONGEST_RECORD`](Self::LONGEST_RECORD) can't be sent.
    pub fn record_len(text: &str) -> usize {
        modified_utf8::encoded_len(text)
    }

    /// Live sessions.
    pub fn sessions(&self) -> usize {
        self.inner.registry.live()
    }

    /// Ends all sessions in order, and waits for their ends: each gets what is queued for it, then
    /// FIN. New connections are closed at once meanwhile and afterwards. As
    /// [`Gateway::drain`](crate::Gateway::drain).
    ///
    /// # Cancel safety
    ///
    /// Sessions that were told end; the others go on. New connections are closed at once all the
    /// same. A further call drains the rest.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time enabled.
    pub async fn drain(&self, config: DrainConfig) -> Drained {
        drain(vec![Arc::clone(&self.inner.registry)], config).await
    }

    fn accept(&self, accepted: impl Establish) {
        let endpoint = self.clone();
        tokio::spawn(async move {
            // Boxed, so that a session keeps no room for a handshake.
            let Some(connection) = Box::pin(endpoint.open(accepted)).await else { return };
            let (socket, watch, peer, local) = connection.into_parts();
            endpoint.serve_watched(socket, watch, peer, local).await;
        });
    }

    async fn open(&self, accepted: impl Establish) -> Option<Connection> {
        let wait = self.inner.config.first_record_timeout;
        let opened = timeout(wait, accepted.establish()).await;
        let opened = opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let connection = opened
            .inspect_err(|error| {
                tracing::debug!(error = %Escaped(error), "a TCP connection ended in its handshake");
            })
            .ok()?;
        self.prepare(&connection)
            .inspect_err(|error| tracing::debug!(%error, "the TCP connection ended before its session began"))
            .ok()?;
        Some(connection)
    }

    fn prepare(&self, connection: &Connection) -> io::Result<()> {
        let TcpConfig { keepalive_delay, write_timeout, unsent_bytes, .. } = self.inner.config;
        // Later than the session's own timeout, which knows the reason.
        connection.prepare(write_timeout.saturating_add(PROBE_INTERVAL), unsent_bytes)?;
        let Some(socket) = connection.tcp_socket() else { return Ok(()) };
        // This wire has no heartbeats: without probes a client whose power went would keep its
        // session forever.
        let quiet = keepalive_delay.clamp(SHORTEST_KEEPALIVE, LONGEST_KEEPALIVE);
        socket
            .set_tcp_keepalive(&TcpKeepalive::new().with_time(quiet).with_interval(PROBE_INTERVAL))
    }
}

impl fmt::Debug for TcpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpEndpoint").field("sessions", &self.sessions()).finish_non_exhaustive()
    }
}

const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// The values that Linux takes; it would refuse others, and every connection with them.
const SHORTEST_KEEPALIVE: Duration = Duration::from_secs(1);
const LONGEST_KEEPALIVE: Duration = Duration::from_secs(32_767);
/// There is no heartbeat on this wire; a year is as far as a timer need reach.
const NO_HEARTBEATS: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl TcpConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    fn session_limits(&self) -> Limits {
        Limits {
            inbound: QueueLimit { messages: self.inbound_messages, bytes: self.inbound_bytes },
            inbound_rate: self.inbound_rate,
            outbound: QueueLimit { messages: self.outbound_messages, bytes: self.outbound_bytes },
            outbound_keys: self.outbound_keys,
            payloads: 1,
            heartbeat_delay: NO_HEARTBEATS,
            disconnect_delay: self.linger.min(LONGEST_DELAY),
            // TCP clients are not pinged.
            pong_timeout: NO_HEARTBEATS,
            write_timeout: self.write_timeout.min(LONGEST_DELAY),
            least_rate: self.least_rate,
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            message_size: self.message_size,
            read_ahead: read_ahead((self.inbound_bytes, self.inbound_messages), self.inbound_rate),
            first_record_timeout: self.first_record_timeout,
            patience: Patience {
                message_timeout: self.message_timeout,
                write_timeout: self.write_timeout,
                least_rate: self.least_rate,
                linger: self.linger,
            },
        }
    }
}

fn report(sessions: usize) -> Tally<Option<SocketAddr>> {
    Tally::new(move |refused, peer| {
        tracing::warn!(
            sessions,
            refused,
            ?peer,
            "TCP connections refused: the endpoint is full; raise `sessions`, or spread the load"
        );
    })
}

fn connect_info(peer: Option<SocketAddr>, local: Option<SocketAddr>) -> ConnectInfo {
    ConnectInfo::new(ConnectInfoParts {
        peer,
        local,
        transport: "tcp",
        subprotocol: None,
        prefix: 0,
        path: "".into(),
        query: None,
        headers: Box::default(),
        extensions: Extensions::new(),
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Bytes that the kernel keeps for a client that does not read are beyond the session's limits.
    #[tokio::test]
    async fn the_kernel_keeps_as_much_as_was_said() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        for unsent_bytes in [TcpConfig::new().unsent_bytes, 4096] {
            let endpoint = TcpEndpoint::with_config(
                TcpConfig { unsent_bytes, ..TcpConfig::default() },
                async |_| {},
            );
            let _client = TcpStream::connect(addr).await.expect("it listens");
            let (stream, peer) = listener.accept().await.expect("a client");
            let connection = Connection::tcp(stream, peer);
            endpoint.prepare(&connection).expect("a live connection");
            let socket = connection.tcp_socket().expect("it is TCP");
            assert_eq!(socket.tcp_notsent_lowat().expect("an option of Linux"), unsent_bytes);
        }
    }
}
