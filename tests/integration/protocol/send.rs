//! Section 7: from the client to the server.

use super::support::{NO_CACHE, PLAIN, Server, fresh};
use common::http::{Request, Response};
use common::websocket::{Frame, WebSocket};

const FORM: &str = "application/x-www-form-urlencoded";
const NO_PAYLOAD: &str = "Payload expected.";
const BROKEN: &str = "Broken JSON encoding.";

#[tokio::test]
async fn xhr_send_is_answered_204() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    let answer = server.post(&format!("{session}/xhr_send"), r#"["a"]"#).await;
    assert_eq!((answer.status(), answer.text()), (204, ""));
    assert_eq!(answer.header("Content-Type"), Some(PLAIN));
    assert_eq!(answer.header("Cache-Control"), Some(NO_CACHE));
    assert_eq!(server.poll(&session).await, "a[\"a\"]\n");
}

#[tokio::test]
async fn bad_payloads_are_500_and_the_session_goes_on() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    for (payload, message) in [
        ("", NO_PAYLOAD),
        ("[", BROKEN),
        ("[\"x", BROKEN),
        ("[\"x\"", BROKEN),
        ("[\"x\",]", BROKEN),
        ("[\"a\"][\"b\"]", BROKEN),
        ("[\"a\"]x", BROKEN),
        ("['a']", BROKEN),
        ("nonsense", BROKEN),
        ("\"text\"", NO_PAYLOAD),
        ("{\"a\":\"b\"}", NO_PAYLOAD),
        ("1", NO_PAYLOAD),
        ("null", NO_PAYLOAD),
    ] {
        let answer = server.post(&format!("{session}/xhr_send"), payload).await;
        assert_eq!((answer.status(), answer.text()), (500, message), "{payload}");
        let answer = jsonp_send(server, &session, "text/plain", payload).await;
        assert_eq!((answer.status(), answer.text()), (500, message), "{payload}");
    }
    server.send(&session, r#"["still here"]"#).await;
    assert_eq!(server.poll(&session).await, "a[\"still here\"]\n", "and nothing before it");
}

#[tokio::test]
async fn elements_that_are_no_strings_are_refused() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    for payload in ["[1]", "[\"a\",null]", "[\"a\",[\"b\"]]", "[{}]", "[true]", "[\"a\", 1.5e3]"] {
        let answer = server.post(&format!("{session}/xhr_send"), payload).await;
        assert_eq!(answer.status(), 500, "{payload}");
    }
    server.send(&session, r#"["b"]"#).await;
    assert_eq!(server.poll(&session).await, "a[\"b\"]\n", "a payload is taken whole or not at all");
}

#[tokio::test]
async fn payloads_that_are_no_utf_8_are_refused() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    let answer = server.post(&format!("{session}/xhr_send"), &b"[\"\xff\xfe\"]"[..]).await;
    assert_eq!((answer.status(), answer.text()), (500, BROKEN));
    server.send(&session, r#"["a"]"#).await;
    assert_eq!(server.poll(&session).await, "a[\"a\"]\n");
}

#[tokio::test]
async fn an_empty_array_delivers_nothing() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    for payload in ["[]", " [ ] ", "[]\r\n"] {
        server.send(&session, payload).await;
    }
    for body in ["d=%5B%5D", "d=[]"] {
        assert_eq!(jsonp_send(server, &session, FORM, body).await.body, "ok");
    }
    server.send(&session, r#"["a"]"#).await;
    assert_eq!(server.poll(&session).await, "a[\"a\"]\n");
}

#[tokio::test]
async fn sending_to_an_unknown_session_is_404_and_opens_none() {
    let server = Server::start().await;
    let session = fresh("/echo");
    for _ in 0..2 {
        assert_eq!(server.post(&format!("{session}/xhr_send"), r#"["a"]"#).await.status(), 404);
        assert_eq!(jsonp_send(server, &session, FORM, "d=[\"a\"]").await.status(), 404);
    }
    assert_eq!(server.poll(&session).await, "o\n");
}

/// The session is looked up before its payload is read: a payload without a session is not kept.
#[tokio::test]
async fn a_bad_payload_to_an_unknown_session_is_404() {
    let server = Server::start().await;
    let session = fresh("/echo");
    for payload in ["", "[", "null"] {
        let answer = server.post(&format!("{session}/xhr_send"), payload).await;
        assert_eq!(answer.status(), 404, "{payload}");
        assert_eq!(
            jsonp_send(server, &session, "text/plain", payload).await.status(),
            404,
            "{payload}"
        );
    }
}

#[tokio::test]
async fn xhr_send_takes_every_content_type() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    for kind in [
        "text/plain",
        "T",
        "application/json",
        "application/xml",
        "text/xml",
        "",
        FORM,
        "image/png",
    ] {
        for charset in ["", "; charset=utf-8", ";charset=UTF-8"] {
            let request = Request::post(format!("{session}/xhr_send"))
                .header("Content-Type", format!("{kind}{charset}"))
                .body(r#"["a"]"#);
            assert_eq!(server.exchange(&request).await.status(), 204, "{kind}{charset}");
            assert_eq!(server.poll(&session).await, "a[\"a\"]\n", "{kind}{charset}");
        }
    }
}

#[tokio::test]
async fn lone_surrogates_are_replaced() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    for (payload, frame) in [
        (r#"["\ud800"]"#, r#"a["\ufffd"]"#),
        (r#"["a\udfffb"]"#, r#"a["a\ufffdb"]"#),
        (r#"["\ud83dx\ude00"]"#, r#"a["\ufffdx\ufffd"]"#),
        (r#"["\ud83d\ud83d\ude00"]"#, r#"a["\ufffd\ud83d\ude00"]"#),
        (r#"["\ud800\n"]"#, r#"a["\ufffd\n"]"#),
        (r#"["\ud800","\udc00"]"#, r#"a["\ufffd","\ufffd"]"#),
    ] {
        server.send(&session, payload).await;
        assert_eq!(server.poll(&session).await, format!("{frame}\n"), "{payload}");
    }
}

#[tokio::test]
async fn messages_arrive_in_the_order_of_the_sends() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    let mut connection = server.connect().await;
    for number in 0..50 {
        let request = Request::post(format!("{session}/xhr_send")).body(format!("[\"{number}\"]"));
        assert_eq!(connection.exchange(&request).await.status(), 204);
    }
    let mut received = String::new();
    while !received.ends_with("\"49\"]\n") {
        received += &server.poll(&session).await;
    }
    let all: Vec<_> = received.lines().map(|frame| frame[2..frame.len() - 1].to_owned()).collect();
    let expected: Vec<_> = (0..50).map(|number| format!("\"{number}\"")).collect();
    assert_eq!(all.join(","), expected.join(","));
}

#[tokio::test]
async fn a_request_body_may_be_chunked() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    let request = Request::post(format!("{session}/xhr_send"))
        .without_body()
        .header("Transfer-Encoding", "chunked");
    let mut connection = server.connect().await;
    connection.write(request.to_bytes()).await;
    connection.write("2\r\n[\"\r\n3\r\nab\"\r\n1\r\n]\r\n0\r\n\r\n").await;
    assert_eq!(connection.response(&request).await.status(), 204);
    assert_eq!(server.poll(&session).await, "a[\"ab\"]\n");
}

async fn jsonp_send(server: Server, session: &str, kind: &str, body: &str) -> Response {
    let request = Request::post(format!("{session}/jsonp_send")).header("Content-Type", kind);
    server.exchange(&request.body(body.to_owned())).await
}

#[tokio::test]
async fn jsonp_send_is_answered_ok() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    let answer = jsonp_send(server, &session, FORM, "d=%5B%22x%22%5D").await;
    assert_eq!((answer.status(), answer.text()), (200, "ok"));
    assert_eq!(answer.header("Content-Type"), Some(PLAIN));
    assert_eq!(answer.header("Cache-Control"), Some(NO_CACHE));
    assert_eq!(server.poll(&session).await, "a[\"x\"]\n");
}

#[tokio::test]
async fn jsonp_send_decodes_forms_and_nothing_else() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    for (kind, body, frame) in [
        (FORM, "d=%5B%22abc%22%5D", r#"a["abc"]"#),
        (FORM, "d=[\"%61bc\"]", r#"a["abc"]"#),
        (FORM, "d=[\"a+b%2Bc\"]", r#"a["a b+c"]"#),
        (FORM, "x=1&d=[\"%26%3D\"]&y", r#"a["&="]"#),
        (FORM, "d=%5B%22%C3%A4%22%5D", r#"a["ä"]"#),
        ("application/x-www-form-urlencoded; charset=UTF-8", "d=[\"x\"]", r#"a["x"]"#),
        ("Application/X-WWW-Form-URLencoded", "d=[\"x\"]", r#"a["x"]"#),
        ("text/plain", "[\"%61bc\"]", r#"a["%61bc"]"#),
        ("text/plain; charset=UTF-8", "[\"a+b\"]", r#"a["a+b"]"#),
    ] {
        assert_eq!(jsonp_send(server, &session, kind, body).await.body, "ok", "{kind}: {body}");
        assert_eq!(server.poll(&session).await, format!("{frame}\n"), "{kind}: {body}");
    }
    // Without a type, the body is the array itself.
    let answer = server.post(&format!("{session}/jsonp_send"), r#"["%61"]"#).await;
    assert_eq!(answer.body, "ok");
    assert_eq!(server.poll(&session).await, "a[\"%61\"]\n");
    // A browser names the iframe of the form.
    let request =
        Request::post(format!("{session}/jsonp_send?i=a1b2c3d4")).header("Content-Type", FORM);
    assert_eq!(server.exchange(&request.body("d=[\"x\"]")).await.body, "ok");
    assert_eq!(server.poll(&session).await, "a[\"x\"]\n");
}

#[tokio::test]
async fn jsonp_send_refuses_forms_without_payload() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    for (body, message) in [
        ("", NO_PAYLOAD),
        ("d=", NO_PAYLOAD),
        ("d", NO_PAYLOAD),
        ("p=p", NO_PAYLOAD),
        ("d=%5B", BROKEN),
        ("d=[\"x", BROKEN),
    ] {
        let answer = jsonp_send(server, &session, FORM, body).await;
        assert_eq!((answer.status(), answer.text()), (500, message), "{body}");
    }
    server.send(&session, r#"["a"]"#).await;
    assert_eq!(server.poll(&session).await, "a[\"a\"]\n");
}

#[tokio::test]
async fn websocket_messages_are_arrays_or_strings() {
    let server = Server::start().await;
    let mut socket = WebSocket::open(server.addr, &format!("{}/websocket", fresh("/echo"))).await;
    assert_eq!(socket.text().await, "o");
    for ignored in ["", "[]"] {
        socket.send(ignored).await;
    }
    for (sent, frame) in
        [(r#"["a"]"#, r#"a["a"]"#), (r#""b""#, r#"a["b"]"#), (r#" ["c"] "#, r#"a["c"]"#)]
    {
        socket.send(sent).await;
        assert_eq!(socket.text().await, frame, "{sent}");
    }
}

#[tokio::test]
async fn a_websocket_message_may_be_fragmented() {
    let server = Server::start().await;
    let mut socket = WebSocket::open(server.addr, &format!("{}/websocket", fresh("/echo"))).await;
    assert_eq!(socket.text().await, "o");
    socket.write(&Frame { last: false, ..Frame::text("[\"a") }).await;
    socket.write(&Frame::new(Frame::PING, "between")).await;
    socket.write(&Frame { last: false, ..Frame::new(Frame::CONTINUATION, "b") }).await;
    socket.write(&Frame::new(Frame::CONTINUATION, "\"]")).await;
    assert_eq!(socket.frame().await, Frame::new(Frame::PONG, "between"));
    assert_eq!(socket.text().await, "a[\"ab\"]");
}

#[tokio::test]
async fn broken_framing_ends_a_websocket_after_one_close_frame_at_most() {
    let server = Server::start().await;
    for broken in ["[\"x", "[", "nonsense", "{}", "[1]", "[\"a\",null]", "1", "[\"a\"][\"b\"]"] {
        let mut socket =
            WebSocket::open(server.addr, &format!("{}/websocket", fresh("/echo"))).await;
        assert_eq!(socket.text().await, "o");
        socket.send(broken).await;
        assert_eq!(socket.closed().await, (Some(3000), "Broken framing.".into()), "{broken}");
        socket.ends().await;
    }
}
