//! The task that moves a connection's messages.

use std::sync::Arc;
use std::time::Duration;

use super::error::{EndedBy, TransportError};
use super::frame::InboundFrame;
use super::link::Link;
use super::link::outbound::Work;
use super::silence::{Silence, Stopped as Silent, Watch};
use super::{http, websocket};
use crate::CloseReason;

/// When sending fails, the close frame that tells why may still be on its way to the receiving
/// side.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// Between pings: a timer knows no interval of nothing.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// The receiving side of a transport.
pub(super) enum Downlink {
    Http(Box<http::Downlink>),
    WebSocket(websocket::Downlink),
}

/// The sending side of a transport.
pub(super) enum Uplink {
    Http(Box<http::Uplink>),
    WebSocket(websocket::Uplink),
}

/// The limits of a session that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct DriveLimits {
    /// From one byte to the next.
    pub(super) silence: Silence,
    /// From the wish to leave to the end.
    pub(super) close: Duration,
}

impl Downlink {
    pub(super) async fn next(&mut self) -> Result<InboundFrame, TransportError> {
        match self {
            Self::Http(downlink) => downlink.next().await,
            Self::WebSocket(downlink) => downlink.next().await,
        }
    }

    fn watch(&self, silence: Silence) -> Watch {
        match self {
            Self::Http(downlink) => Watch::new(downlink.pulse.clone(), silence),
            Self::WebSocket(downlink) => {
                Watch::new(downlink.pulse.clone(), Silence::Limit(silence.with_pings()))
            }
        }
    }
}

/// Moves messages until the session ends.
///
/// Both sides run in one task, and neither waits for the other: an application that does not
/// receive can still send, and leave.
pub(super) async fn drive(
    link: Arc<Link>,
    mut downlink: Downlink,
    mut uplink: Uplink,
    limits: DriveLimits,
) {
    let stopped = Stopped(&link);
    let outcome = {
        let watch = downlink.watch(limits.silence);
        let ping_after = (limits.silence.with_pings() / 2).max(SHORTEST_INTERVAL);
        let mut receiving = std::pin::pin!(receive(&mut downlink, &link, watch));
        tokio::select! {
            outcome = &mut receiving => outcome,
            outcome = send(&mut uplink, &link, ping_after) => match outcome {
                Outcome::Lost(error) => match tokio::time::timeout(LAST_WORDS, receiving).await {
                    Ok(closed @ Outcome::Closed(_)) => closed,
                    _ => Outcome::Lost(error),
                },
                left => left,
            },
            outcome = overdue(&link, limits.close) => outcome,
        }
    };
    match outcome {
        Outcome::Closed(reason) => link.end(reason, EndedBy::Server),
        Outcome::Left(reason) => link.end(reason, EndedBy::Client),
        Outcome::Lost(error) => link.end(error.close_reason(), EndedBy::Transport(Arc::new(error))),
    };
    drop(stopped);
    if let Downlink::WebSocket(mut downlink) = downlink {
        // Only a polite close is at stake: waiters for the end have been told.
        let _ = tokio::time::timeout(limits.close, downlink.drain()).await;
    }
}

enum Outcome {
    Closed(CloseReason),
    Left(CloseReason),
    Lost(TransportError),
}

async fn receive(downlink: &mut Downlink, link: &Link, mut watch: Watch) -> Outcome {
    loop {
        let frame = match watch.over(downlink.next()).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(error)) => return Outcome::Lost(error),
            Err(Silent { limit }) => return Outcome::Lost(TransportError::Silent { limit }),
        };
        match frame {
            InboundFrame::Heartbeat => watch.heartbeat(),
            InboundFrame::Open => return Outcome::Lost(TransportError::SessionLost),
            InboundFrame::Messages(messages) => link.deliver(messages).await,
            InboundFrame::Close(reason) => return Outcome::Closed(reason),
        }
    }
}

async fn send(uplink: &mut Uplink, link: &Link, ping_after: Duration) -> Outcome {
    let outcome = match uplink {
        Uplink::Http(uplink) => send_payloads(uplink, link).await,
        Uplink::WebSocket(uplink) => send_messages(uplink, link, ping_after).await,
    };
    outcome
        .map_or_else(|error| Outcome::Lost(TransportError::Sending(Box::new(error))), Outcome::Left)
}

async fn send_payloads(uplink: &http::Uplink, link: &Link) -> Result<CloseReason, TransportError> {
    loop {
        match link.work().await {
            Work::Leave(reason) => return Ok(reason),
            Work::Send(messages) => {
                uplink.send(&messages).await?;
                link.sent();
                tokio::time::sleep(uplink.pause).await;
            }
        }
    }
}

async fn send_messages(
    uplink: &mut websocket::Uplink,
    link: &Link,
    ping_after: Duration,
) -> Result<CloseReason, TransportError> {
    // From the clock, not from the last message: a client that only sends would otherwise never
    // hear anything, and take that for silence.
    let mut pings = tokio::time::interval(ping_after);
    pings.reset();
    loop {
        let work = tokio::select! {
            work = link.work() => work,
            _ = pings.tick() => {
                uplink.ping().await?;
                continue;
            }
        };
        match work {
            Work::Send(messages) => {
                uplink.send(messages).await?;
                link.sent();
            }
            Work::Leave(reason) => {
                // The connection may be gone by now, and then there is no server to tell.
                let _ = uplink.close(&reason).await;
                return Ok(reason);
            }
        }
    }
}

/// A server that takes nothing any more must not keep the application from leaving.
async fn overdue(link: &Link, limit: Duration) -> Outcome {
    let reason = link.leaving().await;
    tokio::time::sleep(limit).await;
    Outcome::Left(reason)
}

/// A task that is dropped with its runtime must not leave an application waiting.
struct Stopped<'a>(&'a Link);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.end(CloseReason::new(1006, "The runtime was shut down"), EndedBy::Client);
    }
}
