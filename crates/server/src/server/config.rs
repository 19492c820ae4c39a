//! The server's settings.

use std::net::SocketAddr;
use std::time::Duration;

/// The server's address, timeouts and limits.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    /// The address to listen on; port 0 lets the system choose. Default: 127.0.0.1:8080.
    pub(crate) listen: SocketAddr,
    /// Connections that the kernel may hold before `accept`; it takes the lower of this and its own
    /// `somaxconn`. Default: 4096.
    pub(crate) backlog: u32,
    /// How long a new connection may stay silent. Default: 60 s, because browsers open connections
    /// ahead of need.
    pub(crate) first_byte_timeout: Duration,
    /// How long a request's head may take, the idle time on a kept-alive connection before it
    /// included. Default: 75 s, longer than the 60 s for which proxies commonly keep an idle
    /// upstream connection: the proxy must close first, or now and then it sends a request into a
    /// connection that is just being closed, and cannot repeat it.
    pub(crate) head_timeout: Duration,
    /// The largest head of a request, and the read buffer that a connection keeps after large
    /// bodies. Default: 64 KiB.
    pub(crate) head_size: usize,
    /// How long sent bytes may go unacknowledged, or wait for a window that stays shut. Default: 60
    /// s.
    pub(crate) unacknowledged_timeout: Duration,
    /// How many bytes the kernel keeps for a client before they are sent (Linux and Android).
    /// Without it the kernel keeps 2.8 MB and more for a client that does not read, beyond all
    /// limits of its session; with it, back-pressure starts sooner. Default: 64 KiB.
    pub(crate) unsent_bytes: u32,
    /// How long connections may finish their requests once the server stops. Default: 5 s.
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
