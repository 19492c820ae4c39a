//! One prefix: an application, its configuration and its sessions.

use std::error::Error;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};

use super::config::EndpointConfig;
use super::exchange::Exchange;
use super::handler::Handler;
use super::headers::Cors;
use super::prefix::Prefix;
use super::refusal::Refusal;
use super::registry::{Keeper, NoRoom, Registry};
use super::route::{NoRoute, Resource, Route, route};
use super::{headers, iframe, info, plain};
use crate::session::{Limits, Owner};
use crate::tally::Tally;
use crate::transport::websocket::{Framing, Settings};
use crate::transport::{Body, with_status};

/// What the gateway needs of a request's body.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

pub(super) struct Endpoint {
    pub(super) prefix: Prefix,
    pub(super) config: EndpointConfig,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) limits: Arc<Limits>,
    pub(super) registry: Arc<Registry>,
    pub(super) owner: Arc<dyn Owner>,
    pub(super) websocket: Arc<Settings>,
    iframe: iframe::Page,
    /// Clients come again, and a full endpoint has better things to do than to write ten thousand
    /// lines.
    refused: Tally<()>,
}

impl Endpoint {
    pub(super) fn new(prefix: Prefix, config: EndpointConfig, handler: Arc<dyn Handler>) -> Self {
        let registry =
            Arc::new(Registry::new(config.sessions, config.memory(), config.budget.clone()));
        Self {
            limits: Arc::new(config.session_limits()),
            owner: Arc::new(Keeper(Arc::clone(&registry))),
            registry,
            websocket: Arc::new(Settings {
                binary: config.binary,
                payload_size: config.payload_size,
                payload: config.payload_limits(),
                read_ahead: config.read_ahead(),
                patience: config.patience(),
            }),
            iframe: iframe::page(&config.client_url),
            refused: report(prefix.clone(), config.sessions),
            prefix,
            handler,
            config,
        }
    }

    /// Begins to answer a request whose raw path goes on with `below` after the prefix.
    pub(super) fn begin<B>(self: &Arc<Self>, request: Request<B>, below: &str) -> Exchange<B>
    where
        B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
        B::Data: Send,
    {
        self.serve(request, below).unwrap_or_else(|refusal| Exchange::answered(refusal.into()))
    }

    fn serve<B>(self: &Arc<Self>, request: Request<B>, below: &str) -> Result<Exchange<B>, Refusal>
    where
        B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
        B::Data: Send,
    {
        let route = route(request.method(), below).map_err(|error| match error {
            NoRoute::NotFound => Refusal::NotFound,
            NoRoute::MethodNotAllowed { allow } => Refusal::MethodNotAllowed { allow },
        })?;
        let response = match route {
            Route::Greeting
                if self.config.transports.raw_websocket
                    && asks_for_websocket(request.headers()) =>
            {
                self.upgrade(request, Framing::Raw)?
            }
            Route::Greeting => plain(StatusCode::OK, "Welcome to SockJS!\n"),
            Route::Iframe => self.iframe(request.headers()),
            Route::Info => self.info(request.headers()),
            Route::Preflight { methods } => self.preflight(request.headers(), methods),
            Route::RawWebSocket if !self.config.transports.raw_websocket => {
                return Err(Refusal::NotFound);
            }
            Route::RawWebSocket => self.upgrade(request, Framing::Raw)?,
            Route::Session { resource, .. } if !self.offers(resource) => {
                return Err(Refusal::NotFound);
            }
            Route::Session { resource: Resource::WebSocket, .. } => {
                self.upgrade(request, Framing::SockJs)?
            }
            Route::Session { session, resource, .. } => {
                return Ok(Exchange::begin(self, request, session, resource));
            }
        };
        Ok(Exchange::answered(response))
    }

    fn offers(&self, resource: Resource) -> bool {
        let transports = self.config.transports;
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

    fn iframe(&self, request: &HeaderMap) -> Response<Body> {
        let mut response = if headers::matches(request, &self.iframe.tag) {
            let mut unchanged = Response::new(Body::empty());
            *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
            unchanged
        } else {
            with_status(
                StatusCode::OK,
                "text/html; charset=UTF-8",
                Body::whole(self.iframe.html.clone()),
            )
        };
        headers::long_cache(response.headers_mut());
        // The tag is made of hexadecimal digits in quotes.
        if let Ok(tag) = HeaderValue::from_str(&self.iframe.tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }

    fn info(&self, request: &HeaderMap) -> Response<Body> {
        let body = Body::whole(info::json(&self.config));
        let mut response = with_status(StatusCode::OK, "application/json; charset=UTF-8", body);
        headers::no_cache(response.headers_mut());
        Cors::of(request).apply(response.headers_mut());
        response
    }

    fn preflight(&self, request: &HeaderMap, methods: &'static str) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        headers::long_cache(response.headers_mut());
        Cors::of(request).apply(response.headers_mut());
        headers::preflight(methods, response.headers_mut());
        if let Some(cookie) =
            self.config.cookies.and_then(|config| headers::cookie(config, request))
        {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }

    pub(super) fn no_room(&self, no_room: NoRoom) -> Refusal {
        match no_room {
            NoRoom::Sessions => {
                self.refused.add(1, ());
                Refusal::TooManySessions { limit: self.config.sessions }
            }
            NoRoom::Memory => {
                self.config.budget.tell_refused();
                Refusal::MemoryShort
            }
        }
    }
}

fn report(prefix: Prefix, sessions: usize) -> Tally<()> {
    Tally::new(move |refused, ()| {
        tracing::warn!(%prefix, sessions, refused, "sessions refused: the endpoint is full; raise `sessions`, or spread the load");
    })
}

pub(super) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers::lists(headers, header::UPGRADE, "websocket")
}
