//! Errors for clients.

use serde::Serialize;

/// Why a request changed nothing; told to its sender alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestError {
    pub(super) code: Code,
    pub(super) text: String,
}

impl RequestError {
    pub(super) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// An error's kind, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Code {
    BadJson,
    BadRequest,
    TooLong,
    NameTaken,
    RoomLimit,
}
