//! Properties that hold for any input: one function per decoder, called by the fuzz targets in
//! `fuzz/` and by the tests here.
//!
//! Behind the feature `fuzzing`, and no part of the public API.

use bytes::BytesMut;
use http::Method;

use crate::gateway::prefix::Prefix;
use crate::gateway::route::{NoRoute, Resource, Route, route as find_route};
use crate::message::Message;
use crate::protocol::modified_utf8::{LONGEST, RecordError, Records, encoded_len, write_record};
use crate::protocol::payload::{PayloadError, PayloadLimits, parse, parse_form, parse_frame};
use crate::protocol::quote::{quote_into, quote_script_into};

/// Client payloads: the limits hold, and the messages are those that serde_json reads.
pub fn payload(message_size: u8, messages: u8, body: &[u8]) {
    let limits = PayloadLimits { message_size: message_size.into(), messages: messages.into() };
    let as_array = parse(body, &limits);
    let as_form = parse_form(body, &limits);
    check_limits(&as_array, &limits);
    check_limits(&as_form, &limits);

    // serde_json knows no limits and no lone surrogates. All else must agree.
    let expected: Option<Vec<String>> = serde_json::from_slice(body).ok();
    match (&as_array, &expected) {
        (Ok(taken), Some(expected)) => {
            assert!(taken.iter().eq(expected.iter().map(|text| text.as_str())))
        }
        (Ok(_), None) => assert!(has_surrogate_escape(body), "taken, but no JSON array of strings"),
        (Err(error), Some(_)) => {
            assert!(error.is_limit(), "refused a JSON array of strings: {error}")
        }
        (Err(_), None) => {}
    }

    let encoded: String = body.iter().map(|byte| format!("%{byte:02x}")).collect();
    let form = format!("x=1&d={encoded}&y");
    assert_eq!(parse_form(form.as_bytes(), &limits), as_array, "the field d is read like a body");

    if let Ok(text) = str::from_utf8(body) {
        let mut messages_of_frame = Vec::new();
        let as_frame =
            parse_frame(text, &limits, &mut messages_of_frame).map(|()| messages_of_frame);
        check_limits(&as_frame, &limits);
        match serde_json::from_str::<String>(text) {
            Ok(string) => match as_frame {
                Ok(taken) => assert_eq!(taken, [Message::from(string)]),
                Err(error) => {
                    assert!(
                        error.is_limit() && (messages == 0 || string.len() > limits.message_size)
                    )
                }
            },
            Err(_) if as_array.is_ok() => assert_eq!(as_frame, as_array),
            Err(_) => {}
        }
    }
}

fn check_limits(outcome: &Result<Vec<Message>, PayloadError>, limits: &PayloadLimits) {
    if let Ok(messages) = outcome {
        assert!(messages.len() <= limits.messages);
        assert!(messages.iter().all(|message| message.len() <= limits.message_size));
    }
}

fn has_surrogate_escape(body: &[u8]) -> bool {
    body.windows(3).any(|window| window.eq_ignore_ascii_case(br"\ud"))
}

/// Quoting: the same bytes as a walk character by character; JSON reads the text back.
pub fn quote(text: &str) {
    let mut quoted = Vec::new();
    quote_into(text, &mut quoted);
    let quoted = String::from_utf8(quoted).expect("UTF-8 in, UTF-8 out");
    assert_eq!(quoted, quote_by_character(text));
    assert!(!quoted.chars().any(is_escaped), "a forbidden character stands bare");
    assert_eq!(serde_json::from_str::<String>(&quoted).expect("a JSON string"), text);

    for escape_lt in [false, true] {
        let mut literal = Vec::new();
        quote_script_into(quoted.as_bytes(), escape_lt, &mut literal);
        assert_eq!(serde_json::from_slice::<String>(&literal).expect("a JSON string"), quoted);
        assert!(!(escape_lt && literal.contains(&b'<')));
    }
}

/// The rule of SockJS 0.3.3, message frames, applied to each character by itself.
fn quote_by_character(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\u{8}' => quoted.push_str(r"\b"),
            '\t' => quoted.push_str(r"\t"),
            '\n' => quoted.push_str(r"\n"),
            '\u{c}' => quoted.push_str(r"\f"),
            '\r' => quoted.push_str(r"\r"),
            _ if is_escaped(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    quoted.push_str(&format!("\\u{unit:04x}"));
                }
            }
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}

/// Characters that never stand bare in a frame. (A quote and a backslash do, as parts of the
/// syntax.)
fn is_escaped(character: char) -> bool {
    matches!(character, '\0'..='\u{1f}' | '\u{200c}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{206f}')
        || character >= '\u{fff0}'
}

/// Routing: whether a path exists does not depend on the method, and a session's path can be
/// rebuilt from its route.
pub fn route(path: &str) {
    let prefix: Prefix = "/echo".parse().expect("a prefix");
    if let Some(below) = prefix.below(path) {
        assert_eq!(format!("/echo{below}"), path);
        check_route(below);
    }
    check_route(path);

    if let Ok(prefix) = path.parse::<Prefix>() {
        assert_eq!(prefix.as_str(), path);
        assert_eq!(prefix.below(&format!("{path}/a/b/xhr")), Some("/a/b/xhr"));
        assert_eq!(prefix.below(&format!("{path}x")), None);
    }
}

fn check_route(below: &str) {
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS, Method::PUT];
    let outcomes = methods.each_ref().map(|method| find_route(method, below));
    let not_found = outcomes.iter().filter(|outcome| **outcome == Err(NoRoute::NotFound)).count();
    assert!(not_found == 0 || not_found == methods.len(), "404 for some methods only: {below:?}");
    for (method, outcome) in methods.iter().zip(outcomes) {
        match outcome {
            Ok(Route::Session { server, session, resource }) => {
                assert!(!server.contains(['/', '.']) && !session.contains(['/', '.']));
                let path = format!("/{server}/{session}/{}", name(resource));
                assert!(below == path || below == format!("{path}/"));
            }
            Ok(_) => assert!(below.len() <= 1 || below.starts_with('/')),
            Err(NoRoute::MethodNotAllowed { allow }) => {
                assert!(!allow.split(", ").any(|allowed| allowed == method.as_str()));
                assert!(methods.iter().any(|method| find_route(method, below).is_ok()));
            }
            Err(NoRoute::NotFound) => {}
        }
    }
}

fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::WebSocket => "websocket",
        Resource::Xhr => "xhr",
        Resource::XhrStreaming => "xhr_streaming",
        Resource::XhrSend => "xhr_send",
        Resource::EventSource => "eventsource",
        Resource::HtmlFile => "htmlfile",
        Resource::Jsonp => "jsonp",
        Resource::JsonpSend => "jsonp_send",
    }
}

/// Records of modified UTF-8, cut into pieces of any size: the same texts, or the same end, as a
/// reader that has all bytes at once and works unit by unit. Texts that were read are the same
/// after they are written.
pub fn records(size: u8, largest: u16, bytes: &[u8]) {
    let largest = usize::from(largest);
    let (mut records, mut read, mut error) = (Records::default(), Vec::new(), None);
    'pieces: for piece in bytes.chunks(usize::from(size).max(1)) {
        records.push(piece);
        loop {
            match records.next(largest) {
                Ok(Some(text)) => read.push(text),
                Ok(None) => break,
                Err(refused) => {
                    error = Some(refused);
                    break 'pieces;
                }
            }
        }
    }
    let mut rest = bytes;
    for text in &read {
        let (record, behind) = split_record(rest).expect("a record that was read is there");
        assert_eq!(text, &naive_text(record).expect("a record that was read is well formed"));
        assert!(text.len() <= largest);
        assert_eq!(naive_text(&write_naively(text)[2..]).as_ref(), Some(text));
        rest = behind;
    }
    match (error, split_record(rest)) {
        (None, record) => assert_eq!((record, records.has_begun()), (None, !rest.is_empty())),
        // A record may be refused before all of it has arrived.
        (Some(RecordError::TooLarge), None) => {}
        (Some(RecordError::TooLarge), Some((record, _))) => {
            assert!(
                record.len() > largest
                    && naive_text(record).is_none_or(|text| text.len() > largest)
            );
        }
        (Some(RecordError::Malformed), record) => {
            assert_eq!(record.and_then(|(record, _)| naive_text(record)), None)
        }
    }
}

/// Writing records: byte for byte as Java's documentation says, if the text fits.
pub fn write_records(text: &str) {
    let mut out = BytesMut::from("before");
    let written = write_record(text, &mut out);
    let expected = write_naively(text);
    assert_eq!(expected.len(), 2 + encoded_len(text));
    match written {
        Ok(()) => assert_eq!(out[6..], expected),
        Err(_) => assert!(expected.len() > 2 + LONGEST && out == "before"),
    }
}

fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

/// The groups of `java.io.DataInput`, `readUTF`.
fn naive_text(mut bytes: &[u8]) -> Option<String> {
    let mut units = Vec::new();
    while let Some(first) = bytes.first() {
        let length = match first >> 4 {
            0..=7 => 1,
            12 | 13 => 2,
            14 => 3,
            _ => return None,
        };
        let (group, rest) = bytes.split_at_checked(length)?;
        if group[1..].iter().any(|byte| byte & 0xC0 != 0x80) {
            return None;
        }
        let first = u16::from(*first) & [0x7F, 0x1F, 0x0F][length - 1];
        units.push(group[1..].iter().fold(first, |unit, byte| unit << 6 | u16::from(byte & 0x3F)));
        bytes = rest;
    }
    Some(String::from_utf16_lossy(&units))
}

/// The groups of `java.io.DataOutput`, `writeUTF`; the length wraps where it has no room.
fn write_naively(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for unit in text.encode_utf16() {
        let group = match unit {
            0x0001..=0x007F => &[unit][..],
            0x0000 | 0x0080..=0x07FF => &[0xC0 | unit >> 6 & 0x1F, 0x80 | unit & 0x3F],
            _ => &[0xE0 | unit >> 12 & 0x0F, 0x80 | unit >> 6 & 0x3F, 0x80 | unit & 0x3F],
        };
        bytes.extend(group.iter().map(|byte| *byte as u8));
    }
    [&(bytes.len() as u16).to_be_bytes()[..], &bytes].concat()
}

#[cfg(test)]
mod tests;
