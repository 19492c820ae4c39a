//! What chat clients and the chat say to each other: JSON objects, one a message.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::error::Category;

use super::{ChatConfig, line};
use sockeye::Message;

/// The name under which the chat itself speaks, so that a page which prints names has one to print.
const NOTICES: &str = "*";
/// Characters in the id of a message and in a key. Fewer could be a counter, which two clients
/// would have in common.
const RANDOM_CHARS: RangeInclusive<usize> = 16..=64;
/// Characters in a `ping`.
const LONGEST_PING: usize = 64;

/// What a client asks for; all of it is done, or nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// Take this name.
    pub(super) name: Option<Label>,
    /// What this session proves, and those after it, that the name is its client's own.
    pub(super) key: Option<Box<str>>,
    /// Move to this room.
    pub(super) room: Option<Label>,
    /// Send the roster, now and on each change; or don't any more.
    pub(super) roster: Option<bool>,
    /// Say this.
    pub(super) message: Option<Box<str>>,
    /// The message's own, by which it is known when it comes again.
    pub(super) id: Option<Box<str>>,
    /// Answer with this.
    pub(super) ping: Option<Box<str>>,
}

/// A client's message, as far as it makes sense.
#[derive(Debug)]
pub(super) struct Asked {
    /// It has a `name`, a `room` or an `id`, whatever these are worth: the client is one that wants
    /// to be told more.
    pub(super) introduces: bool,
    pub(super) request: Result<Request, Refusal>,
}

impl Asked {
    /// Reads a message; members that are `null` or unknown count as absent.
    pub(super) fn parse(message: &Message, limits: &ChatConfig) -> Self {
        let members =
            message.as_text().ok_or_else(|| Refusal::new(Code::BadJson, "a request is text"));
        match members.and_then(Members::parse) {
            Ok(members) => Self {
                introduces: members.name.is_some()
                    || members.room.is_some()
                    || members.id.is_some(),
                request: Request::new(members, limits),
            },
            Err(refusal) => Self { introduces: false, request: Err(refusal) },
        }
    }
}

impl Request {
    fn new(members: Members, limits: &ChatConfig) -> Result<Self, Refusal> {
        let request = Self {
            name: string("name", members.name)?
                .map(|name| Label::of_person(&name, limits))
                .transpose()?,
            room: string("room", members.room)?
                .map(|room| Label::parse("room", &room, limits.room_chars))
                .transpose()?,
            roster: boolean("roster", members.roster)?,
            message: string("message", members.message)?.map(String::into_boxed_str),
            key: string("key", members.key)?.map(String::into_boxed_str),
            id: string("id", members.id)?.map(String::into_boxed_str),
            ping: string("ping", members.ping)?.map(String::into_boxed_str),
        };
        if request == Self::default() {
            let expected = "a request has a `message`, `name`, `room`, `roster` or `ping`";
            return Err(Refusal::new(Code::BadRequest, expected));
        }
        if let Some(id) = &request.id {
            check_random("id", id, "message", request.message.is_some())?;
        }
        if let Some(key) = &request.key {
            check_random("key", key, "name", request.name.is_some())?;
        }
        if let Some(ping) = &request.ping {
            not_longer("ping", ping, LONGEST_PING)?;
        }
        if let Some(message) = &request.message {
            check_message(message, limits)?;
        }
        Ok(request)
    }

    /// A request to say this.
    pub(super) fn say(message: &str, limits: &ChatConfig) -> Result<Self, Refusal> {
        check_message(message, limits)?;
        Ok(Self { message: Some(message.into()), ..Self::default() })
    }
}

/// The name of a person or a room: trimmed, not empty, nothing in it that can't be seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Label(Arc<str>);

impl Label {
    /// A name of the chat's own making.
    pub(super) fn own(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The name that somebody wants to have.
    pub(super) fn of_person(text: &str, limits: &ChatConfig) -> Result<Self, Refusal> {
        let name = Self::parse("name", text, limits.name_chars)?;
        if name.as_str() == NOTICES {
            return Err(Refusal::new(
                Code::BadRequest,
                "`*` is the name of notices, choose another",
            ));
        }
        // A client that speaks in lines is told `[NAME]text`: `ann]hello` would let its owner speak
        // as ann.
        if name.as_str().contains(']') {
            return Err(Refusal::new(
                Code::BadRequest,
                "`]` ends a name where the chat is in lines, choose another",
            ));
        }
        Ok(name)
    }

    fn parse(member: &str, text: &str, limit: usize) -> Result<Self, Refusal> {
        let text = text.trim();
        not_blank(member, text)?;
        not_longer(member, text, limit)?;
        if text.chars().any(is_unseen) {
            return Err(Refusal::new(
                Code::BadRequest,
                format!("`{member}` has control characters in it"),
            ));
        }
        Ok(Self(text.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Label {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A request that was not done, and why; told to its sender alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// A refusal's kind, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    BadJson,
    BadRequest,
    TooLong,
    NameTaken,
    RoomLimit,
}

/// How members of a room are written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// To those who have only ever talked: just what a page needs that prints `name` and `message`.
    Plain,
    /// To those who have given a name or chosen a room: what an event is, where and when it was.
    Full,
    /// To those who speak in lines: no JSON.
    Line,
}

impl Form {
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::Full, Self::Line];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Full => "full",
            Self::Line => "line",
        }
    }
}

/// Something that is told to members of a room.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'a> {
    Said { name: &'a Label, message: &'a str, id: Option<&'a str> },
    Joined { name: &'a Label },
    Left { name: &'a Label },
    Renamed { from: &'a Label, to: &'a Label },
    Welcome { you: &'a Label, history: &'a [&'a Said] },
    Roster { names: &'a [&'a Label], count: usize },
    Refused(&'a Refusal),
    Pong { ping: &'a str },
}

/// What somebody said, as the history keeps it.
#[derive(Debug, Serialize)]
pub(super) struct Said {
    pub(super) name: Label,
    pub(super) message: Box<str>,
    pub(super) at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Box<str>>,
}

impl Said {
    /// The memory it takes, roughly.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>()
            + self.name.as_str().len()
            + self.message.len()
            + self.id.as_deref().map_or(0, str::len)
    }
}

impl Event<'_> {
    /// The event as members see it who are written to in this form; `at` is in milliseconds since
    /// 1970.
    ///
    /// Whatever it is, in JSON it has a `name` and a `message`.
    pub(super) fn write(&self, form: Form, room: &Label, at: u64) -> Message {
        let (kind, name, message) = self.headline(room);
        let object = match (form, self) {
            (Form::Plain, Self::Said { .. }) => Object { name, message, kind: None, context: None },
            (Form::Plain, _) => Object { name, message, kind: Some(kind), context: None },
            (Form::Full, _) => {
                let context = Context { room, at, detail: self.detail() };
                Object { name, message, kind: Some(kind), context: Some(context) }
            }
            (Form::Line, _) => return Message::from(line::write(self, &message)),
        };
        let json = serde_json::to_string(&object);
        Message::from(json.expect("strings, numbers and lists of them have a JSON form"))
    }

    /// Type, name and message.
    fn headline(&self, room: &Label) -> (&'static str, &str, Cow<'_, str>) {
        let (kind, text) = match self {
            Self::Said { name, message, .. } => {
                return ("message", name.as_str(), Cow::Borrowed(message));
            }
            Self::Refused(refusal) => return ("error", NOTICES, Cow::Borrowed(&refusal.text)),
            Self::Joined { name } => ("join", format!("{name} joined")),
            Self::Left { name } => ("leave", format!("{name} left")),
            Self::Renamed { from, to } => ("rename", format!("{from} is now {to}")),
            Self::Welcome { you, .. } => ("welcome", format!("you are {you} in {room}")),
            Self::Roster { count, .. } => ("roster", format!("{count} in {room}")),
            Self::Pong { .. } => return ("pong", NOTICES, Cow::Borrowed("pong")),
        };
        (kind, NOTICES, Cow::Owned(text))
    }

    fn detail(&self) -> Detail<'_> {
        match *self {
            Self::Said { id, .. } => Detail::Said { id },
            Self::Joined { name } | Self::Left { name } => Detail::Who { who: name },
            Self::Renamed { from, to } => Detail::Renamed { from, to },
            Self::Welcome { you, history } => Detail::Welcome { you, history },
            Self::Roster { names, count } => Detail::Roster { names, count },
            Self::Refused(refusal) => Detail::Refused { code: refusal.code },
            Self::Pong { ping } => Detail::Pong { ping },
        }
    }
}

/// An event on the wire.
#[derive(Serialize)]
struct Object<'e> {
    name: &'e str,
    message: Cow<'e, str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(flatten)]
    context: Option<Context<'e>>,
}

#[derive(Serialize)]
struct Context<'e> {
    room: &'e Label,
    at: u64,
    #[serde(flatten)]
    detail: Detail<'e>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Detail<'e> {
    Said {
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'e str>,
    },
    Who {
        who: &'e Label,
    },
    Renamed {
        from: &'e Label,
        to: &'e Label,
    },
    Welcome {
        you: &'e Label,
        history: &'e [&'e Said],
    },
    Roster {
        names: &'e [&'e Label],
        count: usize,
    },
    Refused {
        code: Code,
    },
    Pong {
        ping: &'e str,
    },
}

/// A request's members before their types are known: a wrong one is to be named.
#[derive(Deserialize)]
struct Members {
    name: Option<Value>,
    room: Option<Value>,
    roster: Option<Value>,
    message: Option<Value>,
    key: Option<Value>,
    id: Option<Value>,
    ping: Option<Value>,
}

impl Members {
    fn parse(text: &str) -> Result<Self, Refusal> {
        // Asked for a struct, serde would take an array of its members as well.
        if !text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok() {
            return Err(Refusal::new(Code::BadRequest, "a request is a JSON object"));
        }
        serde_json::from_str(text).map_err(|error| match error.classify() {
            Category::Data => Refusal::new(Code::BadRequest, error.to_string()),
            Category::Syntax | Category::Eof | Category::Io => {
                Refusal::new(Code::BadJson, format!("not valid JSON: {error}"))
            }
        })
    }
}

fn string(member: &str, value: Option<Value>) -> Result<Option<String>, Refusal> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::new(Code::BadRequest, format!("`{member}` is not a string"))),
    }
}

fn boolean(member: &str, value: Option<Value>) -> Result<Option<bool>, Refusal> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(value)),
        Some(_) => Err(Refusal::new(Code::BadRequest, format!("`{member}` is not true or false"))),
    }
}

fn check_message(message: &str, limits: &ChatConfig) -> Result<(), Refusal> {
    not_blank("message", message)?;
    not_longer("message", message, limits.message_chars)
}

fn check_random(member: &str, value: &str, owner: &str, has_owner: bool) -> Result<(), Refusal> {
    if !has_owner {
        return Err(Refusal::new(Code::BadRequest, format!("`{member}` belongs to a `{owner}`")));
    }
    if RANDOM_CHARS.contains(&value.len()) && value.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    let (least, most) = (RANDOM_CHARS.start(), RANDOM_CHARS.end());
    let expected =
        format!("`{member}` is not {least} to {most} visible ASCII characters, chosen at random");
    Err(Refusal::new(Code::BadRequest, expected))
}

fn not_blank(member: &str, text: &str) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::new(Code::BadRequest, format!("`{member}` is empty")));
    }
    Ok(())
}

fn not_longer(member: &str, text: &str, limit: usize) -> Result<(), Refusal> {
    if text.chars().count() <= limit {
        return Ok(());
    }
    Err(Refusal::new(Code::TooLong, format!("`{member}` is longer than {limit} characters")))
}

/// Characters that a name could hide behind, or that would turn the text around it: controls, line
/// separators, marks of direction and of no width. Joiners (U+200C, U+200D) are not among them,
/// since scripts and emoji need them.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
