//! What clients ask first: which transports there are.

use serde_json::json;

use super::config::EndpointConfig;

/// The info object (SockJS 0.3.3, info).
pub(super) fn json(config: &EndpointConfig) -> String {
    let mut info = json!({
        "websocket": config.transports.websocket,
        // Historical: always this, whatever the origins.
        "origins": ["*:*"],
        "cookie_needed": config.cookies.is_some(),
        "entropy": rand::random::<u32>(),
    });
    if let Some(base_url) = &config.base_url {
        info["base_url"] = json!(base_url);
    }
    info.to_string()
}
