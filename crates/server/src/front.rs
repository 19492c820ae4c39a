//! The answer on each path: the gateway's endpoints, the rooms, the ICE servers, the pages, and a
//! few answers of the program's own.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde::Serialize;
use sockeye::Gateway;
use sockeye_apps::ice::Ice;
use sockeye_apps::rooms::http::RoomsSite;
use tower_service::Service;

use crate::assets::{self, Assets};
use crate::host;

/// Answers 200 and `ok` while the server serves.
const HEALTH: &str = "/healthz";
/// Answers 503 once the server drains: balancers send no more clients then.
const READY: &str = "/readyz";
/// Lists the endpoints, for the pages and other clients.
const ENDPOINTS: &str = "/endpoints.json";
/// Serves ICE servers.
const ICE: &str = "/ice";
/// Lists the rooms.
const ROOMS: &str = "/rooms";
/// One room, and the actions on rooms below it.
const ROOM: &str = "/room";
/// The files that pages load are below this path.
const STATIC: &str = "/static";

/// Whether a prefix would hide a path that the front answers itself. A page may be hidden: that is
/// a choice.
pub(crate) fn is_reserved(prefix: &str) -> bool {
    let is_below = |root: &str| {
        prefix.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    [HEALTH, READY, ENDPOINTS, ICE, ROOMS].contains(&prefix) || is_below(ROOM) || is_below(STATIC)
}

/// The whole site, as a service. Cloning it is cheap.
#[derive(Clone)]
pub(crate) struct Front {
    gateway: Gateway,
    rest: Arc<Rest>,
}

/// What is beside the gateway.
struct Rest {
    /// The same gateway, to be asked whether it drains.
    gateway: Gateway,
    site: Site,
    endpoints: Bytes,
    not_found: Bytes,
}

/// Answers beside the gateway's endpoints.
pub(crate) struct Site {
    pub(crate) assets: Assets,
    /// `None` when no endpoint has rooms.
    pub(crate) rooms: Option<RoomsSite>,
    pub(crate) ice: Ice,
}

/// The gateway's answer or one of the front's own.
pub(crate) type Answer = Response<sockeye::Body>;

type Own = Response<Bytes>;

/// An answer in the making: small, for a connection keeps room for it all its life.
pub(crate) enum Answering {
    ByGateway(<Gateway as Service<Request<Incoming>>>::Future),
    ByFront(Pin<Box<dyn Future<Output = Own> + Send>>),
}

impl Future for Answering {
    type Output = Result<Answer, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::ByGateway(answering) => answering.as_mut().poll(cx),
            Self::ByFront(answering) => {
                answering.as_mut().poll(cx).map(|answer| Ok(answer.map(Into::into)))
            }
        }
    }
}

impl Front {
    pub(crate) fn new(gateway: Gateway, site: Site, directory: &Directory) -> Self {
        let endpoints = serde_json::to_vec(&directory.endpoints)
            .expect("a list of texts has a JSON form")
            .into();
        let not_found =
            format!("Nothing is served on this path. Served paths:\n\n{directory}").into();
        let rest = Arc::new(Rest { gateway: gateway.clone(), site, endpoints, not_found });
        Self { gateway, rest }
    }
}

impl Service<Request<Incoming>> for Front {
    type Response = Answer;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Answering {
        if !host::is_right(&request) {
            return Answering::ByFront(Box::pin(std::future::ready(host::refusal())));
        }
        let path = request.uri().path();
        if self.gateway.serves(path) {
            return Answering::ByGateway(Service::call(&mut self.gateway, request));
        }
        if self.rest.site.rooms.as_ref().is_some_and(|rooms| rooms.serves(path)) {
            let rest = Arc::clone(&self.rest);
            return Answering::ByFront(Box::pin(async move {
                match &rest.site.rooms {
                    Some(rooms) => rooms.answer(request).await,
                    None => rest.answer(&request),
                }
            }));
        }
        Answering::ByFront(Box::pin(std::future::ready(self.rest.answer(&request))))
    }
}

impl Rest {
    fn answer<B>(&self, request: &Request<B>) -> Own {
        let (method, path) = (request.method(), request.uri().path());
        match path {
            HEALTH => read_only(method, || {
                own(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from_static(b"ok"))
            }),
            READY => read_only(method, || {
                let (status, text) = match self.gateway.is_draining() {
                    false => (StatusCode::OK, "ready"),
                    true => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
                };
                own(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
            }),
            ENDPOINTS => read_only(method, || {
                own(StatusCode::OK, "application/json", self.endpoints.clone())
            }),
            ICE => self.site.ice.answer(request),
            _ => self
                .site
                .assets
                .respond(method, path, request.headers())
                .unwrap_or_else(|| self.not_found(request.headers())),
        }
    }

    /// A page for a browser that goes there; the served paths for all others.
    fn not_found(&self, request: &HeaderMap) -> Own {
        let mut response = match is_navigation(request) {
            true => self.site.assets.not_found(),
            false => {
                own(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", self.not_found.clone())
            }
        };
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Sec-Fetch-Dest"));
        response
    }
}

/// Whether the answer is for a person to read: the client asks for HTML by name, and not for a
/// script that reads it. Browsers before 2023 may leave `Sec-Fetch-Dest` out.
fn is_navigation(request: &HeaderMap) -> bool {
    let is_page = match request.get("sec-fetch-dest").map(HeaderValue::as_bytes) {
        Some(destination) => [&b"document"[..], b"iframe", b"frame"].contains(&destination),
        None => true,
    };
    is_page
        && request.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|accepted| {
            accepted.split(',').any(|range| {
                let kind = range.split(';').next().unwrap_or_default();
                kind.trim().eq_ignore_ascii_case("text/html")
            })
        })
}

/// Paths of the front beside pages.
const OWN: [(&str, &str); 4] = [
    (ICE, "ICE servers"),
    (ENDPOINTS, "the list of endpoints"),
    (HEALTH, "health"),
    (READY, "readiness"),
];

/// The served paths. `Display` gives a line for each.
pub(crate) struct Directory {
    pages: Vec<String>,
    endpoints: Vec<EndpointInfo>,
}

/// An endpoint, as it is listed.
#[derive(Serialize)]
pub(crate) struct EndpointInfo {
    pub(crate) prefix: String,
    pub(crate) app: &'static str,
    /// The app's description, in a few words.
    pub(crate) about: &'static str,
    /// Seconds without another frame after which a heartbeat comes. Clients consider a connection
    /// lost when it is missing.
    pub(crate) heartbeat_delay: f64,
}

impl Directory {
    /// Of the pages and the endpoints.
    pub(crate) fn new(site: &Site, endpoints: Vec<EndpointInfo>) -> Self {
        let hidden = |page: &str| endpoints.iter().any(|endpoint| endpoint.prefix == page);
        let rooms = site.rooms.as_ref().map(|_| ROOMS);
        let pages = site
            .assets
            .pages()
            .filter(|page| !hidden(page))
            .chain(rooms)
            .map(str::to_owned)
            .collect();
        Self { pages, endpoints }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = self.pages.iter().map(|path| (path.as_str(), "page"));
        let endpoints =
            self.endpoints.iter().map(|endpoint| (endpoint.prefix.as_str(), endpoint.app));
        for (path, what) in pages.chain(endpoints).chain(OWN) {
            writeln!(f, "  {path:<16} {what}")?;
        }
        Ok(())
    }
}

fn read_only(method: &Method, answer: impl FnOnce() -> Own) -> Own {
    if method == Method::GET || method == Method::HEAD {
        answer()
    } else {
        assets::method_not_allowed()
    }
}

fn own(status: StatusCode, content_type: &'static str, body: Bytes) -> Own {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Health and the list of endpoints concern this moment and this process.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that gets a page in place of the plain answer can be a health check or a script.
    #[test]
    fn pages_are_for_browsers_that_go_there() {
        const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, destination, expected) in [
            (Some(BROWSER), Some("document"), true),
            (Some(BROWSER), Some("iframe"), true),
            (Some(BROWSER), None, true),
            (Some("application/json, TEXT/HTML;q=0.5"), None, true),
            (Some("text/html"), Some("empty"), false),
            (Some("*/*"), Some("document"), false),
            (Some("*/*"), None, false),
            (Some("text/htmlx"), None, false),
            (Some(""), None, false),
            (None, Some("document"), false),
            (None, None, false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("accept", accept), ("sec-fetch-dest", destination)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            assert_eq!(is_navigation(&headers), expected, "{accept:?} {destination:?}");
        }
    }
}
