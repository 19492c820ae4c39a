//! One prefix: an application, its configuration and its sessions.

use std::sync::Arc;

use http::Response;

use super::config::EndpointConfig;
use super::handler::Handler;
use super::iframe;
use super::origin::Foreign;
use super::prefix::Prefix;
use super::reached;
use super::refusal::Refusal;
use super::registry::{Keeper, NoRoom, Registry};
use crate::session::{Limits, Owner};
use crate::tally::Tally;
use crate::transport::Body;
use crate::transport::websocket::Settings;

pub(super) struct Endpoint {
    pub(super) prefix: Prefix,
    pub(super) config: EndpointConfig,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) limits: Arc<Limits>,
    pub(super) registry: Arc<Registry>,
    pub(super) owner: Arc<dyn Owner>,
    pub(super) websocket: Arc<Settings>,
    pub(super) iframe: iframe::Page,
    /// Refused clients come again, and a full endpoint has better things to do than to write ten
    /// thousand lines.
    refused: Tally<()>,
    foreign: Tally<Foreign>,
}

impl Endpoint {
    pub(super) fn new(prefix: Prefix, config: EndpointConfig, handler: Arc<dyn Handler>) -> Self {
        config.subprotocols.check();
        let registry = Registry::new(config.sessions, config.memory(), config.budget.clone());
        let registry = Arc::new(registry.named(prefix.as_str()));
        Self {
            limits: Arc::new(config.session_limits()),
            owner: Arc::new(Keeper(Arc::clone(&registry))),
            registry,
            websocket: Arc::new(Settings {
                binary: config.binary,
                payload_size: config.payload_size,
                payload: config.payload_limits(),
                read_ahead: config.read_ahead(),
                patience: config.patience(),
            }),
            iframe: iframe::Page::new(&config.client_url, &config.origins),
            refused: report(prefix.clone(), config.sessions),
            foreign: report_foreign(prefix.clone()),
            prefix,
            handler,
            config,
        }
    }

    /// The answer of a refusal, which counts if it is for a limit.
    pub(super) fn refuse(&self, refusal: Refusal) -> Response<Body> {
        if let Some(setting) = reached::refused_by(&refusal) {
            self.registry.reached().add(setting, None);
        }
        refusal.into()
    }

    pub(super) fn foreign(&self, foreign: Foreign) -> Refusal {
        self.foreign.add(1, foreign.clone());
        Refusal::ForeignOrigin(foreign)
    }

    pub(super) fn no_room(&self, no_room: NoRoom) -> Refusal {
        match no_room {
            NoRoom::Sessions => {
                self.refused.add(1, ());
                Refusal::TooManySessions { limit: self.config.sessions }
            }
            NoRoom::Memory => {
                self.config.budget.tell_refused();
                Refusal::MemoryShort
            }
            NoRoom::Draining { retry_after } => Refusal::Draining { retry_after },
        }
    }
}

fn report(prefix: Prefix, sessions: usize) -> Tally<()> {
    Tally::new(move |refused, ()| {
        tracing::warn!(%prefix, sessions, refused, "sessions refused: the endpoint is full; raise `sessions`, or spread the load");
    })
}

fn report_foreign(prefix: Prefix) -> Tally<Foreign> {
    Tally::new(move |refused, foreign: Foreign| {
        tracing::warn!(
            %prefix,
            refused,
            origin = %foreign.origin,
            host = %foreign.host,
            "requests refused with 403: {}",
            foreign.remedy()
        );
    })
}
