//! The TLS of a connection: the certificates that it trusts, and its own.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::error::ConnectError;

/// Settings, in PEM as the application gave it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tls {
    pub(super) roots: Option<Arc<[u8]>>,
    pub(super) identity: Option<Identity>,
}

/// The client's own certificate and its key.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) certificates: Arc<[u8]>,
    pub(super) key: Arc<[u8]>,
}

impl Tls {
    /// Whether the application has set anything.
    pub(super) fn is_set(&self) -> bool {
        self.roots.is_some() || self.identity.is_some()
    }

    /// Reads many files when the trusted certificates are the machine's.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, ConnectError> {
        let roots = match &self.roots {
            Some(pem) => given_roots(pem)
                .map_err(|source| ConnectError::Tls { setting: "trusted_roots", source })?,
            None => machine_roots().map_err(ConnectError::Roots)?,
        };
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => config.with_no_client_auth(),
            Some(identity) => identity
                .read()
                .and_then(|(chain, key)| Ok(config.with_client_auth_cert(chain, key)?))
                .map_err(|source| ConnectError::Tls { setting: "identity", source })?,
        };
        // A server that is offered more might choose HTTP/2, which WebSocket and this client don't
        // speak.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

type Fault = Box<dyn Error + Send + Sync>;

fn given_roots(pem: &[u8]) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn machine_roots() -> io::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a trusted certificate can't be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let first = found.errors.into_iter().next();
        return Err(first.map_or_else(|| io::ErrorKind::NotFound.into(), io::Error::other));
    }
    Ok(roots)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>()?;
    if found.is_empty() {
        return Err(
            "it holds no certificate in PEM, which begins -----BEGIN CERTIFICATE-----".into()
        );
    }
    Ok(found)
}

impl Identity {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Fault> {
        Ok((certificates(&self.certificates)?, PrivateKeyDer::from_pem_slice(&self.key)?))
    }
}

/// Without the key, which is secret.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}
