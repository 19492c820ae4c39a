//! A flag `--heartbeat-delay` and a variable `SOCKEYE_HEARTBEAT_DELAY` for each setting of the
//! process, the server and all endpoints.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::chosen::Chosen;
use super::tables::{ENDPOINT, Group, PROGRAM, SERVER};
use super::value::{Filter, Kind, Value};

/// The settings that flags and variables give.
#[derive(Clone, Debug, Default)]
pub(crate) struct SettingArgs {
    pub(super) program: Chosen,
    pub(super) server: Chosen,
    pub(super) endpoints: Chosen,
}

/// The settings of endpoints that the short help tells too.
const USUAL: [&str; 4] = ["origins", "heartbeat_delay", "disconnect_delay", "inbound_rate"];

/// The settings of which a flag may be repeated, each time with one item: key and flag.
const REPEATED: [(&str, &str); 1] = [("origins", "origin")];

impl SettingArgs {
    /// Takes the filter that other programs with such a log know too, below the program's own.
    ///
    /// # Errors
    ///
    /// What to write instead.
    pub(crate) fn rust_log(&mut self, filter: Option<String>) -> Result<(), String> {
        let Some(filter) = filter.filter(|_| self.program.value("log").is_none()) else {
            return Ok(());
        };
        let filter = Value::Text(filter);
        Filter::read(&filter).map_err(|text| format!("RUST_LOG: {text}"))?;
        self.program.put("log", filter);
        Ok(())
    }
}

impl Args for SettingArgs {
    fn augment_args(command: Command) -> Command {
        let command = flags(command, &PROGRAM, None);
        let command = flags(command, &ENDPOINT, Some("All endpoints ([endpoints] in a file)"));
        flags(command, &SERVER, Some("The server of HTTP ([server] in a file)"))
            .next_help_heading(None::<&str>)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flags<C: Default>(
    mut command: Command,
    group: &'static Group<C>,
    heading: Option<&'static str>,
) -> Command {
    for setting in group.settings {
        let default = match (setting.show)(&C::default()) {
            Some(value) if !value.plain().is_empty() => format!(" [default: {}]", value.plain()),
            _ => String::new(),
        };
        let takes = move |text: &str| {
            let value = (setting.of_flag)(text);
            (setting.set)(&mut C::default(), &value).map(|()| text.to_owned())
        };
        let arg = Arg::new(setting.key)
            .long(setting.key.replace('_', "-"))
            .value_name(setting.form)
            .env(format!("SOCKEYE_{}", setting.key.to_ascii_uppercase()))
            .hide_env(true)
            .value_parser(takes)
            .help(format!("{}: {}{default}", setting.unit, setting.effect))
            .hide_short_help(heading.is_some() && !USUAL.contains(&setting.key))
            .help_heading(heading);
        let repeated = REPEATED.into_iter().find(|(key, _)| *key == setting.key);
        command = command.arg(match repeated {
            Some((key, flag)) => arg.long(flag).alias(key).action(ArgAction::Append),
            None => arg,
        });
    }
    command
}

impl FromArgMatches for SettingArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self {
            program: given(matches, &PROGRAM),
            server: given(matches, &SERVER),
            endpoints: given(matches, &ENDPOINT),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn given<C>(matches: &ArgMatches, group: &'static Group<C>) -> Chosen {
    let mut chosen = Chosen::default();
    for setting in group.settings {
        if let Some(texts) = matches.get_many::<String>(setting.key) {
            let texts: Vec<&str> = texts.map(String::as_str).collect();
            chosen.put(setting.key, (setting.of_flag)(&texts.join(",")));
        }
    }
    chosen
}
