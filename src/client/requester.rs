//! Connections to a server, plain or TLS, and the requests over them.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Scheme;
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::error::TransportError;
use super::silence::Pulse;
use super::url::{Origin, port};

/// Below the keep-alive time of common servers (Node's 5 s is the shortest): a request over a
/// connection that the server is just closing would fail, and can't be repeated, because the client
/// can't know whether it was served.
const IDLE: Duration = Duration::from_secs(3);

/// One connection receives while another sends.
const IDLE_CONNECTIONS: usize = 2;

/// Cookies kept for load balancers; more than these are not.
const COOKIES: usize = 32;
const COOKIE_SIZE: usize = 4096;

/// Makes the requests of one connection to an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Requester {
    http: legacy::Client<Connector, Full<Bytes>>,
    connector: Connector,
    headers: Arc<HeaderMap>,
    /// The origin that is shown cookies and credentials.
    origin: Origin,
    cookies: Arc<Mutex<Cookies>>,
}

impl Requester {
    pub(super) fn new(connector: Connector, headers: Arc<HeaderMap>, origin: Origin) -> Self {
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector.clone());
        Self { http, connector, headers, origin, cookies: Arc::default() }
    }

    pub(super) async fn request(
        &self,
        method: Method,
        uri: &Uri,
        headers: &[(HeaderName, &'static str)],
        body: Bytes,
    ) -> Result<Response<Incoming>, TransportError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri.clone();
        for (name, value) in headers {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        self.add_headers(uri, request.headers_mut());
        let response = self
            .http
            .request(request)
            .await
            .map_err(|error| TransportError::Connection(Box::new(error)))?;
        self.keep_cookies(uri, response.headers());
        Ok(response)
    }

    /// A connection of its own, for a WebSocket.
    pub(super) async fn connect(&self, uri: &Uri) -> Result<Stream, TransportError> {
        self.connector
            .connect(uri)
            .await
            .map_err(|error| TransportError::Connection(Box::new(error)))
    }

    /// Adds the application's headers and the server's cookies. Another origin, to which a
    /// `base_url` may lead, gets no credentials.
    pub(super) fn add_headers(&self, uri: &Uri, headers: &mut HeaderMap) {
        let same_origin = self.origin.is_of(uri);
        for (name, value) in self.headers.iter() {
            if same_origin || !is_credential(name, value) {
                headers.append(name, value.clone());
            }
        }
        if same_origin {
            self.cookies().add_to(headers);
        }
    }

    pub(super) fn keep_cookies(&self, uri: &Uri, headers: &HeaderMap) {
        if self.origin.is_of(uri) {
            self.cookies().keep(headers);
        }
    }

    fn cookies(&self) -> std::sync::MutexGuard<'_, Cookies> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_credential(name: &HeaderName, value: &HeaderValue) -> bool {
    value.is_sensitive() || matches!(*name, header::COOKIE | header::AUTHORIZATION)
}

/// Names and values of the server's cookies. All requests go to one origin and below one path, and
/// the list lives no longer than the connection: so of a cookie's attributes only `Max-Age=0`,
/// which deletes it, is read.
#[derive(Debug, Default)]
struct Cookies(Vec<(String, String)>);

impl Cookies {
    fn keep(&mut self, headers: &HeaderMap) {
        for cookie in
            headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok())
        {
            let mut parts = cookie.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            self.0.retain(|(known, _)| known != name);
            let deleted = parts.any(|attribute| attribute.eq_ignore_ascii_case("max-age=0"));
            if deleted || name.is_empty() {
                continue;
            }
            if self.0.len() >= COOKIES || cookie.len() > COOKIE_SIZE {
                tracing::warn!(
                    name,
                    "a cookie of the server was not kept: {COOKIES} of {COOKIE_SIZE} bytes are"
                );
                continue;
            }
            self.0.push((name.to_owned(), value.to_owned()));
        }
    }

    /// In one header, as servers want it, together with those that the application has set.
    fn add_to(&self, headers: &mut HeaderMap) {
        let own = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .map(str::to_owned);
        let kept = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies: Vec<String> = own.chain(kept).collect();
        if let Ok(value) = HeaderValue::try_from(cookies.join("; "))
            && !cookies.is_empty()
        {
            headers.insert(header::COOKIE, value);
        }
    }
}

/// Opens connections.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    tls: Option<Arc<ClientConfig>>,
    limit: Duration,
}

impl Connector {
    /// `limit` bounds the name's look-up, TCP's and TLS's handshakes together.
    pub(super) fn new(tls: Option<Arc<ClientConfig>>, limit: Duration) -> Self {
        Self { tls, limit }
    }

    async fn connect(&self, uri: &Uri) -> io::Result<Stream> {
        match tokio::time::timeout(self.limit, self.open(uri)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let text = format!("no connection after {:?} (connect_timeout)", self.limit);
                Err(io::Error::new(io::ErrorKind::TimedOut, text))
            }
        }
    }

    async fn open(&self, uri: &Uri) -> io::Result<Stream> {
        let host = uri.host().ok_or(io::ErrorKind::InvalidInput)?;
        // An IPv6 address is in brackets in a URL, and nowhere else.
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let stream = TcpStream::connect((host, port(uri))).await?;
        // Messages are small and wait for nothing.
        stream.set_nodelay(true)?;
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Ok(Stream::new(stream));
        }
        let Some(tls) = &self.tls else {
            // Only a `base_url` with https on an endpoint without can lead here.
            return Err(io::Error::other(
                "TLS is set up only for endpoints whose own URL is https",
            ));
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Stream::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?))
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri).await.map(TokioIo::new) })
    }
}

/// A connection, with or without TLS.
pub(super) struct Stream {
    io: Box<dyn Duplex>,
    pulse: Pulse,
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Stream {
    fn new(stream: impl Duplex + 'static) -> Self {
        Self { io: Box::new(stream), pulse: Pulse::new() }
    }

    /// Beats when bytes are read.
    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.io).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pulse.beat();
        }
        outcome
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_go_back_as_one_header() {
        let mut cookies = Cookies::default();
        let mut set = HeaderMap::new();
        for cookie in ["JSESSIONID=a=b; path=/", "gone=1", "broken", "route = x ; Secure"] {
            set.append(header::SET_COOKIE, HeaderValue::from_static(cookie));
        }
        cookies.keep(&set);
        set.clear();
        set.append(header::SET_COOKIE, HeaderValue::from_static("gone=; path=/; Max-Age=0"));
        set.append(header::SET_COOKIE, HeaderValue::from_static("JSESSIONID=c"));
        cookies.keep(&set);
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("own=1"));
        cookies.add_to(&mut headers);
        assert_eq!(headers[header::COOKIE], "own=1; route=x; JSESSIONID=c");
    }

    #[test]
    fn cookies_are_bounded() {
        let mut cookies = Cookies::default();
        for number in 0..COOKIES + 5 {
            let mut set = HeaderMap::new();
            let cookie = format!("c{number}=1");
            set.append(header::SET_COOKIE, HeaderValue::try_from(cookie).expect("a header"));
            cookies.keep(&set);
        }
        let mut set = HeaderMap::new();
        set.append(
            header::SET_COOKIE,
            HeaderValue::try_from(format!("x={}", "y".repeat(5000))).expect("a header"),
        );
        cookies.keep(&set);
        assert_eq!(cookies.0.len(), COOKIES);
    }

    #[test]
    fn another_origin_gets_no_credentials() {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("secret"));
        headers.insert(header::COOKIE, HeaderValue::from_static("own=1"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("test"));
        let origin = super::super::url::BaseUrl::parse("http://here/echo").expect("a URL").origin();
        let requester = Requester::new(Connector::new(None, IDLE), Arc::new(headers), origin);
        for (url, all) in [("http://here/echo/info", true), ("http://there/echo/info", false)] {
            let mut headers = HeaderMap::new();
            requester.add_headers(&url.parse().expect("a URL"), &mut headers);
            assert_eq!(headers.len(), if all { 3 } else { 1 }, "{url}");
            assert_eq!(headers[header::USER_AGENT], "test");
        }
    }
}
