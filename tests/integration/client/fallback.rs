//! Which transport is found when something is in the way.

use std::collections::HashSet;
use std::time::Duration;

use common::apps;
use http::StatusCode;
use sockeye::client::{Client, ConnectError, Transport, TransportError};
use sockeye::{CloseReason, EndpointConfig, Gateway, Transports};

use super::rig::{Asked, Proxy, Scripted, answer, connect, endless, info, patient, text};
use common::server::serve;
use common::within;

async fn echo(config: EndpointConfig) -> std::net::SocketAddr {
    serve(Gateway::new().endpoint_with("/app", config, apps::echo)).await
}

/// With the limits that the round trip gives, but none below this: the transports that must fail
/// decide how long the test takes.
fn hasty() -> sockeye::client::Builder {
    Client::builder().minimum_open_timeout(Duration::from_secs(1))
}

#[tokio::test]
async fn a_websocket_is_tried_first() {
    let connection = connect(patient(), echo(EndpointConfig::default()).await).await;
    assert_eq!(connection.transport(), Transport::WebSocket);
    assert!(connection.failed_attempts().is_empty());
    assert!(connection.round_trip().is_some());
}

#[tokio::test]
async fn info_that_says_no_websocket_is_believed() {
    let config = EndpointConfig::new().transports(Transports::HTTP);
    let addr = echo(config).await;
    let connection = connect(patient(), addr).await;
    assert_eq!(connection.transport(), Transport::XhrStreaming);
    assert!(connection.failed_attempts().is_empty(), "it was not tried");

    let only =
        patient().transports([Transport::WebSocket]).connect(&format!("http://{addr}/app")).await;
    let error = only.expect_err("there is none");
    assert!(matches!(error, ConnectError::NoTransport { .. }), "{error:?}");
    assert_eq!(error.close_reason(), Some(CloseReason::new(2000, "All transports failed")));
}

#[tokio::test]
async fn a_proxy_that_drops_upgrade_leads_to_streaming() {
    let proxy = Proxy::DropsUpgrade.start(echo(EndpointConfig::default()).await).await;
    let mut connection = connect(patient(), proxy).await;
    assert_eq!(connection.transport(), Transport::XhrStreaming);
    let [attempt] = connection.failed_attempts() else {
        panic!("{:?}", connection.failed_attempts())
    };
    assert_eq!(attempt.transport, Transport::WebSocket);
    assert!(
        matches!(attempt.error, TransportError::Status(StatusCode::BAD_REQUEST)),
        "{attempt:?}"
    );
    connection.send("through").await.expect("the session is open");
    assert_eq!(text(&mut connection).await, "through");
}

#[tokio::test]
async fn a_proxy_that_swallows_upgrades_costs_one_timeout() {
    let proxy = Proxy::SwallowsUpgrade.start(echo(EndpointConfig::default()).await).await;
    let connection =
        connect(hasty().transports([Transport::WebSocket, Transport::XhrPolling]), proxy).await;
    assert_eq!(connection.transport(), Transport::XhrPolling);
    let [attempt] = connection.failed_attempts() else {
        panic!("{:?}", connection.failed_attempts())
    };
    assert!(matches!(attempt.error, TransportError::TimedOut { .. }), "{attempt:?}");
}

/// Streams that are held back until they end never bring their open frame: only polls do.
#[tokio::test]
async fn a_proxy_that_buffers_leads_to_polling() {
    let config = EndpointConfig::new().transports(Transports::HTTP);
    let proxy = Proxy::Buffers.start(echo(config).await).await;
    let mut connection = connect(hasty(), proxy).await;
    assert_eq!(connection.transport(), Transport::XhrPolling);
    let failed: Vec<Transport> =
        connection.failed_attempts().iter().map(|attempt| attempt.transport).collect();
    assert_eq!(failed, [Transport::XhrStreaming, Transport::EventSource]);
    for text_sent in ["one", "two"] {
        connection.send(text_sent).await.expect("the session is open");
        assert_eq!(text(&mut connection).await, text_sent);
    }
}

/// A session of a failed attempt may still be alive at the server; the next one must not meet it.
#[tokio::test]
async fn each_attempt_has_a_session_of_its_own_and_the_query_stays() {
    let server = Scripted::start(|asked: &Asked| match asked.transport() {
        "info" => info(),
        "xhr" => answer(200, "o\n"),
        _ => answer(404, ""),
    })
    .await;
    let url = format!("http://{}/a/b/?x=1&y=%20", server.addr);
    let connection = within("a connection", patient().connect(&url)).await.expect("polling works");
    assert_eq!(connection.transport(), Transport::XhrPolling);
    let asked = server.asked();
    assert_eq!((&*asked[0].target, asked[0].method.as_str()), ("/a/b/info?x=1&y=%20", "GET"));
    let sessions: Vec<&str> = asked[1..4]
        .iter()
        .map(|asked| {
            let rest =
                asked.target.strip_prefix("/a/b/").and_then(|rest| rest.strip_suffix("?x=1&y=%20"));
            let segments: Vec<&str> =
                rest.unwrap_or_else(|| panic!("{}", asked.target)).split('/').collect();
            assert_eq!(segments.len(), 3, "{}", asked.target);
            segments[1]
        })
        .collect();
    assert_eq!(sessions.iter().collect::<HashSet<_>>().len(), 3, "{sessions:?}");
    let transports: Vec<&str> = asked[1..4].iter().map(Asked::transport).collect();
    assert_eq!(transports, ["xhr_streaming", "eventsource", "xhr"]);
}

/// A refusal that the application means is not asked for again on every transport.
#[tokio::test]
async fn a_final_close_ends_the_search_and_another_does_not() {
    for (close, last) in
        [("c[3000,\"no\"]\n", true), ("c[1000,\"no\"]\n", true), ("c[2010,\"no\"]\n", false)]
    {
        let server = Scripted::start(move |asked: &Asked| match asked.transport() {
            "info" => info(),
            _ => answer(200, close),
        })
        .await;
        let builder = patient().transports([Transport::XhrStreaming, Transport::XhrPolling]);
        let outcome = within("an error", builder.connect(&format!("http://{}", server.addr))).await;
        let error = outcome.expect_err("nothing opens");
        let attempts = server.asked().len() - 1;
        match last {
            true => assert!(
                matches!(&error, ConnectError::Closed(reason) if reason.reason() == "no"),
                "{error:?}"
            ),
            false => assert!(
                matches!(&error, ConnectError::AllTransportsFailed(all) if all.len() == 2),
                "{error:?}"
            ),
        }
        assert_eq!(attempts, if last { 1 } else { 2 }, "{close}");
    }
}

#[tokio::test]
async fn info_that_is_no_object_counts_as_empty() {
    for body in ["", "[]", "nonsense", "\"x\"", "{\"websocket\":\"no\"}"] {
        let server = Scripted::start(move |asked: &Asked| match asked.transport() {
            "info" => answer(200, body),
            "xhr" => answer(200, "o\n"),
            _ => answer(404, ""),
        })
        .await;
        let builder = patient().transports([Transport::WebSocket, Transport::XhrPolling]);
        let url = format!("http://{}", server.addr);
        let connection =
            within("a connection", builder.connect(&url)).await.expect("polling works");
        assert_eq!(connection.failed_attempts().len(), 1, "{body:?}: WebSocket was tried");
    }
}

/// The server moves everything but info; credentials don't follow it to a stranger.
#[tokio::test]
async fn a_base_url_is_followed_without_credentials() {
    let there = Scripted::start(|_: &Asked| endless("hhhh\no\n")).await;
    let base_url = format!("http://{}/moved?k=v", there.addr);
    let here = Scripted::start(move |_: &Asked| {
        answer(200, format!("{{\"websocket\":false,\"base_url\":{base_url:?}}}"))
    })
    .await;
    let builder = patient()
        .header(http::header::COOKIE, "secret=1".parse().expect("a header"))
        .header(http::header::USER_AGENT, "test".parse().expect("a header"));
    let url = format!("http://{}/app?k=old", here.addr);
    let connection = within("a connection", builder.connect(&url)).await.expect("streaming works");
    assert_eq!(connection.transport(), Transport::XhrStreaming);
    let asked = &there.asked()[0];
    assert!(
        asked.target.starts_with("/moved/") && asked.target.ends_with("/xhr_streaming?k=v"),
        "{}",
        asked.target
    );
    assert_eq!(asked.headers.get("cookie"), None);
    assert_eq!(asked.headers["user-agent"], "test");
    assert_eq!(here.asked()[0].headers["cookie"], "secret=1");
}

/// Load balancers bind a session to a process by a cookie.
#[tokio::test]
async fn cookies_of_the_server_go_back_to_it() {
    let server = Scripted::start(|asked: &Asked| {
        let mut answer = match asked.transport() {
            "info" => info(),
            _ => endless("hhhh\no\n"),
        };
        answer
            .headers_mut()
            .insert("set-cookie", "JSESSIONID=node7; path=/".parse().expect("a header"));
        answer
    })
    .await;
    let builder = patient().header(http::header::COOKIE, "own=1".parse().expect("a header"));
    let _connection = connect(builder, server.addr).await;
    let asked = server.asked();
    assert_eq!(asked[0].headers["cookie"], "own=1");
    assert_eq!(asked[1].headers["cookie"], "own=1; JSESSIONID=node7");
}

/// A chosen raw WebSocket needs no info, so it also reaches servers that are none of SockJS.
#[tokio::test]
async fn raw_websocket_alone_asks_for_no_info() {
    let addr = echo(EndpointConfig::default()).await;
    let connection = connect(patient().transports([Transport::RawWebSocket]), addr).await;
    assert_eq!(connection.round_trip(), None);
}
