//! The endpoints, for the example and for the tests of the protocol.

use std::time::Duration;

use sockeye::hub::{Hub, Topic};
use sockeye::{CookieConfig, EndpointConfig, Gateway, Origins, Session, Transports};

/// A gateway with the endpoints of the public SockJS test suites. `client_url` is where the iframe
/// page loads sockjs-client from.
pub(crate) fn gateway(client_url: &str) -> Gateway {
    let config = EndpointConfig::default()
        // The suites' pages, and their clients, come from anywhere.
        .origins(Origins::any())
        // Small, so that a test can reach it.
        .response_limit(4096)
        .message_size(MEBIBYTE)
        // A message may need six bytes of JSON for each byte of text.
        .payload_size(7 * MEBIBYTE)
        .client_url(client_url);
    let without_websocket = config.clone().transports(Transports::HTTP);
    let with_cookies = config.clone().cookies(CookieConfig::default());
    let with_subprotocols = config.clone().subprotocols(["v1.echo", "v2.echo"]);
    let all = Hub::new().topic("broadcast");
    Gateway::new()
        .endpoint_with("/echo", config.clone(), echo)
        .endpoint_with("/disabled_websocket_echo", without_websocket, echo)
        .endpoint_with("/cookie_needed_echo", with_cookies, echo)
        .endpoint_with("/close", config.clone(), async |session: Session| {
            session.close((3000, "Go away!"))
        })
        .endpoint_with("/broadcast", config.clone(), move |session| broadcast(session, all.clone()))
        .endpoint_with("/amplify", config.clone(), amplify)
        .endpoint_with("/ticker", config, ticker)
        .endpoint_with("/subprotocol", with_subprotocols, subprotocol)
}

const MEBIBYTE: usize = 1024 * 1024;

async fn echo(mut session: Session) {
    while let Some(message) = session.recv().await {
        if session.send(message).await.is_err() {
            break;
        }
    }
}

async fn broadcast(mut session: Session, all: Topic) {
    let _subscription = all.subscribe(session.sender());
    while let Some(message) = session.recv().await {
        all.publish(message);
    }
}

/// Answers a number n below 20 with 2ⁿ times `x`; what is no such number counts as 1.
async fn amplify(mut session: Session) {
    while let Some(message) = session.recv().await {
        let power = message
            .as_text()
            .and_then(|text| text.trim().parse::<u32>().ok())
            .filter(|power| *power < 20)
            .unwrap_or(1);
        if session.send("x".repeat(1 << power)).await.is_err() {
            break;
        }
    }
}

/// Sends `tick!` each second.
async fn ticker(mut session: Session) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            message = session.recv() => if message.is_none() { break },
            _ = ticks.tick() => if session.send("tick!").await.is_err() { break },
        }
    }
}

async fn subprotocol(session: Session) {
    let name = session.info().subprotocol().unwrap_or("none").to_owned();
    if session.send(name).await.is_ok() {
        session.ended().await;
    }
}
