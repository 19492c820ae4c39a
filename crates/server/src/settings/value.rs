//! Values of settings: what a file or a flag says, and the kinds of settings that it can be for.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use sockeye::{CookieConfig, Origins, Rate, SameSite, Subprotocols, Transports};
use sockeye_apps::ice::IceUrl;
use toml::de::{DeArray, DeValue};
use tracing_subscriber::filter::Targets;

/// What a file or a flag says, before a setting has taken it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Switch(bool),
    Number(u64),
    Text(String),
    List(Vec<String>),
}

impl Value {
    pub(crate) fn of_toml(value: &DeValue<'_>) -> Result<Self, String> {
        Ok(match value {
            DeValue::Boolean(on) => Self::Switch(*on),
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(number) => {
                let number = u64::from_str_radix(number.as_str(), number.radix());
                Self::Number(number.map_err(|_| "write a number from 0 to 18446744073709551615")?)
            }
            DeValue::Array(texts) => Self::List(texts_of(texts)?),
            DeValue::Float(_) => {
                return Err("write a whole number, or a text with a unit such as \"2.5s\"".into());
            }
            DeValue::Table(_) => return Err("write a value; this setting has none below it".into()),
            DeValue::Datetime(_) => return Err("no setting is a date: write a text".into()),
        })
    }

    /// As tables in Markdown show it.
    pub(crate) fn plain(&self) -> String {
        match self {
            Self::Switch(on) => on.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::List(texts) => texts.join(", "),
        }
    }
}

fn texts_of(values: &DeArray<'_>) -> Result<Vec<String>, String> {
    let texts = values.iter().map(|value| value.get_ref().as_str().map(str::to_owned));
    texts.collect::<Option<_>>().ok_or_else(|| "write texts between [ and ]".to_owned())
}

/// As a TOML file has it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch(on) => on.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::List(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                write!(f, "[{}]", texts.join(", "))
            }
        }
    }
}

/// A basic string of TOML.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// How settings of a kind are read from values, and shown as values.
pub(crate) trait Kind {
    type Of;
    /// How `--help` names a value.
    const FORM: &str = "TEXT";

    /// # Errors
    ///
    /// What to write instead.
    fn read(value: &Value) -> Result<Self::Of, String>;

    /// `None` for a setting that is not set.
    fn show(of: &Self::Of) -> Option<Value>;

    /// The value that a flag or a variable gives.
    fn of_flag(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

/// A time above zero.
pub(crate) struct Time;
/// A time that may be zero.
pub(crate) struct TimeOrZero;
/// Bytes above zero.
pub(crate) struct Size;
/// Bytes.
pub(crate) struct SizeOrZero;
/// Bytes of a socket's buffer.
pub(crate) struct SocketSize;
/// Bytes, or what the program finds by itself.
pub(crate) struct MaybeSize;
/// A number above zero.
pub(crate) struct Count;
/// A number.
pub(crate) struct CountOrZero;
/// A number above zero, of which the type says so.
pub(crate) struct NonZero;
pub(crate) struct Switch;
pub(crate) struct Text;
pub(crate) struct MaybeText;
pub(crate) struct MaybePath;
pub(crate) struct Headers;
pub(crate) struct Protocols;
pub(crate) struct MaybeRate;
pub(crate) struct TransportSet;
pub(crate) struct OriginList;
pub(crate) struct Cookies;
pub(crate) struct Address;
pub(crate) struct Filter;
pub(crate) struct Format;
pub(crate) struct IceUrls;

const TIME: &str = "write a time with its unit, ms, s, min, h or d, for example \"25s\", \"500ms\" or \"1h 30min\"";
const SIZE: &str =
    "write bytes, or a size with its unit, for example 65536, \"64 KiB\" or \"1 MiB\"";
/// Later times would not be dates, and none is waited for longer.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

impl Kind for TimeOrZero {
    type Of = Duration;
    const FORM: &str = "TIME";

    fn read(value: &Value) -> Result<Duration, String> {
        match value {
            Value::Text(text) => duration(text),
            Value::Number(0) => Ok(Duration::ZERO),
            Value::Number(number) => Err(format!("{number} has no unit: {TIME}")),
            Value::Switch(_) | Value::List(_) => Err(TIME.to_owned()),
        }
    }

    fn show(time: &Duration) -> Option<Value> {
        let millis = time.as_millis();
        Some(Value::Text(match millis {
            0 => "0s".to_owned(),
            _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
            _ if millis.is_multiple_of(60_000) && millis > 60_000 => {
                format!("{}min", millis / 60_000)
            }
            _ if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
            _ => format!("{millis}ms"),
        }))
    }

    /// A bare number is of seconds, as flags have always had it.
    fn of_flag(text: &str) -> Value {
        let is_bare = text.parse::<f64>().is_ok_and(f64::is_finite);
        Value::Text(if is_bare { format!("{text}s") } else { text.to_owned() })
    }
}

impl Kind for Time {
    type Of = Duration;
    const FORM: &str = "TIME";

    fn read(value: &Value) -> Result<Duration, String> {
        let time = TimeOrZero::read(value)?;
        if time.is_zero() { Err(format!("it must be above 0: {TIME}")) } else { Ok(time) }
    }

    fn show(time: &Duration) -> Option<Value> {
        TimeOrZero::show(time)
    }

    fn of_flag(text: &str) -> Value {
        TimeOrZero::of_flag(text)
    }
}

/// The sum of numbers with units: `1h 30min`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time: {TIME}");
    let mut rest = text.trim();
    let mut sum = Duration::ZERO;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let seconds = match unit.to_ascii_lowercase().as_str() {
            "ms" => 0.001,
            "s" | "sec" | "second" | "seconds" => 1.0,
            "m" | "min" | "minute" | "minutes" => 60.0,
            "h" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            "" if !number.is_empty() => return Err(format!("{text:?} has no unit: {TIME}")),
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        // Seconds as a float are exact to the nanosecond for no longer than these times.
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        sum = sum.saturating_add(part);
        rest = after.trim_start();
    }
    if sum > LONGEST {
        return Err(format!("{text:?} is too long: write \"365d\" at most"));
    }
    Ok(sum)
}

/// `64 KiB`, `64KiB`, `65536`.
fn bytes(text: &str) -> Option<usize> {
    let number = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match text.trim()[number.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    number.trim().parse::<usize>().ok()?.checked_mul(unit)
}

impl Kind for SizeOrZero {
    type Of = usize;
    const FORM: &str = "BYTES";

    fn read(value: &Value) -> Result<usize, String> {
        match value {
            Value::Number(number) => usize::try_from(*number).map_err(|_| SIZE.to_owned()),
            Value::Text(text) if text.trim() == "0" => Ok(0),
            Value::Text(text) => bytes(text).ok_or_else(|| format!("{text:?} is no size: {SIZE}")),
            Value::Switch(_) | Value::List(_) => Err(SIZE.to_owned()),
        }
    }

    fn show(bytes: &usize) -> Option<Value> {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let whole = |shift: u32| *bytes > 0 && bytes.trailing_zeros() >= shift;
        let unit = units.into_iter().find(|(shift, _)| whole(*shift));
        Some(match unit {
            Some((shift, unit)) => Value::Text(format!("{} {unit}", bytes >> shift)),
            None => Value::Number(*bytes as u64),
        })
    }
}

impl Kind for Size {
    type Of = usize;
    const FORM: &str = "BYTES";

    fn read(value: &Value) -> Result<usize, String> {
        match SizeOrZero::read(value)? {
            0 => Err(format!("it must be above 0: {SIZE}")),
            bytes => Ok(bytes),
        }
    }

    fn show(bytes: &usize) -> Option<Value> {
        SizeOrZero::show(bytes)
    }
}

impl Kind for SocketSize {
    type Of = u32;
    const FORM: &str = "BYTES";

    fn read(value: &Value) -> Result<u32, String> {
        let bytes = SizeOrZero::read(value)?;
        u32::try_from(bytes)
            .map_err(|_| format!("{bytes} is too large: write \"4095 MiB\" at most"))
    }

    fn show(bytes: &u32) -> Option<Value> {
        SizeOrZero::show(&usize::try_from(*bytes).unwrap_or(usize::MAX))
    }
}

impl Kind for MaybeSize {
    type Of = Option<usize>;
    const FORM: &str = "BYTES";

    fn read(value: &Value) -> Result<Option<usize>, String> {
        Size::read(value).map(Some)
    }

    fn show(bytes: &Option<usize>) -> Option<Value> {
        bytes.as_ref().and_then(Size::show)
    }
}

impl Kind for CountOrZero {
    type Of = usize;
    const FORM: &str = "NUMBER";

    fn read(value: &Value) -> Result<usize, String> {
        const COUNT: &str = "write a whole number, for example 1000";
        match value {
            Value::Number(number) => usize::try_from(*number).map_err(|_| COUNT.to_owned()),
            Value::Text(text) => Err(format!("{text:?} is no number: {COUNT}")),
            Value::Switch(_) | Value::List(_) => Err(COUNT.to_owned()),
        }
    }

    fn show(count: &usize) -> Option<Value> {
        Some(Value::Number(*count as u64))
    }

    fn of_flag(text: &str) -> Value {
        text.parse().map_or_else(|_| Value::Text(text.to_owned()), Value::Number)
    }
}

impl Kind for Count {
    type Of = usize;
    const FORM: &str = "NUMBER";

    fn read(value: &Value) -> Result<usize, String> {
        match CountOrZero::read(value)? {
            0 => Err("it must be above 0: write a whole number, for example 1000".to_owned()),
            count => Ok(count),
        }
    }

    fn show(count: &usize) -> Option<Value> {
        CountOrZero::show(count)
    }

    fn of_flag(text: &str) -> Value {
        CountOrZero::of_flag(text)
    }
}

impl Kind for NonZero {
    type Of = NonZeroU32;
    const FORM: &str = "NUMBER";

    fn read(value: &Value) -> Result<NonZeroU32, String> {
        let count = u32::try_from(Count::read(value)?).ok().and_then(NonZeroU32::new);
        count.ok_or_else(|| "write a number from 1 to 4294967295".to_owned())
    }

    fn show(count: &NonZeroU32) -> Option<Value> {
        Some(Value::Number(count.get().into()))
    }

    fn of_flag(text: &str) -> Value {
        CountOrZero::of_flag(text)
    }
}

impl Kind for Switch {
    type Of = bool;
    const FORM: &str = "YES|NO";

    fn read(value: &Value) -> Result<bool, String> {
        match value {
            Value::Switch(on) => Ok(*on),
            _ => Err("write true or false, without quotation marks".to_owned()),
        }
    }

    fn show(on: &bool) -> Option<Value> {
        Some(Value::Switch(*on))
    }

    fn of_flag(text: &str) -> Value {
        match text {
            "true" | "yes" | "on" => Value::Switch(true),
            "false" | "no" | "off" => Value::Switch(false),
            _ => Value::Text(text.to_owned()),
        }
    }
}

impl Kind for Text {
    type Of = String;

    fn read(value: &Value) -> Result<String, String> {
        match value {
            Value::Text(text) if text.is_empty() => Err("it is empty: write a text".to_owned()),
            Value::Text(text) => Ok(text.clone()),
            _ => Err("write a text in quotation marks".to_owned()),
        }
    }

    fn show(text: &String) -> Option<Value> {
        Some(Value::Text(text.clone()))
    }
}

impl Kind for MaybeText {
    type Of = Option<String>;

    fn read(value: &Value) -> Result<Option<String>, String> {
        Text::read(value).map(Some)
    }

    fn show(text: &Option<String>) -> Option<Value> {
        text.clone().map(Value::Text)
    }
}

impl Kind for MaybePath {
    type Of = Option<PathBuf>;
    const FORM: &str = "FILE";

    fn read(value: &Value) -> Result<Option<PathBuf>, String> {
        Text::read(value).map(|path| Some(path.into()))
    }

    fn show(path: &Option<PathBuf>) -> Option<Value> {
        path.as_ref().map(|path| Value::Text(path.display().to_string()))
    }
}

fn list(value: &Value) -> Result<&[String], String> {
    match value {
        Value::List(texts) => Ok(texts),
        _ => Err("write a list, for example [\"a\", \"b\"]".to_owned()),
    }
}

fn list_of_flag(text: &str) -> Value {
    let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
    Value::List(texts.map(str::to_owned).collect())
}

impl Kind for Headers {
    type Of = Vec<HeaderName>;
    const FORM: &str = "NAMES";

    fn read(value: &Value) -> Result<Vec<HeaderName>, String> {
        let names = list(value)?.iter().map(|name| {
            let parsed = name.parse();
            parsed.map_err(|_| {
                format!("{name:?} is no name of a header: write for example \"cookie\"")
            })
        });
        names.collect()
    }

    fn show(names: &Vec<HeaderName>) -> Option<Value> {
        Some(Value::List(names.iter().map(HeaderName::to_string).collect()))
    }

    fn of_flag(text: &str) -> Value {
        list_of_flag(text)
    }
}

impl Kind for Protocols {
    type Of = Subprotocols;
    const FORM: &str = "NAMES";

    fn read(value: &Value) -> Result<Subprotocols, String> {
        let names = list(value)?;
        // The names of tokens are those of methods (RFC 9110, tokens).
        match names.iter().find(|name| http::Method::from_bytes(name.as_bytes()).is_err()) {
            Some(name) => Err(format!(
                "{name:?} is a name that no client can ask for: write ASCII letters, digits and any of !#$%&'*+-.^_`|~"
            )),
            None => Ok(names.iter().map(String::as_str).collect()),
        }
    }

    fn show(names: &Subprotocols) -> Option<Value> {
        Some(Value::List(names.iter().map(str::to_owned).collect()))
    }

    fn of_flag(text: &str) -> Value {
        list_of_flag(text)
    }
}

impl Kind for OriginList {
    type Of = Origins;
    const FORM: &str = "URL";

    fn read(value: &Value) -> Result<Origins, String> {
        match value {
            Value::Text(text) if text == "any" => Ok(Origins::any()),
            Value::Text(text) if text == "same-origin" => Ok(Origins::same_origin()),
            Value::List(origins) => Origins::list(origins).map_err(|error| error.to_string()),
            _ => Err("write \"any\", \"same-origin\", or a list, for example [\"https://app.example.org\"]".to_owned()),
        }
    }

    fn show(origins: &Origins) -> Option<Value> {
        let text = origins.to_string();
        Some(match text.as_str() {
            "any" | "same-origin" => Value::Text(text),
            _ => list_of_flag(&text),
        })
    }

    fn of_flag(text: &str) -> Value {
        let mut words = text.split(',').map(str::trim);
        let is_all = |word: &str| words.clone().all(|it| it == word);
        if is_all("same-origin") {
            return Value::Text("same-origin".to_owned());
        }
        // Any is more than all others of a list.
        match words.any(|word| word == "any") {
            true => Value::Text("any".to_owned()),
            false => list_of_flag(text),
        }
    }
}

impl Kind for MaybeRate {
    type Of = Option<Rate>;
    const FORM: &str = "MESSAGES/BYTES";

    fn read(value: &Value) -> Result<Option<Rate>, String> {
        const FORM: &str = "write MESSAGES/BYTES a second, both above 0, for example \"200/131072\" or \"200/128 KiB\", or \"off\"";
        let Value::Text(text) = value else { return Err(FORM.to_owned()) };
        if text == "off" {
            return Ok(None);
        }
        let (messages, bytes_text) = text.split_once('/').ok_or(FORM)?;
        let messages = messages.trim().parse().ok().filter(|messages| *messages > 0);
        let bytes = bytes(bytes_text).filter(|bytes| *bytes > 0);
        let bytes = bytes.and_then(|bytes| u32::try_from(bytes).ok());
        Ok(Some(Rate::new(messages.ok_or(FORM)?, bytes.ok_or(FORM)?)))
    }

    /// A rate doesn't tell its parts; those that the program sets by itself are values already.
    fn show(rate: &Option<Rate>) -> Option<Value> {
        rate.is_none().then(|| Value::Text("off".to_owned()))
    }
}

/// The names that the SockJS protocol has for them, in URLs and in the client's options.
type TransportName = (&'static str, fn(&mut Transports) -> &mut bool);
const TRANSPORTS: [TransportName; 7] = [
    ("websocket", |all| &mut all.websocket),
    ("raw-websocket", |all| &mut all.raw_websocket),
    ("xhr-polling", |all| &mut all.xhr),
    ("xhr-streaming", |all| &mut all.xhr_streaming),
    ("eventsource", |all| &mut all.eventsource),
    ("htmlfile", |all| &mut all.htmlfile),
    ("jsonp-polling", |all| &mut all.jsonp),
];

impl Kind for TransportSet {
    type Of = Transports;
    const FORM: &str = "NAMES";

    fn read(value: &Value) -> Result<Transports, String> {
        let mut transports = TRANSPORTS.into_iter().fold(Transports::ALL, |mut all, (_, at)| {
            *at(&mut all) = false;
            all
        });
        let names = list(value)?;
        for name in names {
            let known = TRANSPORTS.into_iter().find(|(known, _)| known == name);
            let (_, at) = known.ok_or_else(|| {
                let names = TRANSPORTS.map(|(name, _)| name).join(", ");
                format!("there is no transport {name:?}: choose of {names}")
            })?;
            *at(&mut transports) = true;
        }
        if names.is_empty() {
            Err("name one transport at least".to_owned())
        } else {
            Ok(transports)
        }
    }

    fn show(transports: &Transports) -> Option<Value> {
        let mut transports = *transports;
        let names = TRANSPORTS.into_iter().filter(|(_, at)| *at(&mut transports));
        Some(Value::List(names.map(|(name, _)| name.to_owned()).collect()))
    }

    fn of_flag(text: &str) -> Value {
        list_of_flag(text)
    }
}

impl Kind for Cookies {
    type Of = Option<CookieConfig>;

    fn read(value: &Value) -> Result<Option<CookieConfig>, String> {
        const FORM: &str = "write \"off\", \"on\", or the attributes of the cookie, for example \"SameSite=None; Secure\"";
        let Value::Text(text) = value else { return Err(FORM.to_owned()) };
        let mut config = CookieConfig::new();
        match text.to_ascii_lowercase().as_str() {
            "off" => return Ok(None),
            "on" => return Ok(Some(config)),
            text => {
                for attribute in text.split(';').map(str::trim) {
                    config = match attribute {
                        "secure" => config.secure(true),
                        "samesite=strict" => config.same_site(SameSite::Strict),
                        "samesite=lax" => config.same_site(SameSite::Lax),
                        "samesite=none" => config.same_site(SameSite::None),
                        _ => {
                            return Err(format!(
                                "{attribute:?} is no attribute that can be set: {FORM}"
                            ));
                        }
                    };
                }
            }
        }
        Ok(Some(config))
    }

    fn show(config: &Option<CookieConfig>) -> Option<Value> {
        let Some(config) = config else { return Some(Value::Text("off".to_owned())) };
        let same_site = config.same_site.map(|same_site| format!("SameSite={same_site:?}"));
        let secure = config.secure.then(|| "Secure".to_owned());
        let attributes: Vec<String> = same_site.into_iter().chain(secure).collect();
        let text = if attributes.is_empty() { "on".to_owned() } else { attributes.join("; ") };
        Some(Value::Text(text))
    }
}

impl Kind for Address {
    type Of = SocketAddr;
    const FORM: &str = "IP:PORT";

    fn read(value: &Value) -> Result<SocketAddr, String> {
        let addr = match value {
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        addr.ok_or_else(|| {
            "write an IP address and a port, for example 127.0.0.1:8080, 0.0.0.0:80 or [::1]:8080"
                .to_owned()
        })
    }

    fn show(addr: &SocketAddr) -> Option<Value> {
        Some(Value::Text(addr.to_string()))
    }
}

impl Kind for Filter {
    /// The text, which parses: a filter doesn't tell its own in the order in which it was written.
    type Of = String;
    const FORM: &str = "FILTER";

    fn read(value: &Value) -> Result<String, String> {
        let text = Text::read(value)?;
        match text.parse::<Targets>() {
            Ok(_) => Ok(text),
            Err(error) => Err(format!(
                "{error}: write off, error, warn, info, debug or trace, or such levels by module: info,sockeye=debug"
            )),
        }
    }

    fn show(filter: &String) -> Option<Value> {
        Text::show(filter)
    }
}

/// The form of the log's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

impl Kind for Format {
    type Of = LogFormat;
    const FORM: &str = "FORMAT";

    fn read(value: &Value) -> Result<LogFormat, String> {
        match value {
            Value::Text(text) if text == "text" => Ok(LogFormat::Text),
            Value::Text(text) if text == "json" => Ok(LogFormat::Json),
            _ => Err("write \"text\" or \"json\"".to_owned()),
        }
    }

    fn show(format: &LogFormat) -> Option<Value> {
        Some(Value::Text(match format {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        }))
    }
}

impl Kind for IceUrls {
    type Of = Vec<IceUrl>;

    fn read(value: &Value) -> Result<Vec<IceUrl>, String> {
        let urls = list(value)?.iter().map(|url| url.parse::<IceUrl>());
        urls.collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    fn show(urls: &Vec<IceUrl>) -> Option<Value> {
        Some(Value::List(urls.iter().map(|url| url.as_str().to_owned()).collect()))
    }
}
