//! One connection: its handshake, its first byte, and HTTP on it.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::time::timeout;
use tower_service::Service;

use super::answering::OnConnection;
use super::config::ServeConfig;
use super::listener::{Connection, Establish};
use super::{BoxError, Phase};
use crate::clock::LONGEST_DELAY;
use crate::escape::Escaped;

/// Memory of a silent connection, and of an HTTP connection beside its sessions, in bytes, as `make
/// bench` measured them ("memory of 5,000 idle sessions" in BENCHMARKS.md: a waiting poll after
/// bursts, less a session between polls).
const SILENT_CONNECTION: usize = 1_700;
const CONNECTION: usize = 12_700;

/// The read buffer that a connection keeps after large bodies, unless heads may be larger.
const BUFFER: usize = 64 * 1024;

/// State shared by all connections of a server.
pub(super) struct Connections {
    http: http1::Builder,
    pub(super) config: ServeConfig,
}

impl Connections {
    pub(super) fn new(config: ServeConfig) -> Self {
        Self { http: http(&config), config }
    }

    /// Serves a connection in a task of its own.
    pub(super) fn spawn<A, S, B>(
        self: &Arc<Self>,
        accepted: A,
        service: S,
        mut stopping: watch::Receiver<Phase>,
    ) where
        A: Establish,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
        B::Data: Send,
    {
        let connections = Arc::clone(self);
        tokio::spawn(async move {
            let mut held = connections.config.budget.hold(SILENT_CONNECTION);
            // Both boxed, so that neither reserves room while the other runs.
            let connection = tokio::select! {
                biased;
                opened = Box::pin(connections.open(accepted)) => opened,
                _ = stopping.changed() => None,
            };
            let Some(connection) = connection else { return };
            // A WebSocket's memory counts with its session, once HTTP is done with it.
            held.set(CONNECTION);
            let peer = connection.peer;
            let served = connections.serve_http(connection, service, stopping);
            if let Err(error) = Box::pin(served).await {
                tracing::debug!(?peer, error = %Escaped(error), "connection ended");
            }
        });
    }

    /// The connection when its first byte has come. Until then a connection costs some hundred
    /// bytes; hyper would add its 8 KiB buffer.
    async fn open(&self, accepted: impl Establish) -> Option<Connection> {
        let ServeConfig { handshake_timeout, first_byte_timeout, .. } = self.config;
        let mut connection = match timeout(handshake_timeout, accepted.establish()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                tracing::debug!(error = %Escaped(error), "a connection ended in its handshake");
                return None;
            }
            Err(_) => {
                tracing::debug!(?handshake_timeout, "a handshake took too long");
                return None;
            }
        };
        let peer = connection.peer;
        let (unacknowledged, unsent) =
            (self.config.unacknowledged_timeout, self.config.unsent_bytes);
        if let Err(error) = connection.prepare(unacknowledged, unsent) {
            tracing::debug!(?peer, %error, "the connection was reset at once");
            return None;
        }
        match timeout(first_byte_timeout, connection.socket.has_first_byte()).await {
            Ok(Ok(true)) => Some(connection),
            Ok(_) => None,
            Err(_) => {
                tracing::debug!(?peer, ?first_byte_timeout, "a connection stayed silent");
                None
            }
        }
    }

    async fn serve_http<S, B>(
        &self,
        connection: Connection,
        service: S,
        mut stopping: watch::Receiver<Phase>,
    ) -> hyper::Result<()>
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
        B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
        B::Data: Send,
    {
        let Connection { socket, watch, peer, local } = connection;
        let service = OnConnection::new(service, watch, peer, local);
        let connection = self.http.serve_connection(TokioIo::new(socket), service).with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            // In this order: a random order costs a random number at each poll of a connection.
            biased;
            result = connection.as_mut() => return result,
            _ = stopping.changed() => {}
        }
        // The answer in flight goes out in full, with `connection: close` if its head has not left
        // yet.
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            biased;
            result = connection => result,
            () = cut(stopping) => Ok(()),
        }
    }
}

/// Resolves when the server gives its connections no more time.
async fn cut(mut stopping: watch::Receiver<Phase>) {
    if stopping.wait_for(|phase| *phase == Phase::Cut).await.is_err() {
        // The server was dropped, and sets no deadline.
        std::future::pending::<()>().await;
    }
}

fn http(config: &ServeConfig) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(config.head_timeout.min(LONGEST_DELAY))
        // The size of buffers alone is no exact limit of heads.
        .max_header_size(config.head_size)
        .max_buf_size(config.head_size.max(BUFFER));
    // A client that closes its sending side after a request still gets the answer; PeerWatch
    // notices when the client of a waiting request has gone.
    http.half_close(true);
    http
}
