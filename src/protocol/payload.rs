//! Payloads from clients: JSON to messages, within limits.

use std::fmt;

use percent_encoding::percent_decode;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::message::Message;

/// The limits of a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PayloadLimits {
    /// Bytes of UTF-8 in one message.
    pub(crate) message_size: usize,
    /// Messages in one payload.
    pub(crate) messages: usize,
}

/// Why a payload was refused, in whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PayloadError {
    /// No body, or no form field `d`, or an empty one.
    #[error("Payload expected.")]
    Empty,
    /// JSON, but not of the form the transport takes.
    #[error("Payload expected.")]
    NotAnArray,
    /// An array with an element of another kind.
    #[error("Payload expected: an array of strings, and of nothing else.")]
    NotAString,
    /// Not JSON, or not UTF-8.
    #[error("Broken JSON encoding.")]
    Broken,
    /// A message is over the limit.
    #[error(
        "Message too large: message_size is {limit} bytes. Send less at a time, or raise message_size."
    )]
    MessageTooLarge { limit: usize },
    /// The array has more elements than the limit.
    #[error(
        "Too many messages: messages_per_payload is {limit}. Send fewer at a time, or raise messages_per_payload."
    )]
    TooManyMessages { limit: usize },
}

impl PayloadError {
    /// Whether the payload was sound but over a limit; otherwise it was malformed.
    pub(crate) fn is_limit(&self) -> bool {
        matches!(self, Self::MessageTooLarge { .. } | Self::TooManyMessages { .. })
    }
}

/// Reads the body of an `xhr_send`, or of a `jsonp_send` that is no form: a JSON array of strings
/// (SockJS 0.3.3, xhr_send).
///
/// # Errors
///
/// A payload is taken whole or not at all; see [`PayloadError`].
pub(crate) fn parse(body: &[u8], limits: &PayloadLimits) -> Result<Vec<Message>, PayloadError> {
    if body.is_empty() {
        return Err(PayloadError::Empty);
    }
    let text = str::from_utf8(body).map_err(|_| PayloadError::Broken)?;
    let mut messages = Vec::new();
    read(text, limits, Shape::Array, &mut messages)?;
    Ok(messages)
}

/// Reads the body of a `jsonp_send` form: the array is the field `d` (SockJS 0.3.3, jsonp_send).
///
/// # Errors
///
/// As [`parse`]; a second field `d` is [`PayloadError::Broken`], because dropping either would lose
/// messages.
pub(crate) fn parse_form(
    body: &[u8],
    limits: &PayloadLimits,
) -> Result<Vec<Message>, PayloadError> {
    let mut values = body.split(|&byte| byte == b'&').filter_map(|field| {
        let mut halves = field.splitn(2, |&byte| byte == b'=');
        let is_payload = percent_decode(halves.next()?).eq(*b"d");
        is_payload.then(|| halves.next().unwrap_or_default())
    });
    let value = values.next().ok_or(PayloadError::Empty)?;
    if values.next().is_some() {
        return Err(PayloadError::Broken);
    }
    parse(&form_decode(value), limits)
}

/// Reads a text message of a framed WebSocket, and puts its messages behind those that are there: a
/// JSON array of strings, or one JSON string (SockJS 0.3.3, WebSocket). An empty text holds nothing
/// and is no error.
///
/// # Errors
///
/// As [`parse`]; then `messages` is as it was.
pub(crate) fn parse_frame(
    text: &str,
    limits: &PayloadLimits,
    messages: &mut Vec<Message>,
) -> Result<(), PayloadError> {
    if text.is_empty() {
        return Ok(());
    }
    read(text, limits, Shape::ArrayOrString, messages)
}

/// Never longer than its input.
fn form_decode(value: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(value.len());
    for (index, word) in value.split(|&byte| byte == b'+').enumerate() {
        if index > 0 {
            decoded.push(b' ');
        }
        decoded.extend(percent_decode(word));
    }
    decoded
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Array,
    ArrayOrString,
}

fn read(
    text: &str,
    limits: &PayloadLimits,
    shape: Shape,
    messages: &mut Vec<Message>,
) -> Result<(), PayloadError> {
    let outcome = deserialize(text, limits, shape, messages);
    match outcome {
        Err(error) if !error.is_limit() => match repair_surrogates(text) {
            Some(repaired) => deserialize(&repaired, limits, shape, messages),
            None => outcome,
        },
        _ => outcome,
    }
}

fn deserialize(
    text: &str,
    limits: &PayloadLimits,
    shape: Shape,
    messages: &mut Vec<Message>,
) -> Result<(), PayloadError> {
    let before = messages.len();
    let mut exceeded = None;
    let mut json = serde_json::Deserializer::from_str(text);
    let read = json.deserialize_any(Payload { limits, shape, messages, exceeded: &mut exceeded });
    read.and_then(|()| json.end()).map_err(|_| {
        messages.truncate(before);
        exceeded.unwrap_or_else(|| diagnose(text))
    })
}

/// Tells JSON of another form from text that is no JSON. Never recurses, however deep the text.
fn diagnose(text: &str) -> PayloadError {
    match serde_json::from_str::<IgnoredAny>(text) {
        Err(_) => PayloadError::Broken,
        Ok(_) if text.trim_start().starts_with('[') => PayloadError::NotAString,
        Ok(_) => PayloadError::NotAnArray,
    }
}

/// Visits the payload. The limits hold while it is parsed, so that a refused payload allocates
/// nothing.
struct Payload<'a> {
    limits: &'a PayloadLimits,
    shape: Shape,
    messages: &'a mut Vec<Message>,
    // Beside the error of serde_json, which can carry text only.
    exceeded: &'a mut Option<PayloadError>,
}

impl<'de> Visitor<'de> for Payload<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let limit = self.limits.messages;
        for _ in 0..limit {
            let element = Element { limit: self.limits.message_size, exceeded: self.exceeded };
            match elements.next_element_seed(element)? {
                Some(message) => self.messages.push(message),
                None => return Ok(()),
            }
        }
        match elements.next_element::<IgnoredAny>()? {
            Some(_) => Err(refuse(self.exceeded, PayloadError::TooManyMessages { limit })),
            None => Ok(()),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        if self.shape == Shape::Array {
            return Err(E::custom("one string, where an array must be"));
        }
        if self.limits.messages == 0 {
            return Err(refuse(self.exceeded, PayloadError::TooManyMessages { limit: 0 }));
        }
        let message =
            Element { limit: self.limits.message_size, exceeded: self.exceeded }.visit_str(text)?;
        self.messages.push(message);
        Ok(())
    }
}

struct Element<'a> {
    limit: usize,
    exceeded: &'a mut Option<PayloadError>,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = Message;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Message, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Element<'_> {
    type Value = Message;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Message, E> {
        if text.len() > self.limit {
            return Err(refuse(self.exceeded, PayloadError::MessageTooLarge { limit: self.limit }));
        }
        Ok(text.into())
    }
}

fn refuse<E: de::Error>(exceeded: &mut Option<PayloadError>, error: PayloadError) -> E {
    *exceeded = Some(error);
    E::custom(error)
}

/// Replaces `\uD800` to `\uDFFF` without a partner by `\ufffd`; `None` if there is none.
/// sockjs-client escapes a lone surrogate so, and no Rust string can hold one.
///
/// serde_json would take them in a string that it reads as bytes, but then it takes raw control
/// characters as well. So the text is read strictly, and only a text that fails comes here.
fn repair_surrogates(text: &str) -> Option<String> {
    const ESCAPE: usize = r"\uD800".len();
    let mut repaired = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(offset) =
        text.as_bytes().get(at..).and_then(|rest| rest.iter().position(|&byte| byte == b'\\'))
    {
        let escape = at + offset;
        at = match (surrogate(text, escape), surrogate(text, escape + ESCAPE)) {
            (Some(0xd800..0xdc00), Some(0xdc00..)) => escape + 2 * ESCAPE,
            (Some(_), _) => {
                repaired.push_str(&text[copied..escape]);
                repaired.push_str(r"\ufffd");
                copied = escape + ESCAPE;
                copied
            }
            // Past the character after the backslash, too: an escaped backslash begins no escape.
            (None, _) => escape + 2,
        };
    }
    if copied == 0 {
        return None;
    }
    repaired.push_str(&text[copied..]);
    Some(repaired)
}

/// The surrogate whose escape is at `at`.
fn surrogate(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..)?.strip_prefix(r"\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok().filter(|unit| (0xd800..=0xdfff).contains(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PayloadLimits = PayloadLimits { message_size: 8, messages: 3 };

    fn texts(outcome: Result<Vec<Message>, PayloadError>) -> Result<Vec<String>, PayloadError> {
        outcome.map(|messages| {
            messages.iter().map(|message| message.as_text().expect("text").to_owned()).collect()
        })
    }

    fn body(body: impl AsRef<[u8]>) -> Result<Vec<String>, PayloadError> {
        texts(parse(body.as_ref(), &LIMITS))
    }

    fn form(body: &str) -> Result<Vec<String>, PayloadError> {
        texts(parse_form(body.as_bytes(), &LIMITS))
    }

    fn frame(text: &str) -> Result<Vec<String>, PayloadError> {
        frame_within(text, &LIMITS)
    }

    /// Behind messages that are there already, which must stay.
    fn frame_within(text: &str, limits: &PayloadLimits) -> Result<Vec<String>, PayloadError> {
        let mut messages = vec![Message::from("before")];
        let outcome = parse_frame(text, limits, &mut messages);
        assert_eq!(messages.remove(0), "before");
        assert!(outcome.is_ok() || messages.is_empty(), "{text}: {messages:?}");
        texts(outcome.map(|()| messages))
    }

    fn ok(messages: &[&str]) -> Result<Vec<String>, PayloadError> {
        Ok(messages.iter().map(|&message| message.to_owned()).collect())
    }

    /// SockJS 0.3.3, xhr_send: accepted payloads.
    #[test]
    fn a_body_is_an_array_of_strings() {
        assert_eq!(body("[]"), ok(&[]));
        assert_eq!(body(r#"["a"]"#), ok(&["a"]));
        assert_eq!(body(" [ \"a\" ,\t\"\", \"ü😀\"]\r\n"), ok(&["a", "", "ü😀"]));
        assert_eq!(
            body(r#"["\"\\\/\b\f","\n\r\t\u0000","\u00fC"]"#),
            ok(&["\"\\/\u{8}\u{c}", "\n\r\t\0", "ü"])
        );
        assert_eq!(body("[\"\u{2028}\u{ffff}\"]"), ok(&["\u{2028}\u{ffff}"]));
    }

    /// SockJS 0.3.3, xhr_send: "Payload expected.", "Broken JSON encoding."
    #[test]
    fn a_body_of_another_form_is_refused() {
        assert_eq!(body(""), Err(PayloadError::Empty));
        for json in ["{}", "1", "\"x\"", "null", "true", " {\"a\":[]} ", "1e999", "-0.5"] {
            assert_eq!(body(json), Err(PayloadError::NotAnArray), "{json}");
        }
        for json in
            ["[1]", "[\"a\",null]", "[[]]", "[{}]", "[true,\"a\"]", "[1e999]", "[\"\\ud800\",1]"]
        {
            assert_eq!(body(json), Err(PayloadError::NotAString), "{json}");
        }
        let broken = [
            " ",
            "[",
            "]",
            "x",
            "[\"a",
            "[\"a\"",
            "[\"a\"]x",
            "[\"a\"][]",
            "[\"a\",]",
            "[,]",
            "[\"a\" \"b\"]",
            "['a']",
            "[NaN]",
            "NaN",
            "\u{feff}[\"a\"]",
            "[\"\\x\"]",
            "[\"\\u12\"]",
            "[\"\\u12g4\"]",
            "[\"\n\"]",
            "[\"\0\"]",
            "[1",
            "[1,\"a",
            "{",
            "{\"a\":}",
            "[\"\\ud800\n\"]",
            "[\"\\ud800\\\"]",
            "[\"\\é\"]",
            "\\ud800",
        ];
        for json in broken {
            assert_eq!(body(json), Err(PayloadError::Broken), "{json}");
        }
        assert_eq!(body(b"[\"\xff\"]"), Err(PayloadError::Broken));
        assert_eq!(
            body(b"[\"\xed\xa0\x80\"]"),
            Err(PayloadError::Broken),
            "a surrogate is no UTF-8"
        );
    }

    #[test]
    fn depth_does_not_overflow_the_stack() {
        let depth = 1_000_000;
        assert_eq!(body("[".repeat(depth)), Err(PayloadError::Broken));
        assert_eq!(body("{\"a\":".repeat(depth)), Err(PayloadError::Broken));
        assert_eq!(body("[".repeat(depth) + &"]".repeat(depth)), Err(PayloadError::NotAString));
        assert_eq!(
            body(format!("[\"\",\"\",\"\",{}{}]", "[".repeat(depth), "]".repeat(depth))),
            too_many()
        );
    }

    /// sockjs-client escapes every surrogate, paired or not.
    #[test]
    fn a_lone_surrogate_becomes_the_replacement_character() {
        assert_eq!(body(r#"["\ud83d\ude00"]"#), ok(&["😀"]));
        assert_eq!(body(r#"["\ud800"]"#), ok(&["\u{fffd}"]));
        assert_eq!(body(r#"["\uDFFF","ü\uDC00x"]"#), ok(&["\u{fffd}", "ü\u{fffd}x"]));
        assert_eq!(body(r#"["\ude00\ud83d"]"#), ok(&["\u{fffd}\u{fffd}"]));
        assert_eq!(body(r#"["\ud83d\ud83d\ude00"]"#), ok(&["\u{fffd}😀"]));
        assert_eq!(body(r#"["\ud83d\u0041"]"#), ok(&["\u{fffd}A"]));
        assert_eq!(
            body(r#"["\\ud800"]"#),
            ok(&[r"\ud800"]),
            "an escaped backslash, and no surrogate"
        );
        assert_eq!(body(r#"["\\\ud800"]"#), ok(&["\\\u{fffd}"]));
        assert_eq!(body(r#"["\\ud800","\ud800"]"#), ok(&[r"\ud800", "\u{fffd}"]), "nor beside one");
        assert_eq!(
            body(r#"["\ud800\ud800\ud800"]"#),
            Err(PayloadError::MessageTooLarge { limit: 8 })
        );
        assert_eq!(frame(r#""\ud800""#), ok(&["\u{fffd}"]));
        assert_eq!(form("d=%5B%22%5Cud800%22%5D"), ok(&["\u{fffd}"]));
    }

    fn too_many() -> Result<Vec<String>, PayloadError> {
        Err(PayloadError::TooManyMessages { limit: 3 })
    }

    #[test]
    fn limits_hold_and_are_named() {
        let too_large = Err(PayloadError::MessageTooLarge { limit: 8 });
        assert_eq!(body(r#"["12345678"]"#), ok(&["12345678"]));
        assert_eq!(body(r#"["123456789"]"#), too_large);
        assert_eq!(
            body(r#"["\u00fc\u00fc\u00fc\u00fc"]"#),
            ok(&["üüüü"]),
            "UTF-8 counts, not its escapes"
        );
        assert_eq!(body(r#"["\u00fc\u00fc\u00fc\u00fc."]"#), too_large);
        assert_eq!(frame(r#""12345678""#), ok(&["12345678"]));
        assert_eq!(frame(r#""123456789""#), too_large);
        assert_eq!(form("d=[\"123456789\"]"), too_large);
        assert_eq!(body(r#"["a","b","c"]"#), ok(&["a", "b", "c"]));
        assert_eq!(body(r#"["a","b","c","d"]"#), too_many());
        assert_eq!(body(r#"["a","b","c",1"#), too_many(), "the rest is not read");
        assert_eq!(frame(r#"["a","b","c","d"]"#), too_many());
        let none = PayloadLimits { message_size: 8, messages: 0 };
        assert_eq!(texts(parse(b"[]", &none)), ok(&[]));
        assert_eq!(texts(parse(b"[\"\"]", &none)), Err(PayloadError::TooManyMessages { limit: 0 }));
        assert_eq!(frame_within("\"\"", &none), Err(PayloadError::TooManyMessages { limit: 0 }));

        let text = PayloadError::MessageTooLarge { limit: 8 }.to_string();
        assert!(text.contains("message_size is 8 bytes"), "{text}");
        let text = PayloadError::TooManyMessages { limit: 3 }.to_string();
        assert!(text.contains("messages_per_payload is 3"), "{text}");
    }

    /// SockJS 0.3.3, xhr_send: the texts of the answers, to the letter.
    #[test]
    fn errors_read_as_the_protocol_wants() {
        assert_eq!(PayloadError::Empty.to_string(), "Payload expected.");
        assert_eq!(PayloadError::NotAnArray.to_string(), "Payload expected.");
        assert_eq!(PayloadError::Broken.to_string(), "Broken JSON encoding.");
        assert!(PayloadError::NotAString.to_string().starts_with("Payload expected: "));
        for malformed in [
            PayloadError::Empty,
            PayloadError::NotAnArray,
            PayloadError::NotAString,
            PayloadError::Broken,
        ] {
            assert!(!malformed.is_limit());
        }
        assert!(PayloadError::MessageTooLarge { limit: 1 }.is_limit());
        assert!(PayloadError::TooManyMessages { limit: 1 }.is_limit());
    }

    /// SockJS 0.3.3, jsonp_send: the array is the field `d`, form-decoded.
    #[test]
    fn a_form_holds_the_array_in_its_field_d() {
        assert_eq!(form("d=%5B%22x%22%5D"), ok(&["x"]));
        assert_eq!(form("d=[\"a+b%2Bc\"]"), ok(&["a b+c"]));
        assert_eq!(form("d=%5b%22%EC%95%88%22%5d&x=1"), ok(&["안"]));
        assert_eq!(form("a=1&%64=[]&&"), ok(&[]));
        assert_eq!(form("d=[\"a=b\"]"), ok(&["a=b"]));
        assert_eq!(form("d=[\"100%\",\"%zz\"]"), ok(&["100%", "%zz"]), "what is no escape stays");
        for empty in ["", "d=", "d", "&", "x=[]", "dd=[]", "D=[]"] {
            assert_eq!(form(empty), Err(PayloadError::Empty), "{empty:?}");
        }
        for broken in ["d=[\"x", "d=+", "d=%ff", "d=[]&d=[]", "d=&d=[]"] {
            assert_eq!(form(broken), Err(PayloadError::Broken), "{broken:?}");
        }
        assert_eq!(form("d={}"), Err(PayloadError::NotAnArray));
    }

    /// SockJS 0.3.3, xhr_send and jsonp_send as `text/plain`: the body is not percent-decoded.
    #[test]
    fn a_plain_body_is_not_percent_decoded() {
        assert_eq!(body(r#"["%61+"]"#), ok(&["%61+"]));
    }

    /// SockJS 0.3.3, WebSocket: an array or one string; nothing and `[]` are ignored.
    #[test]
    fn a_websocket_message_is_an_array_or_a_string() {
        assert_eq!(frame(""), ok(&[]));
        assert_eq!(frame("[]"), ok(&[]));
        assert_eq!(frame(r#"["a","b"]"#), ok(&["a", "b"]));
        assert_eq!(frame(r#" "a\nb" "#), ok(&["a\nb"]));
        assert_eq!(frame(r#""""#), ok(&[""]));
        assert_eq!(frame(" "), Err(PayloadError::Broken));
        assert_eq!(frame(r#""a"b"#), Err(PayloadError::Broken));
        assert_eq!(frame(r#""a" "b""#), Err(PayloadError::Broken));
        assert_eq!(frame(r#"["a"#), Err(PayloadError::Broken));
        assert_eq!(frame("{}"), Err(PayloadError::NotAnArray));
        assert_eq!(frame("[1]"), Err(PayloadError::NotAString));
    }
}
