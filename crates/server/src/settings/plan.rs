//! The settings put together, and what does not fit together.

use std::fs;
use std::path::PathBuf;

use sockeye::{ServeConfig, TcpConfig};
use sockeye_apps::ice::{Credentials, IceConfig, IceServer};
use sockeye_apps::rooms::RoomsConfig;
use sockeye_apps::{ChatConfig, Upstream, UpstreamConfig};

use super::chosen::Chosen;
use super::problem::Problem;
use super::sections::{EndpointSection, IceSection, Settings, base};
use super::tables::{
    CHAT, ENDPOINT, ICE, ICE_SERVER, IceServerSettings, IceSettings, PROGRAM, Program, ROOMS,
    SERVER, TCP, UPSTREAM,
};
use super::value;
use crate::ice_args;
use crate::mounts::{self, AppName, Mounted, Planned, TcpListen};

/// The settings put together: each has its value.
pub(crate) struct Plan {
    pub(crate) program: Program,
    pub(crate) serve: ServeConfig,
    pub(crate) endpoints: Vec<Planned>,
    pub(crate) tcp: Vec<(TcpListen, TcpConfig)>,
    pub(crate) ice: IceConfig,
}

impl Settings {
    pub(super) fn plan(&self) -> Result<Plan, Vec<Problem>> {
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
}

impl IceSection {
    fn plan(&self) -> Result<IceConfig, Problem> {
        let settings = ICE.apply(IceSettings::default(), &self.config);
        let problem = |key: &'static str, text: String| {
            let span = self.config.span(key).or(self.span.clone());
            Problem { span, path: format!("ice.{key}"), text }
        };
        if !(1..=7 * 24 * 3600).contains(&settings.ttl.as_secs()) {
            return Err(problem("ttl", "write a time from \"1s\" to \"7d\"".to_owned()));
        }
        let token = secret(("token", settings.token), ("token_file", settings.token_file))
            .map_err(|(key, text)| problem(key, text))?;
        if token.as_ref().is_some_and(|token| !ice_args::is_sendable(token)) {
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
    let settings = ICE_SERVER.apply(IceServerSettings::default(), chosen);
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
