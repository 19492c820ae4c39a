//! The same over TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use common::apps;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use sockeye::Gateway;
use sockeye::client::rustls::crypto::ring::default_provider;
use sockeye::client::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sockeye::client::rustls::{ClientConfig, RootCertStore, ServerConfig};
use sockeye::client::{ConnectError, TransportError};
use tokio_rustls::TlsAcceptor;

use super::rig::{ALL, listen, patient, text};
use common::within;

/// An echo whose certificate is its own issuer.
async fn echo() -> (SocketAddr, CertificateDer<'static>) {
    let identity =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = identity.cert.der().clone();
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a certificate and its key");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let gateway = Gateway::new().endpoint("/app", apps::echo);
    let (listener, addr) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, gateway) = (acceptor.clone(), gateway.clone());
            tokio::spawn(async move {
                // A client that trusts nobody ends the handshake.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), gateway)
                    .with_upgrades()
                    .await;
            });
        }
    });
    (addr, certificate)
}

fn trusting(certificate: Option<CertificateDer<'static>>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if let Some(certificate) = certificate {
        roots.add(certificate).expect("a certificate");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

#[tokio::test]
async fn every_transport_works_over_tls() {
    let (addr, certificate) = echo().await;
    let builder = patient().tls(trusting(Some(certificate)));
    for transport in ALL {
        let url = format!("https://localhost:{}/app", addr.port());
        let connecting = builder.clone().transports([transport]);
        let mut connection =
            within("a connection", connecting.connect(&url)).await.expect("TLS works");
        connection.send("secret").await.expect("the session is open");
        assert_eq!(text(&mut connection).await, "secret", "{transport}");
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_an_error() {
    let (addr, _) = echo().await;
    let url = format!("https://localhost:{}/app", addr.port());
    let error = within("an error", patient().tls(trusting(None)).connect(&url))
        .await
        .expect_err("nobody is trusted");
    assert!(
        matches!(error, ConnectError::Info { source: TransportError::Connection(_), .. }),
        "{error:?}"
    );
    assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
}
