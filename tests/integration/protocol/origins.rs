//! Pages that an endpoint's origins don't admit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::apps::echo;
use common::http::Request;
use common::log::log;
use common::transport::Transport;
use sockeye::{EndpointConfig, Gateway, Origins, Session};

use super::support::{PLAIN, Server};

const EVIL: &str = "https://evil.example";
const LISTED: &str = "https://app.example";

/// The endpoint `/app`, and how many sessions it has had.
async fn counting(config: EndpointConfig) -> (Server, Arc<AtomicUsize>) {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let gateway = Gateway::new().endpoint_with("/app", config, move |session: Session| {
        count.fetch_add(1, Ordering::Relaxed);
        echo(session)
    });
    (Server::with(gateway).await, opened)
}

fn listed() -> EndpointConfig {
    EndpointConfig::new().origins(Origins::list([LISTED]).expect("an origin"))
}

/// Any site got its own origin back, with credentials: its pages opened sessions of a visitor who
/// was logged in, over every transport.
#[tokio::test]
async fn a_page_of_another_origin_opens_no_session() {
    for config in [EndpointConfig::new(), listed()] {
        let (server, opened) = counting(config).await;
        for transport in Transport::ALL {
            let session = transport.fresh("/app");
            let request = from(EVIL, transport.request(&session));
            let answer = server.exchange(&request).await;
            assert_eq!(answer.status(), 403, "{transport:?}");
            assert_eq!(answer.header("Vary"), Some("Origin"), "{transport:?}");
            assert_eq!(answer.header("Content-Type"), Some(PLAIN), "{transport:?}");
            assert_eq!(answer.header("Access-Control-Allow-Origin"), None, "{transport:?}");
            for part in [EVIL, "\"localhost\"", "`origins`"] {
                assert!(answer.text().contains(part), "{transport:?}: {}", answer.text());
            }
        }
        assert_eq!(opened.load(Ordering::Relaxed), 0);
    }
}

/// The same requests, of a page that the endpoint has listed, and of a client that is no browser.
#[tokio::test]
async fn a_listed_page_and_other_clients_open_sessions() {
    let (server, opened) = counting(listed()).await;
    for (round, transport) in Transport::ALL.into_iter().enumerate() {
        let opening = from(LISTED, transport.request(&transport.fresh("/app")));
        let head = server.connect().await.start(&opening).await;
        let status = if transport.is_socket() { 101 } else { 200 };
        assert_eq!(head.status, status, "{transport:?}");
        assert_eq!(opened.load(Ordering::Relaxed), round + 1, "{transport:?}");
        let allowed = head.header("Access-Control-Allow-Origin");
        let reads = [Transport::Xhr, Transport::XhrStreaming, Transport::EventSource];
        assert_eq!(allowed, reads.contains(&transport).then_some(LISTED), "{transport:?}");
    }
    let other = server.connect().await.start(&Request::post("/app/000/program/xhr").body("")).await;
    assert_eq!((other.status, other.header("Access-Control-Allow-Origin")), (200, None));
    assert_eq!(other.header("Vary"), Some("Origin"));
}

/// A session that the victim's own page has opened, whose id a foreign page has learned or chosen.
#[tokio::test]
async fn a_session_is_neither_read_nor_written_by_a_page_of_another_origin() {
    let (server, _) = counting(EndpointConfig::new()).await;
    let session = server.open("/app").await;
    for request in [
        Request::post(format!("{session}/xhr_send")).body("[\"forged\"]"),
        Request::post(format!("{session}/jsonp_send")).body("[\"forged\"]"),
        Request::post(format!("{session}/xhr")),
        Request::post(format!("{session}/xhr_streaming")),
        Request::get(format!("{session}/eventsource")),
        Request::options(format!("{session}/xhr_send")),
    ] {
        assert_eq!(server.exchange(&from(EVIL, request)).await.status(), 403);
    }
    for script in ["jsonp?c=x", "htmlfile?c=x"] {
        let hidden = Request::get(format!("{session}/{script}"));
        assert_eq!(server.exchange(&hidden).await.status(), 403, "{script} without a Referer");
    }
    server.send(&session, "[\"own\"]").await;
    assert_eq!(server.poll(&session).await, "a[\"own\"]\n");
}

/// The answer comes behind the body, for clients read it only when they have sent everything.
#[tokio::test]
async fn a_refused_payload_leaves_its_connection_in_order() {
    let (server, _) = counting(EndpointConfig::new().discard_limit(1_000_000)).await;
    let mut connection = server.connect().await;
    for size in [0, 100, 900_000] {
        let send = Request::post("/app/000/none/xhr_send").body("x".repeat(size));
        let answer = connection.exchange(&from(EVIL, send)).await;
        assert_eq!((answer.status(), answer.header("Connection")), (403, None), "{size}");
    }
    let send = Request::post("/app/000/none/xhr_send").body("x".repeat(2_000_000));
    let announced = send.without_body().header("Content-Length", "2000000");
    let answer = connection.exchange(&from(EVIL, announced)).await;
    assert_eq!((answer.status(), answer.header("Connection")), (403, Some("close")));
    connection.ends().await;
}

/// A page of another site may ask a thousand times.
#[tokio::test]
async fn the_log_tells_what_to_write_and_not_each_time() {
    let log = log();
    let gateway = Gateway::new().endpoint("/logged", echo);
    let server = Server::with(gateway).await;
    for _ in 0..20 {
        let info = from("https://logged.example", Request::get("/logged/info"));
        assert_eq!(server.exchange(&info).await.status(), 403);
    }
    let lines = log.lines("requests refused with 403");
    let lines: Vec<_> =
        lines.iter().filter(|line| line.field("origin") == "https://logged.example").collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = lines[0];
    assert_eq!((line.field("prefix"), line.field("host")), ("/logged", "localhost"));
    let message = line.field("message");
    assert!(
        message.contains("list \"https://logged.example\" in the endpoint's `origins`"),
        "{message}"
    );
}

/// A request of a page of this origin: scripts and frames tell it by the `Referer` alone.
fn from(origin: &str, request: Request) -> Request {
    let text = format!("{request:?}");
    match text.contains("/jsonp?") || text.contains("/htmlfile?") {
        true => request.without("Sec-Fetch-Site").header("Referer", format!("{origin}/page")),
        false => request.header("Origin", origin),
    }
}
