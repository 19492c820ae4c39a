//! An echo service on hyper alone: `cargo run --example echo`, then connect a SockJS client to
//! http://127.0.0.1:8081/echo.

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use sockeye::{Gateway, PeerAddr, Session};
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
    let gateway = Gateway::new().endpoint("/echo", echo);
    let listener = TcpListener::bind("127.0.0.1:8081").await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        // A message leaves when it is sent. Without this the second of two waits for the client to
        // acknowledge the first, for 40 ms. An error means that the client has gone already.
        let _ = stream.set_nodelay(true);
        let gateway = gateway.clone();
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |mut request| {
                request.extensions_mut().insert(PeerAddr(peer));
                hyper::service::Service::call(&gateway, request)
            });
            // An error here is a client's: it went, or spoke no HTTP.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
        });
    }
}
