//! Events for the members of a room, as JSON objects or as lines of text.

use std::borrow::Cow;

use serde::Serialize;

use super::error::{Code, RequestError};
use super::label::{Label, NOTICES};
use sockeye::{Message, TcpEndpoint};

/// The form in which a member gets events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For clients that have only sent messages: `name` and `message`, enough for a page that
    /// prints them.
    Plain,
    /// For clients that have sent a name or a room: type, room and time of each event as well.
    Full,
    /// For clients that speak in lines: no JSON.
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

/// An event for members of a room.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'a> {
    Said { name: &'a Label, message: &'a str, id: Option<&'a str> },
    Joined { name: &'a Label },
    Left { name: &'a Label },
    Renamed { from: &'a Label, to: &'a Label },
    Welcome { you: &'a Label, history: &'a [&'a Said] },
    Roster { names: &'a [&'a Label], count: usize },
    Error(&'a RequestError),
    Pong { ping: &'a str },
}

/// A message in the history.
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
    /// The event in a member's form; `at` is in milliseconds since 1970.
    ///
    /// In JSON every event has a `name` and a `message`.
    pub(super) fn write(&self, form: Form, room: &Label, at: u64) -> Message {
        let (kind, name, message) = self.headline(room);
        let object = match (form, self) {
            (Form::Plain, Self::Said { .. }) => Object { name, message, kind: None, context: None },
            (Form::Plain, _) => Object { name, message, kind: Some(kind), context: None },
            (Form::Full, _) => {
                let context = Context { room, at, detail: self.detail() };
                Object { name, message, kind: Some(kind), context: Some(context) }
            }
            (Form::Line, _) => return Message::from(line(self, &message)),
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
            Self::Error(error) => return ("error", NOTICES, Cow::Borrowed(&error.text)),
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
            Self::Error(error) => Detail::Error { code: error.code },
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
    Error {
        code: Code,
    },
    Pong {
        ping: &'e str,
    },
}

/// An event as a line.
fn line(event: &Event<'_>, headline: &str) -> String {
    match event {
        Event::Said { name, message, .. } => {
            let line = format!("[{name}]{}", unbroken(message));
            let bytes = TcpEndpoint::record_len(&line);
            // Possible only where `message_chars` is far above its default; members are told
            // instead of left out.
            if bytes <= TcpEndpoint::LONGEST_RECORD {
                line
            } else {
                format!("#{name} said more than a line can hold: {bytes} bytes")
            }
        }
        Event::Joined { name } => format!("#{name} join!"),
        Event::Left { name } => format!("#{name} exit!"),
        Event::Error(error) => format!("#Not sent : {}", error.text),
        Event::Renamed { .. }
        | Event::Welcome { .. }
        | Event::Roster { .. }
        | Event::Pong { .. } => {
            format!("#{headline}")
        }
    }
}

/// The text with spaces for line breaks.
fn unbroken(text: &str) -> Cow<'_, str> {
    let is_break =
        |c| matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    if text.contains(is_break) {
        text.replace("\r\n", " ").replace(is_break, " ").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        for (text, line) in [
            ("plain", "plain"),
            ("a\nb", "a b"),
            ("a\r\n#ann exit!", "a #ann exit!"),
            ("\r\u{b}\u{c}\u{85}\u{2028}\u{2029}", "      "),
            ("tab\tand \u{1b}", "tab\tand \u{1b}"),
        ] {
            assert_eq!(unbroken(text), line);
        }
    }

    #[test]
    fn what_no_line_can_hold_is_told_instead() {
        let name = Label::own("ann");
        let said = |message: &str| line(&Event::Said { name: &name, message, id: None }, "");
        assert_eq!(said(&"x".repeat(65_530)).len(), 65_535);
        assert_eq!(said(&"x".repeat(65_531)), "#ann said more than a line can hold: 65536 bytes");
    }
}
