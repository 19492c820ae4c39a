//! What must hold for any input: one entry per decoder, called by the fuzz targets in `fuzz/` and by the tests below.
//!
//! Behind the feature `fuzzing`, and no part of the public API.

use http::Method;

use crate::gateway::prefix::Prefix;
use crate::gateway::route::{NoRoute, Resource, Route, route as find_route};
use crate::message::Message;
use crate::protocol::payload::{PayloadError, PayloadLimits, parse, parse_form, parse_frame};
use crate::protocol::quote::{quote_into, quote_script_into};

/// Client payloads: the limits hold, and what is taken is what serde_json reads.
pub fn payload(message_size: u8, messages: u8, body: &[u8]) {
    let limits = PayloadLimits { message_size: message_size.into(), messages: messages.into() };
    let as_array = parse(body, &limits);
    let as_form = parse_form(body, &limits);
    check_limits(&as_array, &limits);
    check_limits(&as_form, &limits);

    // serde_json knows no limits and no lone surrogates. All else must agree.
    let expected: Option<Vec<String>> = serde_json::from_slice(body).ok();
    match (&as_array, &expected) {
        (Ok(taken), Some(expected)) => assert!(taken.iter().eq(expected.iter().map(|text| text.as_str()))),
        (Ok(_), None) => assert!(has_surrogate_escape(body), "taken, but no JSON array of strings"),
        (Err(error), Some(_)) => assert!(error.is_limit(), "refused a JSON array of strings: {error}"),
        (Err(_), None) => {}
    }

    let encoded: String = body.iter().map(|byte| format!("%{byte:02x}")).collect();
    let form = format!("x=1&d={encoded}&y");
    assert_eq!(parse_form(form.as_bytes(), &limits), as_array, "the field d is read like a body");

    if let Ok(text) = str::from_utf8(body) {
        let as_frame = parse_frame(text, &limits);
        check_limits(&as_frame, &limits);
        match serde_json::from_str::<String>(text) {
            Ok(string) => match as_frame {
                Ok(taken) => assert_eq!(taken, [Message::from(string)]),
                Err(error) => {
                    assert!(error.is_limit() && (messages == 0 || string.len() > limits.message_size))
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

/// The rule of SockJS 0.3.3, message frames, put down as it is told.
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

/// Characters that never stand bare in a frame. (A quote and a backslash do, as parts of the syntax.)
fn is_escaped(character: char) -> bool {
    matches!(character, '\0'..='\u{1f}' | '\u{200c}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{206f}')
        || character >= '\u{fff0}'
}

/// Routing: the verdict on a path doesn't depend on the method, and a session's path can be put together again from its route.
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    /// The same cases in every run: a failure in CI is a failure at the desk.
    fn config() -> ProptestConfig {
        ProptestConfig { rng_seed: RngSeed::Fixed(0x50c4), failure_persistence: None, ..ProptestConfig::default() }
    }

    /// Text in which the characters that quoting cares about, and their neighbours, are frequent.
    fn text() -> impl Strategy<Value = String> {
        let character = prop_oneof![
            4 => proptest::char::range(' ', '~'),
            2 => proptest::sample::select(vec!['"', '\\', '<', '/', '%', '\n', '\u{7f}', '“', '안', '\u{d7ff}', '\u{e000}']),
            1 => proptest::char::range('\0', '\u{a0}'),
            2 => proptest::char::range('\u{2000}', '\u{2080}'),
            1 => proptest::char::range('\u{ff00}', '\u{ffff}'),
            1 => proptest::char::range('\u{10000}', '\u{10ffff}'),
            1 => any::<char>(),
        ];
        vec(character, 0..120).prop_map(String::from_iter)
    }

    /// Pieces of JSON in any order: nearly right, as random bytes never are.
    fn nearly_json() -> impl Strategy<Value = String> {
        let pieces = [
            "[", "]", "[\"", "\"]", "\",\"", "\"", ",", " ", "a", "안", "\\", "\\\\", "\\\"", "\\n", "\n", "\\ud83d",
            "\\ude00", "\\uD800", "\\u00e9", "\\u", "1", "-1e9", "null", "{}", "{\"a\":", "}", "d=", "&", "%22", "+",
            "\u{feff}",
        ];
        vec(proptest::sample::select(pieces.to_vec()), 0..12).prop_map(|pieces| pieces.concat())
    }

    fn path() -> impl Strategy<Value = String> {
        let segment = prop_oneof![
            4 => proptest::sample::select(vec![
                "", ".", "..", "echo", "info", "websocket", "iframe.html", "iframe-1.2.html", "xhr", "xhr_send", "xhr_streaming",
                "eventsource", "htmlfile", "jsonp", "jsonp_send", "000", "a.b", "%20", "%2e",
            ]).prop_map(str::to_owned),
            1 => "[^/]{0,6}",
        ];
        (any::<bool>(), vec(segment, 0..6)).prop_map(|(rooted, segments)| {
            let path = segments.join("/");
            if rooted { format!("/{path}") } else { path }
        })
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn payload_of_any_bytes(message_size: u8, messages: u8, body: Vec<u8>) {
            super::payload(message_size, messages, &body);
        }

        #[test]
        fn payload_of_nearly_json(message_size in 0..8u8, messages in 0..4u8, body in nearly_json()) {
            super::payload(message_size, messages, body.as_bytes());
            super::payload(message_size, messages, format!("[\"{body}\"]").as_bytes());
        }

        /// A round trip: what serde_json writes arrives, under any limits.
        #[test]
        fn payload_of_an_array(message_size: u8, messages in 0..6u8, texts in vec(text(), 0..6)) {
            let body = serde_json::to_vec(&texts).expect("strings are JSON");
            super::payload(message_size, messages, &body);
            super::payload(u8::MAX, u8::MAX, &body);
        }

        #[test]
        fn quote_of_any_text(text in text()) {
            super::quote(&text);
        }

        #[test]
        fn route_of_any_path(path in path()) {
            super::route(&path);
        }

        #[test]
        fn route_of_any_text(path: String) {
            super::route(&path);
        }
    }
}
