//! The connection to a backend.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;

/// Bytes that are gathered into one write to the backend.
pub(super) const BATCH: usize = 16 * 1024;

/// The bytes of a connection to a backend, plain or TLS.
pub(super) trait BackendStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> BackendStream for S {}

pub(super) type Socket = WebSocketStream<Box<dyn BackendStream>>;
