//! Errors of an upstream's configuration, and of connecting a session to its backend.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use http::header::HeaderName;
use tokio_tungstenite::tungstenite::error::Error as WebSocketError;

/// Why a configuration makes no [`Upstream`](super::Upstream).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// The URL is not a WebSocket URL.
    #[error(
        "{0:?} is no URL of a WebSocket: write ws://host:port/path, or wss://host:port/path for TLS"
    )]
    Url(String),
    /// A URL with `user:password@`.
    #[error("the URL holds a user name, which a WebSocket's can't: leave it out")]
    UserInfo,
    /// No certificate can name the host of a `wss` URL.
    #[error("no certificate can be for the host {host:?}")]
    Host {
        /// The URL's host.
        host: String,
        /// Why the name is invalid.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A header that the gateway itself sends, or that concerns one connection only.
    #[error("the header {0} can't be passed on: take it out of `headers`")]
    Header(HeaderName),
    /// `ca_file` can't be read.
    #[error("cannot read certificates from {path}, which `ca_file` names", path = .path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// No certificate authorities are trusted.
    #[error(
        "this system has no certificates of authorities to trust: install them (Debian: ca-certificates), or name a PEM file with `ca_file` or SSL_CERT_FILE"
    )]
    NoAuthorities,
    /// A certificate authority's certificate is invalid.
    #[error("TLS can't be set up with the certificates to trust")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
}

/// Why a session has no backend. The text goes to the client, so it names no hosts; the sources go
/// to the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("backend down: its name is not found")]
    NoAddress(#[source] io::Error),
    #[error("backend down: {kind}", kind = .0.kind())]
    Down(#[source] io::Error),
    #[error("backend down: TLS failed")]
    Tls(#[source] io::Error),
    #[error("backend down: no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the request can't be passed on to the backend")]
    Request(#[source] WebSocketError),
    #[error("backend refused: {0}")]
    Refused(StatusCode),
    #[error("backend down: it does not speak WebSocket")]
    Handshake(#[source] WebSocketError),
}
