//! Section 8: WebSocket, framed and raw.

use std::time::Duration;

use sockeye::{CloseReason, EndedBy, EndpointConfig, Gateway, Session, SessionEnd};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::support::{Server, fresh, next};
use common::http::Request;
use common::websocket::{Frame, KEY, WebSocket, handshake};

/// The three ways to a WebSocket: in SockJS frames, raw, and raw on the prefix itself.
fn paths(prefix: &str) -> [String; 3] {
    [format!("{}/websocket", fresh(prefix)), format!("{prefix}/websocket"), prefix.to_owned()]
}

async fn framed(server: Server, prefix: &str) -> WebSocket {
    let mut socket = WebSocket::open(server.addr, &format!("{}/websocket", fresh(prefix))).await;
    assert_eq!(socket.text().await, "o");
    socket
}

/// So many frames have never come before what is waited for.
const ENOUGH: usize = 1000;

/// Waits for a ping, through the open frame, heartbeats and answers to pings.
async fn next_ping(socket: &mut WebSocket) -> Frame {
    for _ in 0..ENOUGH {
        let frame = socket.frame().await;
        if frame.opcode == Frame::PING {
            return frame;
        }
        assert_ne!(frame.opcode, Frame::CLOSE, "{frame:?}");
    }
    panic!("{ENOUGH} heartbeats, and no ping");
}

#[tokio::test]
async fn handshake_answer() {
    let server = Server::start().await;
    for path in paths("/echo") {
        let (_, head) = WebSocket::open_with(server.addr, &handshake(&path)).await;
        assert_eq!(head.header("Connection"), Some("Upgrade"), "{path}");
        assert_eq!(head.header("Upgrade"), Some("websocket"), "{path}");
        for absent in [
            "Content-Length",
            "Transfer-Encoding",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions",
        ] {
            assert_eq!(head.header(absent), None, "{path}");
        }
    }
}

#[tokio::test]
async fn handshakes_of_all_browsers_are_understood() {
    let server = Server::start().await;
    for path in paths("/echo") {
        for (connection, upgrade, version) in [
            ("keep-alive, Upgrade", "websocket", "13"),
            ("Upgrade, keep-alive", "websocket", "13"),
            ("upgrade", "WebSocket", "13"),
            ("keep-alive,Upgrade", "WEBSOCKET", "13"),
            // The draft that became the RFC.
            ("Upgrade", "websocket", "8"),
        ] {
            let request = Request::get(format!("{path}?a=1"))
                .header("User-Agent", "Mozilla/5.0")
                .header("Origin", "http://localhost")
                .header("Connection", connection)
                .header("Upgrade", upgrade)
                .header("Sec-WebSocket-Version", version)
                .header("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
                .header("Sec-WebSocket-Key", KEY);
            let (_, head) = WebSocket::open_with(server.addr, &request).await;
            assert_eq!(head.header("Sec-WebSocket-Extensions"), None, "none is spoken");
        }
    }
}

/// Clients of STOMP, MQTT, GraphQL and the like name their protocol in the handshake, and end a
/// connection whose answer names none of theirs (RFC 6455, 4.1 and 4.2.2).
#[tokio::test]
async fn the_first_subprotocol_of_the_client_that_the_endpoint_speaks_is_the_sessions() {
    let config = EndpointConfig::new().subprotocols(["v10.stomp", "v12.stomp"]);
    let gateway = Gateway::new().endpoint_with("/stomp", config, async |session: Session| {
        let told = session.info().subprotocol().unwrap_or("none").to_owned();
        session.send(told).await.expect("the client is there");
        session.ended().await;
    });
    let server = Server::with(gateway).await;
    for (asked, chosen) in [
        (&["v12.stomp, v11.stomp, v10.stomp"][..], Some("v12.stomp")),
        (&["v11.stomp,v10.stomp,v12.stomp"], Some("v10.stomp")),
        (&["mqtt", "v10.stomp"], Some("v10.stomp")),
        (&["mqtt, V12.STOMP"], None),
        (&[], None),
    ] {
        for path in paths("/stomp") {
            let request = asked.iter().fold(handshake(&path), |request, line| {
                request.header("Sec-WebSocket-Protocol", *line)
            });
            let (mut socket, head) = WebSocket::open_with(server.addr, &request).await;
            assert_eq!(head.header("Sec-WebSocket-Protocol"), chosen, "{path}: {asked:?}");
            let told = chosen.unwrap_or("none");
            if path.ends_with("/websocket") && path.len() > "/stomp/websocket".len() {
                assert_eq!(socket.text().await, "o");
                assert_eq!(socket.text().await, format!("a[\"{told}\"]"));
            } else {
                assert_eq!(socket.text().await, told);
            }
        }
    }
}

/// A browser that asked for a sub-protocol and gets none fails the connection without a word, and
/// the application must not wait for it.
#[tokio::test]
async fn a_client_that_leaves_for_want_of_a_subprotocol_ends_its_session_at_once() {
    let (told, mut ends) = unbounded_channel();
    for config in [EndpointConfig::new(), EndpointConfig::new().subprotocols(["v12.stomp"])] {
        let told = told.clone();
        let gateway = Gateway::new().endpoint_with("/stomp", config, move |session: Session| {
            let told = told.clone();
            async move {
                drop(told.send((session.info().subprotocol().is_some(), session.ended().await)))
            }
        });
        let server = Server::with(gateway.clone()).await;
        for path in paths("/stomp") {
            let request = handshake(&path).header("Sec-WebSocket-Protocol", "mqtt");
            let (socket, head) = WebSocket::open_with(server.addr, &request).await;
            assert_eq!((head.status, head.header("Sec-WebSocket-Protocol")), (101, None), "{path}");
            drop(socket);
            let (has_subprotocol, end) = next(&mut ends).await;
            assert_eq!((has_subprotocol, end.reason), (false, CloseReason::INTERRUPTED), "{path}");
        }
    }
}

#[tokio::test]
async fn a_get_without_upgrade_is_400() {
    let server = Server::start().await;
    for path in &paths("/echo")[..2] {
        for request in [
            Request::get(path),
            Request::get(path).header("Connection", "Upgrade"),
            Request::get(path).header("Connection", "Upgrade").header("Upgrade", "h2c"),
        ] {
            // The refusal is an ordinary answer, and the connection goes on.
            let mut connection = server.connect().await;
            let answer = connection.exchange(&request).await;
            assert_eq!(
                (answer.status(), answer.text()),
                (400, "Can \"Upgrade\" only to \"WebSocket\"."),
                "{request:?}"
            );
            assert_eq!(connection.exchange(&Request::get("/echo")).await.status(), 200);
        }
    }
}

#[tokio::test]
async fn an_upgrade_that_a_proxy_rewrote_is_400() {
    let server = Server::start().await;
    for path in &paths("/echo")[..2] {
        for connection in [Some("close"), Some("keep-alive"), None] {
            let mut request = Request::get(path)
                .header("Upgrade", "WebSocket")
                .header("Sec-WebSocket-Version", "13")
                .header("Sec-WebSocket-Key", KEY);
            if let Some(connection) = connection {
                request = request.header("Connection", connection);
            }
            let answer = server.exchange(&request).await;
            assert_eq!(
                (answer.status(), answer.text()),
                (400, "\"Connection\" must be \"Upgrade\"."),
                "{request:?}"
            );
        }
    }
}

#[tokio::test]
async fn other_versions_and_missing_keys_are_refused() {
    let server = Server::start().await;
    for path in paths("/echo") {
        let upgrade =
            || Request::get(&path).header("Connection", "Upgrade").header("Upgrade", "websocket");
        for version in [Some("12"), Some("7"), Some("0"), Some("x"), None] {
            let mut request = upgrade().header("Sec-WebSocket-Key", KEY);
            if let Some(version) = version {
                request = request.header("Sec-WebSocket-Version", version);
            }
            let answer = server.exchange(&request).await;
            assert!(matches!(answer.status(), 400 | 426), "{request:?}: {answer:?}");
            assert_eq!(answer.header("Sec-WebSocket-Version"), Some("13"), "{request:?}");
        }
        let keyless = upgrade().header("Sec-WebSocket-Version", "13");
        assert_eq!(server.exchange(&keyless).await.status(), 400, "{keyless:?}");
    }
}

#[tokio::test]
async fn other_methods_are_405_with_and_without_upgrade() {
    let server = Server::start().await;
    for path in &paths("/echo")[..2] {
        for upgrade in [true, false] {
            let mut request = Request::post(path);
            if upgrade {
                request = request
                    .header("Connection", "Upgrade")
                    .header("Upgrade", "websocket")
                    .header("Sec-WebSocket-Version", "13")
                    .header("Sec-WebSocket-Key", KEY);
            }
            let answer = server.exchange(&request).await;
            assert_eq!(
                (answer.status(), answer.header("Allow")),
                (405, Some("GET")),
                "{request:?}"
            );
            assert_eq!((answer.header("Content-Type"), answer.text()), (None, ""), "{request:?}");
        }
    }
}

#[tokio::test]
async fn where_websocket_is_off_there_is_none() {
    let server = Server::start().await;
    let prefix = "/disabled_websocket_echo";
    for path in &paths(prefix)[..2] {
        assert_eq!(server.get(path).await.status(), 404);
        assert_eq!(server.exchange(&handshake(path)).await.status(), 404);
    }
    // On the prefix itself there is the greeting, whatever else was asked for.
    assert_ne!(server.connect().await.start(&handshake(prefix)).await.status, 101);
    server.open(prefix).await;
}

#[tokio::test]
async fn framed_echo() {
    let server = Server::start().await;
    let mut socket = framed(server, "/echo").await;
    socket.send(r#"["a"]"#).await;
    assert_eq!(socket.text().await, "a[\"a\"]");
    socket.send(r#"["b","c"]"#).await;
    let mut received = socket.text().await;
    if received == "a[\"b\"]" {
        received += &socket.text().await;
    }
    assert!(["a[\"b\",\"c\"]", "a[\"b\"]a[\"c\"]"].contains(&received.as_str()), "{received}");
    // The response limit is for responses.
    for message in [&"x".repeat(100_000), "after"] {
        socket.send(&format!("[\"{message}\"]")).await;
        assert_eq!(socket.text().await, format!("a[\"{message}\"]"));
    }
}

#[tokio::test]
async fn two_websockets_with_one_id_are_two_sessions() {
    let server = Server::start().await;
    let path = format!("{}/websocket", fresh("/echo"));
    let mut first = WebSocket::open(server.addr, &path).await;
    let mut second = WebSocket::open(server.addr, &path).await;
    for socket in [&mut first, &mut second] {
        assert_eq!(socket.text().await, "o");
    }
    first.send(r#"["first"]"#).await;
    assert_eq!(first.text().await, "a[\"first\"]");
    second.send(r#"["second"]"#).await;
    assert_eq!(second.text().await, "a[\"second\"]");
    drop(first);
    // Nor is either known to the HTTP transports.
    let session = path.strip_suffix("/websocket").expect("that was put there");
    assert_eq!(server.post(&format!("{session}/xhr_send"), "[]").await.status(), 404);
    assert_eq!(server.poll(session).await, "o\n");
    second.send(r#"["third"]"#).await;
    assert_eq!(second.text().await, "a[\"third\"]");
}

#[tokio::test]
async fn a_websocket_id_can_be_used_again() {
    let server = Server::start().await;
    let path = format!("{}/websocket", fresh("/echo"));
    for _ in 0..3 {
        let mut socket = WebSocket::open(server.addr, &path).await;
        assert_eq!(socket.text().await, "o");
        socket.write(&Frame::close()).await;
        assert!(matches!(socket.closed().await.0, None | Some(1000)));
        socket.ends().await;
    }
}

#[tokio::test]
async fn framed_close_by_the_server() {
    let server = Server::start().await;
    let mut socket = framed(server, "/close").await;
    assert_eq!(socket.text().await, "c[3000,\"Go away!\"]");
    let (code, _) = socket.closed().await;
    assert!(matches!(code, Some(1000 | 3000)), "{code:?}");
    socket.ends().await;
}

#[tokio::test]
async fn framed_heartbeats_are_frames_and_pings() {
    let server = Server::start().await;
    let mut socket = framed(server, "/beat").await;
    for _ in 0..3 {
        let ping = next_ping(&mut socket).await;
        socket.write(&Frame { opcode: Frame::PONG, ..ping }).await;
        while socket.frame().await != Frame::text("h") {}
    }
    socket.send(r#"["a"]"#).await;
    while socket.frame().await != Frame::text("a[\"a\"]") {}
}

#[tokio::test]
async fn raw_messages_are_texts_as_they_stand() {
    let server = Server::start().await;
    for path in &paths("/echo")[1..] {
        let mut socket = WebSocket::open(server.addr, path).await;
        // The first frame is the answer: no open frame before it.
        for text in
            ["Hello world!\u{ffff}", "[\"a\"]", "\"", "o", "", "\u{2028}😀\0", &"x".repeat(70_000)]
        {
            socket.send(text).await;
            assert_eq!(socket.text().await, text);
        }
    }
}

#[tokio::test]
async fn raw_close_by_the_server() {
    let server = Server::start().await;
    for path in &paths("/close")[1..] {
        let mut socket = WebSocket::open(server.addr, path).await;
        assert_eq!(socket.closed().await, (Some(3000), "Go away!".into()));
        socket.ends().await;
    }
}

#[tokio::test]
async fn raw_heartbeats_are_pings_alone() {
    let server = Server::start().await;
    let mut socket = WebSocket::open(server.addr, "/beat/websocket").await;
    for _ in 0..3 {
        let ping = socket.frame().await;
        assert_eq!((ping.opcode, ping.last), (Frame::PING, true));
        socket.write(&Frame { opcode: Frame::PONG, ..ping }).await;
    }
}

#[tokio::test]
async fn a_close_by_the_client_is_answered_and_ends_with_fin() {
    let server = Server::start().await;
    for path in paths("/echo") {
        for close in [Frame::close(), Frame::new(Frame::CLOSE, &b"\x03\xe8bye"[..])] {
            let mut socket = WebSocket::open(server.addr, &path).await;
            if path.ends_with("x/websocket") {
                assert_eq!(socket.text().await, "o");
            }
            socket.write(&close).await;
            loop {
                let frame = socket.frame().await;
                if frame.opcode == Frame::CLOSE {
                    break;
                }
                assert_eq!(frame, Frame::text("o"));
            }
            socket.ends().await;
        }
    }
}

#[tokio::test]
async fn pings_are_answered() {
    let server = Server::start().await;
    for path in &paths("/echo")[1..] {
        let mut socket = WebSocket::open(server.addr, path).await;
        socket.write(&Frame::new(Frame::PING, "are you there")).await;
        assert_eq!(socket.frame().await, Frame::new(Frame::PONG, "are you there"));
    }
}

/// An endpoint that tells the test how its sessions end.
async fn reporting(config: EndpointConfig) -> (Server, UnboundedReceiver<SessionEnd>) {
    let (report, ends) = unbounded_channel();
    let handler = move |mut session: Session| {
        let report = report.clone();
        async move {
            while session.recv().await.is_some() {}
            // The receiver is gone when a test has ended.
            let _ = report.send(session.ended().await);
        }
    };
    (Server::with(Gateway::new().endpoint_with("/report", config, handler)).await, ends)
}

#[tokio::test]
async fn the_application_is_told_how_a_websocket_ended() {
    let (server, mut ends) = reporting(EndpointConfig::default()).await;
    let coded = Frame::new(Frame::CLOSE, &b"\x0f\xa0done"[..]);
    let interrupted = CloseReason::INTERRUPTED;
    let [framed, raw, bare] = paths("/report");
    for (path, close, reason) in [
        // Clients of SockJS close without a code; what else comes from one means nothing.
        (&framed, Frame::close(), interrupted.clone()),
        (&framed, coded.clone(), interrupted.clone()),
        (&raw, Frame::close(), interrupted.clone()),
        (&raw, coded.clone(), CloseReason::new(4000, "done")),
        (&bare, coded, CloseReason::new(4000, "done")),
    ] {
        let mut socket = WebSocket::open(server.addr, path).await;
        socket.write(&close).await;
        let end = next(&mut ends).await;
        assert_eq!((end.reason, end.by), (reason, EndedBy::Peer), "{path}");
    }
    for path in [&framed, &raw, &bare] {
        for reset in [false, true] {
            let socket = WebSocket::open(server.addr, path).await;
            if reset {
                socket.connection.reset();
            } else {
                drop(socket);
            }
            let end = next(&mut ends).await;
            assert_eq!((end.reason, end.by), (interrupted.clone(), EndedBy::Peer), "{path}");
        }
    }
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_closed() {
    let moment = Duration::from_millis(20);
    let config = EndpointConfig::new().heartbeat_delay(moment).pong_timeout(moment);
    let (server, mut ends) = reporting(config).await;
    for (path, code) in paths("/report").iter().zip([1000, 3000, 3000]) {
        let mut socket = WebSocket::open(server.addr, path).await;
        let mut frames = Vec::new();
        let close = loop {
            assert!(frames.len() < ENOUGH, "{path}: the peer is not given up");
            match socket.frame().await {
                frame if frame.opcode == Frame::CLOSE => break frame,
                frame => frames.push(frame),
            }
        };
        assert_eq!(close.payload[..2], u16::to_be_bytes(code), "{path}");
        let (pings, texts): (Vec<_>, Vec<_>) =
            frames.into_iter().partition(|frame| frame.opcode == Frame::PING);
        assert_eq!(pings.len(), 1, "{path}: a second ping before the first is answered is no use");
        if code == 1000 {
            assert_eq!(texts.first(), Some(&Frame::text("o")));
            assert_eq!(texts.last(), Some(&Frame::text("c[3000,\"No response from heartbeat\"]")));
        } else {
            assert_eq!(texts, []);
        }
        socket.ends().await;
        let end = next(&mut ends).await;
        assert_eq!((end.reason, end.by), (CloseReason::NO_PONG, EndedBy::Gateway));
    }
}

#[tokio::test]
async fn whatever_a_peer_sends_answers_a_ping() {
    // A client that has left a ping unanswered gets no other: so a second ping shows that the first
    // counts as answered.
    let config = EndpointConfig::new()
        .heartbeat_delay(Duration::from_millis(20))
        .pong_timeout(Duration::from_secs(3600));
    let (server, _ends) = reporting(config).await;
    for path in paths("/report") {
        let mut socket = WebSocket::open(server.addr, &path).await;
        for answer in
            [Frame::text("[]"), Frame::new(Frame::PING, ""), Frame::new(Frame::PONG, "unasked")]
        {
            next_ping(&mut socket).await;
            socket.write(&answer).await;
        }
        next_ping(&mut socket).await;
    }
}
