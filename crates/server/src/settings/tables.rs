//! The tables of settings: each key once, with its kind, its unit and its effect. The reader of
//! files, flags, variables, the printed configuration and the tables of docs/settings.md are made
//! from them.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use sockeye::{DrainConfig, EndpointConfig, ServeConfig, TcpConfig};
use sockeye_apps::ice::{IceConfig, IceUrl};
use sockeye_apps::rooms::RoomsConfig;
use sockeye_apps::{ChatConfig, UpstreamConfig};

use super::chosen::Chosen;
use super::value::{
    Address, Cookies, Count, CountOrZero, Filter, Format, Headers, IceUrls, Kind, LogFormat,
    MaybePath, MaybeRate, MaybeSize, MaybeText, NonZero, OriginList, Protocols, Size, SizeOrZero,
    SocketSize, Switch, Text, Time, TimeOrZero, TransportSet, Value,
};

/// A setting of the configuration `C`.
pub(crate) struct Setting<C: 'static> {
    pub(crate) key: &'static str,
    pub(crate) unit: &'static str,
    /// What it does, and the outcome at its limit.
    pub(crate) effect: &'static str,
    /// A value to show, for a setting that may be unset.
    pub(crate) example: Option<&'static str>,
    /// How its value is named in `--help`.
    pub(crate) form: &'static str,
    pub(crate) show: fn(&C) -> Option<Value>,
    /// Fails with what to write instead.
    pub(crate) set: fn(&mut C, &Value) -> Result<(), String>,
    pub(crate) of_flag: fn(&str) -> Value,
}

/// The settings of the configuration `C`.
pub(crate) struct Group<C: 'static> {
    /// The heading of its table in docs/settings.md.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test makes the table"))]
    pub(crate) heading: &'static str,
    /// The rest of that table: what only a program that uses the library can set.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test makes the table"))]
    pub(crate) beside: &'static str,
    pub(crate) settings: &'static [Setting<C>],
}

impl<C> Group<C> {
    pub(crate) fn find(&self, key: &str) -> Option<&Setting<C>> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    pub(crate) fn keys(&self) -> Vec<&'static str> {
        self.settings.iter().map(|setting| setting.key).collect()
    }

    /// Sets what was chosen.
    pub(crate) fn apply(&self, mut config: C, chosen: &Chosen) -> C {
        for (key, value) in chosen.values() {
            let setting = self.find(key).expect("a choice is of a key of its group");
            (setting.set)(&mut config, value).expect("a choice was tried when it was made");
        }
        config
    }
}

impl<C: Default> Group<C> {
    /// The choices that an application makes for its endpoints, as flags would.
    pub(crate) fn of_flags(&self, flags: &[(&str, &str)]) -> Chosen {
        let mut chosen = Chosen::default();
        for (key, text) in flags {
            let setting = self.find(key).expect("an application's settings are tested");
            chosen.put(setting.key, (setting.of_flag)(text));
        }
        chosen
    }
}

macro_rules! settings {
    ($group:ident of $config:ident, $heading:literal, beside $beside:literal;
     $($key:ident: $kind:ident, $unit:literal, $effect:literal $(, $example:literal)?;)+) => {
        pub(crate) static $group: Group<$config> = Group {
            heading: $heading,
            beside: $beside,
            settings: &[$(Setting {
                key: stringify!($key),
                unit: $unit,
                effect: $effect,
                example: [$($example)?].first().copied(),
                form: $kind::FORM,
                show: |config| $kind::show(&config.$key),
                set: |config, value| {
                    config.$key = $kind::read(value)?;
                    Ok(())
                },
                of_flag: $kind::of_flag,
            },)+],
        };
    };
}

/// What concerns the process.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) listen: SocketAddr,
    pub(crate) default_endpoints: bool,
    pub(crate) memory: Option<usize>,
    pub(crate) drain_lead: Duration,
    pub(crate) drain_time: Duration,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
}

impl Default for Program {
    fn default() -> Self {
        let drain = DrainConfig::default();
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8080).into(),
            default_endpoints: true,
            memory: None,
            drain_lead: drain.drain_lead,
            drain_time: drain.drain_time,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

settings! { PROGRAM of Program, "The file", beside r"";
    listen: Address, "IP:PORT", r#"the address of HTTP; port 0 takes a free one. A port in use: exit code 2"#;
    default_endpoints: Switch, "yes or no", r#"whether the five endpoints of the demos are served; others replace the one of their prefix"#;
    memory: MaybeSize, "bytes", r#"the limit of the `Budget` of all sessions together, above which the largest are closed; unset, half of what the process may use"#, "512 MiB";
    drain_lead: TimeOrZero, "time", r#"at a stop signal, how long `/readyz` answers 503 while all else goes on, before sessions are told"#;
    drain_time: TimeOrZero, "time", r#"how long sessions may take to be told after that; then what is left is cut off"#;
    log: Filter, "level, or levels by module", r#"filters the log on stderr"#;
    log_format: Format, "text or json", r#"the form of the log's lines; json is for programs that collect logs"#;
}

settings! { ENDPOINT of EndpointConfig, "An endpoint: `EndpointConfig`",
    beside r"| `budget` | a `Budget` | [`Budget::process`] | as in the next section |";
    transports: TransportSet, "set", r#"one that is off answers 404, and info tells clients about WebSocket"#;
    origins: OriginList, "any, same-origin, or a list of origins; an `Origins`", r#"403 for pages of other origins, and the answer names the origin; `https://*.example.org` are all subdomains. Pages of the own origin always pass. The default endpoints `/echo`, `/broadcast` and `/socket` take any, unless their own section says other"#;
    binary: Switch, "yes or no", r#"raw WebSockets carry binary messages; elsewhere one closes its session with 1003"#;
    subprotocols: Protocols, "list of names", r#"over WebSocket the first of the client's list that is in this one; with none in common 101 without the header, and browsers close"#;
    message_size: Size, "bytes of UTF-8", r#"a larger message closes the session with 1009"#;
    payload_size: Size, "bytes of JSON", r#"1009, and 413 for `xhr_send`"#;
    messages_per_payload: Count, "messages", r#"1009, and 413 for `xhr_send`"#;
    discard_limit: SizeOrZero, "bytes", r#"bytes that are read of a body without a session, or that is refused for its size; then its connection ends"#;
    message_timeout: Time, "time", r#"how long a message may take to arrive: 408 over HTTP, 1008 "message did not arrive in time" over WebSocket"#;
    inbound_messages: Count, "messages", r#"the WebSocket is not read, `xhr_send` waits"#;
    inbound_bytes: Size, "bytes", r#"as `inbound_messages`"#;
    inbound_rate: MaybeRate, "messages and bytes a second", r#"a client that is faster is read no further, and its `xhr_send` waits"#;
    send_wait: Time, "time", r#"503, and the session closes with 1008 "inbound queue full""#;
    waiting_payloads: Count, "payloads", r#"one more is not read until another is taken; after `message_timeout` 503, and the session goes on"#;
    outbound_messages: Count, "messages", r#"`send` waits, `try_send` says `Full`, the hub closes with 1008 "slow consumer""#;
    outbound_bytes: Size, "bytes", r#"as `outbound_messages`; a message over it by itself is `TooLarge`, and the session goes on"#;
    outbound_keys: CountOrZero, "keys", r#"a publication of which only the newest of its key counts is dropped, and its publisher told"#;
    response_limit: Size, "bytes", r#"a streaming response ends, and the client comes again at once"#;
    short_poll: Switch, "yes or no", r#"whether `sockeye_wait=SECONDS` in the query of an xhr poll bounds how long it waits"#;
    heartbeat_delay: Time, "time", r#"how long nothing is sent before `h`, and a ping over WebSocket"#;
    pong_timeout: Time, "time", r#"3000 "No response from heartbeat""#;
    disconnect_delay: Time, "time", r#"a session whose client does not come back ends with 1002, and its application is told; one that has closed gives up a client that takes nothing more"#;
    write_timeout: Time, "time", r#"1008 "the client does not read"; over HTTP its connection is reset, where the server gives a `PeerWatch`"#;
    least_rate: SizeOrZero, "bytes a second", r#"1008 "the client reads too slowly", on the average of `write_timeout`; 0 asks for no rate"#;
    attach_wait: TimeOrZero, "time", r#"2010 "Another connection still open""#;
    sessions: Count, "sessions", r#"503, before a session is opened"#;
    remembered_for: TimeOrZero, "time", r#"a poll with the id of an ended session opens a new one, and is not told what was lost"#;
    remembered_sessions: CountOrZero, "ids", r#"as `remembered_for`, for the oldest"#;
    client_url: Text, "path or URL", r#"what the iframe page loads; must be the version of the embedding page. The program serves its own copy where it has one"#;
    base_url: MaybeText, "URL", r#"clients are told to use another base URL"#, "https://example.org/echo";
    cookies: Cookies, "off, on, or attributes; a `CookieConfig`", r#"sets `JSESSIONID` for load balancers"#;
    kept_headers: Headers, "names", r#"others are dropped, and `ConnectInfo` does not have them"#;
    kept_header_bytes: SizeOrZero, "bytes", r#"431, before a session is opened"#;
    target_size: Size, "bytes of path and query", r#"414, before a session is opened"#;
}

settings! { SERVER of ServeConfig, "A server: `ServeConfig`",
    beside r"| `budget` | a `Budget` | [`Budget::process`] | connections count in it beside the sessions |";
    handshake_timeout: Time, "time", r#"a connection whose TLS handshake takes longer is closed"#;
    first_byte_timeout: Time, "time", r#"a new connection that stays silent longer is closed"#;
    head_timeout: Time, "time", r#"a request's head, idleness before it included; then the connection is closed. Above the 60 s for which proxies keep an idle one, so that the proxy closes first"#;
    head_size: Size, "bytes", r#"431, and the connection ends"#;
    unacknowledged_timeout: TimeOrZero, "time", r#"the system ends a connection whose bytes stay unacknowledged (Linux and Android); 0 leaves it to the system"#;
    unsent_bytes: SocketSize, "bytes", r#"what the system keeps unsent (Linux and Android); 0 leaves it to the system"#;
    stop_grace: TimeOrZero, "time", r#"after a stop, requests that are left are cut off"#;
}

settings! { TCP of TcpConfig, "A TCP endpoint: `TcpConfig`",
    beside r"| `budget` | a `Budget` | [`Budget::process`] | as above |";
    message_size: Size, "bytes of UTF-8", r#"a larger message closes the session with 1009"#;
    inbound_messages: Count, "messages", r#"the connection is not read"#;
    inbound_bytes: Size, "bytes", r#"as `inbound_messages`"#;
    inbound_rate: MaybeRate, "messages and bytes a second", r#"a client that is faster is read no further"#;
    outbound_messages: Count, "messages", r#"as in `EndpointConfig`"#;
    outbound_bytes: Size, "bytes", r#"as in `EndpointConfig`"#;
    outbound_keys: CountOrZero, "keys", r#"as in `EndpointConfig`"#;
    first_record_timeout: Time, "time", r#"1008 "no record in time""#;
    message_timeout: Time, "time", r#"1008 "no record in time", for a record that has begun"#;
    write_timeout: Time, "time", r#"1008 "the client does not read""#;
    least_rate: SizeOrZero, "bytes a second", r#"1008 "the client reads too slowly""#;
    keepalive_delay: Time, "time", r#"the system probes the other end; without an answer the session ends with 1002"#;
    unsent_bytes: SocketSize, "bytes", r#"what the system keeps unsent (Linux and Android); 0 leaves it to the system"#;
    linger: TimeOrZero, "time", r#"a closed session gives up a client that takes nothing more"#;
    sessions: Count, "sessions", r#"a further connection is closed at once"#;
}

settings! { CHAT of ChatConfig, "The chat: `ChatConfig`",
    beside r"";
    name_chars: Count, "characters", r#"a longer name is refused with an error"#;
    room_chars: Count, "characters", r#"a longer name of a room is refused with an error"#;
    message_chars: Count, "characters", r#"a longer message is refused with an error"#;
    history: CountOrZero, "messages", r#"older ones are forgotten"#;
    history_bytes: SizeOrZero, "bytes", r#"older ones are forgotten"#;
    rooms: Count, "rooms", r#"a new one replaces the one that has been empty longest; while none is empty, it is refused"#;
    forget_after: TimeOrZero, "time", r#"an empty room goes, with its history"#;
    roster_names: Count, "names", r#"the roster lists no more; its count includes all"#;
    message_ids: CountOrZero, "ids", r#"a repeated message whose id is forgotten is published again"#;
    roster_interval: Time, "time", r#"the next roster waits, and carries the changes in between"#;
}

settings! { ROOMS of RoomsConfig, "Rooms for calls: `RoomsConfig`",
    beside r"| `budget` | a `Budget` | [`Budget::process`] | while memory is short, error `mailbox_full` |";
    participants_per_room: Count, "participants", r#"error `room_full`"#;
    rooms: Count, "rooms", r#"a new one replaces the one that has been empty longest; while none is empty, error `too_many_rooms`"#;
    message_size: Size, "bytes", r#"error `too_large`"#;
    mailbox_messages: Count, "messages", r#"error `mailbox_full` to the sender"#;
    mailbox_bytes: Size, "bytes", r#"error `mailbox_full` to the sender"#;
    grace: TimeOrZero, "time", r#"a participant that is away longer is gone"#;
    join_wait: TimeOrZero, "time", r#"a silent session is told that it is alone (protocol 1)"#;
    empty_room: TimeOrZero, "time", r#"an empty room is forgotten"#;
}

settings! { UPSTREAM of UpstreamConfig, "A backend: `UpstreamConfig`",
    beside r"";
    connect_timeout: Time, "time", r#"the session closes with 1011 and a reason, as it does when the backend refuses or is lost"#;
    write_timeout: Time, "time", r#"a backend that reads nothing: the session closes with 1011"#;
    close_timeout: Time, "time", r#"the connection is dropped"#;
    keepalive_delay: Time, "time", r#"the system probes whether the backend's host is there"#;
    message_size: Size, "bytes", r#"a larger message of the backend closes the session with 1009"#;
    headers: Headers, "names", r#"which headers of the client's request the backend gets"#;
    ca_file: MaybePath, "PEM file", r#"the authorities to trust for `wss`"#, "/etc/ssl/backend.pem";
}

/// The answer of `/ice`, but for its servers.
#[derive(Clone, Debug)]
pub(crate) struct IceSettings {
    pub(crate) ttl: Duration,
    pub(crate) token: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) requests_per_minute: NonZeroU32,
    pub(crate) addresses: usize,
}

impl Default for IceSettings {
    fn default() -> Self {
        let IceConfig { ttl, requests_per_minute, addresses, .. } = IceConfig::default();
        Self { ttl, token: None, token_file: None, requests_per_minute, addresses }
    }
}

settings! { ICE of IceSettings, "ICE servers: `IceConfig`",
    beside r"| `servers` | list | none | what `/ice` answers; in the file as below |";
    ttl: Time, "time, 1 s to 7 days", r#"how long credentials made from a secret are valid"#;
    token: MaybeText, "text", r#"without `Authorization: Bearer TOKEN` 401"#, "a-token";
    token_file: MaybePath, "file", r#"holds the token, so that it need not stand here"#, "/run/secrets/ice-token";
    requests_per_minute: NonZero, "requests of one address", r#"above it 429"#;
    addresses: Count, "addresses", r#"with one more, all counts start again at zero"#;
}

/// A STUN or TURN server.
#[derive(Clone, Debug, Default)]
pub(crate) struct IceServerSettings {
    pub(crate) urls: Vec<IceUrl>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) secret: Option<String>,
    pub(crate) secret_file: Option<PathBuf>,
}

settings! { ICE_SERVER of IceServerSettings, "An ICE server", beside r"";
    urls: IceUrls, "list of URLs", r#"of STUN servers or of TURN servers"#;
    username: MaybeText, "text", r#"the name for TURN servers"#, "caller";
    password: MaybeText, "text", r#"its password"#, "a-password";
    password_file: MaybePath, "file", r#"holds the password"#, "/run/secrets/turn-password";
    secret: MaybeText, "text", r#"makes names and passwords that expire (coturn: `static-auth-secret`)"#, "a-secret";
    secret_file: MaybePath, "file", r#"holds the secret"#, "/run/secrets/turn-secret";
}
