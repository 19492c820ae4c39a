//! A server that stops without cutting anybody off, under `axum::serve`: `cargo run --example drain
//! --features axum`.
//!
//! Connect SockJS clients to http://127.0.0.1:8081/echo, then press Ctrl-C: each is closed with 1001,
//! and the program tells how many were.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::ListenerExt;
use sockeye::{DrainConfig, Drained, Gateway, SendError, Session};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

async fn echo(mut session: Session) -> Result<(), SendError> {
    // `None` when the session has ended, as by a drain: handlers end by themselves.
    while let Some(message) = session.recv().await {
        session.send(message).await?;
    }
    Ok(())
}

pub(crate) async fn serve(
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<Drained> {
    let gateway = Gateway::new().endpoint("/echo", echo);
    let asked = gateway.clone();
    let ready = async move || match asked.is_draining() {
        false => (StatusCode::OK, "ready"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
    };
    let app = Router::new().route("/readyz", get(ready)).merge(gateway.clone().into_axum());

    let (tell, drained) = oneshot::channel();
    // A frame must not wait for the acknowledgement of the one before.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    // The server listens until this future resolves: a client between two polls must come back to be
    // told. Without the drain, a poll or a stream that waits would hold the shutdown up for ever.
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move {
            stop.await;
            // The receiver is there: it waits for the server.
            let _ = tell.send(gateway.drain(DrainConfig::default()).await);
        })
        .await?;
    Ok(drained.await.unwrap_or_default())
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8081").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let drained = serve(listener, async { drop(tokio::signal::ctrl_c().await) }).await?;
    println!("{} clients were told, {} were not", drained.told, drained.untold);
    Ok(())
}
