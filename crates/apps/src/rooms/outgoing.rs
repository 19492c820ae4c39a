//! Server messages: typed messages to JSON text.

use serde::Serialize;
use serde_json::value::RawValue;

use super::error::MessageError;
use super::name::SERVER;
use super::number::RoomNumber;
use super::signal::{Kind, Signal};
use sockeye::Message;

/// A participant as another one sees it.
#[derive(Debug, Serialize)]
pub(super) struct View<'r> {
    pub(super) id: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'r str>,
    pub(super) incarnation: u64,
    pub(super) protocol: u8,
    pub(super) away: bool,
    pub(super) polite: bool,
    pub(super) initiate: bool,
}

/// The answer to a `join` of protocol 2.
#[derive(Serialize)]
#[serde(tag = "type", rename = "welcome")]
pub(super) struct Welcome<'r> {
    pub(super) room: RoomNumber,
    pub(super) id: &'r str,
    pub(super) token: String,
    pub(super) incarnation: u64,
    pub(super) returned: bool,
    pub(super) waiting: usize,
    pub(super) missed: u64,
    pub(super) grace: f64,
    pub(super) revision: u64,
    pub(super) participants: Vec<View<'r>>,
}

impl Welcome<'_> {
    pub(super) fn message(&self) -> Message {
        json(self)
    }
}

/// A change of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    Joined,
    Left,
    Away,
    Back,
    Renewed,
}

/// A change of the roster.
pub(super) fn roster(revision: u64, change: Change, participant: &View<'_>) -> Message {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "roster")]
    struct Roster<'r> {
        revision: u64,
        change: Change,
        participant: &'r View<'r>,
    }
    json(&Roster { revision, change, participant })
}

/// The sender of a signal, as receivers of protocol 2 see it.
#[derive(Clone, Copy)]
pub(super) struct Origin<'r> {
    pub(super) id: &'r str,
    pub(super) incarnation: u64,
}

/// A signal for a participant of protocol 2.
pub(super) fn signal_two(seq: u64, from: Origin<'_>, signal: &Signal<'_>) -> Message {
    #[derive(Serialize)]
    struct Out<'r> {
        r#type: &'static str,
        seq: u64,
        from: &'r str,
        incarnation: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<&'r str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'r RawValue>,
        // `null` means no more candidates, so it is sent.
        #[serde(skip_serializing_if = "Option::is_none")]
        candidate: Option<Option<&'r RawValue>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        sdp: Option<&'r RawValue>,
    }
    let kind = signal.kind;
    json(&Out {
        r#type: kind.name(),
        seq,
        from: from.id,
        incarnation: from.incarnation,
        to: signal.to.as_deref(),
        data: signal.data.filter(|_| kind == Kind::Text),
        candidate: (kind == Kind::Ice).then_some(signal.candidate),
        sdp: signal.sdp.filter(|_| matches!(kind, Kind::Offer | Kind::Answer)),
    })
}

/// A signal for participants of protocol 1; `None` for the end of candidates, which those pages
/// can't take.
pub(super) fn signal_one(from: &str, signal: &Signal<'_>) -> Option<Message> {
    if signal.kind == Kind::Ice && signal.candidate.is_none() {
        return None;
    }
    let Signal { data, candidate, sdp, .. } = *signal;
    Some(json(&One { from, r#type: signal.kind.name(), data, candidate, sdp, code: None }))
}

/// The single `join` that a session of protocol 1 gets.
pub(super) fn join_one(somebody_is_there: bool) -> Message {
    let data = if somebody_is_there { "true" } else { "false" };
    json(&One {
        from: SERVER,
        r#type: "join",
        data: Some(data),
        candidate: None::<()>,
        sdp: None::<()>,
        code: None,
    })
}

/// The fate of a message that asked for a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fate {
    Delivered,
    Queued,
    Expired,
}

/// A receipt.
pub(super) fn receipt(seq: u64, fate: Fate, reference: &RawValue, to: &[&str]) -> Message {
    #[derive(Serialize)]
    struct Receipt<'r> {
        r#type: Fate,
        seq: u64,
        r#ref: &'r RawValue,
        to: &'r [&'r str],
    }
    json(&Receipt { r#type: fate, seq, r#ref: reference, to })
}

/// The answer to a `leave` of protocol 2.
pub(super) fn left(room: RoomNumber) -> Message {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "left")]
    struct Left {
        room: RoomNumber,
    }
    json(&Left { room })
}

/// The answer to a `ping`.
pub(super) fn pong(reference: Option<&RawValue>) -> Message {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "pong")]
    struct Pong<'r> {
        #[serde(skip_serializing_if = "Option::is_none")]
        r#ref: Option<&'r RawValue>,
    }
    json(&Pong { r#ref: reference })
}

/// An error for a session that speaks protocol 2.
pub(super) fn error_two(
    error: &MessageError,
    reference: Option<&RawValue>,
    to: Option<&[&str]>,
) -> Message {
    #[derive(Serialize)]
    #[serde(tag = "type", rename = "error")]
    struct Error<'r> {
        code: &'static str,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        r#ref: Option<&'r RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<&'r [&'r str]>,
    }
    json(&Error { code: error.code(), message: error.to_string(), r#ref: reference, to })
}

/// An error for a session that speaks protocol 1, or is still undecided.
pub(super) fn error_one(error: &MessageError) -> Message {
    let (data, code) = (Some(error.to_string()), Some(error.code()));
    json(&One { from: SERVER, r#type: "error", data, candidate: None::<()>, sdp: None::<()>, code })
}

/// An error for a session of the event relay.
pub(super) fn error_event(error: &MessageError) -> Message {
    #[derive(Serialize)]
    #[serde(tag = "event", rename = "error")]
    struct Error {
        data: String,
        code: &'static str,
    }
    json(&Error { data: error.to_string(), code: error.code() })
}

/// The one form of protocol 1: its pages read all five members of every message.
#[derive(Serialize)]
struct One<'r, D, O> {
    from: &'r str,
    r#type: &'static str,
    data: Option<D>,
    candidate: Option<O>,
    sdp: Option<O>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

fn json(value: &impl Serialize) -> Message {
    // Texts, numbers and parsed JSON under string keys, written to memory.
    serde_json::to_string(value).expect("such a value always has a JSON form").into()
}
