//! Section 9: the life of a session on the HTTP transports.

use sockeye::{EndpointConfig, Gateway, Origins, Session};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::support::{Server, Streaming, fresh, next};
use common::http::{Connection, Request};
use common::websocket::WebSocket;

/// The next chunk, as text.
async fn chunk(connection: &mut Connection) -> String {
    let chunk = connection.chunk().await.expect("a chunk, not the end");
    String::from_utf8(chunk.into()).expect("frames are UTF-8")
}

#[tokio::test]
async fn the_first_receiver_opens_the_session() {
    let server = Server::start().await;
    assert_eq!(server.poll(&fresh("/echo")).await, "o\n");
    assert_eq!(
        server.get(&format!("{}/jsonp?c=x", fresh("/echo"))).await.body,
        "/**/x(\"o\");\r\n"
    );
    for kind in Streaming::ALL {
        let mut stream = server.stream(&fresh("/echo"), kind).await;
        assert_eq!(chunk(&mut stream).await, kind.wrap("o"), "{kind:?}");
    }
}

#[tokio::test]
async fn a_poll_is_answered_at_once_or_held() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    server.send(&session, r#"["waits"]"#).await;
    assert_eq!(server.poll(&session).await, "a[\"waits\"]\n");

    let mut poll = server.connect().await;
    poll.write(Request::post(format!("{session}/xhr")).to_bytes()).await;
    server.send(&session, r#"["is waited for"]"#).await;
    let answer = poll.response(&Request::post("")).await;
    assert_eq!(answer.body, "a[\"is waited for\"]\n");
}

#[tokio::test]
async fn each_send_is_a_frame_of_its_own_on_a_stream() {
    let server = Server::start().await;
    for kind in Streaming::ALL {
        let session = server.open("/echo").await;
        server.send(&session, r#"["queued"]"#).await;
        server.send(&session, r#"["too"]"#).await;
        let mut stream = server.stream(&session, kind).await;
        assert_eq!(chunk(&mut stream).await, kind.wrap("a[\"queued\",\"too\"]"));
        for message in ["first", "second"] {
            server.send(&session, format!("[\"{message}\"]")).await;
            assert_eq!(chunk(&mut stream).await, kind.wrap(&format!("a[\"{message}\"]")));
        }
    }
}

#[tokio::test]
async fn a_second_receiver_is_turned_away_and_the_first_goes_on() {
    let server = Server::start().await;
    const IN_USE: &str = "c[2010,\"Another connection still open\"]";
    for first in Streaming::ALL {
        let session = fresh("/echo");
        let mut stream = server.stream(&session, first).await;
        assert_eq!(chunk(&mut stream).await, first.wrap("o"));
        for second in Streaming::ALL {
            let mut turned_away = server.stream(&session, second).await;
            assert_eq!(chunk(&mut turned_away).await, second.wrap(IN_USE));
            assert_eq!(turned_away.chunk().await, None);
        }
        assert_eq!(server.poll(&session).await, format!("{IN_USE}\n"));
        let jsonp = server.get(&format!("{session}/jsonp?c=x")).await;
        assert_eq!(jsonp.body, "/**/x(\"c[2010,\\\"Another connection still open\\\"]\");\r\n");

        server.send(&session, r#"["undisturbed"]"#).await;
        assert_eq!(chunk(&mut stream).await, first.wrap("a[\"undisturbed\"]"));
    }
}

#[tokio::test]
async fn a_second_poll_is_turned_away_and_the_first_goes_on() {
    let server = Server::start().await;
    for (method, transport, frame) in [
        ("POST", "xhr", "a[\"undisturbed\"]\n"),
        ("GET", "jsonp?c=x", "/**/x(\"a[\\\"undisturbed\\\"]\");\r\n"),
    ] {
        let (session, mut held) = held_poll(server, method, transport, "").await;
        server.send(&session, r#"["undisturbed"]"#).await;
        assert_eq!(held.response(&Request::get("")).await.body, frame);
    }
}

#[tokio::test]
async fn the_close_frame_is_given_to_every_later_receiver() {
    let server = Server::start().await;
    const AWAY: &str = "c[3000,\"Go away!\"]";
    let session = server.open("/close").await;
    for _ in 0..3 {
        assert_eq!(server.poll(&session).await, format!("{AWAY}\n"));
        for kind in Streaming::ALL {
            let mut stream = server.stream(&session, kind).await;
            assert_eq!(chunk(&mut stream).await, kind.wrap(AWAY));
            assert_eq!(stream.chunk().await, None);
        }
        // Sends are taken, and dropped.
        server.send(&session, r#"["nobody hears this"]"#).await;
    }
}

/// How a client can go.
#[derive(Clone, Copy, Debug)]
enum Leave {
    Fin,
    HalfClose,
    Reset,
}

impl Leave {
    const ALL: [Self; 3] = [Self::Fin, Self::HalfClose, Self::Reset];

    /// Returns what keeps a half of the connection open.
    async fn by(self, mut connection: Connection) -> Option<Connection> {
        match self {
            Self::Fin => return None,
            Self::HalfClose => connection.half_close().await,
            Self::Reset => {
                connection.reset();
                return None;
            }
        }
        Some(connection)
    }
}

#[tokio::test]
async fn a_receiver_that_vanishes_ends_the_session() {
    for server in [Server::start().await, Server::start_plainly().await] {
        for kind in Streaming::ALL {
            for leave in Leave::ALL {
                let session = fresh("/echo");
                let mut stream = server.stream(&session, kind).await;
                assert_eq!(chunk(&mut stream).await, kind.wrap("o"));
                let _half = leave.by(stream).await;
                assert_interrupted(server, &session).await;
            }
        }
    }
}

#[tokio::test]
async fn a_poll_that_vanishes_ends_the_session() {
    for server in [Server::start().await, Server::start_plainly().await] {
        // A body that counts for nothing, more than hyper reads by itself, must not hide the
        // client's end.
        let ignored = "x".repeat(500_000);
        for (method, transport, body) in
            [("POST", "xhr", ""), ("POST", "xhr", &ignored), ("GET", "jsonp?c=x", "")]
        {
            for leave in Leave::ALL {
                let (session, poll) = held_poll(server, method, transport, body).await;
                let _half = leave.by(poll).await;
                assert_interrupted(server, &session).await;
            }
        }
    }
}

/// A new session and a poll on it that the server holds.
async fn held_poll(
    server: Server,
    method: &'static str,
    transport: &str,
    body: &str,
) -> (String, Connection) {
    let session = server.open("/echo").await;
    let poll = Request::new(method, format!("{session}/{transport}")).body(body.to_owned());
    // Of two polls, the one that the server sees second is turned away, and shows that the other is
    // held.
    let (mut one, mut other) = (server.connect().await, server.connect().await);
    one.write(poll.to_bytes()).await;
    other.write(poll.to_bytes()).await;
    let (turned_away, held) = tokio::select! {
        () = one.readable() => (one.response(&poll).await, other),
        () = other.readable() => (other.response(&poll).await, one),
    };
    assert!(turned_away.text().contains("c[2010,"), "{turned_away:?}");
    (session, held)
}

/// The receiver of `session` has just gone: the next one is told so, once, and then the id is free.
async fn assert_interrupted(server: Server, session: &str) {
    assert_eq!(server.poll(session).await, "c[1002,\"Connection interrupted\"]\n");
    assert_eq!(server.poll(session).await, "o\n");
}

#[tokio::test]
async fn a_session_can_change_its_transport() {
    let server = Server::start().await;
    let session = server.open("/echo").await;
    for kind in Streaming::ALL {
        // One message of the response limit's size ends each stream.
        let message = "x".repeat(4096);
        server.send(&session, format!("[\"{message}\"]")).await;
        let mut stream = server.stream(&session, kind).await;
        assert_eq!(chunk(&mut stream).await, kind.wrap(&format!("a[\"{message}\"]")));
        assert_eq!(stream.chunk().await, None);
    }
    server.send(&session, r#"["a"]"#).await;
    assert_eq!(
        server.get(&format!("{session}/jsonp?c=x")).await.body,
        "/**/x(\"a[\\\"a\\\"]\");\r\n"
    );
}

/// An endpoint whose application, at the first message, sends `"one"` and `"two"`, closes with this
/// reason, and tells the test.
async fn closing(code: u16, reason: &'static str) -> (Server, UnboundedReceiver<()>) {
    let (report, closed) = unbounded_channel();
    let handler = move |mut session: Session| {
        let report = report.clone();
        async move {
            session.recv().await;
            for message in ["one", "two"] {
                session.send(message).await.expect("the session is open");
            }
            session.close((code, reason));
            // The receiver is gone when a test has ended.
            let _ = report.send(());
            session.ended().await;
        }
    };
    let config = EndpointConfig::new().origins(Origins::any());
    (Server::with(Gateway::new().endpoint_with("/closing", config, handler)).await, closed)
}

#[tokio::test]
async fn what_waits_goes_out_before_the_close_frame() {
    const CLOSE: &str = "c[3001,\"bye\"]";
    let (server, mut closed) = closing(3001, "bye").await;
    for kind in Streaming::ALL {
        let session = server.open("/closing").await;
        server.send(&session, r#"["now"]"#).await;
        next(&mut closed).await;
        let mut stream = server.stream(&session, kind).await;
        assert_eq!(chunk(&mut stream).await, kind.wrap("a[\"one\",\"two\"]"));
        assert_eq!(chunk(&mut stream).await, kind.wrap(CLOSE));
        assert_eq!(stream.chunk().await, None);
        assert_eq!(server.poll(&session).await, format!("{CLOSE}\n"));
    }
    let session = server.open("/closing").await;
    server.send(&session, r#"["now"]"#).await;
    next(&mut closed).await;
    assert_eq!(server.poll(&session).await, "a[\"one\",\"two\"]\n");
    assert_eq!(server.poll(&session).await, format!("{CLOSE}\n"));
}

#[tokio::test]
async fn a_close_ends_the_attached_receiver() {
    let server = Server::start().await;
    for kind in Streaming::ALL {
        let session = fresh("/close");
        let mut stream = server.stream(&session, kind).await;
        assert_eq!(chunk(&mut stream).await, kind.wrap("o"));
        assert_eq!(chunk(&mut stream).await, kind.wrap("c[3000,\"Go away!\"]"));
        // Whoever has read the close frame, and comes before the stream's own end has been read, is
        // not turned away.
        assert_eq!(server.poll(&session).await, "c[3000,\"Go away!\"]\n");
        assert_eq!(stream.chunk().await, None);
    }
}

#[tokio::test]
async fn a_handler_that_returns_closes_normally() {
    let server = Server::with(Gateway::new().endpoint("/bye", async |_: Session| {})).await;
    let session = server.open("/bye").await;
    assert_eq!(server.poll(&session).await, "c[1000,\"Normal closure\"]\n");
    let mut raw = WebSocket::open(server.addr, "/bye").await;
    assert_eq!(raw.closed().await, (Some(1000), "Normal closure".into()));
    raw.ends().await;
}

#[tokio::test]
async fn close_reasons_are_escaped_as_messages_are() {
    let (server, mut closed) = closing(4999, "\u{2028}</script>\"\u{ffff}%😀").await;
    const CLOSE: &str = r#"c[4999,"\u2028</script>\"\uffff%\ud83d\ude00"]"#;
    let session = server.open("/closing").await;
    server.send(&session, r#"["now"]"#).await;
    next(&mut closed).await;
    assert_eq!(server.poll(&session).await, "a[\"one\",\"two\"]\n");
    assert_eq!(server.poll(&session).await, format!("{CLOSE}\n"));
    for kind in Streaming::ALL {
        let mut stream = server.stream(&session, kind).await;
        assert_eq!(chunk(&mut stream).await, kind.wrap(CLOSE), "{kind:?}");
    }
    let jsonp = server.get(&format!("{session}/jsonp?c=x")).await;
    let literal = serde_json::to_string(CLOSE).expect("text is JSON");
    assert_eq!(jsonp.body, format!("/**/x({literal});\r\n"));
    assert!(literal.is_ascii(), "no line separator that would end the script's string");
}

#[tokio::test]
async fn endpoints_have_sessions_of_their_own() {
    let server = Server::start().await;
    let id = fresh("");
    for prefix in ["/echo", "/a/deep/prefix", "/cookie_needed_echo"] {
        assert_eq!(server.poll(&format!("{prefix}{id}")).await, "o\n", "{prefix}");
    }
    server.send(&format!("/echo{id}"), r#"["here"]"#).await;
    server.send(&format!("/a/deep/prefix{id}"), r#"["there"]"#).await;
    assert_eq!(server.poll(&format!("/a/deep/prefix{id}")).await, "a[\"there\"]\n");
    assert_eq!(server.poll(&format!("/echo{id}")).await, "a[\"here\"]\n");
}

#[tokio::test]
async fn test_services_of_the_public_suites() {
    let server = Server::start().await;
    let session = server.open("/amplify").await;
    for (number, length) in [("3", 8), ("19", 524_288), ("20", 2), ("x", 2), ("-1", 2)] {
        server.send(&session, format!("[\"{number}\"]")).await;
        assert_eq!(
            server.poll(&session).await,
            format!("a[\"{}\"]\n", "x".repeat(length)),
            "{number}"
        );
    }
    let (one, other) = (server.open("/broadcast").await, server.open("/broadcast").await);
    server.send(&one, r#"["to all"]"#).await;
    for session in [&one, &other] {
        assert_eq!(server.poll(session).await, "a[\"to all\"]\n");
    }
    let session = server.open("/ticker").await;
    assert_eq!(server.poll(&session).await, "a[\"tick!\"]\n");
    // A message of a mebibyte passes, as much JSON as it may take.
    let session = server.open("/echo").await;
    for escape in ["x", "\\u0000"] {
        let message = escape.repeat(1024 * 1024);
        server.send(&session, format!("[\"{message}\"]")).await;
        assert_eq!(server.poll(&session).await.len(), message.len() + 6);
    }
}
