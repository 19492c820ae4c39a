//! A client's connection, whatever carries its bytes.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::watch::WatchedStream;

/// The one type of connection that a server of ours gives to hyper: its state machine is compiled
/// once, and a WebSocket gets its connection back from one place.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(WatchedStream),
    Other(Other),
}

/// TLS, and whatever else has bytes both ways.
pub(crate) struct Other {
    stream: Box<dyn Stream>,
    /// Read ahead to see whether there is any, and not yet taken.
    first: Option<u8>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Socket {
    pub(crate) fn other(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self::Other(Other { stream: Box::new(stream), first: None })
    }

    /// Waits for the first byte and leaves it to be read. False: the connection has ended without.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub(crate) async fn has_first_byte(&mut self) -> io::Result<bool> {
        match self {
            Self::Tcp(stream) => stream.has_first_byte().await,
            Self::Other(Other { stream, first }) => {
                let mut byte = [0];
                let mut buffer = ReadBuf::new(&mut byte);
                poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buffer)).await?;
                *first = buffer.filled().first().copied();
                Ok(first.is_some())
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Other(Other { first, .. }) if first.is_some() && buffer.remaining() > 0 => {
                buffer.put_slice(first.take().as_slice());
                Poll::Ready(Ok(()))
            }
            Self::Other(Other { stream, .. }) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Other(Other { stream, .. }) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Other(Other { stream, .. }) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Other(Other { stream, .. }) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Other(Other { stream, .. }) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Other(Other { stream, .. }) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl fmt::Debug for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Other")
    }
}
