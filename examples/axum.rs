//! Sockeye beside other routes of an axum application: `cargo run --example axum --features axum`.
//!
//! Then connect a SockJS client to http://127.0.0.1:8081/api/echo, and open
//! http://127.0.0.1:8081/health.

use axum::Router;
use axum::routing::get;
use sockeye::{EndpointConfig, Gateway, Origins, Session};
use tokio::net::TcpListener;

/// Says who came, then sends back what it gets.
async fn echo(mut session: Session) {
    let peer = session.info().peer().map_or("somebody".to_owned(), |peer| peer.to_string());
    if session.send(format!("hello {peer}")).await.is_err() {
        return;
    }
    while let Some(message) = session.recv().await {
        if session.send(message).await.is_err() {
            break;
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let config = EndpointConfig::new().origins(Origins::any()).message_size(1024 * 1024);
    // The prefix is the full path. To be merged at the top: a nested router takes a part of the
    // path away, which SockJS does not survive.
    let gateway = Gateway::new().endpoint_with("/api/echo", config, echo);
    let app = Router::new()
        .route("/health", get(async || "ok"))
        .merge(gateway.into_axum())
        .fallback(async || (axum::http::StatusCode::NOT_FOUND, "There is nothing here.\n"));

    let listener = TcpListener::bind("127.0.0.1:8081").await?;
    println!("listening on http://{}", listener.local_addr()?);
    // `axum::serve` does as well, once it has been told of the peers' addresses and of the sockets'
    // options. This server knows, and notices at once when a client has gone.
    sockeye::serve(listener, app).await;
    Ok(())
}
