//! All that the program can be told: by a file, by variables, by flags, each over the one before.
//!
//! | module | content |
//! |---|---|
//! | `tables` | each setting: key, kind, unit, effect |
//! | `value` | values, and how each kind is read and shown |
//! | `chosen` | the values that were given |
//! | `file`, `problem` | a TOML file; its problems, with their lines |
//! | `args` | a flag and a variable for each setting of all endpoints, the server and the process |
//! | `print` | the settings as a file |

mod args;
mod chosen;
mod file;
mod print;
mod problem;
mod tables;
#[cfg(test)]
mod tests;
mod value;

use std::fs;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use sockeye::{EndpointConfig, Prefix, ServeConfig, TcpConfig};
use sockeye_apps::ice::{Credentials, IceConfig, IceServer};
use sockeye_apps::rooms::RoomsConfig;
use sockeye_apps::{ChatConfig, Upstream, UpstreamConfig};

pub(crate) use args::SettingArgs;
pub(crate) use chosen::Chosen;
pub(crate) use print::print;
use problem::Problem;
pub(crate) use tables::Program;
use tables::{CHAT, ENDPOINT, ICE, ICE_SERVER, PROGRAM, ROOMS, SERVER, TCP, UPSTREAM};
pub(crate) use value::LogFormat;

use crate::assets::CLIENT_URL;
use crate::mounts::{self, AppName, Endpoint, Mounted, TcpApp, TcpListen};

/// What was chosen, before it is put together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    program: Chosen,
    server: Chosen,
    /// Of all endpoints.
    endpoints: Chosen,
    endpoint: Vec<EndpointSection>,
    tcp: Vec<TcpSection>,
    ice: IceSection,
}

#[derive(Clone, Debug)]
struct EndpointSection {
    span: Option<Range<usize>>,
    prefix: Prefix,
    /// `None` for settings of a default endpoint.
    app: Option<AppName>,
    config: Chosen,
    chat: Chosen,
    rooms: Chosen,
    upstream: Chosen,
}

#[derive(Clone, Debug)]
struct TcpSection {
    addr: SocketAddr,
    app: TcpApp,
    config: Chosen,
}

#[derive(Clone, Debug, Default)]
struct IceSection {
    span: Option<Range<usize>>,
    config: Chosen,
    servers: Vec<(Chosen, Range<usize>)>,
}

/// The settings put together: each has its value.
pub(crate) struct Plan {
    pub(crate) program: Program,
    pub(crate) serve: ServeConfig,
    pub(crate) endpoints: Vec<Planned>,
    pub(crate) tcp: Vec<(TcpListen, TcpConfig)>,
    pub(crate) ice: IceConfig,
}

/// An endpoint with all of its settings.
pub(crate) struct Planned {
    pub(crate) prefix: Prefix,
    pub(crate) app: Mounted,
    pub(crate) config: EndpointConfig,
    pub(crate) chat: ChatConfig,
    pub(crate) rooms: RoomsConfig,
}

/// A file of settings: its name, its text, and what it says.
#[derive(Default)]
pub(crate) struct File {
    name: String,
    text: String,
    settings: Settings,
}

impl File {
    /// Reads a file, or stdin for `-`.
    ///
    /// # Errors
    ///
    /// Lines for the operator that tell each problem.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let (name, text) = if path == Path::new("-") {
            let mut text = String::new();
            ("stdin".to_owned(), io::stdin().read_to_string(&mut text).map(|_| text))
        } else {
            (path.display().to_string(), fs::read_to_string(path))
        };
        let text = text.map_err(|error| {
            format!("error: {name}: {error}: name a file of text that can be read\n")
        })?;
        Self::parse(name, text)
    }

    fn parse(name: String, text: String) -> Result<Self, String> {
        match file::read(&text) {
            Ok(settings) => Ok(Self { name, text, settings }),
            Err(problems) => Err(render(&problems, &name, &text)),
        }
    }

    /// Puts flags and variables over the file.
    pub(crate) fn with(
        mut self,
        args: SettingArgs,
        endpoints: Vec<Endpoint>,
        tcp: Vec<TcpListen>,
    ) -> Self {
        let settings = &mut self.settings;
        settings.program.extend(args.program);
        settings.server.extend(args.server);
        settings.endpoints.extend(args.endpoints);
        for Endpoint { prefix, app } in endpoints {
            let section = settings.endpoint.iter_mut().find(|section| section.prefix == prefix);
            match section {
                Some(section) => section.app = Some(app),
                None => settings
                    .endpoint
                    .push(EndpointSection { app: Some(app), ..EndpointSection::new(prefix) }),
            }
        }
        for TcpListen { addr, app } in tcp {
            // Port 0 takes another port each time.
            let section = settings.tcp.iter_mut().find(|it| it.addr == addr && addr.port() != 0);
            match section {
                Some(section) => section.app = app,
                None => settings.tcp.push(TcpSection { addr, app, config: Chosen::default() }),
            }
        }
        self
    }

    /// Puts the settings together.
    ///
    /// # Errors
    ///
    /// Lines for the operator that tell each problem.
    pub(crate) fn plan(&self) -> Result<Plan, String> {
        self.settings.plan().map_err(|problems| render(&problems, &self.name, &self.text))
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }
}

fn render(problems: &[Problem], name: &str, text: &str) -> String {
    problems.iter().map(|problem| problem.render(name, text)).collect()
}

impl EndpointSection {
    fn new(prefix: Prefix) -> Self {
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
    fn plan(&self) -> Result<Plan, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut endpoints = Vec::new();
        for section in self.sections() {
            match self.planned(&section) {
                Ok(planned) => endpoints.push(planned),
                Err(problem) => problems.push(problem),
            }
        }
        let tcp = self.tcp.iter().map(|section| {
            let listen = TcpListen { addr: section.addr, app: section.app };
            let config = TCP.apply(TcpConfig::default(), &self.tcp_config(section));
            (listen, config)
        });
        let tcp = tcp.collect();
        let ice = self.ice.plan().map_err(|problem| problems.push(problem));
        match ice {
            Ok(ice) if problems.is_empty() => Ok(Plan {
                program: PROGRAM.apply(Program::default(), &self.program),
                serve: SERVER.apply(ServeConfig::default(), &self.server),
                endpoints,
                tcp,
                ice,
            }),
            _ => Err(problems),
        }
    }

    /// The default endpoints, each with what was chosen for its prefix, and the others.
    fn sections(&self) -> Vec<EndpointSection> {
        let mut chosen = self.endpoint.clone();
        let mut sections = Vec::new();
        let with_defaults = PROGRAM.apply(Program::default(), &self.program).default_endpoints;
        for Endpoint { prefix, app } in mounts::defaults().filter(|_| with_defaults) {
            let at = chosen.iter().position(|section| section.prefix == prefix);
            let section = at.map_or_else(|| EndpointSection::new(prefix), |at| chosen.remove(at));
            sections.push(EndpointSection { app: section.app.or(Some(app)), ..section });
        }
        sections.append(&mut chosen);
        sections
    }

    fn planned(&self, section: &EndpointSection) -> Result<Planned, Problem> {
        let problem = |key: &str, text: String| {
            let path = format!("endpoint.{}{key}", value::quoted(section.prefix.as_str()));
            Problem { span: section.span.clone(), path, text }
        };
        let Some(app) = &section.app else {
            let names = mounts::app_names();
            return Err(problem("", format!("it has no app: write app = \"…\", one of {names}")));
        };
        let parts = [
            ("chat", &section.chat, app.name() == "chat"),
            ("rooms", &section.rooms, app.name() == "rooms"),
            ("upstream", &section.upstream, app.name() == "upstream"),
        ];
        for (name, chosen, fits) in parts {
            if !fits && !chosen.is_empty() {
                let text = format!(
                    "these are settings of the app {name}, but the app here is {app}: take them out, or choose that app"
                );
                return Err(problem(&format!(".{name}"), text));
            }
        }
        let app = match app {
            AppName::App(app) => Mounted::App(app),
            AppName::Upstream(url) => {
                let config = UPSTREAM.apply(UpstreamConfig::default(), &section.upstream);
                Mounted::Upstream(
                    Upstream::new(url, config).map_err(|error| problem("", chain(&error)))?,
                )
            }
        };
        let config = ENDPOINT.apply(base(), &self.endpoint_config(section));
        let chat = CHAT.apply(ChatConfig::default(), &section.chat);
        let rooms = ROOMS.apply(RoomsConfig::default(), &section.rooms);
        Ok(Planned { prefix: section.prefix.clone(), app, config, chat, rooms })
    }

    /// What an app chooses for itself, all endpoints over that, and the endpoint over both.
    fn endpoint_config(&self, section: &EndpointSection) -> Chosen {
        let mut chosen = section.app.as_ref().map(own).unwrap_or_default();
        chosen.extend(self.endpoints.clone());
        chosen.extend(section.config.clone());
        chosen
    }

    /// The chat's rate is that of all endpoints, for its clients meet there.
    fn tcp_config(&self, section: &TcpSection) -> Chosen {
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
fn base() -> EndpointConfig {
    EndpointConfig::default().client_url(CLIENT_URL)
}

/// The choices that an app makes for its endpoints.
fn own(app: &AppName) -> Chosen {
    ENDPOINT.of_flags(app.own())
}

impl IceSection {
    fn plan(&self) -> Result<IceConfig, Problem> {
        let settings = ICE.apply(tables::IceSettings::default(), &self.config);
        let problem = |key: &'static str, text: String| {
            let span = self.config.span(key).or(self.span.clone());
            Problem { span, path: format!("ice.{key}"), text }
        };
        if !(1..=7 * 24 * 3600).contains(&settings.ttl.as_secs()) {
            return Err(problem("ttl", "write a time from \"1s\" to \"7d\"".to_owned()));
        }
        let token = secret(("token", settings.token), ("token_file", settings.token_file))
            .map_err(|(key, text)| problem(key, text))?;
        if token.as_ref().is_some_and(|token| !crate::ice_args::is_sendable(token)) {
            let text = "write ASCII letters, digits and signs, without spaces".to_owned();
            return Err(problem("token", text));
        }
        let servers = self.servers.iter().enumerate().map(|(index, (chosen, span))| {
            ice_server(chosen).map_err(|(key, text)| Problem {
                span: chosen.span(key).or_else(|| Some(span.clone())),
                path: format!("ice.servers[{index}]"),
                text,
            })
        });
        let servers: Vec<IceServer> = servers.collect::<Result<_, _>>()?;
        let config = IceConfig::new().servers(servers).token(token).ttl(settings.ttl);
        Ok(config.requests_per_minute(settings.requests_per_minute).addresses(settings.addresses))
    }
}

/// A server, or the key that is wrong and what to write.
fn ice_server(chosen: &Chosen) -> Result<IceServer, (&'static str, String)> {
    let settings = ICE_SERVER.apply(tables::IceServerSettings::default(), chosen);
    let password =
        secret(("password", settings.password), ("password_file", settings.password_file))?;
    let secret = secret(("secret", settings.secret), ("secret_file", settings.secret_file))?;
    let credentials = match (settings.username, password, secret) {
        (None, None, None) => Credentials::None,
        (Some(username), Some(password), None) => Credentials::Fixed { username, password },
        (None, None, Some(secret)) => Credentials::Shared { secret },
        (_, _, Some(_)) => {
            let text = "secret replaces username and password: leave one or the other out";
            return Err(("secret", text.to_owned()));
        }
        (Some(_), None, None) => {
            return Err(("username", "username needs password or password_file".to_owned()));
        }
        (None, Some(_), None) => return Err(("password", "password needs username".to_owned())),
    };
    IceServer::new(settings.urls, credentials).map_err(|error| ("urls", error.to_string()))
}

/// A secret, from its setting or from the file that another one names, without the file's last
/// line break.
fn secret(
    (key, text): (&'static str, Option<String>),
    (file_key, file): (&'static str, Option<PathBuf>),
) -> Result<Option<String>, (&'static str, String)> {
    let Some(path) = file else { return Ok(text) };
    if text.is_some() {
        return Err((
            file_key,
            format!("{key} and {file_key} say the same: leave one of them out"),
        ));
    }
    let text = fs::read_to_string(&path).map_err(|error| {
        (file_key, format!("{}: {error}: name a file that can be read", path.display()))
    })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err((file_key, format!("{} is empty: write the {key} into it", path.display())));
    }
    Ok(Some(text.to_owned()))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
