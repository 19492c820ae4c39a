//! The settings of a TOML file. Each problem in it is told, not the first alone.

use std::net::SocketAddr;
use std::ops::Range;

use sockeye::Prefix;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::chosen::Chosen;
use super::problem::{Problem, unknown};
use super::sections::{EndpointSection, IceSection, Settings, TcpSection};
use super::tables::{
    CHAT, ENDPOINT, Group, ICE, ICE_SERVER, PROGRAM, ROOMS, SERVER, TCP, UPSTREAM,
};
use super::value::{Value, quoted};
use crate::front;
use crate::mounts::{AppName, TcpApp};

/// Reads a file's text.
///
/// # Errors
///
/// All problems, in the order of the file.
pub(crate) fn read(text: &str) -> Result<Settings, Vec<Problem>> {
    let table = DeTable::parse(text).map_err(|error| {
        vec![Problem {
            span: error.span(),
            path: String::new(),
            text: format!("this is no TOML: {}", error.message().replace('\n', ", ")),
        }]
    })?;
    let mut reader = Reader::default();
    let settings = reader.settings(table.get_ref());
    reader.problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
    if reader.problems.is_empty() { Ok(settings) } else { Err(reader.problems) }
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
}

const SECTIONS: [&str; 5] = ["server", "endpoints", "endpoint", "tcp", "ice"];

impl Reader {
    fn settings(&mut self, table: &DeTable<'_>) -> Settings {
        let mut settings = Settings::default();
        for (key, value) in in_order(table) {
            let name = key.get_ref().as_ref();
            match name {
                "server" => settings.server = self.group(&SERVER, "server", value, &[]),
                "endpoints" => settings.endpoints = self.group(&ENDPOINT, "endpoints", value, &[]),
                "endpoint" => {
                    for (prefix, value) in self.tables("endpoint", value, "[endpoint.\"/echo\"]") {
                        settings.endpoint.extend(self.endpoint(prefix, value));
                    }
                }
                "tcp" => {
                    for (addr, value) in self.tables("tcp", value, "[tcp.\"127.0.0.1:9999\"]") {
                        settings.tcp.extend(self.tcp(addr, value));
                    }
                }
                "ice" => settings.ice = self.ice(value),
                _ => {
                    let known: Vec<_> = PROGRAM.keys().into_iter().chain(SECTIONS).collect();
                    self.one(&PROGRAM, "", key, value, &mut settings.program, &known);
                }
            }
        }
        settings
    }

    fn endpoint(
        &mut self,
        prefix: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<EndpointSection> {
        let path = format!("endpoint.{}", quoted(prefix.get_ref()));
        let at = prefix.span();
        let prefix: Prefix = match prefix.get_ref().parse() {
            Ok(prefix) => prefix,
            Err(error) => return self.problem(at, &path, format!("{error}")),
        };
        if front::is_reserved(prefix.as_str()) {
            let text = "the server itself answers on that path: choose another prefix";
            return self.problem(at, &path, text.to_owned());
        }
        let mut section = EndpointSection { span: Some(at), ..EndpointSection::new(prefix) };
        for (key, value) in in_order(self.table(&path, value)?) {
            let below = format!("{path}.{}", key.get_ref());
            match key.get_ref().as_ref() {
                "app" => section.app = self.app(&below, value),
                "chat" => section.chat = self.group(&CHAT, &below, value, &[]),
                "rooms" => section.rooms = self.group(&ROOMS, &below, value, &[]),
                "upstream" => section.upstream = self.group(&UPSTREAM, &below, value, &[]),
                _ => {
                    let more = ["app", "chat", "rooms", "upstream"];
                    let known: Vec<_> = more.into_iter().chain(ENDPOINT.keys()).collect();
                    self.one(&ENDPOINT, &path, key, value, &mut section.config, &known);
                }
            }
        }
        Some(section)
    }

    fn app(&mut self, path: &str, value: &Spanned<DeValue<'_>>) -> Option<AppName> {
        let text = value.get_ref().as_str().unwrap_or_default();
        match text.parse() {
            Ok(app) => Some(app),
            Err(error) => self.problem(value.span(), path, format!("{error}")),
        }
    }

    fn tcp(
        &mut self,
        addr: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<TcpSection> {
        let path = format!("tcp.{}", quoted(addr.get_ref()));
        let Ok(parsed) = addr.get_ref().parse::<SocketAddr>() else {
            let text = "write an IP address and a port, for example [tcp.\"127.0.0.1:9999\"]";
            return self.problem(addr.span(), &path, text.to_owned());
        };
        let (mut app, mut config) = (None, Chosen::default());
        for (key, value) in in_order(self.table(&path, value)?) {
            if key.get_ref() == "app" {
                app = value.get_ref().as_str().and_then(|app| app.parse::<TcpApp>().ok());
                if app.is_none() {
                    let text = "write \"chat\" or \"echo\"".to_owned();
                    return self.problem(value.span(), &format!("{path}.app"), text);
                }
            } else {
                let known: Vec<_> = ["app"].into_iter().chain(TCP.keys()).collect();
                self.one(&TCP, &path, key, value, &mut config, &known);
            }
        }
        match app {
            Some(app) => Some(TcpSection { addr: parsed, app, config }),
            None => {
                let text = "it has no app: write app = \"chat\" or app = \"echo\"".to_owned();
                self.problem(addr.span(), &path, text)
            }
        }
    }

    fn ice(&mut self, value: &Spanned<DeValue<'_>>) -> IceSection {
        let mut section = IceSection { span: Some(value.span()), ..IceSection::default() };
        let Some(table) = self.table("ice", value) else { return section };
        for (key, value) in in_order(table) {
            if key.get_ref() != "servers" {
                let known: Vec<_> = ["servers"].into_iter().chain(ICE.keys()).collect();
                self.one(&ICE, "ice", key, value, &mut section.config, &known);
                continue;
            }
            let Some(servers) = value.get_ref().as_array() else {
                let text = "write [[ice.servers]], once for each server".to_owned();
                let _: Option<()> = self.problem(value.span(), "ice.servers", text);
                continue;
            };
            for (index, server) in servers.iter().enumerate() {
                let path = format!("ice.servers[{index}]");
                let chosen = self.group(&ICE_SERVER, &path, server, &[]);
                section.servers.push((chosen, server.span()));
            }
        }
        section
    }

    /// A table that holds settings of one group.
    fn group<C: Default>(
        &mut self,
        group: &Group<C>,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        more: &[&str],
    ) -> Chosen {
        let mut chosen = Chosen::default();
        let known: Vec<_> = more.iter().copied().chain(group.keys()).collect();
        for (key, value) in self.table(path, value).map(in_order).unwrap_or_default() {
            self.one(group, path, key, value, &mut chosen, &known);
        }
        chosen
    }

    fn one<C: Default>(
        &mut self,
        group: &Group<C>,
        path: &str,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        chosen: &mut Chosen,
        known: &[&str],
    ) {
        let name = key.get_ref();
        let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        let Some(setting) = group.find(name) else {
            let text = elsewhere(name, known).unwrap_or_else(|| unknown(name, known));
            let _: Option<()> = self.problem(key.span(), &path, text);
            return;
        };
        let tried = Value::of_toml(value.get_ref())
            .and_then(|value| (setting.set)(&mut C::default(), &value).map(|()| value));
        match tried {
            Ok(taken) => chosen.put_at(setting.key, taken, value.span()),
            Err(text) => {
                let _: Option<()> = self.problem(value.span(), &path, text);
            }
        }
    }

    fn table<'t, 'i>(
        &mut self,
        path: &str,
        value: &'t Spanned<DeValue<'i>>,
    ) -> Option<&'t DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            let text = format!("it is a section: write [{path}], and its settings below");
            let _: Option<()> = self.problem(value.span(), path, text);
        }
        table
    }

    /// The tables in a table.
    fn tables<'t, 'i>(
        &mut self,
        path: &str,
        value: &'t Spanned<DeValue<'i>>,
        example: &str,
    ) -> Vec<Entry<'t, 'i>> {
        if let Some(table) = value.get_ref().as_table() {
            return in_order(table);
        }
        let text = format!("it is a section: write for example {example}");
        let _: Option<()> = self.problem(value.span(), path, text);
        Vec::new()
    }

    /// Always `None`, for what can't be read.
    fn problem<T>(&mut self, span: Range<usize>, path: &str, text: String) -> Option<T> {
        self.problems.push(Problem { span: Some(span), path: path.to_owned(), text });
        None
    }
}

type Entry<'t, 'i> = (&'t Spanned<std::borrow::Cow<'i, str>>, &'t Spanned<DeValue<'i>>);

/// As they stand in the file, for endpoints are announced in that order.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// The section that a key belongs to, when it stands in another.
fn elsewhere(key: &str, known: &[&str]) -> Option<String> {
    if known.contains(&key) {
        return None;
    }
    let sections = [
        (
            ENDPOINT.find(key).is_some(),
            "[endpoints], or below [endpoint.\"/prefix\"] for one endpoint",
        ),
        (SERVER.find(key).is_some(), "[server]"),
        (PROGRAM.find(key).is_some(), "nothing, above all sections"),
        (TCP.find(key).is_some(), "[tcp.\"IP:PORT\"]"),
        (CHAT.find(key).is_some(), "[endpoint.\"/prefix\".chat]"),
        (ROOMS.find(key).is_some(), "[endpoint.\"/prefix\".rooms]"),
        (UPSTREAM.find(key).is_some(), "[endpoint.\"/prefix\".upstream]"),
        (ICE.find(key).is_some(), "[ice]"),
    ];
    let (_, section) = sections.into_iter().find(|(is_there, _)| *is_there)?;
    Some(format!("{key} is no setting of this section: write it below {section}"))
}
