//! The gateway: from a request to the session it belongs to.

mod arrival;
#[cfg(feature = "axum")]
mod axum;
pub(crate) mod config;
mod endpoint;
mod exchange;
mod handler;
mod headers;
mod iframe;
mod info;
pub(crate) mod origin;
pub(crate) mod prefix;
mod receive;
mod refusal;
mod registry;
mod request;
pub(crate) mod route;
mod send;
mod short_poll;
mod tcp;
mod upgrade;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response, StatusCode};

pub use self::config::{CookieConfig, EndpointConfig, SameSite, Transports};
use self::endpoint::{BoxError, Endpoint};
use self::exchange::Exchange;
pub use self::handler::Handler;
pub use self::prefix::{Prefix, PrefixError};
use self::refusal::Refusal;
pub use self::request::PeerAddr;
pub use self::tcp::{TcpConfig, TcpEndpoint};
use crate::transport::{Body, with_status};

/// Serves SockJS endpoints: a service for hyper and tower, and a router for axum.
///
/// It matches the full raw path of a request, so mount it where no router has rewritten that. What
/// is under none of its prefixes is answered with 404; ask [`serves`](Self::serves) first to serve
/// other things beside it. WebSocket needs connections served with upgrades, and sessions need a
/// tokio runtime with time enabled.
///
/// What a request doesn't say, its server puts into its extensions: where the client is
/// ([`PeerAddr`]), and what tells at once that it has gone
/// ([`WatchedStream`](crate::WatchedStream)), which is otherwise noticed with the next heartbeat at
/// the latest.
///
/// # Sockets
///
/// They are the server's, which sets them for each connection that it accepts:
///
/// - `stream.set_nodelay(true)`, or a message that is sent behind another waits until the client
///   has acknowledged that one, for 40 ms. (WebSockets on a bare `TcpStream` or
///   [`WatchedStream`](crate::WatchedStream) get it here, also behind hyper-util's `auto` builder.)
/// - On Linux `socket2::SockRef::from(&stream).set_tcp_notsent_lowat(64 * 1024)`
///   (`TCP_NOTSENT_LOWAT`; socket2's feature `all`): the kernel keeps up to 4 MB for a client that
///   does not read, behind the session's own queue and beyond its limits. So the application meets
///   a slow client late, and what was lost with a connection is more.
/// - On Linux `set_tcp_user_timeout`, so that a client whose window stays shut does not keep its
///   connection for ever.
///
/// With axum, `listener.tap_io(…)` (`axum::serve::ListenerExt`) is the place.
///
/// Cloning it is cheap; clones share their sessions.
#[derive(Clone, Default)]
pub struct Gateway {
    // Longest prefix first, so that `/chat/private` wins over `/chat`.
    endpoints: Arc<Vec<Arc<Endpoint>>>,
}

impl Gateway {
    /// A gateway without endpoints.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an endpoint with the default configuration, or replaces the one with this prefix.
    ///
    /// # Panics
    ///
    /// When `prefix` is no [`Prefix`]; parse it first if it isn't written in the program.
    pub fn endpoint(self, prefix: &str, handler: impl Handler) -> Self {
        self.endpoint_with(prefix, EndpointConfig::default(), handler)
    }

    /// Adds an endpoint, or replaces the one with this prefix.
    ///
    /// # Panics
    ///
    /// When `prefix` is no [`Prefix`], `client_url` can't stand in a page, or `heartbeat_delay` is
    /// zero.
    pub fn endpoint_with(
        mut self,
        prefix: &str,
        config: EndpointConfig,
        handler: impl Handler,
    ) -> Self {
        let prefix: Prefix = match prefix.parse() {
            Ok(prefix) => prefix,
            Err(error) => panic!("{error}"),
        };
        let endpoints = Arc::make_mut(&mut self.endpoints);
        endpoints.retain(|endpoint| endpoint.prefix != prefix);
        endpoints.push(Arc::new(Endpoint::new(prefix, config, Arc::new(handler))));
        endpoints.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.prefix.as_str().len()));
        self
    }

    /// Whether a path is at or below one of the prefixes.
    pub fn serves(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// Live sessions of all endpoints and transports, those included that have closed and may still
    /// be asked for.
    pub fn sessions(&self) -> usize {
        self.endpoints.iter().map(|endpoint| endpoint.registry.live()).sum()
    }

    /// Answers a request; a path of nobody's with 404.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the body of its response, means that the client is gone: a session
    /// that was attached to it ends. So does a session of which a [`Chunk`](crate::Chunk) is
    /// dropped that was not written in full.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time enabled, when the request has to do with a session.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
        B::Data: Send,
    {
        let Ok(response) = self.begin(request).answer().await;
        response
    }

    fn begin<B>(&self, request: Request<B>) -> Exchange<B>
    where
        B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
        B::Data: Send,
    {
        #[cfg(feature = "axum")]
        axum::warn_when_rewritten(&request);
        // The path is shared, not copied; the request itself is about to be taken apart.
        let uri = request.uri().clone();
        match self.find(uri.path()) {
            Some((endpoint, below)) => endpoint.begin(request, below),
            None => Exchange::answered(Refusal::NotFound.into()),
        }
    }

    fn find<'p>(&self, path: &'p str) -> Option<(&Arc<Endpoint>, &'p str)> {
        self.endpoints.iter().find_map(|endpoint| Some((endpoint, endpoint.prefix.below(path)?)))
    }
}

type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<B> tower_service::Service<Request<B>> for Gateway
where
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    B::Data: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        self.begin(request).answer()
    }
}

impl<B> hyper::service::Service<Request<B>> for Gateway
where
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    B::Data: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: Request<B>) -> ResponseFuture {
        self.begin(request).answer()
    }
}

const PLAIN: &str = "text/plain; charset=UTF-8";

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    with_status(status, PLAIN, Body::whole(text))
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.endpoints.iter().map(|endpoint| &endpoint.prefix)).finish()
    }
}
