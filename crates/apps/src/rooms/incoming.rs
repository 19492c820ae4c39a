//! Client messages: JSON text to typed messages, with errors that name the wrong member.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::error::MessageError;
use super::name::{MAX_NAME, SERVER, named};
use super::number::RoomNumber;
use super::signal::{Kind, Signal};
use super::token::Token;

/// Bytes of a reference as it stands in the message: mailboxes keep it with the message.
const MAX_REFERENCE: usize = 256;

/// One message of a client.
#[derive(Debug)]
pub(super) enum Incoming<'m> {
    /// Has `event` and no `type`: to be passed on as it is.
    Event,
    JoinOne {
        name: Box<str>,
        room: RoomNumber,
    },
    JoinTwo {
        room: RoomNumber,
        way: Way,
    },
    Signal(Signal<'m>),
    Leave {
        room: Option<RoomNumber>,
    },
    /// Asks for a pong.
    Ping {
        reference: Option<&'m RawValue>,
    },
}

/// How a participant of protocol 2 comes into a room.
#[derive(Debug)]
pub(super) enum Way {
    /// As a new participant.
    New { name: Option<Box<str>> },
    /// As the participant it was.
    Back { id: Box<str>, token: Option<Token>, fresh: bool, seen: Option<u64> },
}

impl<'m> Incoming<'m> {
    pub(super) fn parse(text: &'m str) -> Result<Self, MessageError> {
        // serde_json would take an array for an object, member by member.
        if !text.trim_start().starts_with('{') {
            return Err(MessageError::NoObject("it does not begin with {".to_owned()));
        }
        let object: Object<'m> = serde_json::from_str(text)
            .map_err(|error| MessageError::NoObject(error.to_string()))?;
        object.interpret()
    }
}

/// All known members, not parsed yet. `null` counts as absent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object<'m> {
    #[serde(borrow)]
    r#type: Option<&'m RawValue>,
    #[serde(borrow)]
    event: Option<&'m RawValue>,
    #[serde(borrow)]
    protocol: Option<&'m RawValue>,
    #[serde(borrow)]
    from: Option<&'m RawValue>,
    #[serde(borrow)]
    data: Option<&'m RawValue>,
    #[serde(borrow)]
    candidate: Option<&'m RawValue>,
    #[serde(borrow)]
    sdp: Option<&'m RawValue>,
    #[serde(borrow)]
    room: Option<&'m RawValue>,
    #[serde(borrow)]
    name: Option<&'m RawValue>,
    #[serde(borrow)]
    id: Option<&'m RawValue>,
    #[serde(borrow)]
    token: Option<&'m RawValue>,
    #[serde(borrow)]
    fresh: Option<&'m RawValue>,
    #[serde(borrow)]
    seen: Option<&'m RawValue>,
    #[serde(borrow)]
    to: Option<&'m RawValue>,
    #[serde(borrow)]
    to_incarnation: Option<&'m RawValue>,
    #[serde(borrow)]
    r#ref: Option<&'m RawValue>,
}

impl<'m> Object<'m> {
    fn interpret(self) -> Result<Incoming<'m>, MessageError> {
        let Some(name) = member::<String>("type", self.r#type, "a string")? else {
            return if self.event.is_some() {
                Ok(Incoming::Event)
            } else {
                Err(wanted("type", "a string"))
            };
        };
        let kind = match &*name {
            "join" => return self.join(),
            "leave" => return self.leave(),
            "ping" => return Ok(Incoming::Ping { reference: self.reference()? }),
            "offer" => Kind::Offer,
            "answer" => Kind::Answer,
            "ice" => Kind::Ice,
            "text" => Kind::Text,
            _ => return Err(MessageError::UnknownType(name.chars().take(MAX_NAME).collect())),
        };
        self.signal(kind).map(Incoming::Signal)
    }

    fn join(self) -> Result<Incoming<'m>, MessageError> {
        match self.protocol.map(RawValue::get) {
            None | Some("1") => {
                let name = member("from", self.from, "the participant's name")?;
                let name = named(name.ok_or(wanted("from", "the participant's name"))?)?;
                let room = member("data", self.data, ROOM)?.ok_or(wanted("data", ROOM))?;
                if &*name == SERVER {
                    return Err(MessageError::ReservedName);
                }
                Ok(Incoming::JoinOne { name, room })
            }
            Some("2") => {
                let room = member("room", self.room, ROOM)?.ok_or(wanted("room", ROOM))?;
                let way = self.way()?;
                Ok(Incoming::JoinTwo { room, way })
            }
            Some(other) => {
                Err(MessageError::UnknownProtocol(other.chars().take(MAX_NAME).collect()))
            }
        }
    }

    fn way(self) -> Result<Way, MessageError> {
        let id = member::<Box<str>>("id", self.id, "a string")?;
        let token = member::<String>("token", self.token, "a string")?;
        let fresh = member("fresh", self.fresh, "a boolean")?;
        let seen = member("seen", self.seen, "an integer")?;
        let name = member::<Box<str>>("name", self.name, "a string")?;
        match (id, token) {
            // A token of the wrong form is a wrong token like any other.
            (Some(id), Some(token)) => Ok(Way::Back {
                id,
                token: Token::parse(&token),
                fresh: fresh.unwrap_or(false),
                seen,
            }),
            (None, None) => Ok(Way::New { name: name.map(named).transpose()? }),
            (Some(_), None) => Err(wanted("token", "the token that `welcome` gave with the id")),
            (None, Some(_)) => Err(wanted("id", "the id that `welcome` gave with the token")),
        }
    }

    fn leave(self) -> Result<Incoming<'m>, MessageError> {
        member("data", self.data, ROOM).map(|room| Incoming::Leave { room })
    }

    fn signal(self, kind: Kind) -> Result<Signal<'m>, MessageError> {
        let is_object =
            |value: Option<&RawValue>| value.is_some_and(|value| value.get().starts_with('{'));
        match kind {
            Kind::Offer | Kind::Answer if !is_object(self.sdp) => {
                return Err(wanted("sdp", "an object"));
            }
            Kind::Ice if self.candidate.is_some() && !is_object(self.candidate) => {
                return Err(wanted("candidate", "an object or null"));
            }
            Kind::Text if !self.data.is_some_and(|data| data.get().starts_with('"')) => {
                return Err(wanted("data", "a string"));
            }
            Kind::Offer | Kind::Answer | Kind::Ice | Kind::Text => {}
        }
        let to = member::<String>("to", self.to, "a participant's id")?;
        let to_incarnation = member("toIncarnation", self.to_incarnation, "an integer")?;
        if to_incarnation.is_some() && to.is_none() {
            return Err(wanted("to", "the participant whose incarnation toIncarnation is"));
        }
        let reference = self.reference()?;
        let from = member("from", self.from, "a string")?;
        let Self { data, candidate, sdp, .. } = self;
        Ok(Signal { kind, data, candidate, sdp, from, to, to_incarnation, reference })
    }

    fn reference(&self) -> Result<Option<&'m RawValue>, MessageError> {
        match self.r#ref {
            Some(reference) if !is_reference(reference.get()) => {
                Err(wanted("ref", "a string or number of up to 256 bytes"))
            }
            reference => Ok(reference),
        }
    }
}

fn member<T: DeserializeOwned>(
    member: &'static str,
    value: Option<&RawValue>,
    expected: &'static str,
) -> Result<Option<T>, MessageError> {
    let parse =
        |value: &RawValue| serde_json::from_str(value.get()).map_err(|_| wanted(member, expected));
    value.map(parse).transpose()
}

const ROOM: &str = "a room number, an integer from 0 to 9007199254740991,";

fn is_reference(value: &str) -> bool {
    value.len() <= MAX_REFERENCE
        && value.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit())
}

fn wanted(member: &'static str, expected: &'static str) -> MessageError {
    MessageError::Member { member, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = Incoming::parse(text).expect_err("is to be refused");
        format!("{} {error}", error.code())
    }

    #[test]
    fn joins_of_both_protocols() {
        for room in ["7", "\"7\"", "\"007\""] {
            let one = format!(r#"{{"from":"u","type":"join","data":{room}}}"#);
            let Ok(Incoming::JoinOne { name, room: number }) = Incoming::parse(&one) else {
                panic!("{one}")
            };
            assert_eq!((&*name, number), ("u", RoomNumber::from(7)));
            let two = format!(r#"{{"type":"join","protocol":2,"room":{room},"name":null}}"#);
            let Ok(Incoming::JoinTwo { room: number, way: Way::New { name: None } }) =
                Incoming::parse(&two)
            else {
                panic!("{two}")
            };
            assert_eq!(number, RoomNumber::from(7));
        }
        let back = r#"{"type":"join","protocol":2,"room":7,"id":"a","token":"0123456789abcdef0123456789abcdef","seen":9}"#;
        let Ok(Incoming::JoinTwo {
            way: Way::Back { id, token: Some(_), fresh: false, seen: Some(9) },
            ..
        }) = Incoming::parse(back)
        else {
            panic!("{back}")
        };
        assert_eq!(&*id, "a");
    }

    #[test]
    fn payloads_keep_their_bytes() {
        let text = r#"{"type":"offer","sdp": { "a":"\u00e9" , "b":[1.0e2]} ,"to":"x","toIncarnation":3,"ref":"r\"1"}"#;
        let Ok(Incoming::Signal(signal)) = Incoming::parse(text) else { panic!("{text}") };
        assert_eq!(signal.kind, Kind::Offer);
        assert_eq!(signal.sdp.map(RawValue::get), Some(r#"{ "a":"\u00e9" , "b":[1.0e2]}"#));
        assert_eq!((signal.to.as_deref(), signal.to_incarnation), (Some("x"), Some(3)));
        assert_eq!(signal.reference.map(RawValue::get), Some(r#""r\"1""#));
    }

    #[test]
    fn an_event_is_no_type() {
        assert!(matches!(Incoming::parse(r#" {"event":"offer","data":{}}"#), Ok(Incoming::Event)));
        assert!(matches!(Incoming::parse(r#"{"event":7,"type":null}"#), Ok(Incoming::Event)));
        assert!(matches!(
            Incoming::parse(r#"{"event":"offer","type":"leave"}"#),
            Ok(Incoming::Leave { room: None })
        ));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long_name = format!(r#"{{"type":"join","from":"{}","data":1}}"#, "x".repeat(65));
        let long_ref = format!(r#"{{"type":"text","data":"","ref":"{}"}}"#, "x".repeat(300));
        for (text, start) in [
            ("", "bad_json"),
            ("[]", "bad_json"),
            ("[\"join\"]", "bad_json"),
            ("\"join\"", "bad_json"),
            ("{\"type\":\"join\"", "bad_json"),
            ("{\"type\":\"join\"} {}", "bad_json"),
            (r#"{"type":"leave","type":"join"}"#, "bad_json"),
            ("{}", "bad_message type:"),
            (r#"{"type":7}"#, "bad_message type:"),
            (r#"{"type":{"a":1},"event":"x"}"#, "bad_message type:"),
            (r#"{"type":"jion"}"#, "unknown_type"),
            (r#"{"type":"join","data":1}"#, "bad_message from:"),
            (r#"{"type":"join","from":"","data":1}"#, "bad_message a name"),
            (r#"{"type":"join","from":"a\nb","data":1}"#, "bad_message a name"),
            (&long_name, "bad_message a name"),
            (r#"{"type":"join","from":"Server","data":1}"#, "bad_message the name"),
            (r#"{"type":"join","from":"u"}"#, "bad_message data:"),
            (r#"{"type":"join","from":"u","data":"-1"}"#, "bad_message data:"),
            (r#"{"type":"join","from":"u","data":1.5}"#, "bad_message data:"),
            (r#"{"type":"join","from":"u","data":{}}"#, "bad_message data:"),
            (r#"{"type":"join","protocol":3,"room":1}"#, "unknown_protocol"),
            (r#"{"type":"join","protocol":"2","room":1}"#, "unknown_protocol"),
            (r#"{"type":"join","protocol":2}"#, "bad_message room:"),
            (r#"{"type":"join","protocol":2,"room":[1]}"#, "bad_message room:"),
            (r#"{"type":"join","protocol":2,"room":1,"name":7}"#, "bad_message name:"),
            (r#"{"type":"join","protocol":2,"room":1,"name":""}"#, "bad_message a name"),
            (r#"{"type":"join","protocol":2,"room":1,"id":"a"}"#, "bad_message token:"),
            (r#"{"type":"join","protocol":2,"room":1,"token":"a"}"#, "bad_message id:"),
            (
                r#"{"type":"join","protocol":2,"room":1,"id":"a","token":"a","fresh":"yes"}"#,
                "bad_message fresh:",
            ),
            (
                r#"{"type":"join","protocol":2,"room":1,"id":"a","token":"a","seen":-1}"#,
                "bad_message seen:",
            ),
            (r#"{"type":"offer"}"#, "bad_message sdp:"),
            (r#"{"type":"answer","sdp":"v=0"}"#, "bad_message sdp:"),
            (r#"{"type":"ice","candidate":"candidate:1"}"#, "bad_message candidate:"),
            (r#"{"type":"text"}"#, "bad_message data:"),
            (r#"{"type":"text","data":7}"#, "bad_message data:"),
            (r#"{"type":"text","data":"","to":7}"#, "bad_message to:"),
            (r#"{"type":"text","data":"","toIncarnation":1}"#, "bad_message to:"),
            (
                r#"{"type":"text","data":"","to":"a","toIncarnation":"1"}"#,
                "bad_message toIncarnation:",
            ),
            (r#"{"type":"text","data":"","ref":{}}"#, "bad_message ref:"),
            (r#"{"type":"text","data":"","ref":true}"#, "bad_message ref:"),
            (&long_ref, "bad_message ref:"),
            (r#"{"type":"text","data":"","from":7}"#, "bad_message from:"),
            (r#"{"type":"leave","data":"here"}"#, "bad_message data:"),
            (r#"{"type":"ping","ref":[1]}"#, "bad_message ref:"),
        ] {
            let error = refused(text);
            assert!(error.starts_with(start), "{text}: {error}");
        }
    }

    #[test]
    fn depth_alone_breaks_nothing() {
        let deep = format!(
            r#"{{"type":"offer","sdp":{{"a":{}{}}}}}"#,
            "[".repeat(200_000),
            "]".repeat(200_000)
        );
        assert!(matches!(Incoming::parse(&deep), Ok(Incoming::Signal(_))));
        assert!(refused(&"[".repeat(1_000_000)).starts_with("bad_json"));
        assert!(refused(&"{\"a\":".repeat(200_000)).starts_with("bad_json"));
    }
}
