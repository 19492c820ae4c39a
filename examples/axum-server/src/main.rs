//! HTTPS and WSS by the crate axum-server: `cargo run` in this folder.
//!
//! Then connect a SockJS client to https://localhost:8443/echo. The certificate is made anew at
//! each start, and no client trusts it.

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use sockeye::{Gateway, SendError, Session};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

async fn echo(mut session: Session) -> Result<(), SendError> {
    while let Some(message) = session.recv().await {
        session.send(message).await?;
    }
    Ok(())
}

async fn serve(
    listener: TcpListener,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    // Without h2, over which browsers would open no WebSocket here.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let app: Router = Gateway::new().endpoint("/echo", echo).into_axum();
    listener.set_nonblocking(true)?;
    axum_server::from_tcp_rustls(listener, RustlsConfig::from_config(Arc::new(config)))?
        // The handler finds the client's address in `session.info().peer()`.
        .serve(app.into_make_service_with_connect_info::<SocketAddr>())
        .await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der())?;
    let listener = TcpListener::bind("127.0.0.1:8443")?;
    println!("listening on https://localhost:{}", listener.local_addr()?.port());
    serve(listener, identity.cert.der().clone(), key).await
}

#[cfg(test)]
mod tests {
    use sockeye::client::{Client, Transport};

    use super::*;

    #[tokio::test]
    async fn every_transport_gets_through() -> Result<(), Box<dyn Error + Send + Sync>> {
        let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let certificate = identity.cert.der().clone();
        let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der())?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("https://localhost:{}/echo", listener.local_addr()?.port());
        tokio::spawn(async move { serve(listener, certificate, key).await });

        let builder = Client::builder().trusted_roots(identity.cert.pem());
        for transport in Transport::DEFAULT {
            let mut connection = builder.clone().transports([transport]).connect(&url).await?;
            connection.send("secret").await?;
            let answer = connection.recv().await.expect("the server echoes");
            assert_eq!(answer, "secret", "{transport}");
        }
        Ok(())
    }
}
