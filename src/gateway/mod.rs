//! The gateway: takes each request to its route, and answers it.

mod answer;
mod arrival;
#[cfg(feature = "axum")]
mod axum;
pub(crate) mod config;
pub(crate) mod drain;
mod endpoint;
mod handler;
mod headers;
mod iframe;
mod inbound;
mod info;
pub(crate) mod origin;
mod outbound;
pub(crate) mod prefix;
mod reached;
mod refusal;
mod registry;
mod request;
pub(crate) mod route;
mod short_poll;
mod subprotocol;
mod tcp;
mod upgrade;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response, StatusCode};

use self::answer::{Answer, at_once, plain};
use self::arrival::BoxError;
pub use self::config::{CookieConfig, EndpointConfig, SameSite, Transports};
pub use self::drain::{DrainConfig, Drained};
use self::endpoint::Endpoint;
#[cfg(feature = "test-util")]
pub(crate) use self::handler::Contained;
pub use self::handler::{Handler, HandlerFuture, Outcome, with_state};
pub use self::origin::{OriginError, Origins};
pub use self::prefix::{Prefix, PrefixError};
use self::refusal::{Refusal, last_on_its_connection};
use self::route::{Resource, Route, route};
pub use self::subprotocol::Subprotocols;
pub use self::tcp::{TcpConfig, TcpEndpoint};
use crate::transport::Body;
use crate::transport::websocket::Framing;

/// Serves SockJS endpoints: a service for hyper and tower, and a router for axum.
///
/// It matches the full raw path of a request, so mount it where no router has rewritten that. A
/// path under none of its prefixes is answered with 404; ask [`serves`](Self::serves) first to
/// serve other things beside it. WebSocket needs connections served with upgrades, and sessions
/// need a tokio runtime with time enabled.
///
/// [`serve`](crate::serve()) serves it. Another server can do as that one does, which puts facts
/// about the connection into a request's extensions: the client's address
/// ([`PeerAddr`](crate::PeerAddr)), its own ([`LocalAddr`](crate::LocalAddr)), and a watch that tells at once that the client is gone
/// ([`WatchedStream`](crate::WatchedStream)). Without the watch, the next heartbeat finds out at
/// the latest.
///
/// # Sockets
///
/// They are the server's, which sets them for each connection that it accepts, as
/// [`serve`](crate::serve()) does:
///
/// - `stream.set_nodelay(true)`, or a message that is sent behind another waits for the client's
///   acknowledgement of the first, up to 40 ms. (WebSockets on a bare `TcpStream` or
///   [`WatchedStream`](crate::WatchedStream) get it here, also behind hyper-util's `auto` builder.)
/// - On Linux `socket2::SockRef::from(&stream).set_tcp_notsent_lowat(64 * 1024)`
///   (`TCP_NOTSENT_LOWAT`; socket2's feature `all`): the kernel keeps up to 4 MB for a client that
///   does not read, behind the session's own queue and beyond its limits. The application then
///   notices a slow client late, and more is lost with a connection.
/// - On Linux `set_tcp_user_timeout`, so that a client whose window stays shut does not keep its
///   connection forever.
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
    /// When `prefix` is no [`Prefix`], `client_url` can't stand in a page, `heartbeat_delay` is zero,
    /// or `subprotocols` holds a name that no client can ask for.
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

    /// Ends the responses that sessions are attached to, in order: a waiting poll with a heartbeat, a
    /// stream behind its next frame, or a heartbeat too. The sessions go on, and no message is lost:
    /// the clients come back at once, through the way that a balancer or a proxy has for them by
    /// then. WebSockets stay as they are. Returns how many responses end.
    pub fn end_responses(&self) -> usize {
        // Outside the registries' locks: this wakes tasks.
        let sessions: Vec<_> =
            self.endpoints.iter().flat_map(|endpoint| endpoint.registry.by_segment()).collect();
        sessions.iter().filter(|session| session.end_response()).count()
    }

    /// Answers a request; a path under no prefix with 404.
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
        let Ok(response) = self.answer(request).await;
        response
    }

    fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
        B::Data: Send,
    {
        #[cfg(feature = "axum")]
        axum::warn_when_rewritten(&request);
        // The path is shared, not copied; the request itself is about to be taken apart.
        let uri = request.uri().clone();
        let Some((endpoint, below)) = self.find(uri.path()) else {
            return at_once(Refusal::NotFound.into());
        };
        dispatch(endpoint, request, below)
            .unwrap_or_else(|refusal| at_once(endpoint.refuse(refusal)))
    }

    fn find<'p>(&self, path: &'p str) -> Option<(&Arc<Endpoint>, &'p str)> {
        self.endpoints.iter().find_map(|endpoint| Some((endpoint, endpoint.prefix.below(path)?)))
    }
}

/// Takes a request to its route. Its raw path goes on with `below` after the prefix.
fn dispatch<B>(
    endpoint: &Arc<Endpoint>,
    request: Request<B>,
    below: &str,
) -> Result<Answer, Refusal>
where
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    B::Data: Send,
{
    let (config, head) = (&endpoint.config, request.headers());
    let transports = config.transports;
    let route = route(request.method(), below)?;
    if !is_page(route, transports, head)
        && let Err(foreign) = config.origins.admit(route, request.uri(), head)
    {
        return Ok(turn_away(endpoint, request, endpoint.foreign(foreign)));
    }
    Ok(at_once(match route {
        Route::Greeting if transports.raw_websocket && upgrade::is_asked_for(head) => {
            upgrade::answer(endpoint, request, Framing::Raw)?
        }
        Route::Greeting => plain(StatusCode::OK, "Welcome to SockJS!\n"),
        Route::Iframe => endpoint.iframe.answer(head),
        // Without a session to open, a client needs no transports.
        Route::Info => match endpoint.registry.is_open() {
            Ok(()) => info::answer(config, head),
            Err(draining) => return Err(endpoint.no_room(draining)),
        },
        Route::Preflight { methods } => answer::preflight(head, methods, config),
        Route::RawWebSocket if !transports.raw_websocket => return Err(Refusal::NotFound),
        Route::RawWebSocket => upgrade::answer(endpoint, request, Framing::Raw)?,
        Route::Session { resource, .. } if !offers(transports, resource) => {
            return Err(Refusal::NotFound);
        }
        Route::Session { session, resource, .. } => match resource {
            Resource::WebSocket => upgrade::answer(endpoint, request, Framing::SockJs)?,
            Resource::XhrSend | Resource::JsonpSend => {
                return Ok(inbound::answer(endpoint, request, session, resource));
            }
            _ => return Ok(outbound::answer(endpoint, request, session, resource)),
        },
    }))
}

/// Whether an answer is the same for all, and of no use to a foreign page: the greeting, and the
/// page of the iframe transports, which tells browsers itself whose frames it may be in.
fn is_page(route: Route<'_>, transports: Transports, head: &HeaderMap) -> bool {
    match route {
        Route::Greeting => !transports.raw_websocket || !upgrade::is_asked_for(head),
        Route::Iframe => true,
        _ => false,
    }
}

/// Answers a request of which nothing is kept. Its body is read all the same: a client may read
/// the answer only when it has sent everything.
fn turn_away<B>(endpoint: &Arc<Endpoint>, request: Request<B>, refusal: Refusal) -> Answer
where
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    B::Data: Send,
{
    if request.body().is_end_stream() {
        return at_once(refusal.into());
    }
    let expects = arrival::expects(request.headers());
    let (endpoint, body) = (Arc::clone(endpoint), request.into_body());
    Box::pin(async move {
        let limit = endpoint.config.discard_limit;
        Ok(match arrival::discard(&endpoint, body, limit, expects).await {
            Ok(true) => refusal.into(),
            Ok(false) | Err(_) => last_on_its_connection(refusal.into()),
        })
    })
}

fn offers(transports: Transports, resource: Resource) -> bool {
    match resource {
        Resource::WebSocket => transports.websocket,
        Resource::Xhr => transports.xhr,
        Resource::XhrStreaming => transports.xhr_streaming,
        Resource::XhrSend => transports.send_by_xhr(),
        Resource::EventSource => transports.eventsource,
        Resource::HtmlFile => transports.htmlfile,
        Resource::Jsonp | Resource::JsonpSend => transports.jsonp,
    }
}

impl<B> tower_service::Service<Request<B>> for Gateway
where
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    B::Data: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answer {
        self.answer(request)
    }
}

impl<B> hyper::service::Service<Request<B>> for Gateway
where
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    B::Data: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<B>) -> Answer {
        self.answer(request)
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.endpoints.iter().map(|endpoint| &endpoint.prefix)).finish()
    }
}
