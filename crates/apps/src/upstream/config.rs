//! Configuration of an upstream.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, header};

/// Timeouts, limits and headers of an [`Upstream`](super::Upstream).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UpstreamConfig {
    /// How long the backend may take to answer, from the look-up of its name to the end of the
    /// handshake. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long the backend may leave pending bytes unread; then the session closes with
    /// 1011. Default: 60 s.
    pub write_timeout: Duration,
    /// How long the backend may take to finish closing. Default: 5 s.
    pub close_timeout: Duration,
    /// How long a backend is silent before the system probes whether its host is still there (TCP
    /// keepalive). Default: 25 s.
    pub keepalive_delay: Duration,
    /// The largest message taken from the backend, in bytes; a larger one closes the session with
    /// 1009. Default: 1 MiB.
    pub message_size: usize,
    /// Which headers of the request that opened the session go to the backend, as far as the
    /// endpoint keeps them
    /// ([`EndpointConfig::kept_headers`](sockeye::EndpointConfig::kept_headers)). Default:
    /// `cookie`, `origin`.
    pub headers: Vec<HeaderName>,
    /// A PEM file with the certificates of the authorities to trust for `wss`. Default: none, the
    /// system's are trusted, or those in the file that the environment variable `SSL_CERT_FILE`
    /// names.
    pub ca_file: Option<PathBuf>,
}

sockeye::__setters!(UpstreamConfig {
    connect_timeout: Duration,
    write_timeout: Duration,
    close_timeout: Duration,
    keepalive_delay: Duration,
    message_size: usize,
    headers: impl Into<Vec<HeaderName>>,
    ca_file: impl Into<Option<PathBuf>>,
});

impl UpstreamConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(5),
            keepalive_delay: Duration::from_secs(25),
            message_size: 1024 * 1024,
            headers: vec![header::COOKIE, header::ORIGIN],
            ca_file: None,
        }
    }
}
