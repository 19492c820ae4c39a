//! The gateway in front of an application that speaks plain WebSocket.

mod config;
mod connect;
mod error;
mod relay;
mod socket;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

pub use self::config::UpstreamConfig;
use self::connect::Connector;
pub use self::error::UpstreamError;
use sockeye::{Escaped, Handler, HandlerFuture, Session};

/// A handler that opens a WebSocket to a backend for each session and passes messages both ways: a
/// plain WebSocket application gets clients on every transport.
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
/// Messages keep their order both ways. Messages that the client sends before the backend answers
/// wait in the session's inbound queue.
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
    fn handle(&self, session: Session) -> HandlerFuture {
        HandlerFuture::new(serve(session, Arc::clone(&self.connector)))
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
                // The client has gone already. The backend is connected only to deliver its
                // messages.
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
            relay::close(&session, 1011, &error.to_string());
        }
    }
}
