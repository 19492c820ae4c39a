//! Listening, and serving HTTP on accepted connections.

mod config;
mod connections;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

pub(crate) use self::config::ServerConfig;
use self::connections::Connections;
use crate::front::Front;

/// A listening server.
pub(crate) struct Server {
    listener: TcpListener,
    config: ServerConfig,
}

impl Server {
    /// Starts to listen: from here on clients can connect, and wait until [`serve`](Self::serve)
    /// accepts them.
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
        // One channel does both: it signals the stop to the connections, and has no receivers left
        // when all of them have ended.
        let (stopping, stopped) = watch::channel(false);
        let connections = Arc::new(Connections::new(config, front));

        tokio::select! {
            never = accept_all(listener, &connections, stopped) => match never {},
            () = stop => {}
        }
        info!(connections = stopping.receiver_count(), "stopping");
        stopping.send_replace(true);
        if timeout(connections.config.stop_grace, stopping.closed()).await.is_err() {
            info!(
                connections = stopping.receiver_count(),
                "grace time is over; closing the remaining connections"
            );
        }
    }
}

/// The server could not listen on the address.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}")]
pub(crate) struct BindError {
    pub(crate) addr: SocketAddr,
    pub(crate) source: io::Error,
}

fn listen(config: &ServerConfig) -> io::Result<TcpListener> {
    let socket =
        Socket::new(Domain::for_address(config.listen), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for connections of the last run in TIME_WAIT. On Windows the same
    // option would let a second server take the port from a running one.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&config.listen.into())?;
    socket.listen(i32::try_from(config.backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// Accepts forever: any cause that makes `accept` fail passes, and a server that gave up would not
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
                debug!(%error, "a connection was reset before its accept")
            }
            Err(error) => {
                // Out of file descriptors or memory: an immediate retry would only spin.
                // Connections in the backlog stay there; the pause ends soon after others close.
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
