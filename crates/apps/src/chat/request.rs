//! Requests of clients: JSON objects, one per message.

use std::ops::RangeInclusive;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::error::Category;

use super::config::ChatConfig;
use super::error::{Code, RequestError};
use super::label::{Label, not_blank, not_longer};
use sockeye::Message;

/// Characters in the id of a message and in a key. Fewer could be a counter, which two clients
/// would share.
const RANDOM_CHARS: RangeInclusive<usize> = 16..=64;
/// Characters in a `ping`.
const LONGEST_PING: usize = 64;

/// A client's request; all of it is done, or nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// Take this name.
    pub(super) name: Option<Label>,
    /// Proves that the name belongs to this client, now and in later sessions.
    pub(super) key: Option<Box<str>>,
    /// Move to this room.
    pub(super) room: Option<Label>,
    /// Send the roster, now and on each change; or stop.
    pub(super) roster: Option<bool>,
    /// Publish this message.
    pub(super) message: Option<Box<str>>,
    /// The message's id, by which a repetition is recognised.
    pub(super) id: Option<Box<str>>,
    /// Answer with this.
    pub(super) ping: Option<Box<str>>,
}

/// A parsed client message.
#[derive(Debug)]
pub(super) struct Asked {
    /// It has a `name`, a `room` or an `id`, valid or not: the client understands full events.
    pub(super) introduces: bool,
    pub(super) request: Result<Request, RequestError>,
}

impl Asked {
    /// Reads a message; members that are `null` or unknown count as absent.
    pub(super) fn parse(message: &Message, limits: &ChatConfig) -> Self {
        let members =
            message.as_text().ok_or_else(|| RequestError::new(Code::BadJson, "a request is text"));
        match members.and_then(Members::parse) {
            Ok(members) => Self {
                introduces: members.name.is_some()
                    || members.room.is_some()
                    || members.id.is_some(),
                request: Request::new(members, limits),
            },
            Err(error) => Self { introduces: false, request: Err(error) },
        }
    }
}

impl Request {
    fn new(members: Members, limits: &ChatConfig) -> Result<Self, RequestError> {
        let request = Self {
            name: string("name", members.name)?
                .map(|name| Label::of_person(&name, limits))
                .transpose()?,
            room: string("room", members.room)?
                .map(|room| Label::parse("room's name", &room, limits.room_chars))
                .transpose()?,
            roster: boolean("roster", members.roster)?,
            message: string("message", members.message)?.map(String::into_boxed_str),
            key: string("key", members.key)?.map(String::into_boxed_str),
            id: string("id", members.id)?.map(String::into_boxed_str),
            ping: string("ping", members.ping)?.map(String::into_boxed_str),
        };
        if request == Self::default() {
            let expected = "a request has a `message`, `name`, `room`, `roster` or `ping`";
            return Err(RequestError::new(Code::BadRequest, expected));
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

    /// A request to publish this message.
    pub(super) fn say(message: &str, limits: &ChatConfig) -> Result<Self, RequestError> {
        check_message(message, limits)?;
        Ok(Self { message: Some(message.into()), ..Self::default() })
    }
}

/// A request's members before their types are checked, so that an error names the wrong member.
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
    fn parse(text: &str) -> Result<Self, RequestError> {
        // Asked for a struct, serde would take an array of its members as well.
        if !text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok() {
            return Err(RequestError::new(Code::BadRequest, "a request is a JSON object"));
        }
        serde_json::from_str(text).map_err(|error| match error.classify() {
            Category::Data => RequestError::new(Code::BadRequest, error.to_string()),
            Category::Syntax | Category::Eof | Category::Io => {
                RequestError::new(Code::BadJson, format!("not valid JSON: {error}"))
            }
        })
    }
}

fn string(member: &str, value: Option<Value>) -> Result<Option<String>, RequestError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(RequestError::new(Code::BadRequest, format!("`{member}` is not a string"))),
    }
}

fn boolean(member: &str, value: Option<Value>) -> Result<Option<bool>, RequestError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(value)),
        Some(_) => {
            Err(RequestError::new(Code::BadRequest, format!("`{member}` is not true or false")))
        }
    }
}

fn check_message(message: &str, limits: &ChatConfig) -> Result<(), RequestError> {
    not_blank("message", message)?;
    not_longer("message", message, limits.message_chars)
}

fn check_random(
    member: &str,
    value: &str,
    owner: &str,
    has_owner: bool,
) -> Result<(), RequestError> {
    if !has_owner {
        return Err(RequestError::new(
            Code::BadRequest,
            format!("`{member}` belongs to a `{owner}`"),
        ));
    }
    if RANDOM_CHARS.contains(&value.len()) && value.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    let (least, most) = (RANDOM_CHARS.start(), RANDOM_CHARS.end());
    let expected =
        format!("`{member}` is not {least} to {most} visible ASCII characters, chosen at random");
    Err(RequestError::new(Code::BadRequest, expected))
}
