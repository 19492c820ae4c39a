//! The gateway in front of an application that speaks plain WebSocket.

mod connect;
mod relay;

use std::fmt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, header};

use self::connect::Connector;
pub use self::connect::UpstreamError;
use super::Serving;

use sockeye::{CloseReason, Escaped, Handler, Session};

/// A handler that opens a WebSocket to a backend for each session and passes messages both ways:
/// what speaks plain WebSocket gets clients on every transport.
///
/// # The request that the backend sees
///
/// It goes to the URL of [`new`](Self::new). If the request that opened the session had a query,
/// that is appended (sockjs-client adds a parameter `t` of its own on some transports, `c` on
/// others). `Host` names the backend, and these headers come with it:
///
/// | header | value |
/// |---|---|
/// | `Cookie`, `Origin` | the client's ([`UpstreamConfig::headers`]) |
/// | `X-Forwarded-For` | the client's address, behind those that its request already had there |
/// | `X-Sockeye-Transport` | what opened the session: `websocket`, `rawwebsocket`, `xhr_streaming`, `xhr`, `eventsource`, `htmlfile`, `jsonp` or `tcp` |
/// | `X-Sockeye-Session` | the session's id, as in the gateway's log |
///
/// # Ordering
///
/// Messages keep their order both ways. What the client sends before the backend has answered waits
/// in the session's inbound queue.
///
/// # Back-pressure
///
/// A backend that does not read stops its client, and a client that does not read stops the
/// backend: between them stand the session's queues, the sockets' buffers and one message, nothing
/// that grows.
///
/// # Ends
///
/// - The backend closes: the client gets its code and reason. Where there was no close frame or
///   none with a code (1005, 1006, 1015), it gets 1011.
/// - The client closes: the backend gets, behind all that the client has sent, the client's code
///   and reason if its transport carries them (raw WebSocket), else 1001 "client gone". If a limit
///   of the gateway's closed the session, it gets that code and reason.
/// - The backend sends binary to a session that [carries none](Session::carries_binary): 1003 for
///   both.
/// - No backend, a refusal (any status but 101), no answer in time, a lost connection: 1011 with a
///   reason that says which.
///
/// ```
/// use sockeye::Gateway;
/// use sockeye_apps::{Upstream, UpstreamConfig};
///
/// let upstream = Upstream::new("ws://127.0.0.1:9000/app", UpstreamConfig::default())?;
/// let gateway = Gateway::new().endpoint("/app", upstream);
/// # Ok::<(), sockeye_apps::UpstreamError>(())
/// ```
#[derive(Clone)]
pub struct Upstream {
    connector: Arc<Connector>,
}

/// How an [`Upstream`] behaves.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// How long the backend may take to answer, from the look-up of its name to the end of the
    /// handshake. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long the backend may take nothing of what waits for it; then the session closes with
    /// 1011. Default: 60 s.
    pub write_timeout: Duration,
    /// How long the backend may take to finish closing. Default: 5 s.
    pub close_timeout: Duration,
    /// How long a backend is silent before the system probes whether its host is still there (TCP
    /// keepalive). Default: 25 s.
    pub keepalive_delay: Duration,
    /// The largest message taken from the backend, in bytes; a larger one closes the session with
    /// 1009. Default: 1 MiB.
    pub message_size: usize,
    /// Which headers of the request that opened the session go to the backend, as far as the
    /// endpoint keeps them
    /// ([`EndpointConfig::kept_headers`](sockeye::EndpointConfig::kept_headers)). Default:
    /// `cookie`, `origin`.
    pub headers: Vec<HeaderName>,
    /// A PEM file with the certificates of the authorities to trust for `wss`. Default: none, the
    /// system's are trusted, or those in the file that the environment variable `SSL_CERT_FILE`
    /// names.
    pub ca_file: Option<PathBuf>,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(5),
            keepalive_delay: Duration::from_secs(25),
            message_size: 1024 * 1024,
            headers: vec![header::COOKIE, header::ORIGIN],
            ca_file: None,
        }
    }
}

impl Upstream {
    /// A handler for the backend at `url`, `ws://host[:port][/path][?query]` or `wss://…`. Nothing
    /// is connected until a session comes.
    ///
    /// # Errors
    ///
    /// [`UpstreamError`]: the URL is none of a WebSocket, a header can't be passed on, or there are
    /// no certificates to trust for `wss`.
    pub fn new(url: &str, config: UpstreamConfig) -> Result<Self, UpstreamError> {
        Ok(Self { connector: Arc::new(Connector::new(url, config)?) })
    }
}

impl Handler for Upstream {
    fn handle(&self, session: Session) -> Serving {
        Box::pin(serve(session, Arc::clone(&self.connector)))
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upstream").field(&self.connector.name()).finish()
    }
}

async fn serve(mut session: Session, connector: Arc<Connector>) {
    let mut first = None;
    let connected = {
        let mut connecting = pin!(connector.connect(connector.request(session.info())));
        tokio::select! {
            connected = &mut connecting => connected,
            _ = session.ended() => {
                // Gone already. The backend is bothered only if something was said.
                let Some(message) = session.recv().await else { return };
                first = Some(message);
                connecting.await
            }
        }
    };
    match connected {
        Ok(socket) => relay::run(session, first, socket, connector.config()).await,
        Err(error) => {
            tracing::debug!(session = %session.id(), backend = connector.name(), error = %Escaped(&error), "no backend for the session");
            close(&session, 1011, &error.to_string());
        }
    }
}

/// Closes a session with a reason that any transport can carry.
fn close(session: &Session, code: u16, reason: &str) {
    let reason = CloseReason::new(code, reason.to_owned());
    session.close(code, reason.short_reason().to_owned());
}
