//! Where connections come from, and the loop that accepts them.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, ready};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::transport::{PeerWatch, Socket, WatchedStream};

/// Where a server gets its connections from.
///
/// [`TcpListener`] is one. Another gives [`Connection`]s, or what becomes a connection by a
/// handshake:
///
/// ```
/// use std::io;
/// use std::sync::Arc;
///
/// use sockeye::WatchedStream;
/// use sockeye::serve::{Connection, Establish, Listener};
/// use tokio::net::{TcpListener, TcpStream};
/// # use std::net::SocketAddr;
/// # struct TlsAcceptor;
/// # impl TlsAcceptor { async fn accept<S>(&self, stream: S) -> io::Result<S> { Ok(stream) } }
///
/// struct Tls {
///     listener: TcpListener,
///     acceptor: Arc<TlsAcceptor>, // of tokio_rustls
/// }
///
/// struct Handshake(TcpStream, SocketAddr, Arc<TlsAcceptor>);
///
/// impl Listener for Tls {
///     type Accepted = Handshake;
///
///     async fn accept(&mut self) -> io::Result<Handshake> {
///         let (stream, peer) = self.listener.accept().await?;
///         Ok(Handshake(stream, peer, Arc::clone(&self.acceptor)))
///     }
/// }
///
/// impl Establish for Handshake {
///     async fn establish(self) -> io::Result<Connection> {
///         let Self(stream, peer, acceptor) = self;
///         let stream = WatchedStream::new(stream);
///         let watch = stream.watch();
///         Ok(Connection::new(acceptor.accept(stream).await?).peer(peer).watch(watch))
///     }
/// }
/// ```
pub trait Listener: Send + 'static {
    /// An accepted connection: a [`Connection`], or what becomes one by a handshake.
    type Accepted: Establish;

    /// Waits for the next connection. No handshake belongs here: the connections behind it would
    /// wait for it.
    ///
    /// # Errors
    ///
    /// The server logs an error, pauses when it concerns more than one connection, and calls again.
    ///
    /// # Cancel safety
    ///
    /// An implementation must lose no connection when its future is dropped.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Accepted>> + Send;
}

/// An accepted connection that becomes a [`Connection`] by a handshake; a `Connection` itself needs
/// none.
pub trait Establish: Send + 'static {
    /// Makes the connection ready, in its own task and within
    /// [`handshake_timeout`](super::ServeConfig::handshake_timeout): a TLS handshake, a proxy's
    /// header.
    ///
    /// # Errors
    ///
    /// The connection is closed, and the error logged (debug).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future must close the connection.
    fn establish(self) -> impl Future<Output = io::Result<Connection>> + Send;
}

impl Listener for TcpListener {
    type Accepted = Connection;

    async fn accept(&mut self) -> io::Result<Connection> {
        let (stream, peer) = TcpListener::accept(self).await?;
        Ok(Connection::tcp(stream, peer))
    }
}

/// A client's connection: its bytes, and the facts that requests on it carry.
pub struct Connection {
    pub(super) socket: Socket,
    pub(super) watch: Option<PeerWatch>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) local: Option<SocketAddr>,
}

impl Connection {
    /// A TCP connection, from this address, watched for its client's end.
    pub fn tcp(stream: TcpStream, peer: SocketAddr) -> Self {
        let stream = WatchedStream::new(stream);
        let watch = Some(stream.watch());
        Self { socket: Socket::Tcp(stream), watch, peer: Some(peer), local: None }
    }

    /// Any bytes both ways: a TLS stream, or one end of [`tokio::io::duplex`] in a test. A bare
    /// [`TcpStream`] is better given to [`tcp`](Self::tcp), which boxes nothing.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self { socket: Socket::other(stream), watch: None, peer: None, local: None }
    }

    /// Sets the address of the other end. Requests carry it as a [`PeerAddr`](crate::PeerAddr).
    #[must_use]
    pub fn peer(self, peer: SocketAddr) -> Self {
        Self { peer: Some(peer), ..self }
    }

    /// Sets the address of this end, where it is not that of the connection below: behind a proxy
    /// that tells it, or without a [`watch`](Self::watch). Requests carry it as a
    /// [`LocalAddr`](crate::LocalAddr).
    #[must_use]
    pub fn local(self, local: SocketAddr) -> Self {
        Self { local: Some(local), ..self }
    }

    /// Sets the watch over the TCP connection below, which tells at once that the client has gone,
    /// and which address this end has.
    /// The server sets that connection's options through it.
    #[must_use]
    pub fn watch(self, watch: PeerWatch) -> Self {
        Self { watch: Some(watch), ..self }
    }

    /// Sets the options of the TCP connection, as far as there is one. An error means that it has
    /// gone.
    ///
    /// `unacknowledged`: how long sent bytes may go unacknowledged, zero for as long as the system
    /// likes. `unsent`: how many bytes the system keeps before they are sent, 0 for as many as it
    /// likes.
    pub(crate) fn prepare(&self, unacknowledged: Duration, unsent: u32) -> io::Result<()> {
        let Some(socket) = self.tcp_socket() else { return Ok(()) };
        // A frame is sent at once: waiting to fill a packet would cost its receiver 40 ms.
        socket.set_tcp_nodelay(true)?;
        // A peer whose window stays shut still acknowledges the kernel's probes, so TCP alone would
        // let it hold its session, and all that is queued for it, forever.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            socket.set_tcp_user_timeout(Some(unacknowledged.min(LONGEST_USER_TIMEOUT)))?;
            if unsent > 0 {
                socket.set_tcp_notsent_lowat(unsent)?;
            }
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let _ = (unacknowledged, unsent);
        Ok(())
    }

    /// The TCP connection's socket, to set its options.
    pub(crate) fn tcp_socket(&self) -> Option<SockRef<'_>> {
        self.watch.as_ref().map(PeerWatch::socket)
    }

    /// Its bytes and the watch, the address of the other end and that of this end.
    pub(crate) fn into_parts(
        self,
    ) -> (Socket, Option<PeerWatch>, Option<SocketAddr>, Option<SocketAddr>) {
        let local = self.local.or_else(|| self.watch.as_ref()?.local_addr());
        (self.socket, self.watch, self.peer, local)
    }
}

/// The most that Linux takes; it would refuse more, and every connection with it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LONGEST_USER_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

impl Establish for Connection {
    fn establish(self) -> impl Future<Output = io::Result<Connection>> + Send {
        ready(Ok(self))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Accepts forever: any cause that makes `accept` fail passes, and a server that gave up would not
/// notice.
pub(crate) async fn accept_all<L: Listener>(
    mut listener: L,
    mut serve: impl FnMut(L::Accepted),
) -> Infallible {
    let mut pause = FIRST_PAUSE;
    loop {
        match listener.accept().await {
            Ok(accepted) => {
                pause = FIRST_PAUSE;
                serve(accepted);
            }
            Err(error) if concerns_one_connection(&error) => {
                tracing::debug!(%error, "a connection was reset before its accept");
            }
            Err(error) => {
                // Out of file descriptors or memory: an immediate retry would only spin.
                // Connections in the backlog stay there; the pause ends soon after others close.
                tracing::warn!(%error, ?pause, "cannot accept connections now; `ulimit -n` sets how many files may be open");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use socket2::{Domain, Protocol, Socket as Raw, Type};

    use super::super::ServeConfig;
    use super::*;

    /// Bytes in the kernel for a client that does not read belong to no session, and no limit of a
    /// session counts them.
    #[tokio::test]
    async fn the_kernel_keeps_little_for_a_client_that_does_not_read() {
        let mut listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        // With a small buffer of its own, so that the count is the server's.
        let client = Raw::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
        client.set_recv_buffer_size(4096).expect("an option of every socket");
        let addr = listener.local_addr().expect("bound");
        client.connect(&addr.into()).expect("it listens");
        let connection = Listener::accept(&mut listener).await.expect("a client");
        let config = ServeConfig::default();
        connection
            .prepare(config.unacknowledged_timeout, config.unsent_bytes)
            .expect("a live connection");

        let (mut socket, ..) = connection.into_parts();
        let (chunk, mut kept) = (vec![0; 16 * 1024], 0);
        let mut write = |cx: &mut Context<'_>| Pin::new(&mut socket).poll_write(cx, &chunk);
        // The first wait is for the socket to become writable.
        kept += poll_fn(&mut write).await.expect("a live connection");
        while let Poll::Ready(taken) = write(&mut Context::from_waker(Waker::noop())) {
            kept += taken.expect("a live connection");
        }
        // 2.6 MB without the option.
        assert!(kept < 256 * 1024, "{kept} bytes");
    }

    /// Zero is "as the system likes", and more than Linux takes is as much as it takes.
    #[tokio::test]
    async fn options_take_every_value() {
        let mut listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let _client = TcpStream::connect(addr).await.expect("it listens");
        let connection = Listener::accept(&mut listener).await.expect("a client");
        for (unacknowledged, unsent) in [(Duration::MAX, u32::MAX), (Duration::ZERO, 0)] {
            connection.prepare(unacknowledged, unsent).expect("a live connection");
            let socket = connection.tcp_socket().expect("it is TCP");
            assert!(socket.tcp_nodelay().expect("an option of every socket"));
            assert_eq!(
                socket.tcp_user_timeout().expect("an option of Linux"),
                (!unacknowledged.is_zero()).then_some(LONGEST_USER_TIMEOUT)
            );
        }
    }
}
