//! The settings of a server.

use std::time::Duration;

use crate::budget::Budget;

/// The deadlines and limits of a server's connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServeConfig {
    /// How long what comes before HTTP may take, of a listener that has something there
    /// ([`Establish`](super::Establish)), such as a TLS handshake; then the connection is closed.
    /// Default: 10 s.
    pub handshake_timeout: Duration,
    /// How long a new connection may stay silent; then it is closed. Default: 60 s, because
    /// browsers open connections ahead of need.
    pub first_byte_timeout: Duration,
    /// How long a request's head may take, the idle time on a kept-alive connection before it
    /// included; then the connection is closed. Default: 75 s, longer than the 60 s for which
    /// proxies commonly keep an idle upstream connection: the proxy must close first, or now and
    /// then it sends a request into a connection that is just being closed, and cannot repeat it.
    pub head_timeout: Duration,
    /// The largest head of a request, in bytes; a larger one is answered with 431, and its
    /// connection ends. Default: 64 KiB.
    pub head_size: usize,
    /// How long sent bytes may go unacknowledged, or wait for a window that stays shut, before the
    /// system ends the connection (`TCP_USER_TIMEOUT`, Linux and Android; elsewhere the system
    /// decides). 0 leaves it to the system. Default: 60 s.
    pub unacknowledged_timeout: Duration,
    /// How many bytes the system keeps for a client before they are sent (`TCP_NOTSENT_LOWAT`,
    /// Linux and Android; elsewhere the system decides). Without it the kernel keeps 2.8 MB and
    /// more for a client that does not read, beyond all limits of its session; with it,
    /// back-pressure starts sooner. 0 leaves it to the system. Default: 64 KiB.
    pub unsent_bytes: u32,
    /// How long connections may finish their requests once the server stops; then they are cut off.
    /// Default: 5 s.
    pub stop_grace: Duration,
    /// The memory budget that connections count in, beside the sessions. Default:
    /// [`Budget::process`].
    pub budget: Budget,
}

__setters!(ServeConfig {
    handshake_timeout: Duration,
    first_byte_timeout: Duration,
    head_timeout: Duration,
    head_size: usize,
    unacknowledged_timeout: Duration,
    unsent_bytes: u32,
    stop_grace: Duration,
    budget: Budget,
});

impl ServeConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(60),
            head_timeout: Duration::from_secs(75),
            head_size: 64 * 1024,
            unacknowledged_timeout: Duration::from_secs(60),
            unsent_bytes: 64 * 1024,
            stop_grace: Duration::from_secs(5),
            budget: Budget::process(),
        }
    }
}
