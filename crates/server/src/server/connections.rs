//! One connection: its socket options, its first byte, and HTTP on it.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
#[cfg(any(target_os = "linux", target_os = "android"))]
use socket2::SockRef;
use sockeye::{Budget, PeerAddr, WatchedStream};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

use super::config::ServerConfig;
use crate::front::Front;

/// Memory of a silent connection, and of an HTTP connection beside its sessions, in bytes, as `make
/// bench` measured them ("memory of 5,000 idle sessions" in BENCHMARKS.md: a waiting poll after
/// bursts, less a session between polls).
const SILENT_CONNECTION: usize = 1_700;
const CONNECTION: usize = 12_700;

/// State shared by all connections.
pub(super) struct Connections {
    http: http1::Builder,
    pub(super) config: ServerConfig,
    front: Front,
}

impl Connections {
    pub(super) fn new(config: ServerConfig, front: Front) -> Self {
        Self { http: http(&config), config, front }
    }

    pub(super) async fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        mut stopped: watch::Receiver<bool>,
    ) {
        if let Err(error) = prepare(&stream, &self.config) {
            debug!(%peer, %error, "the connection was reset at once");
            return;
        }
        let mut held = Budget::process().hold(SILENT_CONNECTION);
        // Both boxed, so that neither reserves room while the other runs.
        if !Box::pin(self.first_byte(&stream, &mut stopped)).await {
            return;
        }
        // A WebSocket's memory counts with its session, once HTTP is done with it.
        held.set(CONNECTION);
        if let Err(error) = Box::pin(self.serve_http(stream, peer, stopped)).await {
            debug!(%peer, %error, "connection ended");
        }
    }

    /// Whether a first byte has come. Until then a connection costs some hundred bytes; hyper would
    /// add its 8 KiB buffer.
    async fn first_byte(&self, stream: &TcpStream, stopped: &mut watch::Receiver<bool>) -> bool {
        // A peek asks the socket itself: a new stream reports readiness before any byte has
        // arrived.
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
            // In this order: a random order costs a random number at each poll of a connection.
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

fn http(config: &ServerConfig) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(config.head_timeout)
        .max_buf_size(config.head_size);
    // A client that closes its sending side after a request still gets the answer; PeerWatch
    // notices when the client of a waiting request has gone.
    http.half_close(true);
    http
}

pub(super) fn prepare(stream: &TcpStream, config: &ServerConfig) -> io::Result<()> {
    // A frame is sent at once: waiting to fill a packet would cost its receiver 40 ms.
    stream.set_nodelay(true)?;
    // A peer whose window stays shut still acknowledges the kernel's probes, so TCP alone would let
    // it hold its session, and all that is queued for it, forever.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let socket = SockRef::from(stream);
        socket.set_tcp_user_timeout(Some(config.unacknowledged_timeout))?;
        socket.set_tcp_notsent_lowat(config.unsent_bytes)?;
    }
    Ok(())
}
