//! HTTPS and WSS by rustls, as a listener of `sockeye::serve`: `cargo run --example tls`.
//!
//! Then connect a SockJS client to https://localhost:8443/echo. The certificate is made anew at
//! each start, and no client trusts it: give your own to `rustls_config`.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use sockeye::serve::{Connection, Establish, Listener};
use sockeye::{EndpointConfig, Gateway, Origins, SendError, Session, WatchedStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) struct Tls {
    pub(crate) listener: TcpListener,
    pub(crate) acceptor: TlsAcceptor,
}

/// A connection before its handshake.
pub(crate) struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Accepted = Accepted;

    async fn accept(&mut self) -> io::Result<Accepted> {
        let (stream, peer) = self.listener.accept().await?;
        Ok(Accepted { stream, peer, acceptor: self.acceptor.clone() })
    }
}

impl Establish for Accepted {
    /// Runs in the connection's own task, for `handshake_timeout` at most: a handshake that takes
    /// long holds up no other connection.
    async fn establish(self) -> io::Result<Connection> {
        let stream = WatchedStream::new(self.stream);
        // It sees at once that the connection below has ended.
        let watch = stream.watch();
        let stream = self.acceptor.accept(stream).await?;
        Ok(Connection::new(stream).peer(self.peer).watch(watch))
    }
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

pub(crate) fn gateway() -> Gateway {
    // An echo tells each visitor the same, so that pages of any site may use it.
    let config = EndpointConfig::new().origins(Origins::any());
    Gateway::new().endpoint_with("/echo", config, echo)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der())?;
    let acceptor = rustls_config(identity.cert.der().clone(), key)?.into();
    let listener = TcpListener::bind("127.0.0.1:8443").await?;
    println!("listening on https://localhost:{}", listener.local_addr()?.port());
    sockeye::serve(Tls { listener, acceptor }, gateway()).await;
    Ok(())
}
