//! What was chosen, before it is put together, and which choice stands over which.

use std::net::SocketAddr;
use std::ops::Range;

use sockeye::{EndpointConfig, Prefix};

use super::chosen::Chosen;
use super::tables::{ENDPOINT, PROGRAM, Program, TCP};
use crate::assets::CLIENT_URL;
use crate::mounts::{self, AppName, Endpoint, TcpApp};

/// What was chosen, before it is put together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(super) program: Chosen,
    pub(super) server: Chosen,
    /// Of all endpoints.
    pub(super) endpoints: Chosen,
    pub(super) endpoint: Vec<EndpointSection>,
    pub(super) tcp: Vec<TcpSection>,
    pub(super) ice: IceSection,
}

#[derive(Clone, Debug)]
pub(super) struct EndpointSection {
    pub(super) span: Option<Range<usize>>,
    pub(super) prefix: Prefix,
    /// `None` for settings of a default endpoint.
    pub(super) app: Option<AppName>,
    pub(super) config: Chosen,
    pub(super) chat: Chosen,
    pub(super) rooms: Chosen,
    pub(super) upstream: Chosen,
}

#[derive(Clone, Debug)]
pub(super) struct TcpSection {
    pub(super) addr: SocketAddr,
    pub(super) app: TcpApp,
    pub(super) config: Chosen,
}

#[derive(Clone, Debug, Default)]
pub(super) struct IceSection {
    pub(super) span: Option<Range<usize>>,
    pub(super) config: Chosen,
    pub(super) servers: Vec<(Chosen, Range<usize>)>,
}

impl EndpointSection {
    pub(super) fn new(prefix: Prefix) -> Self {
        Self {
            span: None,
            prefix,
            app: None,
            config: Chosen::default(),
            chat: Chosen::default(),
            rooms: Chosen::default(),
            upstream: Chosen::default(),
        }
    }
}

impl Settings {
    /// The default endpoints, each with what was chosen for its prefix, and the others.
    pub(super) fn sections(&self) -> Vec<EndpointSection> {
        let mut chosen = self.endpoint.clone();
        let mut sections = Vec::new();
        let with_defaults = PROGRAM.apply(Program::default(), &self.program).default_endpoints;
        for Endpoint { prefix, app } in mounts::defaults().filter(|_| with_defaults) {
            let at = chosen.iter().position(|section| section.prefix == prefix);
            let mut section =
                at.map_or_else(|| EndpointSection::new(prefix), |at| chosen.remove(at));
            // An endpoint in place of a demo is one like any other.
            let is_demo = section.app.is_none();
            if is_demo && mounts::OPEN_DEFAULTS.contains(&section.prefix.as_str()) {
                let mut open = ENDPOINT.of_flags(&[("origins", "any")]);
                open.extend(section.config);
                section.config = open;
            }
            sections.push(EndpointSection { app: section.app.or(Some(app)), ..section });
        }
        sections.append(&mut chosen);
        sections
    }

    /// What an app chooses for itself, all endpoints over that, and the endpoint over both.
    pub(super) fn endpoint_config(&self, section: &EndpointSection) -> Chosen {
        let mut chosen = section.app.as_ref().map(own).unwrap_or_default();
        chosen.extend(self.endpoints.clone());
        chosen.extend(section.config.clone());
        chosen
    }

    /// The chat's rate is that of all endpoints, for its clients meet there.
    pub(super) fn tcp_config(&self, section: &TcpSection) -> Chosen {
        let mut chosen = Chosen::default();
        if section.app == TcpApp::Chat {
            chosen = TCP.of_flags(&[("inbound_rate", mounts::SHARED_RATE)]);
            if let Some(rate) = self.endpoints.value("inbound_rate") {
                chosen.put("inbound_rate", rate.clone());
            }
        }
        chosen.extend(section.config.clone());
        chosen
    }
}

/// An endpoint of the program, before any choice.
pub(super) fn base() -> EndpointConfig {
    EndpointConfig::default().client_url(CLIENT_URL)
}

/// The choices that an app makes for its endpoints.
pub(super) fn own(app: &AppName) -> Chosen {
    ENDPOINT.of_flags(app.own())
}
