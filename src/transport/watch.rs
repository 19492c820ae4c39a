//! Noticing that a client has gone while its request waits.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Version;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::session::Connection;

/// A TCP connection that can be watched for its client's end while hyper serves it.
///
/// hyper alone notices a lost client only while nothing of it waits to be read: a stray line end
/// behind a request is enough to hide the end of the connection until the next heartbeat fails. And
/// by default it gives no answer at all to a client that closes its sending side right after the
/// request. [`serve`](crate::serve()) cures both, and so can a server of your own: it serves a
/// `WatchedStream` with `half_close(true)`, and puts its [`watch`](Self::watch) into the extensions
/// of each request.
///
/// The watch also lets a session reset its connection when its client takes nothing of a response,
/// or too little (`write_timeout`, `least_rate`), and when memory is full: hyper asks a response for
/// nothing while its connection takes nothing. Without a watch, and over HTTP/2, where a connection
/// carries other responses too, the session ends all the same, but its connection stays, with the
/// bytes that wait in it, until the system gives it up: after `TCP_USER_TIMEOUT` on Linux, which is
/// the server's to set.
#[derive(Debug)]
pub struct WatchedStream(Arc<TcpStream>);

/// Tells receivers that the client has closed its sending side: a request extension, made by
/// [`WatchedStream::watch`].
#[derive(Clone)]
pub struct PeerWatch {
    stream: Arc<TcpStream>,
    /// The connection carries other responses at the same time.
    shared: bool,
}

impl WatchedStream {
    /// Takes a connection.
    pub fn new(stream: TcpStream) -> Self {
        Self(Arc::new(stream))
    }

    /// Lets written bytes leave at once, however few.
    pub(crate) fn set_nodelay(&self) -> io::Result<()> {
        self.0.set_nodelay(true)
    }

    /// Waits for the first byte and leaves it to be read. False: the connection has ended without.
    pub(super) async fn has_first_byte(&self) -> io::Result<bool> {
        // A peek asks the socket itself: a new stream reports readiness before any byte has
        // arrived.
        Ok(self.0.peek(&mut [0]).await? > 0)
    }

    /// The extension for requests on this connection.
    pub fn watch(&self) -> PeerWatch {
        PeerWatch { stream: Arc::clone(&self.0), shared: false }
    }
}

impl PeerWatch {
    /// The connection's socket, to set its options.
    pub(crate) fn socket(&self) -> SockRef<'_> {
        SockRef::from(&*self.stream)
    }

    /// The same, for a request of this version.
    pub(crate) fn of(self, version: Version) -> Self {
        Self { shared: version >= Version::HTTP_2, ..self }
    }

    /// The address of this end of the connection; `None` when the connection is gone.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.stream.local_addr().ok()
    }

    /// The connection, if it may be ended for the sake of one response.
    pub(super) fn connection(&self) -> Option<Arc<dyn Connection>> {
        (!self.shared).then(|| Arc::clone(&self.stream) as Arc<dyn Connection>)
    }

    /// Resolves when the client has closed its sending side, or the connection is broken.
    pub(crate) fn gone(self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            // Not ready by plain data, which may wait for long; only by the end of the read side.
            // (Urgent data would count too, but tokio does not ask for it on a `TcpStream`.)
            #[cfg(any(target_os = "linux", target_os = "android"))]
            let _ = self.stream.ready(Interest::PRIORITY).await;
            // Elsewhere the two look the same, and the next heartbeat has to notice.
            #[cfg(not(any(target_os = "linux", target_os = "android")))]
            {
                drop(self.stream);
                std::future::pending::<()>().await;
            }
        })
    }
}

impl Connection for TcpStream {
    fn shut(&self) {
        let socket = SockRef::from(self);
        // Both fail when the connection has gone. Without lingering the system drops what it still
        // holds when the server drops the socket, instead of offering it to the client.
        let _ = socket.set_linger(Some(Duration::ZERO));
        let _ = socket.shutdown(Shutdown::Both);
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
        Poll::Ready(SockRef::from(&*self.0).shutdown(Shutdown::Write))
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
