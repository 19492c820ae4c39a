//! How a client finds the transport that gets through (SockJS 0.3.3, and as sockjs-client does it).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Limited};

use super::builder::Builder;
use super::connection::{Connection, Opened};
use super::drive::{Downlink, Uplink, drive};
use super::error::{Attempt, ConnectError, FrameError, TransportError, UrlError};
use super::frame::InboundFrame;
use super::link::{Link, PayloadFormat};
use super::requester::{Connector, Requester};
use super::transport::Transport;
use super::unwrap::Wrapping;
use super::url::BaseUrl;
use super::{http as over_http, websocket};
use crate::escape::Escaped;
use crate::{CloseReason, clock};

/// Connecting and asking: so many round trips lie between a transport's start and its open frame.
const ROUND_TRIPS: u32 = 2;

/// Where no info was asked for, nothing is known of the round trip.
const OPEN_TIMEOUT_WITHOUT_INFO: Duration = Duration::from_secs(5);

impl Builder {
    /// Opens a session at `url`, as `new SockJS(url)` does: asks for the server's info, then tries
    /// the transports in order, each with a session id of its own, until the open frame has
    /// arrived.
    ///
    /// `url` is `http` or `https`; its query stays on every request.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] says at which step it ended, and how each transport failed if all did.
    ///
    /// # Cancel safety
    ///
    /// A cancelled call leaves nothing behind but perhaps a session that the server soon forgets.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time and I/O.
    pub async fn connect(&self, url: &str) -> Result<Connection, ConnectError> {
        connect(self, url).await
    }
}

async fn connect(settings: &Builder, url: &str) -> Result<Connection, ConnectError> {
    let base =
        BaseUrl::parse(url).map_err(|source| ConnectError::Url { url: url.to_owned(), source })?;
    if let Some(name) = settings.reserved_header() {
        return Err(ConnectError::ReservedHeader(name.clone()));
    }
    let requester = requester(settings, &base).await?;
    let info =
        match settings.transports.iter().all(|&transport| transport == Transport::RawWebSocket) {
            true => Info { base, websocket: true, round_trip: None },
            false => {
                let url = base.to_string();
                let info = ask_info(settings, &requester, base).await;
                info.map_err(|source| ConnectError::Info { url: format!("{url}/info"), source })?
            }
        };
    let limit = open_timeout(info.round_trip).max(settings.minimum_open_timeout);
    let mut failed = Vec::new();
    for &transport in &settings.transports {
        if transport.is_websocket() && !info.websocket {
            continue;
        }
        let attempt =
            tokio::time::timeout(limit, open(settings, &requester, &info.base, transport));
        let error = match attempt.await.unwrap_or(Err(TransportError::TimedOut { limit })) {
            Ok((downlink, uplink)) => {
                let format = if transport == Transport::RawWebSocket {
                    PayloadFormat::Plain
                } else {
                    PayloadFormat::Json
                };
                let link = Arc::new(Link::new(settings.link_limits(), format));
                let task = tokio::spawn(drive(
                    Arc::clone(&link),
                    downlink,
                    uplink,
                    settings.drive_limits(),
                ));
                let opened = Opened { transport, round_trip: info.round_trip, failed };
                return Ok(Connection::new(link, task.abort_handle(), opened));
            }
            Err(TransportError::Closed(reason)) if is_final(&reason) => {
                return Err(ConnectError::Closed(reason));
            }
            Err(error) => error,
        };
        tracing::debug!(%transport, error = %Escaped(&error), url = %Escaped(&info.base), "a transport failed to open a session");
        failed.push(Attempt { transport, error });
    }
    match failed.is_empty() {
        true => Err(ConnectError::NoTransport { allowed: settings.transports.clone() }),
        false => Err(ConnectError::AllTransportsFailed(failed)),
    }
}

async fn requester(settings: &Builder, base: &BaseUrl) -> Result<Requester, ConnectError> {
    let tls = match base.is_https() || settings.tls.is_set() {
        true => {
            let tls = settings.tls.clone();
            let read = tokio::task::spawn_blocking(move || tls.config()).await;
            Some(read.map_err(|error| ConnectError::Roots(std::io::Error::other(error)))??)
        }
        false => None,
    };
    let connector = Connector::new(tls, settings.connect_timeout);
    Ok(Requester::new(connector, Arc::new(settings.headers.clone()), base.origin()))
}

/// The server's info, and how long it took to arrive.
struct Info {
    /// Where the transports are.
    base: BaseUrl,
    websocket: bool,
    round_trip: Option<Duration>,
}

async fn ask_info(
    settings: &Builder,
    requester: &Requester,
    base: BaseUrl,
) -> Result<Info, TransportError> {
    let limit = settings.info_timeout;
    let start = clock::now();
    let body = tokio::time::timeout(limit, info_body(requester, &base, settings.frame_size)).await;
    let body = body.map_err(|_| TransportError::NoAnswer { limit, setting: "info_timeout" })??;
    let round_trip = Some(clock::now().duration_since(start));
    // JSON that is no object counts as an empty object.
    let info: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let websocket = info.get("websocket") != Some(&serde_json::Value::Bool(false));
    let base = match info.get("base_url").and_then(serde_json::Value::as_str) {
        None | Some("") => base,
        Some(url) => base
            .join(url)
            .map_err(|source| TransportError::BaseUrl { url: url.to_owned(), source })?,
    };
    Ok(Info { base, websocket, round_trip })
}

async fn info_body(
    requester: &Requester,
    base: &BaseUrl,
    limit: usize,
) -> Result<Bytes, TransportError> {
    let response =
        requester.request(Method::GET, &base.info().map_err(unusable)?, &[], Bytes::new()).await?;
    if response.status() != StatusCode::OK {
        return Err(TransportError::Status(response.status()));
    }
    match Limited::new(response.into_body(), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(FrameError::TooLarge { limit }.into())
        }
        Err(error) => Err(TransportError::Connection(error)),
    }
}

/// sockjs-client's rule: a small round trip varies by a constant, a large one in proportion.
fn open_timeout(round_trip: Option<Duration>) -> Duration {
    match round_trip {
        None => OPEN_TIMEOUT_WITHOUT_INFO,
        Some(round_trip) if round_trip > Duration::from_millis(100) => round_trip * 4 * ROUND_TRIPS,
        Some(round_trip) => (Duration::from_millis(300) + round_trip) * ROUND_TRIPS,
    }
}

/// Starts a transport with a session of its own and awaits the open frame.
async fn open(
    settings: &Builder,
    requester: &Requester,
    base: &BaseUrl,
    transport: Transport,
) -> Result<(Downlink, Uplink), TransportError> {
    let (mut downlink, uplink) = start(settings, requester, base, transport).await?;
    if transport == Transport::RawWebSocket {
        return Ok((downlink, uplink));
    }
    loop {
        match downlink.next().await? {
            InboundFrame::Open => return Ok((downlink, uplink)),
            InboundFrame::Heartbeat => {}
            InboundFrame::Messages(_) => return Err(FrameError::NotOpen.into()),
            InboundFrame::Close(reason) => return Err(TransportError::Closed(reason)),
        }
    }
}

async fn start(
    settings: &Builder,
    requester: &Requester,
    base: &BaseUrl,
    transport: Transport,
) -> Result<(Downlink, Uplink), TransportError> {
    let limits = settings.frame_limits();
    let session = base.session();
    let uri = match transport {
        Transport::RawWebSocket => base.raw_websocket(),
        _ => session.of(transport.segment()),
    };
    let uri = uri.map_err(unusable)?;
    let wrapping = match transport {
        Transport::WebSocket | Transport::RawWebSocket => {
            let raw = transport == Transport::RawWebSocket;
            let opening = websocket::open(
                requester,
                &uri,
                raw,
                limits,
                settings.payload_size,
                settings.send_timeout,
            );
            let (downlink, uplink) = opening.await?;
            return Ok((Downlink::WebSocket(downlink), Uplink::WebSocket(uplink)));
        }
        Transport::EventSource => Wrapping::Events,
        Transport::XhrStreaming | Transport::XhrPolling => Wrapping::Lines,
    };
    let downlink = over_http::Downlink::new(requester.clone(), uri, wrapping, limits);
    let uri = session.of("xhr_send").map_err(unusable)?;
    let uplink =
        over_http::Uplink::new(requester.clone(), uri, settings.send_timeout, settings.send_pause);
    Ok((Downlink::Http(Box::new(downlink)), Uplink::Http(Box::new(uplink))))
}

/// A URL that was parsed and is no URL any more with a few letters added: too long.
fn unusable(error: UrlError) -> TransportError {
    TransportError::Connection(Box::new(error))
}

/// A close before the open frame leads to the next transport, unless the application behind the
/// server meant it.
fn is_final(reason: &CloseReason) -> bool {
    matches!(reason.code(), 1000 | 2000 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_open_follows_the_round_trip() {
        let millis = Duration::from_millis;
        for (round_trip, limit) in [(0, 600), (40, 680), (100, 800), (101, 808), (1000, 8000)] {
            assert_eq!(open_timeout(Some(millis(round_trip))), millis(limit), "{round_trip} ms");
        }
        assert_eq!(open_timeout(None), millis(5000));
    }

    #[test]
    fn closes_that_are_final() {
        for (code, last) in [
            (1000, true),
            (1002, false),
            (1006, false),
            (2000, true),
            (2010, false),
            (3000, true),
            (4999, true),
            (5000, false),
        ] {
            assert_eq!(is_final(&CloseReason::new(code, "")), last, "{code}");
        }
    }
}
