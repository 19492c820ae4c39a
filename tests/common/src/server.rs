//! A gateway behind a socket.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use sockeye::{Body, Gateway};
use tokio::net::TcpListener;
use tower_service::Service;

/// Serves the gateway on a loopback port for as long as the test's runtime lives, in the way that
/// is recommended.
pub async fn serve(gateway: Gateway) -> SocketAddr {
    serve_service(gateway).await
}

/// The same, for what has been put around a gateway.
pub async fn serve_service<S>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    let (listener, addr) = listen().await;
    tokio::spawn(sockeye::serve(listener, service).into_future());
    addr
}

/// Serves the gateway with hyper and nothing else.
pub async fn serve_plainly(gateway: Gateway) -> SocketAddr {
    let (listener, addr) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("connections can be accepted");
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), gateway.clone());
            tokio::spawn(connection.with_upgrades());
        }
    });
    addr
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket has an address");
    (listener, addr)
}
