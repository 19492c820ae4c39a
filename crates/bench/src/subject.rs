//! The compared servers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::driver::{Target, Technique, probe};
use super::gateway::{Gateway, GatewayError};
use super::results::TargetSummary;

/// A server that already runs.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name in the results.
    pub name: String,
    /// Its echo endpoint.
    pub echo: Target,
    /// Its broadcast endpoint, if it has one.
    pub broadcast: Option<Target>,
    /// Its process, if it runs on this machine.
    pub pid: Option<u32>,
}

/// A compared server.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) own: bool,
    pub(super) echo: Target,
    pub(super) broadcast: Option<Target>,
    /// An echo that says when messages came, by this machine's clock.
    pub(super) stamp: Option<Target>,
    pub(super) pid: Option<u32>,
    /// Whether a poll can be told not to wait; asked once.
    pub(super) short_polls: bool,
    program: Option<(PathBuf, Gateway)>,
}

impl Subject {
    /// A gateway from the program at `binary`.
    pub(super) fn own(binary: &Path) -> Result<Self, GatewayError> {
        let gateway = Gateway::start(binary)?;
        Ok(Self {
            name: "Sockeye".to_owned(),
            own: true,
            echo: gateway.target("/echo").as_a_browser(),
            broadcast: Some(gateway.target("/broadcast").as_a_browser()),
            // Elsewhere processes have no clock in common.
            stamp: cfg!(unix).then(|| gateway.target("/stamp").as_a_browser()),
            pid: Some(gateway.pid()),
            short_polls: true,
            program: Some((binary.to_owned(), gateway)),
        })
    }

    pub(super) async fn foreign(named: Named, patience: Duration) -> Self {
        let echo = named.echo.as_a_browser();
        let short_polls = probe::short_polls(&echo, patience).await;
        Self {
            name: named.name,
            own: false,
            broadcast: named.broadcast.map(|broadcast| broadcast.as_a_browser()),
            stamp: None,
            pid: named.pid,
            short_polls,
            program: None,
            echo,
        }
    }

    pub(super) fn summary(&self) -> TargetSummary {
        TargetSummary { name: self.name.clone(), url: self.echo.to_string(), own: self.own }
    }

    /// Why a technique cannot be had, if it cannot.
    pub(super) fn lacks(&self, technique: Technique) -> Option<&'static str> {
        match technique {
            Technique::ShortPolling(_) if !self.short_polls => {
                Some("its polls take no sockeye_wait")
            }
            _ => None,
        }
    }

    /// A fresh process of an own gateway: only in one that has done nothing yet is memory the
    /// amount that sessions need.
    pub(super) fn afresh(&self) -> Option<Result<Gateway, GatewayError>> {
        self.program.as_ref().map(|(binary, _)| Gateway::start(binary))
    }
}
