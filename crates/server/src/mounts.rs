//! Applications of the command line, at prefixes and at TCP listeners.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use sockeye::hub::Hub;
use sockeye::{EndpointConfig, Gateway, Handler, Prefix, PrefixError, TcpConfig, TcpEndpoint};
use sockeye_apps::rooms::{Rooms, RoomsConfig};
use sockeye_apps::{self as apps, Chat, ChatConfig, Upstream, UpstreamConfig, UpstreamError};

use crate::front::{self, EndpointInfo};

/// The endpoints that are served unless `--endpoint` replaces them.
pub(crate) const DEFAULT_ENDPOINTS: [&str; 5] =
    ["/echo=echo", "/broadcast=broadcast", "/ws=chat", "/socket=relay", "/signal=rooms"];

/// Those of them that pages of any site may use: their clients get the same, whoever they are.
pub(crate) const OPEN_DEFAULTS: [&str; 3] = ["/echo", "/broadcast", "/socket"];

/// An endpoint of the command line: `PREFIX=APP`.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) prefix: Prefix,
    pub(crate) app: AppName,
}

/// An application, as a flag or a file names it.
#[derive(Clone, Debug)]
pub(crate) enum AppName {
    App(&'static App),
    /// `upstream=URL`: a backend that speaks plain WebSocket.
    Upstream(String),
}

/// The application at a prefix.
#[derive(Clone, Debug)]
pub(crate) enum Mounted {
    App(&'static App),
    Upstream(Upstream),
}

impl AppName {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::App(app) => app.name,
            Self::Upstream(_) => UPSTREAM,
        }
    }

    /// The settings that it chooses for its endpoints, as flags would.
    pub(crate) fn own(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::App(app) => app.own,
            // The backend may send binary messages, so raw WebSockets carry them.
            Self::Upstream(_) => &[("binary", "true")],
        }
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(app) => f.write_str(app.name),
            Self::Upstream(url) => write!(f, "{UPSTREAM}={url}"),
        }
    }
}

impl Mounted {
    fn name(&self) -> &'static str {
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

/// An endpoint with all of its settings.
pub(crate) struct Planned {
    pub(crate) prefix: Prefix,
    pub(crate) app: Mounted,
    pub(crate) config: EndpointConfig,
    pub(crate) chat: ChatConfig,
    pub(crate) rooms: RoomsConfig,
}

impl Planned {
    /// Its entry in the list of endpoints.
    pub(crate) fn info(&self) -> EndpointInfo {
        EndpointInfo {
            prefix: self.prefix.to_string(),
            app: self.app.name(),
            about: self.app.about(),
            heartbeat_delay: self.config.heartbeat_delay.as_secs_f64(),
        }
    }

    pub(crate) fn mount(&self, mounts: &mut Mounts) {
        match &self.app {
            Mounted::App(app) => (app.mount)(mounts, self),
            Mounted::Upstream(upstream) => mounts.endpoint(self, upstream.clone()),
        }
    }
}

/// The endpoints that are served by default.
pub(crate) fn defaults() -> impl Iterator<Item = Endpoint> {
    let parsed = DEFAULT_ENDPOINTS.into_iter().map(str::parse);
    parsed.map(|endpoint| endpoint.expect("a test parses every default endpoint"))
}

/// The prefix that the command line names twice.
pub(crate) fn twice(chosen: &[Endpoint]) -> Option<&Prefix> {
    let prefixes = chosen.iter().map(|endpoint| &endpoint.prefix).enumerate();
    let earlier = |index: usize, prefix: &Prefix| {
        chosen[..index].iter().any(|earlier| earlier.prefix == *prefix)
    };
    prefixes.into_iter().find_map(|(index, prefix)| earlier(index, prefix).then_some(prefix))
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
}

impl Mounts {
    /// The application of a TCP listener.
    pub(crate) fn tcp(&mut self, app: TcpApp, config: TcpConfig) -> TcpEndpoint {
        match app {
            TcpApp::Echo => TcpEndpoint::with_config(config, apps::line_echo),
            TcpApp::Chat => {
                let chat =
                    self.chat.get_or_insert_with(|| Chat::new(&Hub::new(), ChatConfig::default()));
                TcpEndpoint::with_config(config, chat.line_handler())
            }
        }
    }

    fn endpoint(&mut self, planned: &Planned, handler: impl Handler) {
        let gateway = std::mem::take(&mut self.gateway);
        let (prefix, config) = (planned.prefix.as_str(), planned.config.clone());
        self.gateway = gateway.endpoint_with(prefix, config, handler);
    }
}

/// An application that `--endpoint` can name.
#[derive(Debug)]
pub(crate) struct App {
    name: &'static str,
    /// The app's description in `--help` and on the index page.
    about: &'static str,
    own: &'static [(&'static str, &'static str)],
    mount: fn(&mut Mounts, &Planned),
}

/// The inbound rate of each client in an app that passes messages on to other clients: a flooding
/// client must not end its receivers.
pub(crate) const SHARED_RATE: &str = "200/131072";
const SHARED: &[(&str, &str)] = &[("inbound_rate", SHARED_RATE)];

/// All of them.
static APPS: [App; 6] = [
    App {
        name: "echo",
        about: "sends every message back",
        // A payload holds messages as JSON, which may take six bytes for one; the rest is for
        // brackets and commas.
        own: &[("message_size", "1 MiB"), ("payload_size", "6145 KiB"), ("short_poll", "true")],
        mount: |mounts, planned| mounts.endpoint(planned, apps::echo),
    },
    App {
        name: "broadcast",
        about: "sends every message to all, its sender included",
        own: SHARED,
        mount: |mounts, planned| mounts.endpoint(planned, apps::broadcast(&Hub::new())),
    },
    App {
        name: "chat",
        about: "rooms with names, a roster and a history, for the chat page and others",
        own: SHARED,
        mount: |mounts, planned| {
            let chat = Chat::new(&Hub::new(), planned.chat.clone());
            mounts.endpoint(planned, chat.handler());
            mounts.chat.get_or_insert(chat);
        },
    },
    App {
        name: "relay",
        about: "sends every message to all others, never back",
        own: SHARED,
        mount: |mounts, planned| mounts.endpoint(planned, apps::relay(&Hub::new())),
    },
    App {
        name: "rooms",
        about: "signaling: rooms in which pages call each other",
        own: SHARED,
        mount: |mounts, planned| {
            let rooms = Rooms::new(planned.rooms.clone());
            mounts.endpoint(planned, rooms.handler());
            mounts.rooms.get_or_insert(rooms);
        },
    },
    App {
        name: "stamp",
        about: "sends every message back with the time of its arrival, for measurements",
        own: &[],
        mount: |mounts, planned| mounts.endpoint(planned, sockeye_bench::stamp::stamp),
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
        Ok(Self { prefix, app: app.parse()? })
    }
}

impl FromStr for AppName {
    type Err = EndpointError;

    fn from_str(app: &str) -> Result<Self, EndpointError> {
        match app.split_once('=') {
            Some((UPSTREAM, url)) => {
                // Its settings may come from elsewhere, but the URL is right or wrong here.
                Upstream::new(url, UpstreamConfig::default())?;
                Ok(Self::Upstream(url.to_owned()))
            }
            None if app == UPSTREAM => Err(EndpointError::NoUpstream),
            _ => {
                let known = APPS.iter().find(|known| known.name == app);
                known.map(Self::App).ok_or_else(|| EndpointError::UnknownApp(app.to_owned()))
            }
        }
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

impl FromStr for TcpApp {
    type Err = &'static str;

    fn from_str(app: &str) -> Result<Self, Self::Err> {
        match app {
            "chat" => Ok(Self::Chat),
            "echo" => Ok(Self::Echo),
            _ => Err("choose chat or echo"),
        }
    }
}

impl FromStr for TcpListen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str =
            "write IP:PORT=APP, where APP is chat or echo, for example 127.0.0.1:9999=chat";
        let (addr, app) = text.split_once('=').ok_or(FORM)?;
        Ok(Self { addr: addr.parse().map_err(|_| FORM)?, app: app.parse().map_err(|_| FORM)? })
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

pub(crate) fn app_names() -> String {
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
