//! An echo service: `cargo run --example echo`, then connect a SockJS client to
//! http://127.0.0.1:8081/echo.

use sockeye::{EndpointConfig, Gateway, Origins, Session};
use tokio::net::TcpListener;

async fn echo(mut session: Session) {
    while let Some(message) = session.recv().await {
        if session.send(message).await.is_err() {
            break;
        }
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    // An echo tells each visitor the same, so that pages of any site may use it.
    let config = EndpointConfig::new().origins(Origins::any());
    let gateway = Gateway::new().endpoint_with("/echo", config, echo);
    let listener = TcpListener::bind("127.0.0.1:8081").await?;
    println!("listening on http://{}", listener.local_addr()?);
    sockeye::serve(listener, gateway).await;
    Ok(())
}
