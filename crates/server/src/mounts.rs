//! Applications of the command line, at prefixes and at TCP listeners.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use sockeye::hub::Hub;
use sockeye::{
    EndpointConfig, Gateway, Handler, Prefix, PrefixError, Rate, TcpConfig, TcpEndpoint,
};
use sockeye_apps::rooms::{Rooms, RoomsConfig};
use sockeye_apps::{self as apps, Chat, ChatConfig, Upstream, UpstreamConfig, UpstreamError};

use crate::front::{self, EndpointInfo};

/// The endpoints that are served unless `--endpoint` replaces them.
pub(crate) const DEFAULT_ENDPOINTS: [&str; 5] =
    ["/echo=echo", "/broadcast=broadcast", "/ws=chat", "/socket=relay", "/signal=rooms"];

/// An endpoint of the command line: `PREFIX=APP`.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) prefix: Prefix,
    pub(crate) app: Mounted,
}

/// The application at a prefix.
#[derive(Clone, Debug)]
pub(crate) enum Mounted {
    App(&'static App),
    /// `upstream=URL`: a backend that speaks plain WebSocket.
    Upstream(Upstream),
}

impl Mounted {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::App(app) => app.name,
            Self::Upstream(_) => UPSTREAM,
        }
    }

    fn about(&self) -> &'static str {
        match self {
            Self::App(app) => app.about,
            Self::Upstream(_) => ABOUT_UPSTREAM,
        }
    }
}

impl Endpoint {
    /// Its entry in the list of endpoints, with this configuration.
    pub(crate) fn info(&self, config: &EndpointConfig) -> EndpointInfo {
        EndpointInfo {
            prefix: self.prefix.to_string(),
            app: self.app.name(),
            about: self.app.about(),
            heartbeat_delay: config.heartbeat_delay.as_secs_f64(),
        }
    }

    pub(crate) fn mount(&self, mounts: &mut Mounts, config: EndpointConfig) {
        match &self.app {
            Mounted::App(app) => (app.mount)(mounts, &self.prefix, config),
            // The backend may send binary messages, so raw WebSockets carry them.
            Mounted::Upstream(upstream) => {
                mounts.endpoint(&self.prefix, config.binary(true), upstream.clone());
            }
        }
    }
}

/// The default endpoints, those of the command line in their place, and then its others.
///
/// # Errors
///
/// The prefix that the command line names twice.
pub(crate) fn with_defaults(chosen: Vec<Endpoint>) -> Result<Vec<Endpoint>, Prefix> {
    let mut endpoints = chosen;
    for (index, endpoint) in endpoints.iter().enumerate() {
        if endpoints[..index].iter().any(|earlier| earlier.prefix == endpoint.prefix) {
            return Err(endpoint.prefix.clone());
        }
    }
    let mut all = Vec::with_capacity(DEFAULT_ENDPOINTS.len() + endpoints.len());
    for default in DEFAULT_ENDPOINTS {
        let default: Endpoint = default.parse().expect("a test parses every default endpoint");
        let chosen = endpoints.iter().position(|chosen| chosen.prefix == default.prefix);
        all.push(chosen.map_or(default, |index| endpoints.remove(index)));
    }
    all.append(&mut endpoints);
    Ok(all)
}

/// A TCP listener of the command line: `IP:PORT=APP`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TcpListen {
    pub(crate) addr: SocketAddr,
    pub(crate) app: TcpApp,
}

/// An application for TCP clients that speak in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TcpApp {
    Chat,
    Echo,
}

/// The inbound rate limit of a client: `MESSAGES/BYTES` a second, or `off`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InboundRate(Option<Rate>);

impl FromStr for InboundRate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write MESSAGES/BYTES, both above 0, for example 200/131072, or off";
        if text == "off" {
            return Ok(Self(None));
        }
        let (messages, bytes) = text.split_once('/').ok_or(FORM)?;
        match (messages.parse().map_err(|_| FORM)?, bytes.parse().map_err(|_| FORM)?) {
            (0, _) | (_, 0) => Err(FORM),
            (messages, bytes) => Ok(Self(Some(Rate::new(messages, bytes)))),
        }
    }
}

/// The gateway and the shared state of mounted apps.
#[derive(Default)]
pub(crate) struct Mounts {
    pub(crate) gateway: Gateway,
    /// The rooms that are shown over HTTP: those of the first endpoint that has any, which is the
    /// call page's by default.
    pub(crate) rooms: Option<Rooms>,
    /// The chat that TCP clients join: that of the first endpoint that has one, which is the chat
    /// page's by default.
    chat: Option<Chat>,
    /// The limit of each client whose messages go to others.
    inbound_rate: Option<Rate>,
}

impl Mounts {
    pub(crate) fn new(InboundRate(inbound_rate): InboundRate) -> Self {
        Self { inbound_rate, ..Self::default() }
    }

    /// The application of a TCP listener.
    pub(crate) fn tcp(&mut self, app: TcpApp) -> TcpEndpoint {
        match app {
            TcpApp::Echo => TcpEndpoint::new(apps::line_echo),
            TcpApp::Chat => {
                let config = TcpConfig::new().inbound_rate(self.inbound_rate);
                TcpEndpoint::with_config(config, self.chat.get_or_insert_with(chat).line_handler())
            }
        }
    }

    /// For apps that pass messages on to other clients: a flooding client must not end its
    /// receivers.
    fn shared_endpoint(&mut self, prefix: &Prefix, config: EndpointConfig, handler: impl Handler) {
        let config = config.inbound_rate(self.inbound_rate);
        self.endpoint(prefix, config, handler);
    }

    fn endpoint(&mut self, prefix: &Prefix, config: EndpointConfig, handler: impl Handler) {
        self.gateway =
            std::mem::take(&mut self.gateway).endpoint_with(prefix.as_str(), config, handler);
    }
}

fn chat() -> Chat {
    Chat::new(&Hub::new(), ChatConfig::default())
}

/// An application that `--endpoint` can name.
#[derive(Debug)]
pub(crate) struct App {
    name: &'static str,
    /// The app's description in `--help` and on the index page.
    about: &'static str,
    mount: fn(&mut Mounts, &Prefix, EndpointConfig),
}

/// All of them.
static APPS: [App; 6] = [
    App {
        name: "echo",
        about: "sends every message back",
        mount: |mounts, prefix, config| {
            let message_size = 1024 * 1024;
            // A payload holds messages as JSON, which may take six bytes for one; the rest is for
            // brackets and commas.
            let payload_size = 6 * message_size + 1024;
            let config =
                config.message_size(message_size).payload_size(payload_size).short_poll(true);
            mounts.endpoint(prefix, config, apps::echo);
        },
    },
    App {
        name: "broadcast",
        about: "sends every message to all, its sender included",
        mount: |mounts, prefix, config| {
            mounts.shared_endpoint(prefix, config, apps::broadcast(&Hub::new()))
        },
    },
    App {
        name: "chat",
        about: "rooms with names, a roster and a history, for the chat page and others",
        mount: |mounts, prefix, config| {
            let chat = chat();
            mounts.shared_endpoint(prefix, config, chat.handler());
            mounts.chat.get_or_insert(chat);
        },
    },
    App {
        name: "relay",
        about: "sends every message to all others, never back",
        mount: |mounts, prefix, config| {
            mounts.shared_endpoint(prefix, config, apps::relay(&Hub::new()))
        },
    },
    App {
        name: "rooms",
        about: "signaling: rooms in which pages call each other",
        mount: |mounts, prefix, config| {
            let rooms = Rooms::new(RoomsConfig::default());
            mounts.shared_endpoint(prefix, config, rooms.handler());
            mounts.rooms.get_or_insert(rooms);
        },
    },
    App {
        name: "stamp",
        about: "sends every message back with the time of its arrival, for measurements",
        mount: |mounts, prefix, config| {
            mounts.endpoint(prefix, config, sockeye_bench::stamp::stamp)
        },
    },
];

/// The app that takes an address: `upstream=URL`.
const UPSTREAM: &str = "upstream";
const ABOUT_UPSTREAM: &str = "passes all messages to a plain WebSocket backend";

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (prefix, app) = text.split_once('=').ok_or(EndpointError::NoApp)?;
        let prefix: Prefix = prefix.parse()?;
        if front::is_reserved(prefix.as_str()) {
            return Err(EndpointError::Reserved);
        }
        let app = match app.split_once('=') {
            Some((UPSTREAM, url)) => {
                Mounted::Upstream(Upstream::new(url, UpstreamConfig::default())?)
            }
            None if app == UPSTREAM => return Err(EndpointError::NoUpstream),
            _ => {
                let known = APPS.iter().find(|known| known.name == app);
                Mounted::App(known.ok_or_else(|| EndpointError::UnknownApp(app.to_owned()))?)
            }
        };
        Ok(Self { prefix, app })
    }
}

/// A text that is no [`Endpoint`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error("write PREFIX=APP, for example /talk=chat")]
    NoApp,
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    #[error("the server itself answers on that path: choose another prefix")]
    Reserved,
    #[error("there is no app {0:?}: choose one of {names}", names = app_names())]
    UnknownApp(String),
    #[error("upstream needs its backend: write upstream=ws://host:port/path")]
    NoUpstream,
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

impl FromStr for TcpListen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str =
            "write IP:PORT=APP, where APP is chat or echo, for example 127.0.0.1:9999=chat";
        let (addr, app) = text.split_once('=').ok_or(FORM)?;
        let app = match app {
            "chat" => TcpApp::Chat,
            "echo" => TcpApp::Echo,
            _ => return Err(FORM),
        };
        Ok(Self { addr: addr.parse().map_err(|_| FORM)?, app })
    }
}

impl fmt::Display for TcpApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chat => "chat",
            Self::Echo => "echo",
        })
    }
}

fn app_names() -> String {
    let names: Vec<&str> = APPS.iter().map(|app| app.name).chain(["upstream=URL"]).collect();
    names.join(", ")
}

/// The text of `--endpoint` in `--help`.
pub(crate) fn endpoint_help() -> String {
    let upstream = ("upstream=URL", format!("{ABOUT_UPSTREAM}: ws://host:port/path"));
    let apps = APPS.iter().map(|app| (app.name, app.about.to_owned())).chain([upstream]);
    let apps: String = apps.map(|(name, about)| format!("\n  {name:<13} {about}")).collect();
    let defaults = DEFAULT_ENDPOINTS.join(" ");
    format!(
        "Serve APP below PREFIX, in place of the default endpoint there; may be repeated.\n\nApps:{apps}\n\nDefaults: {defaults}"
    )
}
