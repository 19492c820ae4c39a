//! Noticing that a client has gone while its request waits.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::session::Connection;

/// A TCP connection that can be watched for its client's end while hyper serves it.
///
/// hyper alone notices a lost client only while nothing of it waits to be read: a stray line end
/// behind a request is enough to hide the end of the connection until the next heartbeat fails. And
/// by default it gives no answer at all to a client that closes its sending side right after the
/// request. A server cures both: it serves a `WatchedStream` with `half_close(true)`, and puts its
/// [`watch`](Self::watch) into the extensions of each request.
#[derive(Debug)]
pub struct WatchedStream(Arc<TcpStream>);

/// Tells receivers that the client has closed its sending side: a request extension, made by
/// [`WatchedStream::watch`].
#[derive(Clone)]
pub struct PeerWatch(Arc<TcpStream>);

impl WatchedStream {
    /// Takes a connection.
    pub fn new(stream: TcpStream) -> Self {
        Self(Arc::new(stream))
    }

    /// Has what is written leave at once, however little it is.
    pub(crate) fn set_nodelay(&self) -> io::Result<()> {
        self.0.set_nodelay(true)
    }

    /// What requests on this connection need as an extension.
    pub fn watch(&self) -> PeerWatch {
        PeerWatch(Arc::clone(&self.0))
    }
}

impl PeerWatch {
    /// For who wants to end the connection.
    pub(super) fn connection(&self) -> Arc<dyn Connection> {
        self.0.clone()
    }

    /// Resolves when the client has closed its sending side, or the connection is broken.
    pub(crate) fn gone(self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            // Not ready by plain data, which may wait for long; only by the end of the read side.
            // (Urgent data would count too, but tokio does not ask for it on a `TcpStream`.)
            #[cfg(any(target_os = "linux", target_os = "android"))]
            let _ = self.0.ready(Interest::PRIORITY).await;
            // Elsewhere nothing tells the one from the other, and the next heartbeat has to notice.
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            {
                drop(self.0);
                std::future::pending::<()>().await;
            }
        })
    }
}

impl Connection for TcpStream {
    fn shut(&self) {
        // It fails when the connection has gone.
        let _ = SockRef::from(self).shutdown(std::net::Shutdown::Both);
    }
}

/// Watches for the peer's end while its socket is not read.
#[derive(Default)]
pub(super) struct EndWatch {
    watch: Option<PeerWatch>,
    /// Made only when the watch is asked.
    gone: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl EndWatch {
    /// Without a watch the end is never seen.
    pub(super) fn new(watch: Option<PeerWatch>) -> Self {
        Self { watch, gone: None }
    }

    /// Ready when the peer has closed its sending side, or the connection is broken.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.gone.is_none() {
            self.gone = self.watch.clone().map(PeerWatch::gone);
        }
        let gone = self.gone.as_mut().map_or(Poll::Pending, |gone| gone.as_mut().poll(cx));
        if gone.is_ready() {
            self.rest();
        }
        gone
    }

    /// The socket is read again, and tells of the end itself.
    pub(super) fn rest(&mut self) {
        self.gone = None;
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            let room = buffer.remaining();
            let mut read = 0;
            let outcome = self.0.try_io(Interest::READABLE, || {
                // Into the buffer as it is: hyper hands over 8 KiB, and clearing them first would
                // make all of them resident.
                read = self.0.try_read_buf(buffer)?;
                // A read that did not fill the buffer has emptied the socket: saying so here saves
                // the system call that would find it out, as tokio's own `poll_read` does. Windows
                // tells of more only after a read that would block.
                if cfg!(unix) && read > 0 && read < room {
                    Err(io::ErrorKind::WouldBlock.into())
                } else {
                    Ok(())
                }
            });
            match outcome {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Err(error));
                }
                Err(_) if read == 0 => {}
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(cx, || self.0.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(cx, || self.0.try_write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.0).shutdown(std::net::Shutdown::Write))
    }
}

impl WatchedStream {
    fn poll_with(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match write() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl fmt::Debug for PeerWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerWatch")
    }
}
