//! Names of people and rooms.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::config::ChatConfig;
use super::error::{Code, RequestError};

/// The name of the chat itself, for pages that print a name with each message.
pub(super) const NOTICES: &str = "*";

/// The name of a person or a room: trimmed, not empty, without invisible characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Label(Arc<str>);

impl Label {
    /// A name of the chat's own making.
    pub(super) fn own(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The name that a client asks for.
    pub(super) fn of_person(text: &str, limits: &ChatConfig) -> Result<Self, RequestError> {
        let name = Self::parse("name", text, limits.name_chars)?;
        if name.as_str() == NOTICES {
            return Err(RequestError::new(
                Code::BadRequest,
                "the name * is that of notices; choose another",
            ));
        }
        // A client that speaks in lines gets `[NAME]text`: the name `ann]hello` would let its owner
        // speak as ann.
        if name.as_str().contains(']') {
            return Err(RequestError::new(
                Code::BadRequest,
                "a name can't have a ] in it; choose another",
            ));
        }
        Ok(name)
    }

    pub(super) fn parse(member: &str, text: &str, limit: usize) -> Result<Self, RequestError> {
        let text = text.trim();
        not_blank(member, text)?;
        not_longer(member, text, limit)?;
        if text.chars().any(is_unseen) {
            return Err(RequestError::new(
                Code::BadRequest,
                format!("the {member} has invisible characters in it; leave them out"),
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

pub(super) fn not_blank(member: &str, text: &str) -> Result<(), RequestError> {
    if text.trim().is_empty() {
        return Err(RequestError::new(Code::BadRequest, format!("the {member} is empty")));
    }
    Ok(())
}

pub(super) fn not_longer(member: &str, text: &str, limit: usize) -> Result<(), RequestError> {
    if text.chars().count() <= limit {
        return Ok(());
    }
    Err(RequestError::new(Code::TooLong, format!("the {member} is longer than {limit} characters")))
}

/// Invisible characters, and those that would turn the text around a name: controls, line
/// separators, marks of direction and of no width. Joiners (U+200C, U+200D) are not among them,
/// since scripts and emoji need them.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
