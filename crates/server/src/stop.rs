//! Stop signals, and the drain that they begin.

use std::future::Future;
use std::io;

use sockeye::{DrainConfig, Drained, Gateway, TcpEndpoint};

/// The endpoints of the program.
pub(crate) struct Drains {
    pub(crate) gateway: Gateway,
    pub(crate) tcp: Vec<TcpEndpoint>,
}

impl Drains {
    /// At the first signal, tells all sessions that the server stops, and resolves when they have
    /// ended. At the second one the process ends at once.
    pub(crate) async fn run(self, mut signals: StopSignals, config: DrainConfig) {
        let signal = signals.next().await;
        tracing::info!(
            signal = signal.name,
            sessions = self.sessions(),
            drain_lead = ?config.drain_lead,
            drain_time = ?config.drain_time,
            "draining; a second signal ends the program at once"
        );
        tokio::spawn(async move {
            let second = signals.next().await;
            std::process::exit(second.exit_code);
        });
        let tcp: Vec<_> = self
            .tcp
            .into_iter()
            .map(|endpoint| {
                let config = config.clone();
                tokio::spawn(async move { endpoint.drain(config).await })
            })
            .collect();
        let mut drained = self.gateway.drain(config).await;
        for draining in tcp {
            // It fails only with the runtime.
            drained = drained + draining.await.unwrap_or_default();
        }
        let Drained { told, untold, undelivered, .. } = drained;
        tracing::info!(told, untold, undelivered, "drained");
    }

    fn sessions(&self) -> usize {
        self.gateway.sessions() + self.tcp.iter().map(TcpEndpoint::sessions).sum::<usize>()
    }
}

/// A signal that stops the program.
pub(crate) struct StopSignal {
    name: &'static str,
    /// That of a program which the signal ends: 128 and its number.
    exit_code: i32,
}

const INTERRUPT: StopSignal = StopSignal { name: "SIGINT", exit_code: 130 };
#[cfg(unix)]
const TERMINATE: StopSignal = StopSignal { name: "SIGTERM", exit_code: 143 };

/// The stop signals of this process.
#[cfg(unix)]
pub(crate) struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignals {
    /// From now on the signals no longer end the process by themselves.
    pub(crate) fn catch() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.interrupt.recv() => INTERRUPT,
            _ = self.terminate.recv() => TERMINATE,
        }
    }
}

/// The stop signals of this process.
#[cfg(not(unix))]
pub(crate) struct StopSignals;

#[cfg(not(unix))]
impl StopSignals {
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> StopSignal {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "cannot wait for Ctrl-C; end the process by its id");
            std::future::pending::<()>().await;
        }
        INTERRUPT
    }
}

/// Resolves at a stop signal. From the call on, the signals no longer end the process by
/// themselves.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut signals = StopSignals::catch()?;
    Ok(async move {
        signals.next().await;
    })
}
