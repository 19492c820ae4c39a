//! The handshake request that the backend sees.

use http::HeaderName;
use http::header::{ACCEPT_LANGUAGE, COOKIE, ORIGIN, USER_AGENT};
use sockeye::{EndpointConfig, Origins};
use sockeye_apps::{Upstream, UpstreamConfig, UpstreamError};

use super::backend::{PREFIX, Rig, accept, gateway, listener};
use common::http::{Connection, Request};
use common::transport::Transport;
use common::{websocket, within};

pub(crate) async fn the_backend_learns_who_asks(transport: Transport) {
    let rig = Rig::start(transport).await;
    let (_client, backend) = rig.open().await;
    let jsonp = matches!(transport, Transport::Jsonp | Transport::HtmlFile);
    assert_eq!(backend.request.uri(), if jsonp { "/backend?c=_jp.a0b1c2d" } else { "/backend" });
    assert_eq!(backend.header("host"), [rig.backend.local_addr().expect("bound").to_string()]);
    assert_eq!(backend.header("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(backend.header("x-sockeye-transport"), [transport.name()]);
    assert_eq!(backend.header("x-sockeye-session")[0].len(), 36, "a UUID");
    for absent in ["cookie", "origin", "sec-websocket-protocol", "sec-websocket-extensions"] {
        assert!(backend.header(absent).is_empty(), "{absent}");
    }
}

fn with_headers(request: Request) -> Request {
    request
        .header("Cookie", "a=1; b=\u{2603}")
        .header("Origin", "http://example.com")
        .header("User-Agent", "a test")
        .header("X-Forwarded-For", "198.51.100.7")
        .header("X-Forwarded-For", "203.0.113.9")
        .header("X-Sockeye-Transport", "carrier pigeon")
        .header("X-Sockeye-Session", "somebody else's")
}

#[tokio::test]
async fn cookie_origin_and_query_are_those_of_the_opening_request() {
    let (backend, at) = listener().await;
    let addr = gateway(
        &format!("ws://{at}/a/b?key=1"),
        UpstreamConfig::default(),
        EndpointConfig::new().origins(Origins::any()),
    )
    .await;
    let requests = [
        with_headers(websocket::handshake("/app/websocket?x=%20y&z")),
        with_headers(websocket::handshake("/app?x=%20y&z")),
        with_headers(Request::post("/app/000/cookies/xhr?x=%20y&z")),
    ];
    for request in requests {
        let mut connection = Connection::open(addr).await;
        connection.write(request.to_bytes()).await;
        let backend =
            accept(within("a connection", backend.accept()).await.expect("a connection").0).await;
        assert_eq!(backend.request.uri(), "/a/b?key=1&x=%20y&z");
        assert_eq!(backend.request.headers()["cookie"].as_bytes(), "a=1; b=\u{2603}".as_bytes());
        assert_eq!(backend.header("origin"), ["http://example.com"]);
        assert_eq!(backend.header("x-forwarded-for"), ["198.51.100.7, 203.0.113.9, 127.0.0.1"]);
        assert_ne!(backend.header("x-sockeye-transport"), ["carrier pigeon"]);
        assert_eq!(backend.header("x-sockeye-session").len(), 1);
        assert!(backend.header("user-agent").is_empty(), "not among `headers`");
    }
}

#[tokio::test]
async fn other_headers_are_passed_on_as_far_as_they_are_kept() {
    let (backend, at) = listener().await;
    let config = UpstreamConfig::new().headers(vec![USER_AGENT, ACCEPT_LANGUAGE]);
    let addr = gateway(
        &format!("ws://{at}"),
        config,
        EndpointConfig::new()
            .origins(Origins::any())
            .kept_headers(vec![USER_AGENT, COOKIE, ORIGIN]),
    )
    .await;
    let request = with_headers(websocket::handshake(PREFIX)).header("Accept-Language", "ko");
    let mut connection = Connection::open(addr).await;
    connection.write(request.to_bytes()).await;
    let backend =
        accept(within("a connection", backend.accept()).await.expect("a connection").0).await;
    assert_eq!(backend.request.uri(), "/");
    assert_eq!(backend.header("user-agent"), ["a test"]);
    for absent in ["accept-language", "cookie", "origin"] {
        assert!(backend.header(absent).is_empty(), "{absent}");
    }
    assert_eq!(backend.header("x-forwarded-for"), ["127.0.0.1"], "the endpoint keeps no others");
}

/// A gateway that listens on `[::]` sees IPv4 clients under a long name, which no allow list of the
/// backend's holds.
#[tokio::test]
async fn a_mapped_address_is_told_as_the_short_one() {
    use sockeye::{Gateway, PeerAddr};
    let (backend, at) = listener().await;
    let upstream =
        Upstream::new(&format!("ws://{at}"), UpstreamConfig::default()).expect("a good URL");
    let gateway = Gateway::new().endpoint(PREFIX, upstream);
    for (path, peer, told) in [
        ("/app/0/mapped/xhr", "[::ffff:192.0.2.1]:5000", "192.0.2.1"),
        ("/app/0/not/xhr", "[2001:db8::1]:5000", "2001:db8::1"),
    ] {
        let mut request = http::Request::post(path).body(String::new()).expect("a request");
        request.extensions_mut().insert(PeerAddr(peer.parse().expect("an address")));
        // Kept: a session whose answer is dropped has lost its client.
        let answer = gateway.handle(request).await;
        assert_eq!(answer.status(), 200);
        let backend =
            accept(within("a connection", backend.accept()).await.expect("a connection").0).await;
        assert_eq!(backend.header("x-forwarded-for"), [told]);
    }
}

#[test]
fn what_is_no_backend_is_refused_with_a_remedy() {
    let message =
        |url: &str| Upstream::new(url, UpstreamConfig::default()).expect_err(url).to_string();
    for url in [
        "",
        "localhost:9000",
        "http://localhost",
        "ws://",
        "ws:///path",
        "/path",
        "ws://a b",
        "ws://host/#part",
        "ftp://a",
    ] {
        assert!(
            message(url).ends_with("write ws://host:port/path, or wss://host:port/path for TLS"),
            "{url}: {}",
            message(url)
        );
    }
    assert_eq!(
        message("ws://ann:secret@host/"),
        "the URL holds a user name, which a WebSocket's can't: leave it out"
    );
    for header in [
        "host",
        "connection",
        "upgrade",
        "sec-websocket-key",
        "x-forwarded-for",
        "x-sockeye-session",
        "content-length",
    ] {
        let header = HeaderName::from_static(header);
        let config = UpstreamConfig::new().headers(vec![COOKIE, header.clone()]);
        let error = Upstream::new("ws://host", config).expect_err("not to be passed on");
        assert!(matches!(&error, UpstreamError::Header(refused) if *refused == header), "{error}");
    }
}
