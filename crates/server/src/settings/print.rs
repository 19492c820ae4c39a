//! The settings as a file, which reads as the same settings. Secrets are not in it.

use std::fmt::Write as _;

use sockeye::{ServeConfig, TcpConfig};
use sockeye_apps::ice::{Credentials, IceConfig};
use sockeye_apps::rooms::RoomsConfig;
use sockeye_apps::{ChatConfig, UpstreamConfig};

use super::chosen::Chosen;
use super::sections::{Settings, base, own};
use super::tables::{
    CHAT, ENDPOINT, Group, ICE, ICE_SERVER, IceServerSettings, IceSettings, PROGRAM, Program,
    ROOMS, SERVER, Setting, TCP, UPSTREAM,
};
use super::value::{Value, quoted};
use crate::mounts::AppName;

const HEAD: &str = "\
# Settings of sockeye: `sockeye --config FILE`. Each holds its default here.
# A line `#name = value` is a setting that is not set, with an example.
# Defaults < this file < variables (SOCKEYE_HEARTBEAT_DELAY) < flags (--heartbeat-delay).
# `sockeye check-config FILE` checks a file, `sockeye print-config` prints what holds.
";

/// The settings as they hold, with `ice` in place of the file's; explained for an example.
pub(crate) fn print(settings: &Settings, ice: &IceConfig, explained: bool) -> String {
    let mut printer = Printer { text: String::new(), explained };
    if explained {
        printer.text.push_str(HEAD);
    }
    printer.group(&PROGRAM, &Program::default(), &settings.program);
    printer.section("server", "The server of HTTP.");
    printer.group(&SERVER, &ServeConfig::default(), &settings.server);
    printer.section("endpoints", "All endpoints.");
    printer.group(&ENDPOINT, &base(), &settings.endpoints);
    printer.endpoints(settings);
    for section in &settings.tcp {
        let _ = write!(
            printer.text,
            "\n[tcp.{}]\napp = \"{}\"\n",
            quoted(&section.addr.to_string()),
            section.app
        );
        printer.group(&TCP, &TcpConfig::default(), &settings.tcp_config(section));
    }
    if explained {
        printer.examples();
    }
    printer.ice(settings, ice);
    printer.text
}

struct Printer {
    text: String,
    explained: bool,
}

impl Printer {
    fn section(&mut self, name: &str, about: &str) {
        self.text.push('\n');
        if self.explained {
            let _ = writeln!(self.text, "# {about}");
        }
        let _ = writeln!(self.text, "[{name}]");
    }

    fn group<C>(&mut self, group: &Group<C>, config: &C, chosen: &Chosen) {
        for setting in group.settings {
            let value = chosen.value(setting.key).cloned().or_else(|| (setting.show)(config));
            self.setting(setting, value);
        }
    }

    fn setting<C>(&mut self, setting: &Setting<C>, value: Option<Value>) {
        if self.explained {
            let _ = writeln!(self.text, "\n# {}: {}", setting.unit, setting.effect);
        }
        let Setting { key, example, .. } = setting;
        let _ = match (value, example) {
            (Some(value), _) => writeln!(self.text, "{key} = {value}"),
            (None, Some(example)) => writeln!(self.text, "#{key} = {}", quoted(example)),
            (None, None) => writeln!(self.text, "#{key} ="),
        };
    }

    fn endpoints(&mut self, settings: &Settings) {
        if self.explained {
            self.text.push_str(
                "\n# One endpoint: its app, and any setting of [endpoints] that is another one here.\n# Apps: ",
            );
            let _ = writeln!(self.text, "{}", crate::mounts::app_names());
        }
        for section in settings.sections() {
            let Some(app) = &section.app else { continue };
            let name = format!("endpoint.{}", quoted(section.prefix.as_str()));
            let _ = write!(self.text, "\n[{name}]\napp = {}\n", quoted(&app.to_string()));
            // [endpoints] above names every setting, and so would hide what the app chooses.
            let mut named = own(app);
            named.extend(section.config.clone());
            let chosen = settings.endpoint_config(&section);
            for (key, _) in named.values() {
                if let Some(value) = chosen.value(key) {
                    let _ = writeln!(self.text, "{key} = {value}");
                }
            }
            match app.name() {
                "chat" => {
                    self.section(&format!("{name}.chat"), "The chat of this endpoint.");
                    self.group(&CHAT, &ChatConfig::default(), &section.chat);
                }
                "rooms" => {
                    self.section(&format!("{name}.rooms"), "The rooms of this endpoint.");
                    self.group(&ROOMS, &RoomsConfig::default(), &section.rooms);
                }
                "upstream" => {
                    self.section(&format!("{name}.upstream"), "The connections to the backend.");
                    self.group(&UPSTREAM, &UpstreamConfig::default(), &section.upstream);
                }
                _ => {}
            }
        }
    }

    /// Sections of which there are none by default, as comments.
    fn examples(&mut self) {
        let mut inner = Printer { text: String::new(), explained: true };
        let app = AppName::Upstream("ws://127.0.0.1:9000/app".to_owned());
        let _ = write!(inner.text, "[endpoint.\"/app\"]\napp = {}\n", quoted(&app.to_string()));
        inner.text.push_str("\n[endpoint.\"/app\".upstream]\n");
        inner.group(&UPSTREAM, &UpstreamConfig::default(), &Chosen::default());
        inner.text.push_str("\n[tcp.\"127.0.0.1:9999\"]\napp = \"chat\"\n");
        inner.group(&TCP, &TcpConfig::default(), &Chosen::default());
        self.text.push_str(
            "\n# A backend that speaks plain WebSocket, and a listener for TCP clients that speak in records.\n",
        );
        self.commented(&inner.text);
    }

    fn commented(&mut self, text: &str) {
        for line in text.lines() {
            let mark = if line.is_empty() || line.starts_with('#') { "" } else { "#" };
            let _ = writeln!(self.text, "{mark}{line}");
        }
    }

    fn ice(&mut self, settings: &Settings, ice: &IceConfig) {
        self.section("ice", "ICE servers for calls, served at /ice.");
        let config = IceSettings {
            ttl: ice.ttl,
            requests_per_minute: ice.requests_per_minute,
            addresses: ice.addresses,
            ..IceSettings::default()
        };
        for setting in ICE.settings {
            let value = match setting.key {
                "token_file" => settings.ice.config.value("token_file").cloned(),
                _ => (setting.show)(&config),
            };
            if setting.key == "token" && ice.token.is_some() {
                self.text.push_str("# token: set, and not shown\n");
            } else {
                self.setting(setting, value);
            }
        }
        for server in &ice.servers {
            self.text.push_str("\n[[ice.servers]]\n");
            let urls: Vec<String> =
                server.urls().iter().map(|url| url.as_str().to_owned()).collect();
            let _ = writeln!(self.text, "urls = {}", Value::List(urls));
            match server.credentials() {
                Credentials::None => {}
                Credentials::Fixed { username, .. } => {
                    let _ = writeln!(self.text, "username = {}", quoted(username));
                    self.text.push_str("# password: set, and not shown\n");
                }
                Credentials::Shared { .. } => self.text.push_str("# secret: set, and not shown\n"),
            }
        }
        if self.explained {
            let mut inner = Printer { text: "[[ice.servers]]\n".to_owned(), explained: true };
            for setting in ICE_SERVER.settings {
                let urls = Value::List(vec!["turn:turn.example.org".to_owned()]);
                let value = (setting.show)(&IceServerSettings::default());
                inner.setting(setting, value.map(|_| urls));
            }
            self.text.push_str("\n# A server; with username and password, or with a secret.\n");
            self.commented(&inner.text);
        }
    }
}
