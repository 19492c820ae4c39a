//! What clients ask first: which transports there are.

use serde::Serialize;

use super::config::EndpointConfig;

/// The info object (SockJS 0.3.3, info).
pub(super) fn json(config: &EndpointConfig) -> Vec<u8> {
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
