//! Names of participants.

/// Characters of a name.
pub(super) const MAX_NAME: usize = 64;
/// The server's own name in protocol 1.
pub(super) const SERVER: &str = "Server";

/// A name that is empty, too long, or has control characters.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {MAX_NAME} characters, none of them a control character")]
pub(super) struct BadName;

/// A participant's name, checked.
pub(super) fn named(name: Box<str>) -> Result<Box<str>, BadName> {
    let length = name.chars().take(MAX_NAME + 1).count();
    let fine = (1..=MAX_NAME).contains(&length) && !name.chars().any(char::is_control);
    if fine { Ok(name) } else { Err(BadName) }
}
