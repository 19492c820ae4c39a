//! From a request to a WebSocket session.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::upgrade::{OnUpgrade, Parts as UpgradedParts, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tungstenite::handshake::derive_accept_key;

use super::endpoint::Endpoint;
use super::handler::Contained;
use super::headers;
use super::refusal::Refusal;
use super::registry::Work;
use super::request::connect_info;
use crate::escape::Escaped;
use crate::session::{Attachment, Carries, Liveness, Shared};
use crate::transport::websocket::{self, Framing, Settings};
use crate::transport::{Body, PeerWatch, Socket, WatchedStream};

/// Answers a WebSocket handshake and starts its session when the connection has changed hands
/// (SockJS 0.3.3, WebSocket).
pub(super) fn answer<B>(
    endpoint: &Endpoint,
    mut request: Request<B>,
    framing: Framing,
) -> Result<Response<Body>, Refusal> {
    let accept = accept_key(request.headers())?;
    if request.version() < Version::HTTP_11 {
        return Err(Refusal::UpgradeOverHttp10);
    }
    if request.extensions().get::<OnUpgrade>().is_none() {
        tracing::error!(
            "WebSocket refused: the server does not offer upgrades; serve connections with hyper's `with_upgrades`"
        );
        return Err(Refusal::UpgradesNotServed);
    }
    let on_upgrade = hyper::upgrade::on(&mut request);
    let (mut parts, _) = request.into_parts();
    let watch = parts.extensions.remove::<PeerWatch>();
    let (transport, carries) = match framing {
        Framing::SockJs => ("websocket", Carries::Text),
        Framing::Raw if endpoint.config.binary => ("rawwebsocket", Carries::TextAndBinary),
        Framing::Raw => ("rawwebsocket", Carries::Text),
    };
    let subprotocol = endpoint.config.subprotocols.choose(&parts.headers);
    let info = connect_info(&mut parts, transport, endpoint, watch.as_ref(), subprotocol.clone())?;
    let entered = endpoint.registry.enter_socket(|| {
        Shared::new(info, None, carries, Arc::clone(&endpoint.limits), Arc::clone(&endpoint.owner))
    });
    let session = entered.map_err(|full| endpoint.no_room(full))?;
    let start = Start {
        attachment: Attachment::first(Arc::clone(&session), Liveness::Pings),
        application: Contained::new(Arc::clone(&endpoint.handler), session),
        framing,
        settings: Arc::clone(&endpoint.websocket),
        watch,
        work: endpoint.registry.work(),
    };
    tokio::spawn(async move {
        match on_upgrade.await {
            Ok(upgraded) => start.on(upgraded),
            Err(error) => {
                tracing::debug!(error = %Escaped(error), "the connection broke during the WebSocket handshake");
            }
        }
    });
    Ok(switching_protocols(accept, subprotocol.as_deref()))
}

/// A session that waits for its socket. Dropping it ends the session.
struct Start {
    attachment: Attachment,
    application: Contained,
    framing: Framing,
    settings: Arc<Settings>,
    /// The server's, over what carries the connection.
    watch: Option<PeerWatch>,
    work: Work,
}

impl Start {
    /// The session gets a task of its own: the task that waited for the upgrade still holds hyper's
    /// leftovers.
    fn on(self, upgraded: Upgraded) {
        let Self { attachment, application, framing, settings, watch, work } = self;
        match bare(upgraded) {
            Ok((socket, read)) => {
                let watch = match &socket {
                    Socket::Tcp(stream) => Some(stream.watch()),
                    Socket::Other(_) => watch,
                };
                tokio::spawn(work.during(websocket::run(
                    socket,
                    read,
                    watch,
                    attachment,
                    application,
                    framing,
                    settings,
                )));
            }
            Err(upgraded) => {
                let stream = TokioIo::new(upgraded);
                tokio::spawn(work.during(websocket::run(
                    stream,
                    Vec::new(),
                    watch,
                    attachment,
                    application,
                    framing,
                    settings,
                )));
            }
        }
    }
}

/// The bare connection, without hyper's wrappers, and the bytes already read from it.
fn bare(upgraded: Upgraded) -> Result<(Socket, Vec<u8>), Upgraded> {
    let (socket, read) = take::<Socket>(upgraded)
        .or_else(|upgraded| {
            let (stream, read) = take::<WatchedStream>(upgraded)?;
            Ok((Socket::Tcp(stream), read))
        })
        .or_else(|upgraded: Upgraded| {
            let (stream, read) = take::<TcpStream>(upgraded)?;
            Ok((Socket::Tcp(WatchedStream::new(stream)), read))
        })?;
    if let Socket::Tcp(stream) = &socket {
        // A frame is worth sending by itself, and an answer to it may be 40 ms away if it waits for
        // an acknowledgement. The server should have set this for all its connections. An error
        // means that the connection is gone, which reading it tells.
        let _ = stream.set_nodelay();
    }
    // Copied: even an empty slice of hyper's read buffer keeps all of it.
    Ok((socket, read.to_vec()))
}

/// The connection and the bytes already read from it, if it is of this type.
fn take<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    upgraded: Upgraded,
) -> Result<(S, Bytes), Upgraded> {
    let upgraded = match upgraded.downcast::<TokioIo<S>>() {
        Ok(UpgradedParts { io, read_buf, .. }) => return Ok((io.into_inner(), read_buf)),
        Err(upgraded) => upgraded,
    };
    // A server that first detects the client's HTTP version, as `axum::serve` does, adds a layer.
    let auto::upgrade::Parts { io, read_buf, .. } =
        auto::upgrade::downcast::<TokioIo<S>>(upgraded)?;
    Ok((io.into_inner(), read_buf))
}

/// Checks the handshake (RFC 6455, the server's opening handshake) and gives
/// `Sec-WebSocket-Accept`.
fn accept_key(request: &HeaderMap) -> Result<HeaderValue, Refusal> {
    if !is_asked_for(request) {
        return Err(Refusal::NoUpgrade);
    }
    if !headers::lists(request, header::CONNECTION, "upgrade") {
        return Err(Refusal::NoConnectionUpgrade);
    }
    // 8 is the draft that became 13; on the wire they are the same.
    if !request
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_some_and(|version| version == "13" || version == "8")
    {
        return Err(Refusal::WebSocketVersion);
    }
    let key = request.get(header::SEC_WEBSOCKET_KEY).ok_or(Refusal::NoWebSocketKey)?;
    // The derived key is base64, which a header value takes.
    HeaderValue::try_from(derive_accept_key(key.as_bytes())).map_err(|_| Refusal::NoWebSocketKey)
}

pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    headers::lists(headers, header::UPGRADE, "websocket")
}

fn switching_protocols(accept: HeaderValue, subprotocol: Option<&str>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    // Its name was checked when its endpoint was made.
    if let Some(name) = subprotocol.and_then(|name| HeaderValue::try_from(name).ok()) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, name);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Mutex;

    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use tokio::io::{AsyncWriteExt, duplex};
    use tokio::sync::oneshot;

    use super::*;

    /// What hyper wraps around a connection keeps its buffers.
    #[tokio::test]
    async fn a_connection_of_our_server_comes_back_bare_whatever_carries_it() {
        let (mut client, far) = duplex(1024);
        let (tell, told) = oneshot::channel();
        let tell = Mutex::new(Some(tell));
        let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
            let tell = tell.lock().expect("no panic").take().expect("one request");
            let _ = tell.send(hyper::upgrade::on(&mut request));
            let accept = HeaderValue::from_static("a");
            std::future::ready(Ok::<_, Infallible>(switching_protocols(accept, None)))
        });
        let io = TokioIo::new(Socket::other(far));
        tokio::spawn(http1::Builder::new().serve_connection(io, service).with_upgrades());
        let request =
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nmore";
        client.write_all(request).await.expect("the pipe is empty");
        let upgraded = told.await.expect("a request").await.expect("an upgrade");
        let (socket, read) = bare(upgraded).expect("it is known");
        assert!(matches!(socket, Socket::Other(_)));
        assert_eq!(read, b"more");
    }
}
