//! Errors for clients.

use super::name::BadName;
use super::number::RoomNumber;

/// Why a client's message changed nothing; its sender gets the code and the text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum MessageError {
    #[error("this is no JSON object: {0}")]
    NoObject(String),
    #[error("{member}: {expected} is needed")]
    Member { member: &'static str, expected: &'static str },
    #[error(transparent)]
    Name(#[from] BadName),
    #[error("the name `Server` is the server's own")]
    ReservedName,
    #[error("type {0:?} is unknown: it is one of join, leave, offer, answer, ice, text, ping")]
    UnknownType(String),
    #[error("protocol {0} is unknown: it is 1 or 2")]
    UnknownProtocol(String),
    #[error("this session speaks {0}")]
    WrongDialect(&'static str),
    #[error("the message has {size} bytes; message_size is {limit}")]
    TooLarge { size: usize, limit: usize },
    #[error("binary messages are not understood here")]
    Binary,
    #[error("join a room first")]
    NotJoined,
    #[error("this session is in room {0}: leave it first")]
    AlreadyJoined(RoomNumber),
    #[error("room {room} is full: participants_per_room is {limit}")]
    RoomFull { room: RoomNumber, limit: usize },
    #[error("all rooms are in use: rooms is {limit}")]
    TooManyRooms { limit: usize },
    #[error("another participant of room {0} has that name and is connected")]
    NameTaken(RoomNumber),
    #[error("`from` is not the name that this session has joined with")]
    WrongName,
    #[error("no participant of room {0} has that id and token, or not any more: join without them")]
    WrongToken(RoomNumber),
    #[error("this session is not in room {0}")]
    OtherRoom(RoomNumber),
    #[error("no other participant of the room has that id")]
    NoSuchParticipant,
    #[error("the receiver has started anew: its incarnation is {0}")]
    Stale(u64),
    #[error(
        "not kept for absent participants: mailbox_messages is {messages}, mailbox_bytes is {bytes}, or the server is short of memory"
    )]
    MailboxFull { messages: usize, bytes: usize },
}

impl MessageError {
    /// The error's kind, for programs.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::NoObject(_) => "bad_json",
            Self::Member { .. } | Self::Name(_) | Self::ReservedName => "bad_message",
            Self::UnknownType(_) => "unknown_type",
            Self::UnknownProtocol(_) => "unknown_protocol",
            Self::WrongDialect(_) => "wrong_dialect",
            Self::TooLarge { .. } => "too_large",
            Self::Binary => "binary",
            Self::NotJoined | Self::OtherRoom(_) => "not_joined",
            Self::AlreadyJoined(_) => "already_joined",
            Self::RoomFull { .. } => "room_full",
            Self::TooManyRooms { .. } => "too_many_rooms",
            Self::NameTaken(_) => "name_taken",
            Self::WrongName => "wrong_name",
            Self::WrongToken(_) => "wrong_token",
            Self::NoSuchParticipant => "no_such_participant",
            Self::Stale(_) => "stale",
            Self::MailboxFull { .. } => "mailbox_full",
        }
    }
}
