//! What the binary answers on each path: the gateway's endpoints, the pages, and a few answers of its own.

use std::convert::Infallible;
use std::fmt;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use serde::Serialize;
use sockeye::Gateway;

use crate::assets::{self, Assets};

/// Answers 200 and `ok` for as long as the server serves.
const HEALTH: &str = "/healthz";
/// Lists the endpoints, for the pages and for whoever asks.
const ENDPOINTS: &str = "/endpoints.json";
/// All that the pages load is below this path.
const STATIC: &str = "/static";

/// Whether a prefix would hide a path that the front answers itself. A page may be hidden: that is a choice.
pub(crate) fn is_reserved(prefix: &str) -> bool {
    prefix == HEALTH || prefix == ENDPOINTS || prefix == STATIC || prefix.starts_with("/static/")
}

/// The whole site.
pub(crate) struct Front {
    gateway: Gateway,
    assets: Assets,
    endpoints: Bytes,
    not_found: Bytes,
}

/// The gateway's answer or one of the front's own.
pub(crate) type Answer = Response<Either<sockeye::Body, Full<Bytes>>>;

type Own = Response<Full<Bytes>>;

impl Front {
    pub(crate) fn new(gateway: Gateway, assets: Assets, directory: &Directory) -> Self {
        let endpoints = serde_json::to_vec(&directory.endpoints).expect("a list of texts has a JSON form").into();
        let not_found = format!("Nothing is served on this path. What is:\n\n{directory}").into();
        Self { gateway, assets, endpoints, not_found }
    }

    /// Answers a request; the error is for hyper's eyes only.
    pub(crate) async fn handle(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        if self.gateway.serves(request.uri().path()) {
            return Ok(self.gateway.handle(request).await.map(Either::Left));
        }
        Ok(self.answer(&request).map(Either::Right))
    }

    fn answer<B>(&self, request: &Request<B>) -> Own {
        let (method, path) = (request.method(), request.uri().path());
        match path {
            HEALTH => read_only(method, || own(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from_static(b"ok"))),
            ENDPOINTS => read_only(method, || own(StatusCode::OK, "application/json", self.endpoints.clone())),
            _ => self.assets.respond(method, path, request.headers()).unwrap_or_else(|| self.not_found()),
        }
    }

    fn not_found(&self) -> Own {
        own(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", self.not_found.clone())
    }
}

/// What is served where. It is displayed as a line for each path.
pub(crate) struct Directory {
    pages: Vec<String>,
    endpoints: Vec<EndpointInfo>,
}

#[derive(Serialize)]
struct EndpointInfo {
    prefix: String,
    app: &'static str,
}

impl Directory {
    /// Of the pages, and of endpoints given as prefix and name of the app.
    pub(crate) fn new<'e>(assets: &Assets, endpoints: impl Iterator<Item = (&'e str, &'static str)>) -> Self {
        let endpoints: Vec<_> =
            endpoints.map(|(prefix, app)| EndpointInfo { prefix: prefix.to_owned(), app }).collect();
        let hidden = |page: &str| endpoints.iter().any(|endpoint| endpoint.prefix == page);
        let pages = assets.pages().filter(|page| !hidden(page)).map(str::to_owned).collect();
        Self { pages, endpoints }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = self.pages.iter().map(|path| (path.as_str(), "page"));
        let endpoints = self.endpoints.iter().map(|endpoint| (endpoint.prefix.as_str(), endpoint.app));
        for (path, what) in pages.chain(endpoints).chain([(ENDPOINTS, "the list of endpoints"), (HEALTH, "health")]) {
            writeln!(f, "  {path:<16} {what}")?;
        }
        Ok(())
    }
}

fn read_only(method: &Method, answer: impl FnOnce() -> Own) -> Own {
    if method == Method::GET || method == Method::HEAD { answer() } else { assets::method_not_allowed() }
}

fn own(status: StatusCode, content_type: &'static str, body: Bytes) -> Own {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Health and the list of endpoints tell of this moment and this process.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
