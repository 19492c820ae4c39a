//! A gateway behind a socket.

use std::net::{Ipv4Addr, SocketAddr};

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use sockeye::Gateway;
use tokio::net::TcpListener;

/// Serves the gateway on a loopback port for as long as the test's runtime lives.
pub(crate) async fn serve(gateway: Gateway) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket has an address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("connections can be accepted");
            stream.set_nodelay(true).expect("the socket is fresh");
            let connection =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), gateway.clone());
            tokio::spawn(connection.with_upgrades());
        }
    });
    addr
}
