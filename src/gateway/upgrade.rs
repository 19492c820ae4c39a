//! From a request to a WebSocket session.

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Parts as UpgradedParts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::endpoint::{Endpoint, asks_for_websocket, plain};
use super::handler::Contained;
use super::headers;
use super::registry::TooManySessions;
use super::request::connect_info;
use crate::session::{Liveness, Receiver, Shared};
use crate::transport::Body;
use crate::transport::websocket::{self, Framing, Settings};

impl Endpoint {
    /// Answers a WebSocket handshake and starts its session when the connection has changed hands (SockJS 0.3.3, WebSocket).
    pub(super) fn upgrade<B>(&self, mut request: Request<B>, framing: Framing) -> Response<Body> {
        let accept = match accept_key(request.headers()) {
            Ok(accept) => accept,
            Err(refusal) => return refusal,
        };
        if request.extensions().get::<OnUpgrade>().is_none() {
            tracing::error!(
                "WebSocket refused: the server does not offer upgrades; serve connections with hyper's `with_upgrades`"
            );
            return plain(StatusCode::NOT_IMPLEMENTED, "This server offers no WebSocket upgrades.\n");
        }
        let on_upgrade = hyper::upgrade::on(&mut request);
        let (mut parts, _) = request.into_parts();
        let (transport, binary) = match framing {
            Framing::SockJs => ("websocket", false),
            Framing::Raw => ("rawwebsocket", self.config.binary),
        };
        let entered = self.registry.enter_socket(|| {
            let info = connect_info(&mut parts, transport, &self.config.kept_headers);
            Shared::new(info, None, binary, Arc::clone(&self.limits), Arc::clone(&self.owner))
        });
        let session = match entered {
            Ok(session) => session,
            Err(TooManySessions) => return self.too_many_sessions(),
        };
        let start = Start {
            receiver: Receiver::first(Arc::clone(&session), Liveness::Pings),
            application: Contained::new(Arc::clone(&self.handler), session),
            framing,
            settings: Arc::clone(&self.websocket),
        };
        tokio::spawn(async move {
            match on_upgrade.await {
                Ok(upgraded) => start.on(upgraded),
                Err(error) => tracing::debug!(%error, "the connection broke during the WebSocket handshake"),
            }
        });
        switching_protocols(accept)
    }
}

/// A session that waits for its socket. Dropping it ends the session.
struct Start {
    receiver: Receiver,
    application: Contained,
    framing: Framing,
    settings: Arc<Settings>,
}

impl Start {
    /// The session gets a task of its own: the one that waited for the upgrade still holds what hyper left there.
    fn on(self, upgraded: Upgraded) {
        let Self { receiver, application, framing, settings } = self;
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(UpgradedParts { io, read_buf, .. }) => {
                // Copied: even an empty slice of hyper's read buffer keeps all of it.
                let read = read_buf.to_vec();
                drop(read_buf);
                tokio::spawn(websocket::run(io.into_inner(), read, receiver, application, framing, settings));
            }
            Err(upgraded) => {
                let stream = TokioIo::new(upgraded);
                tokio::spawn(websocket::run(stream, Vec::new(), receiver, application, framing, settings));
            }
        }
    }
}

/// Checks the handshake (RFC 6455, the server's opening handshake) and gives `Sec-WebSocket-Accept`.
fn accept_key(request: &HeaderMap) -> Result<HeaderValue, Response<Body>> {
    let refuse = |text| Err(plain(StatusCode::BAD_REQUEST, text));
    if !asks_for_websocket(request) {
        return refuse("Can \"Upgrade\" only to \"WebSocket\".");
    }
    if !headers::lists(request, header::CONNECTION, "upgrade") {
        return refuse("\"Connection\" must be \"Upgrade\".");
    }
    // 8 is the draft that became 13; on the wire they are the same.
    if !request.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13" || version == "8") {
        let mut response = plain(StatusCode::BAD_REQUEST, "\"Sec-WebSocket-Version\" must be 13.\n");
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(response);
    }
    let Some(key) = request.get(header::SEC_WEBSOCKET_KEY) else {
        return refuse("\"Sec-WebSocket-Key\" expected.\n");
    };
    // Base64 is plain ASCII.
    HeaderValue::try_from(derive_accept_key(key.as_bytes())).or_else(|_| refuse("\"Sec-WebSocket-Key\" expected.\n"))
}

fn switching_protocols(accept: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}
