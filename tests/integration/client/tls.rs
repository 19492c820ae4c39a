//! The same over TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use common::apps;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, KeyPair};
use sockeye::Gateway;
use sockeye::client::{ConnectError, TransportError};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::rig::{ALL, listen, patient, text};
use common::within;

/// A certificate that is its own issuer, and its key.
fn identity() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate")
}

/// An echo, and its certificate in PEM. It may ask clients for theirs.
async fn echo(clients: Option<&CertifiedKey<KeyPair>>) -> (SocketAddr, String) {
    let own = identity();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(client.cert.der().clone()).expect("a certificate");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            config.with_client_cert_verifier(verifier.build().expect("a root"))
        }
    };
    let config = config
        .with_single_cert(vec![own.cert.der().clone()], key)
        .expect("a certificate and its key");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let gateway = Gateway::new().endpoint("/app", apps::echo);
    let (listener, addr) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, gateway) = (acceptor.clone(), gateway.clone());
            tokio::spawn(async move {
                // A client without a trusted root ends the handshake.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), gateway)
                    .with_upgrades()
                    .await;
            });
        }
    });
    (addr, own.cert.pem())
}

#[tokio::test]
async fn every_transport_works_over_tls() {
    let (addr, certificate) = echo(None).await;
    let builder = patient().trusted_roots(certificate);
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
    let (addr, _) = echo(None).await;
    let url = format!("https://localhost:{}/app", addr.port());
    let builder = patient().trusted_roots(identity().cert.pem());
    let error = within("an error", builder.connect(&url)).await.expect_err("another is trusted");
    assert!(
        matches!(error, ConnectError::Info { source: TransportError::Connection(_), .. }),
        "{error:?}"
    );
    assert!(format!("{error:?}").contains("InvalidCertificate"), "{error:?}");
}

/// A gateway among services that know each other by their certificates.
#[tokio::test]
async fn a_server_may_ask_for_the_client_s_certificate() {
    let own = identity();
    let (addr, certificate) = echo(Some(&own)).await;
    let url = format!("https://localhost:{}/app", addr.port());
    let nameless = patient().trusted_roots(certificate);
    within("an error", nameless.connect(&url)).await.expect_err("the server wants a name");
    let known = nameless.identity(own.cert.pem(), own.signing_key.serialize_pem());
    for transport in ALL {
        let connecting = known.clone().transports([transport]);
        let mut connection =
            within("a connection", connecting.connect(&url)).await.expect("TLS works");
        connection.send("secret").await.expect("the session is open");
        assert_eq!(text(&mut connection).await, "secret", "{transport}");
    }
    assert!(!format!("{known:?}").contains("PRIVATE"), "the key stays secret");
}

#[tokio::test]
async fn pem_that_can_t_be_used_is_named_by_its_setting() {
    let (own, other) = (identity(), identity());
    let (pem, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let cut = pem.replace("-----END", "---");
    let wrong_key = other.signing_key.serialize_pem();
    for (builder, expected) in [
        (patient().trusted_roots(""), "trusted_roots"),
        (patient().trusted_roots(&key), "trusted_roots"),
        (patient().trusted_roots(&cut), "trusted_roots"),
        (patient().identity("", &key), "identity"),
        (patient().identity(&pem, ""), "identity"),
        (patient().identity(&pem, wrong_key), "identity"),
    ] {
        let builder = match expected {
            "identity" => builder.trusted_roots(&pem),
            _ => builder,
        };
        // The URL of no server: settings are read first.
        let connecting = builder.connect("https://localhost:1/app");
        let error = within("an error", connecting).await.expect_err("it is no PEM");
        let ConnectError::Tls { setting, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*setting, expected);
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!((error.status(), error.close_reason()), (None, None));
    }
}
