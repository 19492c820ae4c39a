use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The same cases in every run: a failure in CI is a failure at the desk.
fn config() -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(0x50c4),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Text with many characters that quoting escapes, and many of their neighbours.
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

/// Pieces of JSON in any order: closer to valid JSON than random bytes come.
fn nearly_json() -> impl Strategy<Value = String> {
    let pieces = [
        "[", "]", "[\"", "\"]", "\",\"", "\"", ",", " ", "a", "안", "\\", "\\\\", "\\\"", "\\n",
        "\n", "\\ud83d", "\\ude00", "\\uD800", "\\u00e9", "\\u", "1", "-1e9", "null", "{}",
        "{\"a\":", "}", "d=", "&", "%22", "+", "\u{feff}",
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

/// Groups of modified UTF-8 of all kinds, and some malformed groups.
fn nearly_modified_utf8() -> impl Strategy<Value = Vec<u8>> {
    let groups: [&[u8]; 16] = [
        b"a",
        b"\0",
        b"\xC0\x80",
        b"\xC3\xA9",
        b"\xDF\xBF",
        b"\xE0\xA0\x80",
        b"\xEC\x95\x88",
        b"\xED\xA0\xBD",
        b"\xED\xB8\x80",
        b"\xEF\xBF\xBF",
        b"\xE0\x80\x80",
        b"\xC1\xBF",
        b"\xF0\x9F\x98\x80",
        b"\x80",
        b"\xC3",
        b"\xED\xA0",
    ];
    let well_formed = groups[..12].to_vec();
    let text = prop_oneof![
        8 => vec(proptest::sample::select(well_formed), 0..12),
        1 => vec(proptest::sample::select(groups.to_vec()), 0..12),
    ];
    let record = text.prop_map(|groups| {
        let text = groups.concat();
        [&(text.len() as u16).to_be_bytes()[..], &text].concat()
    });
    (vec(record, 0..6), 0..4usize).prop_map(|(records, missing)| {
        let mut bytes = records.concat();
        bytes.truncate(bytes.len().saturating_sub(missing / 2));
        bytes
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn records_of_any_bytes(size: u8, largest in 0..64u16, bytes: Vec<u8>) {
        super::records(size, largest, &bytes);
    }

    #[test]
    fn records_of_nearly_modified_utf8(size in 1..40u8, largest in 0..40u16, bytes in nearly_modified_utf8()) {
        super::records(size, largest, &bytes);
        super::records(size, u16::MAX, &bytes);
    }

    #[test]
    fn write_records_of_any_text(text in text(), other: String) {
        super::write_records(&text);
        super::write_records(&other);
    }

    #[test]
    fn write_records_of_the_longest_texts(character: char, more in 0..3usize) {
        let encoded = super::encoded_len(&character.to_string());
        super::write_records(&character.to_string().repeat(super::LONGEST / encoded + more));
    }

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
