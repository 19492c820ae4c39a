//! Servers that are dead, half-dead or wrong: a clear error, and never a wait without end.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use sockeye::client::{
    Client, ConnectError, EndedBy, FrameError, Transport, TransportError, UrlError,
};
use sockeye::{CloseReason, EndpointConfig, Gateway, Session};
use tokio::io::AsyncWriteExt;

use super::rig::{
    Answer, Asked, Scripted, answer, connect, endless, info, listen, patient, read_head, streaming,
    text,
};
use common::server::serve;
use common::within;

/// The message of an error and of all below it.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", chain(source)),
    }
}

async fn refused(builder: sockeye::client::Builder, url: &str) -> ConnectError {
    within("an error", builder.connect(url)).await.expect_err("nothing opens")
}

#[tokio::test]
async fn a_dead_server_is_named() {
    let (listener, addr) = listen().await;
    drop(listener);
    let error = refused(Client::builder(), &format!("http://{addr}/app")).await;
    assert!(
        matches!(error, ConnectError::Info { source: TransportError::Connection(_), .. }),
        "{error:?}"
    );
    assert_eq!(error.close_reason(), Some(CloseReason::new(1002, "Cannot connect to server")));
    let text = chain(&error);
    assert!(
        text.contains(&format!("http://{addr}/app/info")) && text.contains("refused"),
        "{text}"
    );
}

/// It takes connections and says nothing.
#[tokio::test]
async fn a_silent_server_ends_the_info_request() {
    let (_listener, addr) = listen().await;
    let limit = Duration::from_millis(50);
    let error = refused(Client::builder().info_timeout(limit), &format!("http://{addr}/app")).await;
    assert!(chain(&error).contains("50ms (info_timeout)"), "{}", chain(&error));

    // Nothing is known of the round trip without info: five seconds.
    let error = refused(
        Client::builder().transports([Transport::RawWebSocket]),
        &format!("http://{addr}/app"),
    )
    .await;
    assert!(
        matches!(&error, ConnectError::AllTransportsFailed(all) if matches!(all[0].error, TransportError::TimedOut { .. })),
        "{error:?}"
    );
}

/// It answers info and nothing else, as a server does whose workers hang.
#[tokio::test]
async fn a_half_dead_server_times_out_on_every_transport() {
    let server = Scripted::start_delayed(|asked: &Asked| match asked.transport() {
        "info" => (Duration::ZERO, answer(200, "{}")),
        _ => (Duration::from_secs(600), answer(500, "")),
    })
    .await;
    let error = refused(Client::builder(), &format!("http://{}/app", server.addr)).await;
    assert_eq!(error.close_reason(), Some(CloseReason::new(2000, "All transports failed")));
    let ConnectError::AllTransportsFailed(attempts) = &error else { panic!("{error:?}") };
    let transports: Vec<Transport> = attempts.iter().map(|attempt| attempt.transport).collect();
    assert_eq!(transports, Transport::DEFAULT);
    for attempt in attempts {
        assert!(matches!(attempt.error, TransportError::TimedOut { .. }), "{attempt:?}");
    }
    assert!(error.to_string().contains("xhr-polling: the session was not open after"), "{error}");
}

#[tokio::test]
async fn wrong_info_is_an_error_that_says_what_came() {
    for (status, body, expected) in [
        (404, "", "the server answered 404"),
        (500, "{}", "the server answered 500"),
        (302, "", "the server answered 302"),
        (200, r#"{"base_url":"elsewhere"}"#, "the base_url \"elsewhere\""),
        (200, r#"{"base_url":"ftp://x/"}"#, "scheme must be http or https"),
        (
            200,
            "{\"entropy\":                                             1}",
            "over 40 bytes: raise frame_size",
        ),
    ] {
        let server = Scripted::start(move |_: &Asked| answer(status, body)).await;
        let error = refused(patient().frame_size(40), &format!("http://{}/app", server.addr)).await;
        assert!(matches!(error, ConnectError::Info { .. }), "{error:?}");
        assert!(chain(&error).contains(expected), "{}", chain(&error));
        let expected = (status != 200).then_some(status);
        assert_eq!(error.status().map(|status| status.as_u16()), expected);
    }
}

/// What an application asks first of a failure: does the server want other credentials, or is it
/// full?
#[tokio::test]
async fn the_status_of_a_refusal_is_told_whichever_transport_met_it() {
    let server = Scripted::start(|asked: &Asked| match asked.transport() {
        "info" => answer(200, "{}"),
        "websocket" => answer(401, ""),
        "xhr_streaming" => answer(403, ""),
        _ => answer(200, "c[1002,\"x\"]\n"),
    })
    .await;
    let url = format!("http://{}/app", server.addr);
    for (transports, status) in [
        (&[Transport::WebSocket][..], Some(StatusCode::UNAUTHORIZED)),
        (&[Transport::WebSocket, Transport::XhrStreaming], Some(StatusCode::FORBIDDEN)),
        (&[Transport::WebSocket, Transport::XhrPolling], Some(StatusCode::UNAUTHORIZED)),
        (&[Transport::XhrPolling], None),
    ] {
        let error = refused(patient().transports(transports.iter().copied()), &url).await;
        assert_eq!(error.status(), status, "{error:?}");
    }
}

/// A gateway that takes no more sessions.
#[tokio::test]
async fn a_full_gateway_refuses_with_503() {
    let config = EndpointConfig::new().sessions(0);
    let gateway = Gateway::new().endpoint_with("/app", config, async |session: Session| {
        session.ended().await;
    });
    let error = refused(patient(), &format!("http://{}/app", serve(gateway).await)).await;
    assert_eq!(error.status(), Some(StatusCode::SERVICE_UNAVAILABLE), "{error:?}");
}

#[tokio::test]
async fn what_can_not_work_is_refused_before_anything_is_asked() {
    let error = refused(Client::builder(), "ws://localhost/app").await;
    assert!(matches!(error, ConnectError::Url { source: UrlError::Scheme, .. }), "{error:?}");
    assert_eq!(error.close_reason(), None);
    let builder = Client::builder().header(http::header::UPGRADE, "h2c".parse().expect("a header"));
    assert!(refused(builder, "http://localhost/app").await.to_string().contains("upgrade"));
    let error =
        refused(Client::builder().transports([Transport::RawWebSocket; 0]), "http://localhost/app")
            .await;
    assert!(matches!(error, ConnectError::NoTransport { .. }), "{error:?}");
}

/// What a transport's first answer may be that is none.
#[tokio::test]
async fn answers_that_open_nothing() {
    type Script = fn() -> Answer;
    type Check = fn(&TransportError) -> bool;
    let cases: [(Transport, Script, Check); 6] = [
        (
            Transport::XhrStreaming,
            || endless("a[\"x\"]\n"),
            |e| matches!(e, TransportError::Frame(FrameError::NotOpen)),
        ),
        (
            Transport::XhrStreaming,
            || answer(503, ""),
            |e| matches!(e, TransportError::Status(StatusCode::SERVICE_UNAVAILABLE)),
        ),
        (
            Transport::XhrStreaming,
            || answer(200, "a[broken\n"),
            |e| matches!(e, TransportError::Frame(FrameError::Messages)),
        ),
        (
            Transport::EventSource,
            || endless("data: o\r\n\r\n"),
            |e| matches!(e, TransportError::ContentType(_)),
        ),
        (
            Transport::XhrPolling,
            || answer(200, "c[1002,\"x\"]\n"),
            |e| matches!(e, TransportError::Closed(_)),
        ),
        (
            Transport::WebSocket,
            || answer(200, ""),
            |e| matches!(e, TransportError::Status(StatusCode::OK)),
        ),
    ];
    for (transport, script, check) in cases {
        let server = Scripted::start(move |asked: &Asked| match asked.transport() {
            "info" => answer(200, "{}"),
            _ => script(),
        })
        .await;
        let error =
            refused(patient().transports([transport]), &format!("http://{}", server.addr)).await;
        let ConnectError::AllTransportsFailed(attempts) = &error else { panic!("{error:?}") };
        assert!(check(&attempts[0].error), "{error:?}");
    }
}

/// A server that opens a session and then does what `rest` says.
async fn open_then(rest: &'static str) -> Scripted {
    Scripted::start(move |asked: &Asked| match asked.transport() {
        "info" => info(),
        "xhr_send" => answer(204, ""),
        _ => streaming(
            stream::iter([Bytes::from_static(b"o\n"), Bytes::from_static(rest.as_bytes())])
                .chain(stream::pending()),
        ),
    })
    .await
}

#[tokio::test]
async fn an_open_session_ends_with_what_went_wrong() {
    type Check = fn(&TransportError) -> bool;
    let cases: [(&str, &str, Check); 5] = [
        ("a[\"x\"]\no\n", "Server lost session", |e| matches!(e, TransportError::SessionLost)),
        ("a[\"x\"]\na[1]\n", "what the server sent is no SockJS frame", |e| {
            matches!(e, TransportError::Frame(FrameError::Messages))
        }),
        ("a[\"x\"]\nc[1]\n", "what the server sent is no SockJS frame", |e| {
            matches!(e, TransportError::Frame(FrameError::Close))
        }),
        ("a[\"x\"]\na[\"1\",\"2\",\"3\"]\n", "what the server sent is no SockJS frame", |e| {
            matches!(e, TransportError::Frame(FrameError::TooManyMessages { limit: 2 }))
        }),
        ("a[\"x\"]\n", "the server was silent", |e| matches!(e, TransportError::Silent { .. })),
    ];
    for (rest, reason, check) in cases {
        let server = open_then(rest).await;
        let builder = patient().messages_per_frame(2).silence_timeout(Duration::from_secs(1));
        let mut connection = connect(builder, server.addr).await;
        assert_eq!(text(&mut connection).await, "x", "what came before is still delivered");
        assert_eq!(within("the end", connection.recv()).await, None, "{rest}");
        let end = connection.ended().await;
        assert_eq!(end.reason.code(), 1006);
        assert!(end.reason.reason().starts_with(reason), "{end:?}");
        assert!(matches!(&end.by, EndedBy::Transport(error) if check(error)), "{end:?}");
    }
}

/// A NAT forgets a connection, a phone sleeps: no byte comes any more, and no reset. What is known
/// of the server's heartbeats says how long that is believed: by default 35 s from the first one,
/// and for ever where none came.
#[tokio::test]
async fn a_connection_that_is_lost_without_a_sign_ends() {
    let seconds = Duration::from_secs;
    let cases = [
        (patient(), "h\na[\"x\"]\n", Some(seconds(35))),
        (patient().heartbeat_delay(seconds(3)), "a[\"x\"]\n", Some(seconds(13))),
        (patient(), "a[\"x\"]\n", None),
        (patient(), "hhhh\na[\"x\"]\n", None),
    ];
    for (builder, rest, expected) in cases {
        let server = open_then(rest).await;
        let mut connection = connect(builder, server.addr).await;
        assert_eq!(text(&mut connection).await, "x");
        // From here on nothing but time passes.
        tokio::time::pause();
        let silence = tokio::time::timeout(seconds(24 * 3600), connection.ended()).await;
        tokio::time::resume();
        let limit = silence.ok().map(|end| match &end.by {
            EndedBy::Transport(error) => match **error {
                TransportError::Silent { limit } => limit,
                _ => panic!("{error}"),
            },
            by => panic!("{by:?}"),
        });
        assert_eq!(limit, expected, "{rest}");
    }
}

/// Heartbeats count, so an idle session lives.
#[tokio::test]
async fn heartbeats_are_no_silence() {
    let server = Scripted::start(|asked: &Asked| match asked.transport() {
        "info" => info(),
        "xhr_streaming" => {
            let beats = stream::iter(0..30).then(async |_| {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Bytes::from_static(b"h\n")
            });
            let last = stream::iter([Bytes::from_static(b"a[\"alive\"]\n")]);
            streaming(Box::pin(
                stream::iter([Bytes::from_static(b"o\n")])
                    .chain(beats)
                    .chain(last)
                    .chain(stream::pending()),
            ))
        }
        _ => answer(404, ""),
    })
    .await;
    let mut connection =
        connect(patient().silence_timeout(Duration::from_secs(2)), server.addr).await;
    assert_eq!(text(&mut connection).await, "alive", "after three seconds");
}

/// Status 200 and an end mean: ask again. The unfinished line is dropped, and a server that has
/// lost the session opens another one, which is not this one.
#[tokio::test]
async fn a_response_that_ends_is_asked_for_again() {
    let server = Scripted::start(|asked: &Asked| match asked.transport() {
        "info" => info(),
        _ => answer(200, "o\na[\"x\"]\na[\"unfin"),
    })
    .await;
    let mut connection = connect(patient(), server.addr).await;
    assert_eq!(text(&mut connection).await, "x");
    assert_eq!(within("the end", connection.recv()).await, None);
    assert_eq!(connection.ended().await.reason, CloseReason::new(1006, "Server lost session"));
    assert_eq!(server.asked().len(), 3, "info, and two streams");
}

/// A connection that is cut ends the session: messages on their way are lost, and neither side can
/// tell which.
#[tokio::test]
async fn a_cut_stream_ends_the_session() {
    let (listener, addr) = listen().await;
    tokio::spawn(async move {
        let info = "HTTP/1.1 200 OK\r\nContent-Length: 19\r\nConnection: close\r\n\r\n{\"websocket\":false}";
        let cut = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\no\n\r\n7\r\na[\"x\"]\n\r\n64\r\na[\"cut";
        for answer in [info, cut] {
            let (mut stream, _) = listener.accept().await.expect("connections can be accepted");
            read_head(&mut stream).await.expect("a request");
            stream.write_all(answer.as_bytes()).await.expect("the client reads");
        }
    });
    let mut connection = connect(patient(), addr).await;
    assert_eq!(text(&mut connection).await, "x");
    assert_eq!(within("the end", connection.recv()).await, None);
    let end = connection.ended().await;
    assert_eq!(end.reason, CloseReason::new(1006, "the connection failed"));
    assert!(
        matches!(&end.by, EndedBy::Transport(error) if matches!(**error, TransportError::Connection(_))),
        "{end:?}"
    );
}

/// A WebSocket whose server has nothing to say is pinged, and the pong shows that it lives; also
/// when this side does all the talking.
#[tokio::test]
async fn a_quiet_websocket_lives_and_a_dead_one_does_not() {
    let limit = Duration::from_secs(1);
    let never = Duration::from_secs(3600);
    let config = EndpointConfig::new().heartbeat_delay(never);
    let gateway = Gateway::new().endpoint_with("/app", config, async |mut session: Session| {
        while let Some(message) = session.recv().await {
            if message == "speak" {
                session.send("alive").await.expect("the client is there");
            }
        }
    });
    let addr = serve(gateway).await;
    for transport in [Transport::WebSocket, Transport::RawWebSocket] {
        let mut connection =
            connect(patient().transports([transport]).silence_timeout(limit), addr).await;
        for _ in 0..8 {
            connection.send("nothing").await.expect("the session is open");
            tokio::time::sleep(limit / 4).await;
        }
        connection.send("speak").await.expect("the session is open");
        assert_eq!(text(&mut connection).await, "alive", "{transport}");
    }

    let (listener, addr) = listen().await;
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("connections can be accepted");
        let _socket = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
        std::future::pending::<()>().await;
    });
    let builder = patient().transports([Transport::RawWebSocket]).silence_timeout(limit);
    let connection = connect(builder, addr).await;
    let end = within("the end", connection.ended()).await;
    assert!(
        matches!(&end.by, EndedBy::Transport(error) if matches!(**error, TransportError::Silent { .. })),
        "{end:?}"
    );
}
