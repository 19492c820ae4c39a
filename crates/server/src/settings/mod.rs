//! All that the program can be told: by a file, by variables, by flags, each over the one before.
//!
//! | module | content |
//! |---|---|
//! | `tables` | each setting: key, kind, unit, effect |
//! | `value` | values, and how each kind is read and shown |
//! | `chosen` | the values that were given |
//! | `sections` | all of them, by section; which stands over which |
//! | `file`, `problem` | a TOML file; its problems, with their lines |
//! | `args` | a flag and a variable for each setting of all endpoints, the server and the process |
//! | `plan` | the settings put together |
//! | `print` | the settings as a file |

mod args;
mod chosen;
mod file;
mod plan;
mod print;
mod problem;
mod sections;
mod tables;
#[cfg(test)]
mod tests;
mod value;

use std::fs;
use std::io::{self, Read};
use std::path::Path;

pub(crate) use self::args::SettingArgs;
use self::chosen::Chosen;
pub(crate) use self::plan::Plan;
pub(crate) use self::print::print;
use self::problem::Problem;
pub(crate) use self::sections::Settings;
use self::sections::{EndpointSection, TcpSection};
pub(crate) use self::value::LogFormat;
use crate::mounts::{Endpoint, TcpListen};

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
