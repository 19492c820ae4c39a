//! One prefix: an application, its configuration and its sessions.

use std::error::Error;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::config::EndpointConfig;
use super::handler::{Contained, Handler};
use super::prefix::Prefix;
use super::refusal::Refusal;
use super::registry::{Keeper, Lookup, Registry, TooManySessions};
use super::request::{Decoration, connect_info};
use super::route::{NoRoute, Resource, Route, route};
use super::short_poll;
use super::{PLAIN, headers, iframe, info, plain};
use crate::Message;
use crate::protocol::close::CloseReason;
use crate::protocol::payload;
use crate::session::{Carries, EndedBy, Inbound, Limits, Liveness, Owner, Receiver, Shared};
use crate::transport::jsonp::Callback;
use crate::transport::websocket::{Framing, Settings};
use crate::transport::{Body, PeerWatch, Source, eventsource, htmlfile, jsonp, with_status, xhr};

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
}

impl Endpoint {
    pub(super) fn new(prefix: Prefix, config: EndpointConfig, handler: Arc<dyn Handler>) -> Self {
        let registry = Arc::new(Registry::new(config.sessions));
        Self {
            prefix,
            limits: Arc::new(config.session_limits()),
            owner: Arc::new(Keeper(Arc::clone(&registry))),
            registry,
            websocket: Arc::new(Settings {
                binary: config.binary,
                payload_size: config.payload_size,
                payload: config.payload_limits(),
                read_ahead: (config.inbound_bytes, config.inbound_messages),
                linger: config.disconnect_delay,
            }),
            iframe: iframe::page(&config.client_url),
            handler,
            config,
        }
    }

    /// Answers a request whose raw path goes on with `below` after the prefix.
    pub(super) async fn answer<B>(&self, request: Request<B>, below: &str) -> Response<Body>
    where
        B: http_body::Body<Error: Into<BoxError>> + Send,
        B::Data: Send,
    {
        self.serve(request, below).await.unwrap_or_else(Into::into)
    }

    async fn serve<B>(&self, request: Request<B>, below: &str) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body<Error: Into<BoxError>> + Send,
        B::Data: Send,
    {
        let route = route(request.method(), below).map_err(|error| match error {
            NoRoute::NotFound => Refusal::NotFound,
            NoRoute::MethodNotAllowed { allow } => Refusal::MethodNotAllowed { allow },
        })?;
        Ok(match route {
            Route::Greeting if self.config.transports.raw_websocket && asks_for_websocket(request.headers()) => {
                self.upgrade(request, Framing::Raw)?
            }
            Route::Greeting => plain(StatusCode::OK, "Welcome to SockJS!\n"),
            Route::Iframe => self.iframe(request.headers()),
            Route::Info => self.info(request.headers()),
            Route::Preflight { methods } => self.preflight(request.headers(), methods),
            Route::RawWebSocket if !self.config.transports.raw_websocket => return Err(Refusal::NotFound),
            Route::RawWebSocket => self.upgrade(request, Framing::Raw)?,
            Route::Session { resource, .. } if !self.offers(resource) => return Err(Refusal::NotFound),
            Route::Session { resource: Resource::WebSocket, .. } => self.upgrade(request, Framing::SockJs)?,
            Route::Session { session, resource, .. } => self.session(request, session, resource).await,
        })
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
            with_status(StatusCode::OK, "text/html; charset=UTF-8", Body::whole(self.iframe.html.clone()))
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
        headers::cors(request, response.headers_mut());
        response
    }

    fn preflight(&self, request: &HeaderMap, methods: &'static str) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        headers::long_cache(response.headers_mut());
        headers::cors(request, response.headers_mut());
        headers::preflight(methods, response.headers_mut());
        if let Some(config) = self.config.cookies {
            headers::cookie(config, request, response.headers_mut());
        }
        response
    }

    async fn session<B>(&self, request: Request<B>, segment: &str, resource: Resource) -> Response<Body>
    where
        B: http_body::Body<Error: Into<BoxError>> + Send,
        B::Data: Send,
    {
        let decoration = Decoration::new(request.headers(), resource, self.config.cookies);
        let version = request.version();
        let mut response = match resource {
            Resource::XhrSend | Resource::JsonpSend => self.send(request, segment, resource).await,
            _ => self.receive(request, segment, resource).await,
        }
        .unwrap_or_else(Into::into);
        decoration.apply(&mut response);
        if version == Version::HTTP_10 && http_body::Body::size_hint(response.body()).exact().is_none() {
            // Without chunks the end of the connection is the only end there is, whatever the client asked for.
            *response.version_mut() = Version::HTTP_10;
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn receive<B>(
        &self,
        request: Request<B>,
        segment: &str,
        resource: Resource,
    ) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body<Error: Into<BoxError>> + Send,
        B::Data: Send,
    {
        // Before any session is touched: a request that can't be answered must open none.
        let callback = match resource {
            Resource::HtmlFile => Some(Callback::from_query(request.uri().query(), usize::MAX)?),
            Resource::Jsonp => Some(Callback::from_query(request.uri().query(), 32)?),
            _ => None,
        };
        let wait = match resource {
            Resource::Xhr if self.config.short_poll => short_poll::wait(request.uri().query())?,
            _ => None,
        };
        let (parts, body) = request.into_parts();
        // Read to its end, though nothing in it counts: hyper does not notice that a client is gone while bytes of its wait to be read.
        self.read(body).await?;
        let source = self.source(parts, segment, resource).await?;
        let limit = self.config.response_limit;
        Ok(match (resource, callback) {
            (Resource::HtmlFile, Some(callback)) => htmlfile::stream(source, &callback, limit),
            (Resource::Jsonp, Some(callback)) => jsonp::poll(source, &callback).await,
            (Resource::EventSource, _) => eventsource::stream(source, limit),
            (Resource::XhrStreaming, _) => xhr::stream(source, limit),
            _ => xhr::poll(source, wait).await,
        })
    }

    /// Attaches to the session, new or old, or says why not.
    async fn source(
        &self,
        mut parts: http::request::Parts,
        segment: &str,
        resource: Resource,
    ) -> Result<Source, Refusal> {
        let watch = parts.extensions.remove::<PeerWatch>();
        let lookup = self.registry.find_or_create(segment, |segment| {
            let info = connect_info(&mut parts, name(resource), &self.config.kept_headers);
            let (limits, owner) = (Arc::clone(&self.limits), Arc::clone(&self.owner));
            Receiver::first(Shared::new(info, Some(segment), Carries::Text, limits, owner), Liveness::Heartbeats)
        });
        // The rest of the request must not live as long as a poll waits.
        drop(parts);
        match lookup {
            Err(TooManySessions) => Err(self.too_many_sessions()),
            Ok(Lookup::Ended(reason)) => Ok(Source::Refused(reason)),
            Ok(Lookup::Created(receiver)) => {
                tokio::spawn(Contained::new(Arc::clone(&self.handler), Arc::clone(receiver.session())));
                Ok(Source::session(receiver, watch))
            }
            Ok(Lookup::Found(session)) => {
                let attached =
                    Receiver::attach(Arc::clone(&session), Liveness::Heartbeats, self.config.attach_wait).await;
                let Ok(receiver) = attached else { return Ok(Source::Refused(CloseReason::IN_USE)) };
                if session.ended_untold() {
                    // It ended while this receiver was on its way: then this is the one that is told, and nobody after it.
                    self.registry.forget(&session);
                }
                Ok(Source::session(receiver, watch))
            }
        }
    }

    async fn send<B>(&self, request: Request<B>, segment: &str, resource: Resource) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body<Error: Into<BoxError>> + Send,
        B::Data: Send,
    {
        let is_form = resource == Resource::JsonpSend && is_form(request.headers());
        // The payload comes before the session: a bad one is told also to a client whose session is gone, as sockjs-node does.
        let messages = match self.payload(request.into_body(), is_form).await {
            Ok(messages) => messages,
            Err(refusal) => {
                tracing::debug!(prefix = %self.prefix, error = %refusal, "payload refused");
                self.end_for_size(segment, &refusal);
                return Err(refusal);
            }
        };
        let session = self.registry.find(segment).ok_or(Refusal::NotFound)?;
        if !messages.is_empty() {
            self.deliver(&session, messages).await?;
        }
        Ok(match resource {
            Resource::JsonpSend => plain(StatusCode::OK, "ok"),
            _ => with_status(StatusCode::NO_CONTENT, PLAIN, Body::empty()),
        })
    }

    async fn payload<B>(&self, body: B, is_form: bool) -> Result<Vec<Message>, Refusal>
    where
        B: http_body::Body<Error: Into<BoxError>> + Send,
        B::Data: Send,
    {
        let body = self.read(body).await?;
        let limits = &self.websocket.payload;
        let parsed = if is_form { payload::parse_form(&body, limits) } else { payload::parse(&body, limits) };
        Ok(parsed?)
    }

    async fn deliver(&self, session: &Arc<Shared>, messages: Vec<Message>) -> Result<(), Refusal> {
        let (waited, limit) = (self.config.send_wait, self.config.waiting_payloads);
        match session.deliver(messages, waited, limit).await {
            Inbound::Taken => Ok(()),
            Inbound::Full => Err(Refusal::InboundFull { waited }),
            Inbound::Crowded => Err(Refusal::Crowded { limit }),
        }
    }

    /// What was refused for its size is lost, and the client will not send it again: the session must not go on as if nothing had been.
    fn end_for_size(&self, segment: &str, refusal: &Refusal) {
        let for_size = match refusal {
            Refusal::PayloadTooLarge { .. } => true,
            Refusal::Payload(error) => error.is_limit(),
            _ => false,
        };
        if for_size && let Some(session) = self.registry.find(segment) {
            session.close(CloseReason::TOO_LARGE, EndedBy::Gateway);
        }
    }

    async fn read<B>(&self, body: B) -> Result<Bytes, Refusal>
    where
        B: http_body::Body<Error: Into<BoxError>> + Send,
        B::Data: Send,
    {
        let limit = self.config.payload_size;
        let mut body = pin!(body);
        if body.size_hint().lower() <= limit as u64 {
            match Limited::new(body.as_mut(), limit).collect().await {
                Ok(body) => return Ok(body.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => {}
                Err(error) => {
                    tracing::debug!(prefix = %self.prefix, %error, "request body could not be read");
                    return Err(Refusal::BodyBroken);
                }
            }
        }
        let read = discard(body, limit.saturating_mul(DISCARDED)).await;
        Err(Refusal::PayloadTooLarge { limit, read })
    }

    pub(super) fn too_many_sessions(&self) -> Refusal {
        let limit = self.config.sessions;
        tracing::warn!(prefix = %self.prefix, sessions = limit, "session refused: the endpoint is full; raise `sessions`, or spread the load");
        Refusal::TooManySessions { limit }
    }
}

/// How many times `payload_size` is read of a body that is refused for its size.
const DISCARDED: usize = 8;

/// Reads on to the end of a refused body, up to a limit, and keeps nothing of it. True when that was the end.
///
/// Clients send first and read then: a connection closed on them while they send is reset, and their answer may be lost with it.
async fn discard<B: http_body::Body>(mut body: Pin<&mut B>, mut left: usize) -> bool {
    while body.size_hint().lower() <= left as u64 {
        match body.frame().await {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => match left.checked_sub(frame.data_ref().map_or(0, Buf::remaining)) {
                Some(rest) => left = rest,
                None => return false,
            },
        }
    }
    false
}

fn is_form(headers: &HeaderMap) -> bool {
    let essence = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

pub(super) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers::lists(headers, header::UPGRADE, "websocket")
}

/// The transport's name for logs.
fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::WebSocket => "websocket",
        Resource::Xhr | Resource::XhrSend => "xhr",
        Resource::XhrStreaming => "xhr_streaming",
        Resource::EventSource => "eventsource",
        Resource::HtmlFile => "htmlfile",
        Resource::Jsonp | Resource::JsonpSend => "jsonp",
    }
}
