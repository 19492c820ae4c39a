//! The info object, which clients ask for first: it tells them which transports there are.

use http::header::HeaderMap;
use http::{Response, StatusCode};
use serde::Serialize;

use super::config::EndpointConfig;
use super::headers::{self, Cors};
use crate::transport::{Body, with_status};

/// The info object (SockJS 0.3.3, info).
pub(super) fn answer(config: &EndpointConfig, request: &HeaderMap) -> Response<Body> {
    let body = Body::whole(json(config));
    let mut response = with_status(StatusCode::OK, "application/json; charset=UTF-8", body);
    headers::no_cache(response.headers_mut());
    Cors::of(request, &config.origins).apply(response.headers_mut());
    response
}

fn json(config: &EndpointConfig) -> Vec<u8> {
    let info = Info {
        websocket: config.transports.websocket,
        origins: ["*:*"],
        cookie_needed: config.cookies.is_some(),
        entropy: rand::random(),
        base_url: config.base_url.as_deref(),
    };
    serde_json::to_vec(&info).expect("texts, numbers and truths have a JSON form")
}

#[derive(Serialize)]
struct Info<'c> {
    websocket: bool,
    /// Historical: always the same, whatever the origins.
    origins: [&'static str; 1],
    cookie_needed: bool,
    entropy: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_url: Option<&'c str>,
}
