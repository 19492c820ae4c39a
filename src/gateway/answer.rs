//! Parts that answers share: their future, plain text, preflights, and the headers that an answer
//! takes from its request.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode, Version};

use super::config::EndpointConfig;
use super::headers::{self, Cors};
use super::route::Resource;
use crate::transport::{Body, with_status};

/// An answer in the making. Dropping it means that the client is gone.
///
/// Each kind has a future of its own size: a hundred thousand polls may be parked in theirs.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// An answer that waits for nothing.
pub(super) fn at_once(response: Response<Body>) -> Answer {
    Box::pin(ready(Ok(response)))
}

pub(super) const PLAIN: &str = "text/plain; charset=UTF-8";

pub(super) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    with_status(status, PLAIN, Body::whole(text))
}

/// OPTIONS where CORS wants it.
pub(super) fn preflight(
    request: &HeaderMap,
    methods: &'static str,
    config: &EndpointConfig,
) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    headers::long_cache(response.headers_mut());
    Cors::of(request, &config.origins).apply(response.headers_mut());
    headers::preflight(methods, response.headers_mut());
    if let Some(cookie) = config.cookies.and_then(|cookies| headers::cookie(cookies, request)) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// The headers that an answer of a session's resource takes from its request.
///
/// Made before the answer is: a poll waits for up to `heartbeat_delay`, and its request should not.
pub(super) struct Decoration {
    cors: Option<Cors>,
    cookie: Option<HeaderValue>,
    version: Version,
}

impl Decoration {
    pub(super) fn new<B>(
        request: &Request<B>,
        resource: Resource,
        config: &EndpointConfig,
    ) -> Self {
        let has_cors = matches!(
            resource,
            Resource::Xhr | Resource::XhrStreaming | Resource::XhrSend | Resource::EventSource
        );
        let mut cors = has_cors.then(|| Cors::of(request.headers(), &config.origins));
        let is_open = resource == Resource::EventSource && config.origins.is_any();
        if let Some(cors) = cors.as_mut().filter(|_| is_open) {
            // As sockjs-node: an EventSource of sockjs-client sends no credentials, so `*` serves a
            // page without origin.
            cors.origin.take_if(|origin| origin == "null");
        }
        let cookie = config.cookies.and_then(|cookies| headers::cookie(cookies, request.headers()));
        Self { cors, cookie, version: request.version() }
    }

    pub(super) fn apply(self, mut response: Response<Body>) -> Response<Body> {
        let headers = response.headers_mut();
        headers::no_cache(headers);
        if let Some(cors) = self.cors {
            cors.apply(headers);
        }
        if let Some(cookie) = self.cookie {
            headers.insert(header::SET_COOKIE, cookie);
        }
        if self.version == Version::HTTP_10
            && http_body::Body::size_hint(response.body()).exact().is_none()
        {
            // Without chunks the end of the connection is the only end there is, whatever the
            // client asked for.
            *response.version_mut() = Version::HTTP_10;
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
