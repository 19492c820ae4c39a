//! Opening the backend's WebSocket for a session.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Uri;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error as WebSocketError;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::config::UpstreamConfig;
use super::error::{ConnectError, UpstreamError};
use super::socket::{BATCH, BackendStream, Socket};
use sockeye::ConnectInfo;

pub(super) struct Connector {
    url: Uri,
    /// Scheme and authority, for logs: path and query may hold secrets.
    name: String,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    config: UpstreamConfig,
    /// Whether the last attempt succeeded, so that the log reports a change once and not per
    /// session.
    answers: AtomicBool,
}

impl Connector {
    pub(super) fn new(url: &str, config: UpstreamConfig) -> Result<Self, UpstreamError> {
        let unfit = || UpstreamError::Url(url.to_owned());
        let uri: Uri = url.parse().ok().filter(|_| !url.contains('#')).ok_or_else(unfit)?;
        let authority = uri.authority().filter(|it| !it.host().is_empty()).ok_or_else(unfit)?;
        if authority.as_str().contains('@') {
            return Err(UpstreamError::UserInfo);
        }
        let default_port = match uri.scheme_str() {
            Some("ws") => 80,
            Some("wss") => 443,
            _ => return Err(unfit()),
        };
        if let Some(header) = config.headers.iter().find(|header| !may_be_passed_on(header)) {
            return Err(UpstreamError::Header(header.clone()));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tls = match default_port {
            443 => Some((connector(&config)?, server_name(&host)?)),
            _ => None,
        };
        Ok(Self {
            name: format!("{}://{authority}", uri.scheme_str().unwrap_or_default()),
            port: authority.port_u16().unwrap_or(default_port),
            host,
            tls,
            url: uri,
            config,
            answers: AtomicBool::new(true),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn config(&self) -> &UpstreamConfig {
        &self.config
    }

    /// Opens a WebSocket to the backend with a [`request`](Self::request).
    pub(super) async fn connect(
        &self,
        request: Result<Request, WebSocketError>,
    ) -> Result<Socket, ConnectError> {
        let limit = self.config.connect_timeout;
        let connected = match tokio::time::timeout(limit, self.open(request)).await {
            Ok(connected) => connected,
            Err(_) => Err(ConnectError::TimedOut(limit)),
        };
        self.log(&connected);
        connected
    }

    async fn open(&self, request: Result<Request, WebSocketError>) -> Result<Socket, ConnectError> {
        let request = request.map_err(ConnectError::Request)?;
        let addrs: Vec<_> =
            lookup_host((&*self.host, self.port)).await.map_err(ConnectError::NoAddress)?.collect();
        let stream = TcpStream::connect(&*addrs).await.map_err(ConnectError::Down)?;
        self.prepare(&stream).map_err(ConnectError::Down)?;
        let stream: Box<dyn BackendStream> = match &self.tls {
            None => Box::new(stream),
            Some((tls, name)) => {
                Box::new(tls.connect(name.clone(), stream).await.map_err(ConnectError::Tls)?)
            }
        };
        match tokio_tungstenite::client_async_with_config(request, stream, Some(self.buffers()))
            .await
        {
            Ok((socket, _)) => Ok(socket),
            Err(WebSocketError::Http(response)) => Err(ConnectError::Refused(response.status())),
            Err(WebSocketError::Io(error)) => Err(ConnectError::Down(error)),
            Err(error) => Err(ConnectError::Handshake(error)),
        }
    }

    fn prepare(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        // The backend is not pinged: a live backend that does not read is back-pressure, and the
        // kernel detects a dead host. The range is what Linux accepts.
        let quiet =
            self.config.keepalive_delay.clamp(Duration::from_secs(1), Duration::from_secs(32_767));
        let probes = TcpKeepalive::new().with_time(quiet).with_interval(Duration::from_secs(5));
        SockRef::from(stream).set_tcp_keepalive(&probes)
    }

    fn buffers(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(4 * 1024)
            .write_buffer_size(BATCH)
            // No limit of its own: each batch is flushed before the next begins.
            .max_write_buffer_size(usize::MAX)
            .max_message_size(Some(self.config.message_size))
            .max_frame_size(Some(self.config.message_size))
    }

    /// The handshake request for a session.
    pub(super) fn request(&self, info: &ConnectInfo) -> Result<Request, WebSocketError> {
        let mut request = self.url_for(info.query())?.into_client_request()?;
        let headers = request.headers_mut();
        for name in &self.config.headers {
            let mut values =
                info.headers().filter(|(kept, _)| *kept == name).map(|(_, value)| value.clone());
            if name == header::COOKIE {
                // Over HTTP/2 a client may split the header, which HTTP/1.1 does not allow (RFC
                // 9113, the cookie header field).
                append(headers, name, joined(values, b"; "));
            } else {
                values
                    .try_for_each(|value| headers.try_append(name, value).map(drop))
                    .map_err(http::Error::from)?;
            }
        }
        let forwarded = HeaderName::from_static(FORWARDED_FOR);
        let on_the_way =
            info.headers().filter(|(kept, _)| *kept == forwarded).map(|(_, value)| value.clone());
        let client = info
            .peer()
            .and_then(|peer| HeaderValue::try_from(peer.ip().to_canonical().to_string()).ok());
        append(headers, &forwarded, joined(on_the_way.chain(client), b", "));
        append(
            headers,
            &HeaderName::from_static("x-sockeye-transport"),
            Some(HeaderValue::from_static(info.transport())),
        );
        append(
            headers,
            &HeaderName::from_static("x-sockeye-session"),
            HeaderValue::try_from(info.id().to_string()).ok(),
        );
        Ok(request)
    }

    fn url_for(&self, query: Option<&str>) -> Result<Uri, WebSocketError> {
        let Some(query) = query.filter(|query| !query.is_empty()) else {
            return Ok(self.url.clone());
        };
        let and = if self.url.query().is_some() { '&' } else { '?' };
        let target =
            format!("{}{and}{query}", self.url.path_and_query().map_or("/", PathAndQuery::as_str));
        let mut parts = self.url.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(http::Error::from)?);
        Ok(Uri::from_parts(parts).map_err(http::Error::from)?)
    }

    fn log(&self, connected: &Result<Socket, ConnectError>) {
        match connected {
            Ok(_) | Err(ConnectError::Refused(_) | ConnectError::Request(_)) => {
                if !self.answers.swap(true, Ordering::Relaxed) {
                    tracing::info!(backend = self.name, "the backend answers again");
                }
            }
            Err(error) => {
                if self.answers.swap(false, Ordering::Relaxed) {
                    let error = error as &(dyn std::error::Error + 'static);
                    tracing::warn!(
                        backend = self.name,
                        error,
                        "no connection to the backend; until there is one, sessions close with 1011"
                    );
                }
            }
        }
    }
}

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Excludes handshake headers, connection-specific headers (RFC 9110), and the gateway's own.
fn may_be_passed_on(name: &HeaderName) -> bool {
    let name = name.as_str();
    let ours = name == FORWARDED_FOR || name.starts_with("x-sockeye-");
    let hop = [
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    !(ours
        || hop.contains(&name)
        || name.starts_with("sec-websocket-")
        || name.starts_with("proxy-"))
}

fn joined(values: impl Iterator<Item = HeaderValue>, separator: &[u8]) -> Option<HeaderValue> {
    let values: Vec<HeaderValue> = values.collect();
    let bytes: Vec<&[u8]> = values.iter().map(HeaderValue::as_bytes).collect();
    // Header values joined by spaces and punctuation are a valid header value.
    if bytes.is_empty() { None } else { HeaderValue::from_bytes(&bytes.join(separator)).ok() }
}

fn append(headers: &mut HeaderMap, name: &HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.append(name, value);
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, UpstreamError> {
    ServerName::try_from(host.to_owned())
        .map_err(|source| UpstreamError::Host { host: host.to_owned(), source: source.into() })
}

fn connector(config: &UpstreamConfig) -> Result<TlsConnector, UpstreamError> {
    let unfit = |error: rustls::Error| UpstreamError::Tls(error.into());
    let mut roots = RootCertStore::empty();
    match &config.ca_file {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(unfit)?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            for error in found.errors {
                tracing::warn!(%error, "a system certificate can't be read");
            }
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err(UpstreamError::NoAuthorities);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut client = client.map_err(unfit)?.with_root_certificates(roots).with_no_client_auth();
    // A proxy in front of the backend may speak HTTP/2 as well, and must not choose it.
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(client)))
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, UpstreamError> {
    let unreadable =
        |error: pem::Error| UpstreamError::CaFile { path: path.clone(), source: error.into() };
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    if certificates.is_empty() {
        Err(unreadable(pem::Error::NoItemsFound))
    } else {
        Ok(certificates)
    }
}
