//! The flags about ICE servers: a file with the whole configuration, or a few flags for usual ones.

use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sockeye_apps::ice::{
    Credentials, IceConfig, IceConfigError, IceServer, IceServerError, IceUrl,
};

/// The ICE servers at `/ice`.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "ICE servers for calls, served at /ice")]
pub(crate) struct IceArgs {
    /// Serve the ICE servers in this JSON file: {"iceServers": [{"urls": "turn:…", "secret": "…"}],
    /// "ttl": 3600, "token": "…"}
    #[arg(long = "ice", value_name = "FILE")]
    file: Option<PathBuf>,

    /// Serve this STUN or TURN server, such as stun:stun.example.org or
    /// turn:turn.example.org?transport=tcp; may be repeated
    #[arg(long = "ice-url", value_name = "URL")]
    urls: Vec<IceUrl>,

    /// Log in to the TURN servers with this name
    #[arg(long, value_name = "NAME")]
    turn_username: Option<String>,

    /// … and this password
    #[arg(long, value_name = "PASSWORD", env = "SOCKEYE_TURN_PASSWORD", hide_env_values = true)]
    turn_password: Option<String>,

    /// Make names and passwords that expire, from the secret that the TURN servers know (coturn:
    /// static-auth-secret)
    #[arg(long, value_name = "SECRET", env = "SOCKEYE_TURN_SECRET", hide_env_values = true)]
    turn_secret: Option<String>,

    /// Let them expire after this many seconds [default: 3600]
    #[arg(long, value_name = "SECONDS", value_parser = ttl)]
    ice_ttl: Option<Duration>,

    /// Answer only clients that send `Authorization: Bearer TOKEN`
    #[arg(long, value_name = "TOKEN", env = "SOCKEYE_ICE_TOKEN", hide_env_values = true, value_parser = token)]
    ice_token: Option<String>,

    /// Answer one address this many times in a minute [default: 60]
    #[arg(long, value_name = "NUMBER")]
    ice_requests_per_minute: Option<NonZeroU32>,
}

impl IceArgs {
    /// Reads the file, or puts the flags over `base`.
    pub(crate) fn config(self, base: IceConfig) -> Result<IceConfig, IceArgsError> {
        let Some(path) = &self.file else { return self.put_over(base) };
        if let Some(flag) = self.flag_beside_file() {
            return Err(IceArgsError::Both { flag });
        }
        let text = fs::read_to_string(path)
            .map_err(|source| IceArgsError::Read { path: path.clone(), source })?;
        IceConfig::from_json(&text)
            .map_err(|source| IceArgsError::File { path: path.clone(), source })
    }

    fn flag_beside_file(&self) -> Option<&'static str> {
        let given = [
            (!self.urls.is_empty(), "--ice-url"),
            (self.turn_username.is_some(), "--turn-username"),
            (self.turn_password.is_some(), "--turn-password (or SOCKEYE_TURN_PASSWORD)"),
            (self.turn_secret.is_some(), "--turn-secret (or SOCKEYE_TURN_SECRET)"),
            (self.ice_ttl.is_some(), "--ice-ttl"),
            (self.ice_token.is_some(), "--ice-token (or SOCKEYE_ICE_TOKEN)"),
            (self.ice_requests_per_minute.is_some(), "--ice-requests-per-minute"),
        ];
        given.into_iter().find_map(|(is_given, flag)| is_given.then_some(flag))
    }

    fn put_over(self, base: IceConfig) -> Result<IceConfig, IceArgsError> {
        let credentials = match (self.turn_username, self.turn_password, self.turn_secret) {
            (None, None, None) => Credentials::None,
            (Some(username), Some(password), None) => Credentials::Fixed { username, password },
            (None, None, Some(secret)) => Credentials::Shared { secret },
            (Some(_), None, None) => return Err(IceArgsError::NoPassword),
            (None, Some(_), None) => return Err(IceArgsError::NoUsername),
            (_, _, Some(_)) => return Err(IceArgsError::SecretAndName),
        };
        let (turn, stun): (Vec<_>, Vec<_>) = self.urls.into_iter().partition(IceUrl::is_turn);
        let mut servers = Vec::new();
        if !stun.is_empty() {
            servers.push(IceServer::new(stun, Credentials::None)?);
        }
        if !turn.is_empty() {
            servers.push(IceServer::new(turn, credentials)?);
        } else if credentials != Credentials::None {
            return Err(IceServerError::NoTurn.into());
        }
        let ttl = self.ice_ttl.unwrap_or(base.ttl);
        let requests = self.ice_requests_per_minute.unwrap_or(base.requests_per_minute);
        let token = self.ice_token.or_else(|| base.token.clone());
        let servers = if servers.is_empty() { base.servers.clone() } else { servers };
        Ok(base.servers(servers).token(token).ttl(ttl).requests_per_minute(requests))
    }
}

/// Why the flags make no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IceArgsError {
    #[error("--ice {path}: {source}: name a file that can be read", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("--ice {path}: {source}", path = path.display())]
    File { path: PathBuf, source: IceConfigError },
    #[error(
        "--ice configures all about ICE servers: move {flag} into its file, or leave --ice out"
    )]
    Both { flag: &'static str },
    #[error("--turn-username needs --turn-password (or SOCKEYE_TURN_PASSWORD)")]
    NoPassword,
    #[error("--turn-password (or SOCKEYE_TURN_PASSWORD) needs --turn-username")]
    NoUsername,
    #[error(
        "--turn-secret (or SOCKEYE_TURN_SECRET) replaces --turn-username and --turn-password: leave one or the other out"
    )]
    SecretAndName,
    #[error("{}", advice(.0))]
    Server(#[from] IceServerError),
}

fn advice(error: &IceServerError) -> String {
    let advice = match error {
        IceServerError::NoCredentials => {
            "a TURN server in --ice-url needs --turn-secret, or --turn-username and --turn-password"
        }
        IceServerError::NoTurn => {
            "--turn-username, --turn-password and --turn-secret are for TURN servers: name one with --ice-url turn:HOST"
        }
        IceServerError::EmptySecret => {
            "--turn-secret (or SOCKEYE_TURN_SECRET) is empty: give the one of the TURN server"
        }
        IceServerError::NoUrl => "name a server with --ice-url",
        other => return other.to_string(),
    };
    advice.to_owned()
}

fn ttl(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().filter(|seconds| (1..=7 * 24 * 3600).contains(seconds));
    seconds.map(Duration::from_secs).ok_or("write 1 to 604800 seconds, for example 3600")
}

/// Whether a header can carry it.
pub(crate) fn is_sendable(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

fn token(text: &str) -> Result<String, &'static str> {
    is_sendable(text)
        .then(|| text.to_owned())
        .ok_or("write ASCII letters, digits and signs, without spaces")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(urls: &[&str]) -> Vec<IceUrl> {
        urls.iter().map(|url| url.parse().expect("a URL")).collect()
    }

    #[test]
    fn nothing_said_is_nothing_handed_out() {
        let (config, defaults) = (
            IceArgs::default().config(IceConfig::default()).expect("enough"),
            IceConfig::default(),
        );
        assert!(config.servers.is_empty() && config.token.is_none());
        assert_eq!(
            (config.ttl, config.requests_per_minute),
            (defaults.ttl, defaults.requests_per_minute)
        );
    }

    #[test]
    fn stun_servers_are_handed_out_without_the_credentials_of_turn_servers() {
        let args = IceArgs {
            urls: urls(&["turn:a", "stun:b", "turns:c"]),
            turn_secret: Some("s".to_owned()),
            ice_ttl: Some(Duration::from_secs(60)),
            ice_token: Some("t".to_owned()),
            ..IceArgs::default()
        };
        let config = args.config(IceConfig::default()).expect("complete");
        let servers: Vec<_> = config
            .servers
            .iter()
            .map(|it| (it.urls().to_owned(), it.credentials().clone()))
            .collect();
        let secret = Credentials::Shared { secret: "s".to_owned() };
        assert_eq!(
            servers,
            [(urls(&["stun:b"]), Credentials::None), (urls(&["turn:a", "turns:c"]), secret)]
        );
        assert_eq!((config.ttl.as_secs(), config.token.as_deref()), (60, Some("t")));
    }

    #[test]
    fn what_does_not_fit_together_is_told_by_flag() {
        let name = || Some("x".to_owned());
        let (turn, stun) = (|| urls(&["turn:a"]), || urls(&["stun:a"]));
        let wrong = [
            (
                IceArgs { urls: turn(), ..IceArgs::default() },
                "a TURN server in --ice-url needs --turn-secret",
            ),
            (
                IceArgs { urls: turn(), turn_username: name(), ..IceArgs::default() },
                "--turn-username needs",
            ),
            (
                IceArgs { urls: turn(), turn_password: name(), ..IceArgs::default() },
                "--turn-password (or SOCKEYE_TURN",
            ),
            (
                IceArgs { urls: stun(), turn_secret: name(), ..IceArgs::default() },
                "--turn-username, --turn-password and",
            ),
            (
                IceArgs { urls: turn(), turn_secret: Some(String::new()), ..IceArgs::default() },
                "--turn-secret (or SOCK",
            ),
            (
                IceArgs {
                    urls: turn(),
                    turn_secret: name(),
                    turn_username: name(),
                    ..IceArgs::default()
                },
                "--turn-secret (or SOCKEYE_TURN_SECRET) replaces",
            ),
            (
                IceArgs { file: Some("/nowhere".into()), ..IceArgs::default() },
                "--ice /nowhere: No such file",
            ),
            (
                IceArgs {
                    file: Some("/nowhere".into()),
                    turn_secret: name(),
                    ..IceArgs::default()
                },
                "--ice configures all about ICE servers: move --turn-secret",
            ),
        ];
        for (args, start) in wrong {
            let error = args.config(IceConfig::default()).expect_err(start).to_string();
            assert!(error.starts_with(start), "{start}: {error}");
        }
    }
}
