//! Listening, and serving HTTP on what connects.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use sockeye::{Budget, PeerAddr, WatchedStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::front::Front;

/// Where the server listens and how long it waits for whom.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    /// The address to listen on; port 0 lets the system choose. Default: 127.0.0.1:8080.
    pub(crate) listen: SocketAddr,
    /// How many connections the kernel may hold ready for us; it takes the lower of this and its
    /// own `somaxconn`. Default: 4096.
    pub(crate) backlog: u32,
    /// How long a new connection may stay silent. Default: 60 s, because browsers open connections
    /// ahead of need.
    pub(crate) first_byte_timeout: Duration,
    /// How long a request's head may take, the idle time on a kept-alive connection before it
    /// included. Default: 75 s, longer than the 60 s for which proxies commonly keep an idle
    /// upstream connection: whoever closes first must be the proxy, or now and then it sends a
    /// request into a connection that is just being closed, and cannot send it again.
    pub(crate) head_timeout: Duration,
    /// How large a request's head may be, and what a connection that sent large bodies keeps of
    /// read buffer. Default: 64 KiB.
    pub(crate) head_size: usize,
    /// How long sent bytes may go unacknowledged, or wait for a window that stays shut. Default: 60
    /// s.
    pub(crate) unacknowledged_timeout: Duration,
    /// How many bytes the kernel keeps for a client before they are sent (Linux and Android). It
    /// would keep 2.8 MB and more for one that does not read, beyond all limits of its session; and
    /// a send that fills this instead of the socket's whole buffer meets the slow client sooner.
    /// Default: 64 KiB.
    pub(crate) unsent_bytes: u32,
    /// How long connections may go on with what they are doing once the server stops. Default: 5 s.
    pub(crate) stop_grace: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            backlog: 4096,
            first_byte_timeout: Duration::from_secs(60),
            head_timeout: Duration::from_secs(75),
            head_size: 64 * 1024,
            unacknowledged_timeout: Duration::from_secs(60),
            unsent_bytes: 64 * 1024,
            stop_grace: Duration::from_secs(5),
        }
    }
}

/// A listening server.
pub(crate) struct Server {
    listener: TcpListener,
    config: ServerConfig,
}

impl Server {
    /// Starts to listen: from here on clients can connect, and wait until [`serve`](Self::serve)
    /// takes them.
    ///
    /// Must be called within a tokio runtime.
    pub(crate) fn bind(config: ServerConfig) -> Result<Self, BindError> {
        match listen(&config) {
            Ok(listener) => Ok(Self { listener, config }),
            Err(source) => Err(BindError { addr: config.listen, source }),
        }
    }

    /// The address that clients connect to, with the port that the system chose.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` resolves, then lets the open connections finish for at most
    /// [`ServerConfig::stop_grace`].
    pub(crate) async fn serve(self, front: Front, stop: impl Future<Output = ()>) {
        let Self { listener, config } = self;
        // One channel does both: it tells the connections to stop, and has no receivers left when
        // all of them have.
        let (stopping, stopped) = watch::channel(false);
        let connections = Arc::new(Connections { http: http(&config), config, front });

        tokio::select! {
            never = accept_all(listener, &connections, stopped) => match never {},
            () = stop => {}
        }
        info!(connections = stopping.receiver_count(), "stopping");
        stopping.send_replace(true);
        if timeout(connections.config.stop_grace, stopping.closed()).await.is_err() {
            info!(
                connections = stopping.receiver_count(),
                "the time to finish is over; closing what is left"
            );
        }
    }
}

/// The address could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}")]
pub(crate) struct BindError {
    pub(crate) addr: SocketAddr,
    pub(crate) source: io::Error,
}

fn listen(config: &ServerConfig) -> io::Result<TcpListener> {
    let socket =
        Socket::new(Domain::for_address(config.listen), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of the run before to leave TIME_WAIT. On Windows
    // the same option would let a second server take the port from a running one.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&config.listen.into())?;
    socket.listen(i32::try_from(config.backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

fn http(config: &ServerConfig) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(config.head_timeout)
        .max_buf_size(config.head_size);
    // Who closes the sending side after a request still gets the answer; that the client of a
    // waiting request has gone is noticed by its PeerWatch.
    http.half_close(true);
    http
}

/// Accepts for ever: whatever makes `accept` fail passes, and a server that gave up would not
/// notice.
async fn accept_all(
    listener: TcpListener,
    connections: &Arc<Connections>,
    stopped: watch::Receiver<bool>,
) -> Infallible {
    let mut pause = FIRST_PAUSE;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                pause = FIRST_PAUSE;
                let (connections, stopped) = (connections.clone(), stopped.clone());
                tokio::spawn(async move { connections.serve(stream, peer, stopped).await });
            }
            Err(error) if concerns_one_connection(&error) => {
                debug!(%error, "a connection was gone before its accept")
            }
            Err(error) => {
                // Out of file descriptors or memory: trying again at once would only spin. What
                // waits in the backlog keeps; the pause ends soon after connections close.
                warn!(%error, ?pause, "cannot accept connections now; `ulimit -n` sets how many files may be open");
                sleep(pause).await;
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

/// What a connection holds that has sent nothing, and what one of HTTP holds beside its sessions,
/// in bytes: as `make bench` has measured them ("memory of 5,000 idle sessions" in README.md: a
/// waiting poll after bursts, less a session between polls).
const SILENT_CONNECTION: usize = 1_700;
const CONNECTION: usize = 12_700;

/// What all connections share.
struct Connections {
    http: http1::Builder,
    config: ServerConfig,
    front: Front,
}

impl Connections {
    async fn serve(&self, stream: TcpStream, peer: SocketAddr, mut stopped: watch::Receiver<bool>) {
        if let Err(error) = prepare(&stream, &self.config) {
            debug!(%peer, %error, "the connection was gone at once");
            return;
        }
        let mut held = Budget::process().hold(SILENT_CONNECTION);
        // Both boxed, so that neither reserves room while the other goes on.
        if !Box::pin(self.first_byte(&stream, &mut stopped)).await {
            return;
        }
        // A WebSocket's counts with its session, when HTTP is done with it.
        held.set(CONNECTION);
        if let Err(error) = Box::pin(self.serve_http(stream, peer, stopped)).await {
            debug!(%peer, %error, "connection ended");
        }
    }

    /// Whether a first byte has come. Until then a connection costs some hundred bytes; hyper would
    /// add its 8 KiB buffer.
    async fn first_byte(&self, stream: &TcpStream, stopped: &mut watch::Receiver<bool>) -> bool {
        // Peeking asks the socket itself: a new stream calls itself readable before anything has
        // come.
        let mut byte = [0];
        tokio::select! {
            first = timeout(self.config.first_byte_timeout, stream.peek(&mut byte)) => matches!(first, Ok(Ok(1..))),
            _ = stopped.changed() => false,
        }
    }

    async fn serve_http(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        mut stopped: watch::Receiver<bool>,
    ) -> hyper::Result<()> {
        let stream = WatchedStream::new(stream);
        let watch = stream.watch();
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(PeerAddr(peer));
            request.extensions_mut().insert(watch.clone());
            self.front.handle(request)
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            // In this order: throwing dice for it, each time that a connection is polled, has its
            // price.
            biased;
            result = connection.as_mut() => return result,
            _ = stopped.changed() => {}
        }
        // The answer in flight goes out in full, with `connection: close` if its head has not left
        // yet.
        connection.as_mut().graceful_shutdown();
        connection.await
    }
}

fn prepare(stream: &TcpStream, config: &ServerConfig) -> io::Result<()> {
    // A frame is worth sending by itself: waiting to fill a packet would cost its receiver 40 ms.
    stream.set_nodelay(true)?;
    // A peer whose window stays shut still acknowledges the kernel's probes, so TCP alone would let
    // it hold its session, and everything queued for it, for ever.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let socket = SockRef::from(stream);
        socket.set_tcp_user_timeout(Some(config.unacknowledged_timeout))?;
        socket.set_tcp_notsent_lowat(config.unsent_bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sockeye::{Gateway, Session, SessionEnd};
    use sockeye_apps::ice::{Ice, IceConfig};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::{mpsc, oneshot};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::assets::Assets;
    use crate::front::{Directory, Site};

    /// No test waits this long unless what it waits for is broken.
    const PATIENCE: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(100);

    struct Running {
        addr: SocketAddr,
        stop: oneshot::Sender<()>,
        served: JoinHandle<()>,
    }

    fn start(config: ServerConfig, gateway: Gateway) -> Running {
        let site =
            Site { assets: Assets::embedded(), rooms: None, ice: Ice::new(IceConfig::default()) };
        let directory = Directory::new(&site, Vec::new());
        let front = Front::new(gateway, site, &directory);
        let server =
            Server::bind(ServerConfig { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..config });
        let server = server.expect("a free port");
        let addr = server.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(server.serve(front, async move { drop(stopped.await) }));
        Running { addr, stop, served }
    }

    async fn connect(addr: SocketAddr, sent: &str) -> TcpStream {
        let mut stream = TcpStream::connect(addr).await.expect("the server accepts");
        stream.write_all(sent.as_bytes()).await.expect("sent");
        stream
    }

    async fn all(mut stream: TcpStream) -> String {
        let mut received = String::new();
        let end = timeout(PATIENCE, stream.read_to_string(&mut received)).await;
        end.expect("the server ends the connection").expect("by FIN");
        received
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_is_closed() {
        let server = start(
            ServerConfig { first_byte_timeout: SHORT, ..ServerConfig::default() },
            Gateway::new(),
        );
        assert_eq!(all(connect(server.addr, "").await).await, "");
    }

    #[tokio::test]
    async fn a_head_that_does_not_end_is_not_waited_for() {
        let server =
            start(ServerConfig { head_timeout: SHORT, ..ServerConfig::default() }, Gateway::new());
        assert_eq!(all(connect(server.addr, "GET / HTTP/1.1\r\nHost: a\r\n").await).await, "");
    }

    #[tokio::test]
    async fn a_connection_that_stays_idle_after_an_answer_is_closed() {
        let server =
            start(ServerConfig { head_timeout: SHORT, ..ServerConfig::default() }, Gateway::new());
        let answer =
            all(connect(server.addr, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await).await;
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    }

    #[tokio::test]
    async fn an_application_learns_who_connected() {
        let (told, mut peers) = mpsc::unbounded_channel();
        let gateway = Gateway::new().endpoint("/who", move |session: Session| {
            told.send(session.info().peer()).expect("the test waits");
            async {}
        });
        let server = start(ServerConfig::default(), gateway);
        let request = "POST /who/0/a/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        let stream = connect(server.addr, request).await;
        assert_eq!(peers.recv().await.expect("a session"), stream.local_addr().ok());
    }

    /// The answer that is being made when the server stops goes out in full, and then its
    /// connection ends.
    #[tokio::test]
    async fn stopping_lets_requests_finish() {
        let (told, mut sessions) = mpsc::unbounded_channel();
        let gateway = Gateway::new().endpoint("/poll", move |session: Session| {
            let told = told.clone();
            async move { drop(told.send(session)) }
        });
        let server =
            start(ServerConfig { stop_grace: PATIENCE, ..ServerConfig::default() }, gateway);
        let head = "HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        let mut stream = connect(server.addr, &format!("POST /poll/0/a/xhr {head}")).await;
        // The session's open frame answers the first poll; the second one waits for a message.
        let session: Session = sessions.recv().await.expect("a session");
        read_until(&mut stream, "o\n").await;
        stream.write_all(format!("POST /poll/0/a/xhr {head}").as_bytes()).await.expect("sent");
        // Answered on the same connection only after the poll, so the poll must have been taken up
        // when this one is refused.
        let mut second = connect(server.addr, &format!("POST /poll/0/a/xhr {head}")).await;
        read_until(&mut second, "c[2010,\"Another connection still open\"]\n").await;

        drop(server.stop);
        // The other connection is idle: that it ends shows that the stop has arrived.
        all(second).await;
        session.send("the last words").await.expect("the session is open");
        assert!(all(stream).await.ends_with("a[\"the last words\"]\n"));
        timeout(PATIENCE, server.served)
            .await
            .expect("nothing is left to wait for")
            .expect("no panic");
    }

    /// What does not finish is cut off: a stop takes no longer than the grace.
    #[tokio::test]
    async fn stopping_does_not_wait_for_ever() {
        let gateway = Gateway::new().endpoint("/stream", |mut session: Session| async move {
            while session.recv().await.is_some() {}
        });
        let server = start(ServerConfig { stop_grace: SHORT, ..ServerConfig::default() }, gateway);
        let request =
            "POST /stream/0/a/xhr_streaming HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        let mut stream = connect(server.addr, request).await;
        read_until(&mut stream, "o\n\r\n").await;
        drop(server.stop);
        timeout(PATIENCE, server.served).await.expect("the grace is short").expect("no panic");
    }

    /// A phone in a tunnel, or a debugger at a breakpoint: the kernel answers for the peer, but
    /// nobody reads. TCP by itself keeps such a connection for ever; the session must end, and with
    /// it what is queued for it.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_peer_whose_window_stays_shut_loses_its_session() {
        let (told, mut ends) = mpsc::unbounded_channel::<SessionEnd>();
        let gateway = Gateway::new().endpoint("/flood", move |session: Session| {
            let told = told.clone();
            async move {
                let flood = "x".repeat(64 * 1024);
                while session.send(flood.as_str()).await.is_ok() {}
                drop(told.send(session.ended().await));
            }
        });
        let config = ServerConfig {
            unacknowledged_timeout: Duration::from_secs(1),
            ..ServerConfig::default()
        };
        let server = start(config, gateway);
        let request = "GET /flood/websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let _unread = connect(server.addr, request).await;
        let end =
            timeout(PATIENCE, ends.recv()).await.expect("the session ends").expect("with its end");
        assert!(end.undelivered > 0, "{end:?}");
    }

    /// What the kernel keeps for a client that does not read is no session's, and no limit of a
    /// session sees it.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_kernel_keeps_little_for_a_client_that_does_not_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        // With little room of its own, so that what is counted is the server's.
        let client =
            Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
        client.set_recv_buffer_size(4096).expect("an option of every socket");
        client.connect(&listener.local_addr().expect("bound").into()).expect("it listens");
        let (stream, _) = listener.accept().await.expect("a client");
        prepare(&stream, &ServerConfig::default()).expect("a live connection");

        stream.writable().await.expect("a live connection");
        let (chunk, mut kept) = (vec![0; 16 * 1024], 0);
        while let Ok(taken) = stream.try_write(&chunk) {
            kept += taken;
        }
        // 2.6 MB without the option.
        assert!(kept < 256 * 1024, "{kept} bytes");
    }

    async fn read_until(stream: &mut TcpStream, end: &str) {
        let mut received = Vec::new();
        while !received.ends_with(end.as_bytes()) {
            let byte = timeout(PATIENCE, stream.read_u8()).await.expect("an answer");
            received.push(byte.unwrap_or_else(|error| {
                panic!("{error} after {:?}", String::from_utf8_lossy(&received))
            }));
        }
    }
}
