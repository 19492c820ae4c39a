//! HTTPS and WSS by rustls, on an accept loop of its own: `cargo run --example tls`.
//!
//! Then connect a SockJS client to https://localhost:8443/echo. The certificate is made anew at
//! each start, and no client trusts it: give your own to `rustls_config`.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use sockeye::{Gateway, PeerAddr, SendError, Session, WatchedStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Accepts connections for as long as the program runs.
pub(crate) async fn serve(listener: TcpListener, acceptor: TlsAcceptor) -> io::Result<()> {
    let gateway = Gateway::new().endpoint("/echo", echo);
    loop {
        let (stream, peer) = listener.accept().await?;
        // In a task of its own: a handshake that takes long holds up no other connection.
        tokio::spawn(serve_one(stream, peer, acceptor.clone(), gateway.clone()));
    }
}

/// An error is a client's: it went, trusts no such certificate, or spoke no HTTP.
async fn serve_one(
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: TlsAcceptor,
    gateway: Gateway,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    // A message leaves when it is sent.
    stream.set_nodelay(true)?;
    let stream = WatchedStream::new(stream);
    // It sees at once that the connection below has ended.
    let watch = stream.watch();
    let stream = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await??;
    let service = service_fn(move |mut request| {
        request.extensions_mut().insert(PeerAddr(peer));
        request.extensions_mut().insert(watch.clone());
        gateway.call(request)
    });
    let mut http = http1::Builder::new();
    // A client that asks nothing is closed after 30 s.
    http.timer(TokioTimer::new()).half_close(true);
    http.serve_connection(TokioIo::new(stream), service).with_upgrades().await?;
    Ok(())
}

pub(crate) fn rustls_config(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, Box<dyn Error>> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Arc::new(config))
}

async fn echo(mut session: Session) -> Result<(), SendError> {
    while let Some(message) = session.recv().await {
        session.send(message).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der())?;
    let config = rustls_config(identity.cert.der().clone(), key)?;
    let listener = TcpListener::bind("127.0.0.1:8443").await?;
    println!("listening on https://localhost:{}", listener.local_addr()?.port());
    serve(listener, config.into()).await?;
    Ok(())
}
