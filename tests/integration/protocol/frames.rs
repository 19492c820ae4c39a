//! Section 6: frames and how each transport wraps them, to the byte and to the chunk.

use super::support::{HTML, JAVASCRIPT, NO_CACHE, Server, Streaming, fresh};
use common::http::{Connection, Framing, Request};
use common::websocket::WebSocket;

/// The next chunk, as text.
async fn chunk(connection: &mut Connection) -> String {
    let chunk = connection.chunk().await.expect("a chunk, not the end");
    String::from_utf8(chunk.into()).expect("frames are UTF-8")
}

#[tokio::test]
async fn polling_frames() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    server.send(&session, r#"["a"]"#).await;
    assert_eq!(server.poll(&session).await, "a[\"a\"]\n");
    server.send(&session, r#"["a","b"]"#).await;
    server.send(&session, r#"["","c"]"#).await;
    assert_eq!(
        server.poll(&session).await,
        "a[\"a\",\"b\",\"\",\"c\"]\n",
        "what waits goes out as one frame"
    );
}

#[tokio::test]
async fn streaming_frames_are_chunks() {
    let server = Server::start().await;
    for kind in Streaming::ALL {
        let session = fresh("/echo");
        let mut stream = server.stream(&session, kind).await;
        assert_eq!(chunk(&mut stream).await, kind.wrap("o"), "{kind:?}");
        for payload in [r#"["x"]"#, r#"[""]"#, r#"["</script><!--\"'"]"#] {
            server.send(&session, payload).await;
            assert_eq!(chunk(&mut stream).await, kind.wrap(&format!("a{payload}")), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn an_open_and_a_close_frame_are_two_chunks_and_then_comes_the_end() {
    let server = Server::start().await;
    for kind in Streaming::ALL {
        let mut stream = server.stream(&fresh("/close"), kind).await;
        assert_eq!(chunk(&mut stream).await, kind.wrap("o"), "{kind:?}");
        assert_eq!(chunk(&mut stream).await, kind.wrap("c[3000,\"Go away!\"]"), "{kind:?}");
        assert_eq!(stream.chunk().await, None, "{kind:?}");
        // The connection goes on.
        assert_eq!(stream.exchange(&Request::get("/close")).await.status(), 200, "{kind:?}");
    }
}

#[tokio::test]
async fn no_frame_for_no_messages() {
    let server = Server::start().await;
    let session = fresh("/echo");
    let mut stream = server.stream(&session, Streaming::Xhr).await;
    assert_eq!(chunk(&mut stream).await, "o\n");
    server.send(&session, "[]").await;
    server.send(&session, r#"["later"]"#).await;
    assert_eq!(chunk(&mut stream).await, "a[\"later\"]\n");
}

#[tokio::test]
async fn heartbeats_are_wrapped_like_any_frame() {
    let server = Server::start().await;
    for kind in Streaming::ALL {
        let mut stream = server.stream(&fresh("/beat"), kind).await;
        assert_eq!(chunk(&mut stream).await, kind.wrap("o"), "{kind:?}");
        for _ in 0..3 {
            assert_eq!(chunk(&mut stream).await, kind.wrap("h"), "{kind:?}");
        }
    }
    let session = server.open("/beat").await;
    assert_eq!(server.poll(&session).await, "h\n");
    let session = server.open("/beat").await;
    assert_eq!(server.get(&format!("{session}/jsonp?c=x")).await.body, "/**/x(\"h\");\r\n");
}

#[tokio::test]
async fn escapes_of_message_frames() {
    // What goes in as JSON, and what comes out: the escapes that JSON demands, and those that
    // SockJS adds.
    let cases = [
        (r#""\u0000\u0001\u001f""#, r#""\u0000\u0001\u001f""#),
        (r#""\b\t\n\f\r""#, r#""\b\t\n\f\r""#),
        (r#""\u0008\u0009\u000a\u000c\u000d\u000B""#, r#""\b\t\n\f\r\u000b""#),
        (r#""\"\\\/""#, r#""\"\\/""#),
        ("\"\u{7f}\u{80}\u{9f}\u{a0}äЖ日\"", "\"\u{7f}\u{80}\u{9f}\u{a0}äЖ日\""),
        (r#""\u007f\u00e4""#, "\"\u{7f}ä\""),
        ("\"\u{200b}\u{200c}\u{200f}\u{2010}\"", "\"\u{200b}\\u200c\\u200f\u{2010}\""),
        (
            "\"\u{2027}\u{2028}\u{2029}\u{202f}\u{2030}\"",
            "\"\u{2027}\\u2028\\u2029\\u202f\u{2030}\"",
        ),
        ("\"\u{205f}\u{2060}\u{206f}\u{2070}\"", "\"\u{205f}\\u2060\\u206f\u{2070}\""),
        ("\"\u{d7ff}\u{e000}\u{feff}\u{ffef}\"", "\"\u{d7ff}\u{e000}\u{feff}\u{ffef}\""),
        ("\"\u{fff0}\u{fffd}\u{ffff}\"", r#""\ufff0\ufffd\uffff""#),
        ("\"\u{10000}😀\u{10ffff}\"", r#""\ud800\udc00\ud83d\ude00\udbff\udfff""#),
        (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
        (r#""<>&'/""#, r#""<>&'/""#),
    ];
    let server = Server::start().await;
    let session = server.open("/echo").await;
    let mut socket = WebSocket::open(server.addr, &format!("{}/websocket", fresh("/echo"))).await;
    assert_eq!(socket.text().await, "o");
    for (sent, quoted) in cases {
        server.send(&session, format!("[{sent}]")).await;
        assert_eq!(server.poll(&session).await, format!("a[{quoted}]\n"), "{sent}");
        socket.send(&format!("[{sent}]")).await;
        assert_eq!(socket.text().await, format!("a[{quoted}]"), "{sent}");
    }
}

#[tokio::test]
async fn every_character_is_escaped_as_the_ranges_say() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    for start in (0..0x1_0000).step_by(0x1000) {
        let text: String = (start..start + 0x1000).filter_map(char::from_u32).collect();
        let payload = serde_json::to_string(&[&text]).expect("text is JSON");
        let mut expected = String::from("a[\"");
        for character in text.chars() {
            match character {
                '"' => expected.push_str("\\\""),
                '\\' => expected.push_str("\\\\"),
                '\u{8}' => expected.push_str("\\b"),
                '\t' => expected.push_str("\\t"),
                '\n' => expected.push_str("\\n"),
                '\u{c}' => expected.push_str("\\f"),
                '\r' => expected.push_str("\\r"),
                '\0'..='\u{1f}'
                | '\u{200c}'..='\u{200f}'
                | '\u{2028}'..='\u{202f}'
                | '\u{2060}'..='\u{206f}'
                | '\u{fff0}'..='\u{ffff}' => {
                    expected.push_str(&format!("\\u{:04x}", character as u32))
                }
                _ => expected.push(character),
            }
        }
        expected.push_str("\"]\n");
        server.send(&session, payload).await;
        assert_eq!(server.poll(&session).await, expected, "from U+{start:04X}");
    }
}

#[tokio::test]
async fn eventsource_escapes_percent() {
    let server = Server::start().await;
    let session = fresh("/echo");
    let mut stream = server.stream(&session, Streaming::EventSource).await;
    assert_eq!(chunk(&mut stream).await, "data: o\r\n\r\n");
    server.send(&session, r#"["100% %41 \r\n\u0000%"]"#).await;
    assert_eq!(chunk(&mut stream).await, "data: a[\"100%25 %2541 \\r\\n\\u0000%25\"]\r\n\r\n");
}

#[tokio::test]
async fn htmlfile_frames_cannot_leave_their_script() {
    let server = Server::start().await;
    let session = fresh("/echo");
    let mut stream = server.stream(&session, Streaming::HtmlFile).await;
    assert_eq!(chunk(&mut stream).await, "<script>\np(\"o\");\n</script>\r\n");
    server.send(&session, r#"["x"]"#).await;
    assert_eq!(chunk(&mut stream).await, "<script>\np(\"a[\\\"x\\\"]\");\n</script>\r\n");
    server.send(&session, r#"["</script><script>alert(1)\u2028"]"#).await;
    assert_eq!(
        chunk(&mut stream).await,
        "<script>\np(\"a[\\\"\\u003c/script>\\u003cscript>alert(1)\\\\u2028\\\"]\");\n</script>\r\n"
    );
}

#[tokio::test]
async fn htmlfile_calls_the_object_that_was_asked_for() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let request = Request::get(format!("{}/htmlfile?t=1&c=%5fjp.a-1B", fresh("/echo")));
    let head = connection.start(&request).await;
    // It stands in an iframe of the client's page and is a script of its own.
    for absent in ["X-Frame-Options", "Content-Security-Policy"] {
        assert_eq!(head.header(absent), None, "{absent}");
    }
    let page = chunk(&mut connection).await;
    assert!(page.contains("\n    var c = parent._jp.a-1B;\n    c.start();\n"), "{page}");
}

#[tokio::test]
async fn jsonp_frames() {
    let server = Server::start().await;
    let session = fresh("/echo");
    let poll = async |name: &str| server.get(&format!("{session}/jsonp?c={name}")).await;

    let answer = poll("%63allback").await;
    assert_eq!((answer.status(), answer.header("Content-Type")), (200, Some(JAVASCRIPT)));
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(answer.body, "/**/callback(\"o\");\r\n");

    server.send(&session, r#"["x","\u2028\"\\"]"#).await;
    assert_eq!(
        poll("_jp.a1b2c3&a=1").await.body,
        "/**/_jp.a1b2c3(\"a[\\\"x\\\",\\\"\\\\u2028\\\\\\\"\\\\\\\\\\\"]\");\r\n"
    );

    let session = fresh("/close");
    assert_eq!(server.get(&format!("{session}/jsonp?c=x")).await.body, "/**/x(\"o\");\r\n");
    assert_eq!(
        server.get(&format!("{session}/jsonp?c=x")).await.body,
        "/**/x(\"c[3000,\\\"Go away!\\\"]\");\r\n"
    );
}

#[tokio::test]
async fn callback_names() {
    let server = Server::start().await;
    for transport in ["htmlfile", "jsonp"] {
        for (query, message) in [
            ("", r#""callback" parameter required"#),
            ("?", r#""callback" parameter required"#),
            ("?a=b", r#""callback" parameter required"#),
            ("?c", r#""callback" parameter required"#),
            ("?c=", r#""callback" parameter required"#),
            ("?c=%20", r#"invalid "callback" parameter"#),
            ("?c=*", r#"invalid "callback" parameter"#),
            ("?c=abc(", r#"invalid "callback" parameter"#),
            ("?c=abc%28", r#"invalid "callback" parameter"#),
            ("?c=a+b", r#"invalid "callback" parameter"#),
            ("?c=%C3%A4", r#"invalid "callback" parameter"#),
            ("?c=a%0d%0ab", r#"invalid "callback" parameter"#),
            ("?c=%ff", r#"invalid "callback" parameter"#),
        ] {
            let session = fresh("/echo");
            let answer = server.get(&format!("{session}/{transport}{query}")).await;
            assert_eq!(answer.status(), 500, "{transport}{query}");
            assert!(answer.text().contains(message), "{transport}{query}: {}", answer.text());
            assert_eq!(answer.header("Cache-Control"), Some(NO_CACHE));
            let send = server.post(&format!("{session}/xhr_send"), "[]").await;
            assert_eq!(send.status(), 404, "{transport}{query} opened a session");
        }
    }
    for query in ["c=_jp.a1b2c3", "c=A-z_0.9", "a=1&c=x", "callback=x"] {
        let answer = server.get(&format!("{}/jsonp?{query}", fresh("/echo"))).await;
        assert_eq!(answer.status(), 200, "{query}");
        let head = server
            .connect()
            .await
            .start(&Request::get(format!("{}/htmlfile?{query}", fresh("/echo"))))
            .await;
        assert_eq!((head.status, head.header("Content-Type")), (200, Some(HTML)), "{query}");
    }
    for (length, status) in [(32, 200), (33, 500)] {
        let answer =
            server.get(&format!("{}/jsonp?c={}", fresh("/echo"), "x".repeat(length))).await;
        assert_eq!(answer.status(), status, "a name of {length}");
    }
}

#[tokio::test]
async fn proxies_are_asked_not_to_hold_frames_back() {
    let server = Server::start().await;
    for kind in Streaming::ALL {
        let request = kind.request(&fresh("/echo")).header("Accept-Encoding", "gzip, br");
        let head = server.connect().await.start(&request).await;
        assert_eq!(head.header("X-Accel-Buffering"), Some("no"), "{kind:?}");
        assert_eq!(head.header("Content-Encoding"), None, "{kind:?}");
    }
}

#[tokio::test]
async fn a_polling_answer_has_one_end() {
    let server = Server::start().await;
    let answer = server.post(&format!("{}/xhr", fresh("/echo")), "").await;
    // Which of the two is the server's choice; both, or neither, end the test in the client.
    assert!(matches!(answer.framing, Framing::Length(2) | Framing::Chunked));
}
