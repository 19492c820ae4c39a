//! Drains: a server that stops tells its sessions first.

use std::future::{Future, IntoFuture};
use std::iter::Sum;
use std::ops::Add;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{sleep_until, timeout_at};

use super::Gateway;
use super::registry::Registry;
use crate::clock::{self, LONGEST_DELAY};
use crate::protocol::close::CloseReason;
use crate::serve::{Serve, WithGracefulShutdown};
use crate::session::{EndedBy, Shared};

/// How a drain goes: [`Gateway::drain`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DrainConfig {
    /// The code and text that the clients get. Default: 1001 "Server shutting down".
    pub reason: CloseReason,
    /// How long everything goes on as before once [`Gateway::is_draining`] says so: the time that a
    /// balancer takes to see it, and to send new clients elsewhere. Default: 0.
    pub drain_lead: Duration,
    /// How long the drain itself may take, after the lead. Sessions are told in the first half of
    /// it, and clients between two requests may come back until its end; then what is left is cut
    /// off. Default: 10 s.
    pub drain_time: Duration,
    /// The sessions that are told at once. When there are as many or more, they are told in steps
    /// over half of `drain_time`, so that their clients don't all come to the next server in the
    /// same moment. Default: 1,000.
    pub drain_batch: usize,
    /// What `Retry-After` says to clients that would open a session, in whole seconds, rounded up.
    /// Default: 5 s.
    pub retry_after: Duration,
}

__setters!(DrainConfig {
    reason: impl Into<CloseReason>,
    drain_lead: Duration,
    drain_time: Duration,
    drain_batch: usize,
    retry_after: Duration,
});

impl DrainConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self {
            reason: CloseReason::GOING_AWAY,
            drain_lead: Duration::ZERO,
            drain_time: Duration::from_secs(10),
            drain_batch: 1000,
            retry_after: Duration::from_secs(5),
        }
    }
}

/// How a drain went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Sessions whose client was told that they end.
    pub told: usize,
    /// Sessions whose client was not: it had gone, did not come back in time, or took nothing.
    pub untold: usize,
    /// Messages to these clients that were not delivered
    /// ([`SessionEnd::undelivered`](crate::SessionEnd::undelivered)).
    pub undelivered: usize,
}

/// Of several drains together.
impl Add for Drained {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            told: self.told + other.told,
            untold: self.untold + other.untold,
            undelivered: self.undelivered + other.undelivered,
        }
    }
}

impl Sum for Drained {
    fn sum<I: Iterator<Item = Self>>(drains: I) -> Self {
        drains.fold(Self::default(), Add::add)
    }
}

impl Gateway {
    /// Ends all sessions in order, and waits for their ends: for a server that is about to stop.
    ///
    /// 1. For [`drain_lead`](DrainConfig::drain_lead) only [`is_draining`](Self::is_draining) is
    ///    different.
    /// 2. From then on requests that would open a session, and those for `/info`, get 503 with
    ///    `Retry-After`.
    /// 3. Each session ends with [`reason`](DrainConfig::reason): its client gets what is queued,
    ///    then the close frame, over a WebSocket the closing handshake as well. The handler's
    ///    `recv` gives the messages that came before, then `None`. A client between two requests is
    ///    told when it comes back, for which it has its `disconnect_delay`: so the server must
    ///    still listen.
    /// 4. It resolves when every session has ended and every handler has returned, or
    ///    [`drain_time`](DrainConfig::drain_time) is over. Sessions that have not ended by then are
    ///    cut off.
    ///
    /// The gateway takes no sessions afterwards. Stop the server then; its last answers may still
    /// be on their way, and a graceful shutdown waits for them:
    ///
    /// ```no_run
    /// # async fn run(listener: tokio::net::TcpListener, gateway: sockeye::Gateway) {
    /// use sockeye::DrainConfig;
    ///
    /// let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    /// let drained = sockeye::serve(listener, gateway.clone())
    ///     .with_drain(ctrl_c, gateway, DrainConfig::default())
    ///     .await;
    /// println!("{} clients were told, {} were not", drained.told, drained.untold);
    /// # }
    /// ```
    ///
    /// With another server, drain in the future that its graceful shutdown waits for: until that
    /// resolves, it listens. With axum, whose shutdown never ends while a poll or a stream waits:
    ///
    /// ```no_run
    /// # #[cfg(feature = "axum")]
    /// # async fn run(listener: tokio::net::TcpListener, gateway: sockeye::Gateway) -> std::io::Result<()> {
    /// use sockeye::DrainConfig;
    ///
    /// let app = gateway.clone().into_axum();
    /// axum::serve(listener, app)
    ///     .with_graceful_shutdown(async move {
    ///         drop(tokio::signal::ctrl_c().await);
    ///         gateway.drain(DrainConfig::default()).await;
    ///     })
    ///     .await
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Sessions that were told end; the others go on. New sessions are refused all the same. A
    /// further call drains the rest.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time enabled.
    pub async fn drain(&self, config: DrainConfig) -> Drained {
        let registries = self.endpoints.iter().map(|endpoint| Arc::clone(&endpoint.registry));
        drain(registries.collect(), config).await
    }

    /// Whether a [`drain`](Self::drain) has begun: for the answer to a balancer that asks whether
    /// this server wants more clients.
    pub fn is_draining(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.registry.is_draining())
    }
}

/// Ends all sessions of these registries in order.
pub(super) async fn drain(registries: Vec<Arc<Registry>>, config: DrainConfig) -> Drained {
    registries.iter().for_each(|registry| registry.lead());
    if !config.drain_lead.is_zero() {
        tokio::time::sleep(config.drain_lead.min(LONGEST_DELAY)).await;
    }
    let begun = clock::now();
    let deadline = (begun + config.drain_time.min(LONGEST_DELAY)).into();
    let (mut sessions, mut sockets) = (Vec::new(), Vec::new());
    for registry in &registries {
        let (by_segment, others) = registry.shut(config.retry_after);
        sessions.extend(by_segment);
        sockets.extend(others);
    }
    // Last: they can be told at any time.
    sessions.append(&mut sockets);
    tracing::debug!(sessions = sessions.len(), "draining");
    let closing = tell(sessions, &config, begun).await;

    let mut drained = Drained::default();
    for session in closing {
        let Ok(end) = timeout_at(deadline, session.ended()).await else {
            let end = session.cut_off();
            drained.untold += 1;
            drained.undelivered += end.map_or(0, |end| end.undelivered);
            continue;
        };
        *(if session.ended_untold() { &mut drained.untold } else { &mut drained.told }) += 1;
        drained.undelivered += end.undelivered;
    }
    for registry in &registries {
        if timeout_at(deadline, registry.works().idle()).await.is_err() {
            let (running, drain_time) = (registry.works().running(), config.drain_time);
            tracing::warn!(
                running,
                ?drain_time,
                "the drain is over, and tasks of sessions still run: a handler should return when its session has ended, or `drain_time` be longer"
            );
        }
    }
    drained
}

/// The time between two steps in which sessions are told.
const STEP: Duration = Duration::from_millis(100);

/// Closes the sessions, many of them in steps, and returns those that had not ended before.
async fn tell(
    sessions: Vec<Arc<Shared>>,
    config: &DrainConfig,
    begun: Instant,
) -> Vec<Arc<Shared>> {
    let time = config.drain_time.min(LONGEST_DELAY) / 2;
    let steps = match sessions.len() < config.drain_batch {
        true => 1,
        false => usize::try_from(time.as_millis() / STEP.as_millis()).unwrap_or(usize::MAX).max(1),
    };
    let (batch, mut at) = (sessions.len().div_ceil(steps).max(1), begun);
    let mut closing = Vec::with_capacity(sessions.len());
    let mut batches = sessions.chunks(batch).peekable();
    while let Some(batch) = batches.next() {
        for session in batch.iter().filter(|session| session.end().is_none()) {
            session.close(config.reason.clone(), EndedBy::Gateway);
            closing.push(Arc::clone(session));
        }
        if batches.peek().is_some() {
            at += STEP;
            sleep_until(at.into()).await;
        }
    }
    closing
}

impl<L, S> Serve<L, S> {
    /// Stops when `signal` resolves, and drains `gateway` first, as [`Gateway::drain`] does: until
    /// the drain is over the listener stays open, and clients between two requests can come back.
    /// Then the server [stops](Self::with_graceful_shutdown).
    ///
    /// `gateway`: a clone of the one that the service is, or holds.
    pub fn with_drain<F>(
        self,
        signal: F,
        gateway: Gateway,
        config: DrainConfig,
    ) -> WithDrain<L, S, impl Future<Output = ()> + Send + 'static>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let drained = Arc::new(Mutex::new(Drained::default()));
        let result = Arc::clone(&drained);
        let server = self.with_graceful_shutdown(async move {
            signal.await;
            let drained = gateway.drain(config).await;
            *result.lock().unwrap_or_else(PoisonError::into_inner) = drained;
        });
        WithDrain { server, drained }
    }
}

/// A server that drains at a signal and stops: [`Serve::with_drain`] makes it.
#[must_use = "a server serves when it is awaited"]
pub struct WithDrain<L, S, F> {
    server: WithGracefulShutdown<L, S, F>,
    drained: Arc<Mutex<Drained>>,
}

impl<L, S, F> IntoFuture for WithDrain<L, S, F>
where
    WithGracefulShutdown<L, S, F>: IntoFuture<IntoFuture: Send + 'static>,
{
    type Output = Drained;
    type IntoFuture = Pin<Box<dyn Future<Output = Drained> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let stopping = self.server.into_future();
        Box::pin(async move {
            stopping.await;
            *self.drained.lock().unwrap_or_else(PoisonError::into_inner)
        })
    }
}

impl<L, S, F> std::fmt::Debug for WithDrain<L, S, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WithDrain").field("server", &self.server).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
