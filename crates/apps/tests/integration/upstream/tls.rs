//! A backend behind TLS, with certificates of an authority that the tests make.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sockeye::EndpointConfig;
use sockeye_apps::{Upstream, UpstreamConfig, UpstreamError};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, crypto::ring};
use tokio_rustls::server::TlsStream;

use super::backend::{PREFIX, accept, gateway, listener};
use common::client::Client;
use common::transport::Transport;
use common::within;

/// A certificate authority, and a server with a certificate of its.
struct Authority {
    file: PathBuf,
    server: TlsAcceptor,
}

impl Authority {
    /// `name` tells the files of concurrent tests apart.
    fn new(name: &str, host: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("upstream-{name}.pem"));
        std::fs::write(&file, certificate.pem()).expect("a file for the test");

        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new([host.to_owned()])
            .expect("a name")
            .signed_by(&key, &issuer)
            .expect("signed");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("they fit");
        Self { file, server: TlsAcceptor::from(Arc::new(config)) }
    }

    async fn accept(&self, listener: &TcpListener) -> std::io::Result<TlsStream<TcpStream>> {
        self.server.accept(listener.accept().await?.0).await
    }

    fn trusted(&self) -> UpstreamConfig {
        UpstreamConfig::new().ca_file(self.file.clone())
    }
}

async fn serve(host: &str, at: SocketAddr, config: UpstreamConfig) -> SocketAddr {
    gateway(&format!("wss://{host}:{}/secure", at.port()), config, EndpointConfig::default()).await
}

#[tokio::test]
async fn messages_travel_over_tls() {
    for (name, host) in [("name", "localhost"), ("address", "127.0.0.1")] {
        let authority = Authority::new(name, host);
        let (listener, at) = listener().await;
        let addr = serve(host, at, authority.trusted()).await;
        let serving = async { accept(authority.accept(&listener).await.expect("TLS")).await };
        let (mut client, mut backend) =
            tokio::join!(Client::open(addr, PREFIX, Transport::RawWebSocket), serving);
        assert_eq!(backend.request.uri(), "/secure");
        client.send(&["in"]).await;
        assert_eq!(backend.message().await, "in");
        let long = "out".repeat(100_000);
        let sending = async { backend.send(&long).await };
        let (heard, ()) = tokio::join!(client.message(), sending);
        assert_eq!(heard, long);
        client.leave(4001, "bye").await;
        assert_eq!(backend.closed().await, (4001, "bye".to_owned()));
    }
}

/// Certificates of another authority or for another host, or no TLS at all.
#[tokio::test]
async fn a_backend_that_is_not_who_it_should_be_is_not_spoken_to() {
    let (right, wrong) =
        (Authority::new("right", "localhost"), Authority::new("wrong", "localhost"));
    for (host, config, speaks_tls) in [
        ("localhost", wrong.trusted(), true),
        ("127.0.0.1", right.trusted(), true),
        ("localhost", right.trusted(), false),
    ] {
        let (listener, at) = listener().await;
        let addr = serve(host, at, config).await;
        let backend = async {
            if speaks_tls {
                let refused = within("an attempt", right.accept(&listener)).await;
                assert!(refused.is_err(), "the gateway does not go on");
            } else {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let _ = tokio::io::AsyncWriteExt::write_all(
                    &mut stream,
                    b"HTTP/1.1 400 Bad Request\r\n\r\n",
                )
                .await;
            }
        };
        let (mut client, ()) = tokio::join!(Client::open(addr, PREFIX, Transport::Xhr), backend);
        assert_eq!(client.closed().await, (1011, "backend down: TLS failed".to_owned()));
    }
}

#[test]
fn certificates_that_can_not_be_trusted_are_refused_with_a_remedy() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let missing = folder.join("no-such-file.pem");
    let empty = folder.join("upstream-empty.pem");
    std::fs::write(&empty, "no certificate\n").expect("a file for the test");
    for file in [missing, empty] {
        let config = UpstreamConfig::default().ca_file(file.clone());
        let error = Upstream::new("wss://localhost", config).expect_err("no authority to trust");
        assert!(matches!(&error, UpstreamError::CaFile { path, .. } if *path == file), "{error}");
        assert!(error.to_string().ends_with("which `ca_file` names"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
    let error =
        Upstream::new("wss://-", UpstreamConfig::default()).expect_err("no host of a certificate");
    assert!(matches!(error, UpstreamError::Host { .. } | UpstreamError::NoAuthorities), "{error}");
}
