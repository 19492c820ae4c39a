//! Serving HTTP on the connections of a listener, in the manner of `axum::serve`.
//!
//! [`serve`] accepts connections and gives their requests to a tower service: a
//! [`Gateway`](crate::Gateway), an axum `Router`, or a function. It takes care of the rest:
//!
//! - each request carries the client's address ([`PeerAddr`]) and a
//!   [`PeerWatch`](crate::PeerWatch), by which a session knows the address of this end, learns at
//!   once that its client has gone, and can end its connection;
//! - a client that closes its sending side behind a request still gets the answer;
//! - a connection that says nothing, or whose request's head does not end, is closed
//!   ([`ServeConfig`]);
//! - an `accept` that fails (no file left, say) is tried again after a pause;
//! - frames leave at once, the system keeps few bytes for a client that doesn't read, and a window
//!   that stays shut ends its connection;
//! - connections count in the [`Budget`](crate::Budget).
//!
//! It speaks HTTP/1, with upgrades. The check of a request's `Host` is the service's.

mod answering;
mod config;
mod connection;
mod listener;

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::timeout;
use tower_service::Service;

pub use self::config::ServeConfig;
use self::connection::Connections;
pub(crate) use self::listener::accept_all;
pub use self::listener::{Connection, Establish, Listener};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Serves HTTP on the connections of `listener`, each in a task of its own, until the returned
/// future is dropped.
///
/// `service` is cloned for each connection. Settings are set by [`with_config`](Serve::with_config),
/// a stop by [`with_graceful_shutdown`](Serve::with_graceful_shutdown).
///
/// ```no_run
/// use sockeye::{Gateway, Session};
/// use tokio::net::TcpListener;
///
/// async fn echo(mut session: Session) {
///     while let Some(message) = session.recv().await {
///         if session.send(message).await.is_err() {
///             break;
///         }
///     }
/// }
///
/// #[tokio::main]
/// async fn main() -> std::io::Result<()> {
///     let gateway = Gateway::new().endpoint("/echo", echo);
///     let listener = TcpListener::bind("127.0.0.1:8081").await?;
///     sockeye::serve(listener, gateway).await;
///     Ok(())
/// }
/// ```
///
/// An axum router is served likewise; its handlers find the client's address in
/// `Extension<PeerAddr>`:
///
/// ```no_run
/// # #[cfg(feature = "axum")]
/// # async fn run(gateway: sockeye::Gateway, listener: tokio::net::TcpListener) {
/// use axum::{Extension, Router, routing::get};
/// use sockeye::PeerAddr;
///
/// let app: Router = Router::new()
///     .route("/whoami", get(async |Extension(PeerAddr(peer))| peer.to_string()))
///     .merge(gateway.into_axum());
/// sockeye::serve(listener, app).await;
/// # }
/// ```
///
/// # Cancel safety
///
/// Dropping the future closes the listener. Connections end behind the answers in flight, however
/// long those take; sessions go on.
///
/// # Panics
///
/// The future panics outside a tokio runtime with IO and time enabled.
pub fn serve<L, S>(listener: L, service: S) -> Serve<L, S> {
    Serve { listener, service, config: ServeConfig::default() }
}

/// The address of a connection's other end, as a request extension.
///
/// A server puts it into each request so that [`ConnectInfo::peer`](crate::ConnectInfo::peer) knows
/// it; [`serve`] does. With `axum::serve` its own `ConnectInfo<SocketAddr>` does as well (feature
/// `axum`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// The address of a connection's own end, as a request extension.
///
/// A server puts it into each request so that [`ConnectInfo::local`](crate::ConnectInfo::local)
/// knows it; [`serve`] does when the listener tells it ([`Connection::local`]). Not needed beside a
/// [`PeerWatch`](crate::PeerWatch), which knows it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddr(pub SocketAddr);

/// A server that runs when it is awaited: [`serve`] makes it.
#[must_use = "a server serves when it is awaited"]
pub struct Serve<L, S> {
    listener: L,
    service: S,
    config: ServeConfig,
}

impl<L, S> Serve<L, S> {
    /// Sets the settings.
    pub fn with_config(self, config: ServeConfig) -> Self {
        Self { config, ..self }
    }

    /// Stops when `signal` resolves: the listener is closed, and connections end behind the answers
    /// in flight. Those that have not ended within [`ServeConfig::stop_grace`] are cut off.
    ///
    /// A WebSocket is no connection of the server's any more, and goes on as long as its session.
    pub fn with_graceful_shutdown<F>(self, signal: F) -> WithGracefulShutdown<L, S, F>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        WithGracefulShutdown { serve: self, signal }
    }
}

/// A server that stops at a signal: [`Serve::with_graceful_shutdown`] makes it.
#[must_use = "a server serves when it is awaited"]
pub struct WithGracefulShutdown<L, S, F> {
    serve: Serve<L, S>,
    signal: F,
}

/// How a server stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// The connections that were cut off, because they had not ended within
    /// [`ServeConfig::stop_grace`].
    pub cut: usize,
}

/// How far a server has come. Connections see it change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Connections end behind the answers in flight.
    Stopping,
    /// Connections end now.
    Cut,
}

impl<L, S, B> IntoFuture for Serve<L, S>
where
    L: Listener,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    B::Data: Send,
{
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async {
            run(self, std::future::pending()).await;
        })
    }
}

impl<L, S, F, B> IntoFuture for WithGracefulShutdown<L, S, F>
where
    L: Listener,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    F: Future<Output = ()> + Send + 'static,
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    B::Data: Send,
{
    type Output = Stopped;
    type IntoFuture = Pin<Box<dyn Future<Output = Stopped> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(run(self.serve, self.signal))
    }
}

async fn run<L, S, B>(server: Serve<L, S>, signal: impl Future<Output = ()>) -> Stopped
where
    L: Listener,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    B::Data: Send,
{
    let Serve { listener, service, config } = server;
    let stop_grace = config.stop_grace;
    let connections = Arc::new(Connections::new(config));
    // One channel does both: it tells the connections of the stop, and has no receivers left when
    // all of them have ended.
    let (phase, stopping) = watch::channel(Phase::Serving);
    tokio::select! {
        never = accept_all(listener, move |accepted| {
            connections.spawn(accepted, service.clone(), stopping.clone());
        }) => match never {},
        () = signal => {}
    }
    tracing::info!(connections = phase.receiver_count(), "stopping");
    phase.send_replace(Phase::Stopping);
    if timeout(stop_grace, phase.closed()).await.is_ok() {
        return Stopped { cut: 0 };
    }
    let cut = phase.receiver_count();
    tracing::info!(connections = cut, ?stop_grace, "stop_grace is over: cutting connections off");
    phase.send_replace(Phase::Cut);
    Stopped { cut }
}

impl<L, S> fmt::Debug for Serve<L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<L, S, F> fmt::Debug for WithGracefulShutdown<L, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithGracefulShutdown").field("serve", &self.serve).finish_non_exhaustive()
    }
}
