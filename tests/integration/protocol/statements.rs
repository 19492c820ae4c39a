//! The statements of the protocol and the tests that prove them.

use std::collections::BTreeSet;
use std::process::Command;

use Authority::{Advice, Client, Node, Own, Suite};

/// Why a statement binds this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authority {
    /// The public conformance suite checks it.
    Suite,
    /// sockjs-node 0.3.24 was measured to do so.
    Node,
    /// sockjs-client 1.6.1 depends on it.
    Client,
    /// Good advice: security, proxies, races.
    Advice,
    /// This server's own promise.
    Own,
}

/// Section, authority, statement, tests.
type Statement = (&'static str, Authority, &'static str, &'static [&'static str]);

#[rustfmt::skip]
const STATEMENTS: &[Statement] = &[
    // 1. URLs
    ("1", Suite, "a prefix may have any depth", &["routes::a_prefix_may_have_any_depth"]),
    ("1", Suite, "paths are matched with their case", &["routes::paths_are_matched_with_their_case"]),
    ("1", Client, "any query is allowed everywhere, and ignored", &["routes::queries_are_ignored"]),
    ("1", Suite, "server and session segments: one character or more, anything but slash and dot", &["routes::server_and_session_segments_hold_anything_but_slash_and_dot"]),
    ("1", Suite, "empty segments, dots, more or fewer segments: 404 for GET and POST", &["routes::other_numbers_of_segments_and_dots_are_not_found"]),
    ("1", Suite, "the session is found by its own segment alone", &["routes::the_server_segment_does_not_matter"]),
    ("1", Suite, "names of the iframe page that are valid, and that are not", &["routes::iframe_names"]),
    ("1", Node, "one more slash at the end of every path", &["routes::one_trailing_slash_is_accepted_and_two_are_not"]),
    ("1", Suite, "two slashes behind the prefix: 404", &["routes::one_trailing_slash_is_accepted_and_two_are_not", "routes::other_numbers_of_segments_and_dots_are_not_found"]),
    ("1", Suite, "unknown paths: 404", &["routes::unknown_paths_are_404"]),
    ("1", Suite, "a wrong method: 405, Allow, no type, no body", &["routes::a_wrong_method_is_405_with_the_right_ones_and_nothing_else"]),
    ("1", Own, "a session segment has at most 128 bytes, for it is kept: 404", &["routes::a_session_segment_of_more_than_128_bytes_is_not_found"]),
    ("1", Own, "HEAD is answered as GET on pages", &["routes::head_is_answered_as_get_without_the_body"]),
    ("1", Own, "each transport can be switched off, and is 404 then", &["limits::transports_can_be_switched_off_one_by_one"]),

    // 2. Static pages
    ("2.1", Suite, "greeting: text, type, length, no cookie", &["pages::greeting"]),
    ("2.2", Suite, "iframe page: its bytes, type, caching, no cookie, no Last-Modified", &["pages::iframe_page"]),
    ("2.2", Suite, "the same page for every valid name and query", &["routes::iframe_names"]),
    ("2.2", Suite, "the client URL has no double quote and begins with a slash or http", &["pages::a_client_url_that_would_break_the_page_is_refused"]),
    ("2.2", Node, "the ETag is stable", &["pages::iframe_page_has_a_stable_etag"]),
    ("2.2", Suite, "If-None-Match with the ETag: 304, no body, no type", &["pages::iframe_page_is_304_for_one_who_has_it"]),
    ("2.2", Advice, "lists, weak tags and `*` in If-None-Match; the 304 keeps its caching headers", &["pages::iframe_page_is_304_for_one_who_has_it"]),
    ("2.3", Suite, "info: type, no caching, no cookie, its members", &["pages::info"]),
    ("2.3", Suite, "entropy: a new unsigned 32-bit number in every answer", &["pages::info_entropy_is_a_new_32_bit_number_each_time"]),
    ("2.3", Client, "websocket is false where WebSocket is off", &["pages::info", "limits::transports_can_be_switched_off_one_by_one"]),
    ("2.3", Client, "base_url, where one is set", &["limits::info_names_another_base_url_where_one_is_set", "pages::info"]),
    ("2.3", Suite, "OPTIONS on info", &["cors::options_needs_no_session_and_opens_none"]),

    // 3. Header groups
    ("3", Suite, "no caching of what changes, no Expires, no Last-Modified", &["pages::what_changes_is_not_kept", "pages::info"]),
    ("3", Node, "nor of errors", &["pages::what_changes_is_not_kept"]),
    ("3", Suite, "long caching of the iframe page and of OPTIONS", &["pages::iframe_page", "cors::options_needs_no_session_and_opens_none"]),
    ("3", Node, "Vary: Origin on every cross-origin answer", &["cors::the_origin_is_echoed_with_credentials", "cors::without_an_origin_every_origin_may_read_without_credentials"]),

    // 4. CORS
    ("4.1", Suite, "the origin is echoed with credentials, `null` as well", &["cors::the_origin_is_echoed_with_credentials"]),
    ("4.1", Node, "on errors, too", &["cors::the_origin_is_echoed_with_credentials"]),
    ("4.1", Suite, "without an origin: `*`, no credentials", &["cors::without_an_origin_every_origin_may_read_without_credentials"]),
    ("4.1", Suite, "requested headers are allowed unchanged; none, if none or nothing was requested", &["cors::requested_headers_are_allowed_as_they_stand"]),
    ("4.1", Node, "eventsource: the same, but `*` for the origin `null`", &["cors::eventsource_answers_other_origins"]),
    ("4.1", Node, "none on greeting, iframe page, htmlfile, jsonp, jsonp_send, websocket", &["cors::other_paths_do_not_answer_other_origins"]),
    ("4.1", Own, "all of section 4 for pages that `origins` admits; others: 403, Vary, and no session", &["origins::a_page_of_another_origin_opens_no_session", "origins::a_listed_page_and_other_clients_open_sessions", "origins::a_session_is_neither_read_nor_written_by_a_page_of_another_origin", "origins::a_refused_payload_leaves_its_connection_in_order", "origins::the_log_tells_what_to_write_and_not_each_time"]),
    ("4.2", Suite, "OPTIONS: 204, no body, long caching, methods, Max-Age; needs no session and opens none", &["cors::options_needs_no_session_and_opens_none"]),
    ("4.2", Node, "OPTIONS elsewhere: 405", &["routes::a_wrong_method_is_405_with_the_right_ones_and_nothing_else"]),

    // 5. Cookies
    ("5", Suite, "JSESSIONID with the client's value or `dummy`, and the path, on the transports", &["cors::the_cookie_is_echoed_or_a_dummy"]),
    ("5", Node, "on OPTIONS, too", &["cors::the_cookie_is_echoed_or_a_dummy"]),
    ("5", Suite, "never on info, greeting, iframe page, nor on the 101", &["cors::static_pages_info_and_websockets_set_no_cookie", "pages::greeting", "pages::info", "pages::iframe_page"]),
    ("5", Suite, "never where cookies are off", &["cors::there_is_no_cookie_where_cookies_are_off"]),
    ("5", Advice, "SameSite and Secure can be set; the value that is echoed is a cookie's", &["limits::cookies_have_the_attributes_that_are_set_and_no_bad_value"]),

    // 6. Frames
    ("6", Suite, "`o` first on a new session", &["lifecycle::the_first_receiver_opens_the_session"]),
    ("6", Suite, "`h` in the wrapping of the transport", &["frames::heartbeats_are_wrapped_like_any_frame", "delays::heartbeats_come_each_25_seconds"]),
    ("6", Suite, "`a` and an array of strings without spaces; what waits goes out as one frame", &["frames::polling_frames", "lifecycle::each_send_is_a_frame_of_its_own_on_a_stream"]),
    ("6", Node, "each later send makes a frame of its own on a stream", &["lifecycle::each_send_is_a_frame_of_its_own_on_a_stream", "frames::streaming_frames_are_chunks"]),
    ("6", Node, "no empty array is ever sent", &["frames::no_frame_for_no_messages"]),
    ("6", Suite, "`c[code,\"reason\"]` at the end, and to every later receiver", &["lifecycle::the_close_frame_is_given_to_every_later_receiver"]),
    ("6", Suite, "escapes of JSON and of SockJS, in lower-case digits; characters above U+FFFF as two", &["frames::escapes_of_message_frames", "frames::every_character_is_escaped_as_the_ranges_say"]),
    ("6", Advice, "close reasons are escaped in the same way", &["lifecycle::close_reasons_are_escaped_as_messages_are"]),
    ("6", Suite, "types, preludes and wrappings; prelude and every frame are one HTTP chunk each", &["frames::streaming_frames_are_chunks", "frames::polling_frames", "frames::jsonp_frames", "websocket::framed_echo"]),
    ("6", Suite, "`o` and `c` are two chunks, then the end, at once", &["frames::an_open_and_a_close_frame_are_two_chunks_and_then_comes_the_end"]),
    ("6", Suite, "a polling answer has a length or chunks", &["frames::a_polling_answer_has_one_end"]),
    ("6.1", Client, "eventsource escapes `%`", &["frames::eventsource_escapes_percent"]),
    ("6.2", Suite, "htmlfile: the page, more than 1024 bytes with its padding; the frames", &["frames::streaming_frames_are_chunks", "frames::htmlfile_calls_the_object_that_was_asked_for"]),
    ("6.2", Advice, "a message can't leave the script element of htmlfile", &["frames::htmlfile_frames_cannot_leave_their_script"]),
    ("6.3", Suite, "callback names: decoded; missing or invalid: 500 with the text, before any session work", &["frames::callback_names", "frames::jsonp_frames"]),
    ("6.3", Node, "`callback` is another name of the parameter; jsonp takes 32 characters", &["frames::callback_names"]),
    ("6.3", Node, "jsonp: nosniff", &["frames::jsonp_frames"]),

    // 7. Client to server
    ("7.1", Suite, "xhr_send: 204 with a type", &["send::xhr_send_is_answered_204"]),
    ("7.1", Suite, "empty body, malformed JSON: 500 with the text; the session goes on", &["send::bad_payloads_are_500_and_the_session_goes_on"]),
    ("7.1", Node, "JSON that is no array: 500", &["send::bad_payloads_are_500_and_the_session_goes_on"]),
    ("7.1", Suite, "`[]` delivers nothing", &["send::an_empty_array_delivers_nothing"]),
    ("7.1", Suite, "unknown session: 404, and none is opened", &["send::sending_to_an_unknown_session_is_404_and_opens_none"]),
    ("7.1", Own, "the session is looked for before the payload is read, or it would be kept for nobody; sockjs-node reads it first", &["send::a_bad_payload_to_an_unknown_session_is_404"]),
    ("7.1", Suite, "content types that must be taken; here all are", &["send::xhr_send_takes_every_content_type"]),
    ("7.1", Advice, "elements that are no strings are refused, the payload in whole", &["send::elements_that_are_no_strings_are_refused"]),
    ("7.1", Own, "lone surrogates are replaced", &["send::lone_surrogates_are_replaced"]),
    ("7.1", Own, "bytes that are no UTF-8 are malformed JSON", &["send::payloads_that_are_no_utf_8_are_refused"]),
    ("7.1", Client, "messages keep the order of the sends", &["send::messages_arrive_in_the_order_of_the_sends"]),
    ("7.1", Client, "a send is answered when it is queued, received or not", &["limits::a_send_that_finds_no_room_is_503_and_closes_the_session"]),
    ("7.1", Own, "a send that finds no room for long: 503, and 1008", &["limits::a_send_that_finds_no_room_is_503_and_closes_the_session"]),
    ("7.1", Own, "a send over a limit: 413, and 1009", &["limits::sends_over_a_limit_are_413_and_close_the_session_with_1009"]),
    ("7.2", Suite, "jsonp_send: 200 `ok`, type, no caching", &["send::jsonp_send_is_answered_ok"]),
    ("7.2", Suite, "a form's field `d` is decoded, a plain body is not", &["send::jsonp_send_decodes_forms_and_nothing_else"]),
    ("7.2", Client, "the query that a browser's form adds", &["send::jsonp_send_decodes_forms_and_nothing_else"]),
    ("7.2", Suite, "no payload, malformed JSON: 500 with the text", &["send::jsonp_send_refuses_forms_without_payload", "send::bad_payloads_are_500_and_the_session_goes_on"]),
    ("7.2", Node, "unknown session: 404", &["send::sending_to_an_unknown_session_is_404_and_opens_none"]),
    ("7.3", Suite, "an array of strings, or one string; an empty message and `[]` are ignored", &["send::websocket_messages_are_arrays_or_strings"]),
    ("7.3", Suite, "malformed JSON: the end, after one close frame at most", &["send::broken_framing_ends_a_websocket_after_one_close_frame_at_most"]),
    ("7.3", Advice, "binary messages: 1003, unless accepted", &["limits::binary_messages_close_with_1003_unless_they_are_accepted"]),
    ("7.3", Own, "messages over a limit: 1009", &["limits::websocket_messages_over_a_limit_close_with_1009"]),
    ("7.3", Own, "what came before a refused message is delivered", &["limits::what_was_sent_before_a_refused_message_reaches_the_application"]),

    // 8. WebSocket
    ("8.1", Suite, "the 101: Connection is just Upgrade, no length", &["websocket::handshake_answer"]),
    ("8.1", Client, "`Connection: keep-alive, Upgrade`; no subprotocol", &["websocket::handshakes_of_all_browsers_are_understood", "websocket::handshake_answer"]),
    ("8.1", Suite, "GET without upgrade to WebSocket: 400 with the text", &["websocket::a_get_without_upgrade_is_400"]),
    ("8.1", Suite, "an upgrade that a proxy rewrote: 400 with the text", &["websocket::an_upgrade_that_a_proxy_rewrote_is_400"]),
    ("8.1", Suite, "not GET: 405, Allow, no type, no body", &["websocket::other_methods_are_405_with_and_without_upgrade"]),
    ("8.1", Node, "other versions: 400, naming 13", &["websocket::other_versions_and_missing_keys_are_refused"]),
    ("8.1", Suite, "switched off: 404", &["websocket::where_websocket_is_off_there_is_none"]),
    ("8.1", Own, "RFC 6455, 4.2.2: the first subprotocol of the client that the endpoint speaks, or none", &["websocket::the_first_subprotocol_of_the_client_that_the_endpoint_speaks_is_the_sessions", "websocket::a_client_that_leaves_for_want_of_a_subprotocol_ends_its_session_at_once"]),
    ("8.3", Suite, "`o`, frames as unfragmented text messages, no response limit", &["websocket::framed_echo"]),
    ("8.3", Suite, "two WebSockets with one id are two sessions; neither is entered under it", &["websocket::two_websockets_with_one_id_are_two_sessions"]),
    ("8.3", Suite, "an id can be used again", &["websocket::a_websocket_id_can_be_used_again"]),
    ("8.3", Node, "close by the server: `c`, a WebSocket close frame, the end", &["websocket::framed_close_by_the_server"]),
    ("8.3", Node, "pings; no answer: 3000", &["websocket::framed_heartbeats_are_frames_and_pings", "websocket::raw_heartbeats_are_pings_alone", "websocket::a_peer_that_answers_no_ping_is_closed"]),
    ("8.3", Own, "whatever a peer sends answers a ping", &["websocket::whatever_a_peer_sends_answers_a_ping"]),
    ("8.3", Advice, "FIN, not RST", &["websocket::a_close_by_the_client_is_answered_and_ends_with_fin", "websocket::framed_close_by_the_server", "websocket::raw_close_by_the_server"]),
    ("8.3", Own, "the application is told how it ended", &["websocket::the_application_is_told_how_a_websocket_ended"]),
    ("8.3", Own, "RFC 6455: fragments, pings", &["send::a_websocket_message_may_be_fragmented", "websocket::pings_are_answered"]),
    ("8.4", Suite, "raw: one message in, one out, no frames; U+FFFF passes", &["websocket::raw_messages_are_texts_as_they_stand", "websocket::raw_heartbeats_are_pings_alone"]),
    ("8.4", Suite, "raw close by the server: its code and reason", &["websocket::raw_close_by_the_server"]),
    ("8.4", Own, "a WebSocket on the bare prefix is a raw one", &["websocket::raw_messages_are_texts_as_they_stand", "websocket::handshake_answer"]),

    // 9. Life cycle
    ("9.1", Suite, "the first receiver opens the session, `o` at once; a send never does", &["lifecycle::the_first_receiver_opens_the_session", "send::sending_to_an_unknown_session_is_404_and_opens_none"]),
    ("9.2", Suite, "a poll is answered at once when messages wait, else held", &["lifecycle::a_poll_is_answered_at_once_or_held"]),
    ("9.4", Suite, "a second receiver: 2010; the first goes on", &["lifecycle::a_second_receiver_is_turned_away_and_the_first_goes_on", "lifecycle::a_second_poll_is_turned_away_and_the_first_goes_on"]),
    ("9.4", Advice, "but it waits a moment for the first to go", &["delays::a_second_receiver_waits_a_moment_for_the_first_to_go"]),
    ("9.5", Node, "messages that wait go out before the close frame", &["lifecycle::what_waits_goes_out_before_the_close_frame"]),
    ("9.5", Suite, "the close frame detaches the receiver before another can come", &["lifecycle::a_close_ends_the_attached_receiver"]),
    ("9.5", Suite, "later receivers get the same close frame; sends are 204 and dropped", &["lifecycle::the_close_frame_is_given_to_every_later_receiver"]),
    ("9.5", Node, "the closed session is kept 5 s after its last receiver", &["delays::a_closed_session_is_kept_five_seconds_after_its_last_receiver"]),
    ("9.5", Own, "and its reason is told to one who comes later still", &["delays::a_closed_session_is_kept_five_seconds_after_its_last_receiver", "delays::a_lost_close_frame_is_told_late"]),
    ("9.6", Suite, "a receiver that vanishes, half-closed as well, ends the session", &["lifecycle::a_receiver_that_vanishes_ends_the_session", "lifecycle::a_poll_that_vanishes_ends_the_session"]),
    ("9.6", Node, "the application is told; a send gives 404", &["delays::the_application_is_told_when_a_receiver_vanishes"]),
    ("9.7", Node, "without a receiver a session lives 5 s; sends do not prolong it", &["delays::a_session_waits_five_seconds_for_its_client", "delays::a_receiver_prolongs_the_wait"]),
    ("9.7", Own, "a receiver that comes too late is told so, once; then the id is free", &["delays::an_expired_session_is_told_once_and_its_id_is_free"]),
    ("9.7", Own, "for 60 s, 10,000 ids an endpoint", &["delays::an_end_is_remembered_for_a_minute", "delays::ten_thousand_ends_are_remembered", "delays::what_is_remembered_of_ends_can_be_set"]),
    ("9.8", Node, "a heartbeat each 25 s; it ends a poll", &["delays::heartbeats_come_each_25_seconds"]),
    ("9.8", Own, "counted from the last frame", &["delays::heartbeats_count_from_the_last_frame"]),
    ("9.9", Own, "the delays can be set", &["delays::the_disconnect_delay_can_be_set", "frames::heartbeats_are_wrapped_like_any_frame"]),
    ("9.9", Own, "sockeye_wait bounds how long an xhr poll waits, where it is switched on", &["delays::a_short_poll_waits_no_longer_than_it_says", "delays::a_short_poll_brings_what_there_is_and_loses_nothing", "delays::a_short_poll_of_no_time_opens_no_session", "delays::short_polls_are_off_until_switched_on"]),
    ("9.9", Own, "a frame that is not written in full is lost: the session ends with 1002, told once, and counts it", &["written::a_frame_that_is_not_written_in_full_is_lost_and_told", "written::an_answer_that_nobody_writes_is_lost_and_told", "written::a_large_answer_is_lost_when_one_of_its_pieces_is"]),
    ("9.9", Own, "the disconnect delay begins when the last bytes have left; a connection that takes none, or too few, is given up", &["written::a_session_does_not_expire_while_its_last_bytes_leave", "written::a_connection_that_takes_nothing_is_given_up", "written::a_connection_that_takes_too_little_is_given_up"]),
    ("9.10", Node, "a session can change its transport", &["lifecycle::a_session_can_change_its_transport"]),
    ("9.10", Own, "each endpoint has sessions of its own", &["lifecycle::endpoints_have_sessions_of_their_own"]),

    // 10. Response limit
    ("10", Suite, "a stream ends after the frame that reaches 4096 bytes: the 31st of 134", &["limits::a_stream_ends_after_the_frame_that_reaches_the_response_limit"]),
    ("10", Suite, "wrappings count, the prelude does not", &["limits::the_response_limit_counts_wrapped_frames_and_no_prelude"]),
    ("10", Node, "128 KiB by default", &["limits::the_response_limit_is_128_kib_by_default"]),
    ("10", Suite, "a frame is never split; the session goes on", &["limits::one_great_frame_is_not_split", "lifecycle::a_session_can_change_its_transport"]),

    // 11. Close codes
    ("11", Node, "1000 `Normal closure` by default", &["lifecycle::a_handler_that_returns_closes_normally"]),
    ("11", Suite, "the services that the suites expect", &["lifecycle::test_services_of_the_public_suites", "lifecycle::the_close_frame_is_given_to_every_later_receiver"]),

    // 12. HTTP/1.0 and HTTP/1.1
    ("12", Suite, "HTTP/1.0, static pages: a length, and close or a true keep-alive", &["http::http_1_0_static_pages"]),
    ("12", Suite, "HTTP/1.0, polls", &["http::http_1_0_polls"]),
    ("12", Suite, "HTTP/1.0, streams: no length, no coding, bytes as they come, then the end", &["http::http_1_0_streams_end_with_the_connection", "http::http_1_0_stream_bytes_come_as_they_are_sent"]),
    ("12", Suite, "HTTP/1.1: connections are kept, also behind a stream; streams are chunked", &["http::http_1_1_connections_are_kept", "http::http_1_1_connections_are_kept_after_a_stream", "http::a_client_that_asks_for_close_gets_it"]),
    ("12", Suite, "the end of every body can be known", &["http::http_1_1_connections_are_kept"]),
    ("12", Suite, "a POST without length has an empty body", &["http::a_post_without_length_has_an_empty_body"]),
    ("12", Suite, "a refused upgrade gets an ordinary answer", &["websocket::a_get_without_upgrade_is_400", "http::http_1_0_has_no_websockets"]),
    ("12", Own, "pipelined requests, chunked requests", &["http::pipelined_requests_are_answered_in_order", "send::a_request_body_may_be_chunked"]),
    ("12", Own, "a body that does not arrive: 408", &["limits::a_body_that_does_not_arrive_is_not_waited_for"]),
    ("12", Own, "the answer to a refused body arrives", &["limits::a_refused_body_is_read_so_that_the_answer_arrives", "limits::how_much_is_read_of_a_refused_body_can_be_set"]),

    // 13. What sockjs-client needs besides
    ("13.2", Client, "the query of a base URL comes with every request", &["routes::queries_are_ignored", "websocket::handshakes_of_all_browsers_are_understood"]),
    ("12", Own, "bodies that nobody wants are read to their end, up to a limit", &["bodies::a_body_for_nobody_is_read_so_that_its_answer_arrives", "bodies::a_poll_may_have_a_body"]),
    ("12", Own, "a client that asks before it sends is told at once", &["bodies::a_client_that_asks_before_it_sends_is_told_at_once"]),
    ("12", Own, "text of a request's body reaches the log escaped", &["bodies::a_refused_body_is_one_line_of_the_log"]),
    ("12", Own, "what a session keeps of its request is bounded: 414 for its path and query, 431 for its headers", &["limits::a_session_keeps_no_more_of_its_request_than_is_set"]),
    ("13.4", Client, "who can't be served is refused by status, before `o`", &["limits::a_client_over_the_limit_of_sessions_is_503_before_any_frame"]),
    ("13.8", Client, "heartbeats come within 35 s", &["limits::heartbeats_are_faster_than_the_patience_of_jsonp_clients", "delays::heartbeats_come_each_25_seconds"]),
    ("13.10", Client, "nothing keeps iframe page and htmlfile out of a frame", &["pages::iframe_page", "frames::htmlfile_calls_the_object_that_was_asked_for"]),
    ("13.11", Client, "an id never seen gets `o`", &["lifecycle::the_first_receiver_opens_the_session"]),
    ("13.12", Client, "a client's end is seen in its connection's", &["lifecycle::a_receiver_that_vanishes_ends_the_session", "websocket::the_application_is_told_how_a_websocket_ended"]),

    // 14. Proxies
    ("14", Advice, "no buffering, no compression", &["frames::proxies_are_asked_not_to_hold_frames_back"]),
    ("14", Advice, "a proxy that loses Upgrade gets 400", &["websocket::a_get_without_upgrade_is_400", "websocket::an_upgrade_that_a_proxy_rewrote_is_400", "http::http_1_0_has_no_websockets"]),
];

/// Every test of these modules, as the harness of the program lists them.
fn tests() -> BTreeSet<String> {
    let program = std::env::current_exe().expect("a test program knows where it is");
    let list =
        Command::new(program).arg("--list").output().expect("the test program lists its tests");
    let list = String::from_utf8(list.stdout).expect("test names are UTF-8");
    list.lines()
        .filter_map(|line| line.strip_suffix(": test")?.strip_prefix("protocol::"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_statement_has_its_tests() {
    let tests = tests();
    for (section, authority, statement, proofs) in STATEMENTS {
        assert!(!proofs.is_empty(), "{section} {authority:?}: {statement}: no test");
        for proof in *proofs {
            assert!(
                tests.contains(*proof),
                "{section} {authority:?}: {statement}: there is no test {proof}"
            );
        }
    }
}

#[test]
fn every_test_proves_a_statement() {
    let proofs: BTreeSet<_> = STATEMENTS.iter().flat_map(|(.., proofs)| *proofs).copied().collect();
    let tests = tests();
    assert!(tests.len() > 100, "the list is not empty");
    for test in tests.iter().filter(|test| !test.starts_with("statements::")) {
        assert!(proofs.contains(test.as_str()), "{test} stands under no statement");
    }
}
