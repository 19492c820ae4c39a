//! Configuration of the ICE servers, and of access to them.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::url::{IceUrl, IceUrlError};

/// ICE servers, and the conditions on which clients get them.
///
/// From a file, it is the configuration that `RTCPeerConnection` takes and a few members more:
///
/// ```
/// use sockeye_apps::ice::IceConfig;
///
/// let config = IceConfig::from_json(r#"{
///     "iceServers": [
///         {"urls": "stun:stun.example.org"},
///         {"urls": ["turn:turn.example.org?transport=udp", "turns:turn.example.org"], "secret": "as in turnserver.conf"},
///         {"urls": "turn:other.example.org", "username": "ann", "credential": "xyz"}
///     ],
///     "ttl": 3600,
///     "requestsPerMinute": 60
/// }"#)?;
/// assert_eq!(config.servers.len(), 3);
/// # Ok::<(), sockeye_apps::ice::IceConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IceConfig {
    /// The servers, in the order in which clients get them. `iceServers` in a file. Default: none,
    /// which is enough for peers that reach each other directly.
    pub servers: Vec<IceServer>,
    /// How long credentials that are made from a shared secret are valid, and how long a client may
    /// use an answer; 1 s to 7 days, in a file in seconds. Default: 1 h.
    pub ttl: Duration,
    /// The token that a client must send as `Authorization: Bearer …`. Default: none, every client
    /// is answered.
    pub token: Option<String>,
    /// Requests answered for one address in a minute; for IPv6, one network of 64 bits.
    /// `requestsPerMinute` in a file. Default: 60.
    pub requests_per_minute: NonZeroU32,
    /// Addresses counted at the same time. With more, all counts start again at zero. Not in a
    /// file. Default: 100,000.
    pub addresses: usize,
}

sockeye::__setters!(IceConfig {
    servers: impl Into<Vec<IceServer>>,
    ttl: Duration,
    token: impl Into<Option<String>>,
    requests_per_minute: NonZeroU32,
    addresses: usize,
});

/// One entry of `iceServers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceServer {
    urls: Vec<IceUrl>,
    credentials: Credentials,
}

/// How a client proves to a TURN server that it may use it.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Without credentials: a STUN server.
    None,
    /// With a name and a password that stay the same.
    Fixed {
        /// `username`.
        username: String,
        /// `credential`.
        password: String,
    },
    /// With a name and password made for each answer from a secret that the TURN server knows as
    /// well: coturn's `use-auth-secret`.
    Shared {
        /// `static-auth-secret` in `turnserver.conf`.
        secret: String,
    },
}

impl IceConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses the contents of a file.
    ///
    /// # Errors
    ///
    /// [`IceConfigError`] names the member that is wrong. Unknown members are errors: they are
    /// misspelled known ones.
    pub fn from_json(text: &str) -> Result<Self, IceConfigError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let file: File =
            serde_path_to_error::deserialize(&mut json).map_err(IceConfigError::from_serde)?;
        json.end().map_err(IceConfigError::Json)?;
        file.check()
    }
}

impl Default for IceConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            ttl: Duration::from_secs(3600),
            token: None,
            requests_per_minute: NonZeroU32::new(60).expect("60 is not 0"),
            addresses: 100_000,
        }
    }
}

impl IceServer {
    /// A server with one or more URLs.
    ///
    /// # Errors
    ///
    /// When there is no URL, or a TURN server's without credentials, or credentials for STUN
    /// servers alone.
    pub fn new(urls: Vec<IceUrl>, credentials: Credentials) -> Result<Self, IceServerError> {
        let has_turn = urls.iter().any(IceUrl::is_turn);
        match &credentials {
            _ if urls.is_empty() => Err(IceServerError::NoUrl),
            Credentials::None if has_turn => Err(IceServerError::NoCredentials),
            Credentials::Fixed { .. } | Credentials::Shared { .. } if !has_turn => {
                Err(IceServerError::NoTurn)
            }
            Credentials::Shared { secret } if secret.is_empty() => Err(IceServerError::EmptySecret),
            _ => Ok(Self { urls, credentials }),
        }
    }

    /// The server's URLs.
    pub fn urls(&self) -> &[IceUrl] {
        &self.urls
    }

    /// The credentials that its clients need.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }
}

/// Shows the kind alone: secrets stay out of logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Fixed { .. } => "Fixed(…)",
            Self::Shared { .. } => "Shared(…)",
        })
    }
}

/// Why an [`IceServer`] makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IceServerError {
    /// No URL at all.
    #[error("urls is empty")]
    NoUrl,
    /// Browsers refuse a TURN server without credentials.
    #[error("a TURN server needs username and credential, or a secret")]
    NoCredentials,
    /// Credentials for a STUN server, which takes none.
    #[error("username, credential and secret are for TURN servers, and urls names none")]
    NoTurn,
    /// An empty secret.
    #[error("secret is empty")]
    EmptySecret,
}

/// Why a file can't be read as an [`IceConfig`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IceConfigError {
    /// It is no JSON.
    #[error("no JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// A member is wrong.
    #[error("{field}: {problem}")]
    Field {
        /// The member's path, such as `iceServers[1].urls[0]`.
        field: String,
        /// The problem with it.
        problem: String,
    },
}

impl IceConfigError {
    fn from_serde(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        let field = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() {
            Self::Field { field, problem: error.to_string() }
        } else {
            Self::Json(error)
        }
    }

    fn field(field: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self::Field { field: field.into(), problem: problem.to_string() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    ice_servers: Vec<Entry>,
    ttl: Option<u64>,
    token: Option<String>,
    requests_per_minute: Option<NonZeroU32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(deserialize_with = "one_or_more")]
    urls: Vec<IceUrl>,
    username: Option<String>,
    credential: Option<String>,
    secret: Option<String>,
}

const WEEK: u64 = 7 * 24 * 3600;

impl File {
    fn check(self) -> Result<IceConfig, IceConfigError> {
        let defaults = IceConfig::default();
        let servers = self.ice_servers.into_iter().enumerate();
        let servers = servers.map(|(index, entry)| {
            entry
                .check()
                .map_err(|problem| IceConfigError::field(format!("iceServers[{index}]"), problem))
        });
        let servers = servers.collect::<Result<_, _>>()?;
        if self.ttl.is_some_and(|ttl| !(1..=WEEK).contains(&ttl)) {
            return Err(IceConfigError::field("ttl", format!("1 to {WEEK} seconds are possible")));
        }
        if let Some(token) = &self.token
            && (token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(IceConfigError::field(
                "token",
                "a token is made of ASCII characters that are seen, and not empty",
            ));
        }
        Ok(IceConfig {
            servers,
            ttl: self.ttl.map_or(defaults.ttl, Duration::from_secs),
            token: self.token,
            requests_per_minute: self.requests_per_minute.unwrap_or(defaults.requests_per_minute),
            ..defaults
        })
    }
}

impl Entry {
    fn check(self) -> Result<IceServer, String> {
        let credentials = match (self.username, self.credential, self.secret) {
            (None, None, None) => Credentials::None,
            (Some(username), Some(password), None) => Credentials::Fixed { username, password },
            (None, None, Some(secret)) => Credentials::Shared { secret },
            (Some(_), None, None) => return Err("username stands without credential".to_owned()),
            (None, Some(_), None) => return Err("credential stands without username".to_owned()),
            (_, _, Some(_)) => {
                return Err("secret replaces username and credential: leave them out".to_owned());
            }
        };
        IceServer::new(self.urls, credentials).map_err(|error| error.to_string())
    }
}

/// Browsers take one URL or a list of them.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IceUrl>, D::Error> {
    struct Urls;

    impl<'de> Visitor<'de> for Urls {
        type Value = Vec<IceUrl>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a URL or an array of URLs")
        }

        fn visit_str<E: de::Error>(self, url: &str) -> Result<Vec<IceUrl>, E> {
            url.parse().map(|url| vec![url]).map_err(|error: IceUrlError| E::custom(error))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, urls: A) -> Result<Vec<IceUrl>, A::Error> {
            Deserialize::deserialize(de::value::SeqAccessDeserializer::new(urls))
        }
    }

    deserializer.deserialize_any(Urls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_defaults() {
        let config = IceConfig::from_json(r#"{"iceServers": []}"#).expect("enough");
        assert_eq!(
            (config.servers.len(), config.ttl, config.token),
            (0, Duration::from_secs(3600), None)
        );
        assert_eq!(config.requests_per_minute.get(), 60);
    }

    #[test]
    fn a_file_says_all() {
        let config = IceConfig::from_json(
            r#"{"iceServers": [
                {"urls": "stun:a"},
                {"urls": ["stun:b", "turn:b"], "username": "u", "credential": "p"},
                {"urls": "turn:c", "secret": "s"}
            ], "ttl": 60, "token": "t", "requestsPerMinute": 5}"#,
        )
        .expect("fine");
        let credentials: Vec<_> =
            config.servers.iter().map(|server| server.credentials().clone()).collect();
        let (username, password, secret) = ("u".to_owned(), "p".to_owned(), "s".to_owned());
        let fixed = Credentials::Fixed { username, password };
        assert_eq!(credentials, [Credentials::None, fixed, Credentials::Shared { secret }]);
        assert_eq!(
            (config.ttl.as_secs(), config.token.as_deref(), config.requests_per_minute.get()),
            (60, Some("t"), 5)
        );
        assert!(
            !format!("{config:?}").contains("\"s\"") && !format!("{config:?}").contains("\"p\"")
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = [
            ("", "no JSON: EOF"),
            ("{\"iceServers\": [}", "no JSON: expected value at line 1"),
            ("{\"iceServers\": []} x", "no JSON: trailing characters"),
            ("{}", ".: missing field `iceServers`"),
            ("[]", ".: invalid length 0"),
            (r#"{"iceServers": {}}"#, "iceServers: invalid type: map, expected a sequence"),
            (
                r#"{"iceServers": [], "tll": 5}"#,
                "tll: unknown field `tll`, expected one of `iceServers`, `ttl`",
            ),
            (r#"{"iceServers": [], "ttl": "1h"}"#, "ttl: invalid type: string \"1h\""),
            (r#"{"iceServers": [], "ttl": 0}"#, "ttl: 1 to 604800 seconds"),
            (r#"{"iceServers": [], "ttl": 604801}"#, "ttl: 1 to 604800 seconds"),
            (r#"{"iceServers": [], "token": ""}"#, "token: a token is"),
            (r#"{"iceServers": [], "token": "a b"}"#, "token: a token is"),
            (
                r#"{"iceServers": [], "requestsPerMinute": 0}"#,
                "requestsPerMinute: invalid value: integer `0`",
            ),
            (
                r#"{"iceServers": [{"url": "stun:a"}]}"#,
                "iceServers[0].url: unknown field `url`, expected one of `urls`",
            ),
            (r#"{"iceServers": [{}]}"#, "iceServers[0]: missing field `urls`"),
            (
                r#"{"iceServers": [{"urls": 7}]}"#,
                "iceServers[0].urls: invalid type: integer `7`, expected a URL or an array of URLs",
            ),
            (r#"{"iceServers": [{"urls": []}]}"#, "iceServers[0]: urls is empty"),
            (
                r#"{"iceServers": [{"urls": "http://a"}]}"#,
                "iceServers[0].urls: \"http://a\" is no STUN or TURN URL",
            ),
            (
                r#"{"iceServers": [{"urls": "stun:a"}, {"urls": ["stun:b", "stun:"]}]}"#,
                "iceServers[1].urls[1]: \"stun:\" is no",
            ),
            (r#"{"iceServers": [{"urls": "turn:a"}]}"#, "iceServers[0]: a TURN server needs"),
            (
                r#"{"iceServers": [{"urls": "turn:a", "username": "u"}]}"#,
                "iceServers[0]: username stands without",
            ),
            (
                r#"{"iceServers": [{"urls": "turn:a", "credential": "u"}]}"#,
                "iceServers[0]: credential stands without",
            ),
            (
                r#"{"iceServers": [{"urls": "turn:a", "username": "u", "secret": "s"}]}"#,
                "iceServers[0]: secret replaces",
            ),
            (
                r#"{"iceServers": [{"urls": "turn:a", "secret": ""}]}"#,
                "iceServers[0]: secret is empty",
            ),
            (
                r#"{"iceServers": [{"urls": "stun:a", "secret": "s"}]}"#,
                "iceServers[0]: username, credential and secret are",
            ),
        ];
        for (text, start) in wrong {
            let error = IceConfig::from_json(text).expect_err(text).to_string();
            assert!(error.starts_with(start), "{text}: {error}");
        }
    }
}
