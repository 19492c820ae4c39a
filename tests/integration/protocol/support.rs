//! The server under test, and the requests that most tests make.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::apps::echo;
use sockeye::{EndpointConfig, Gateway, Origins};
use tokio::sync::mpsc::UnboundedReceiver;

use super::endpoints;
use common::http::{Connection, Head, Request, Response};
use common::server::{serve, serve_plainly};
use common::within;

pub(crate) const NO_CACHE: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";
pub(crate) const JAVASCRIPT: &str = "application/javascript; charset=UTF-8";
pub(crate) const PLAIN: &str = "text/plain; charset=UTF-8";
pub(crate) const HTML: &str = "text/html; charset=UTF-8";
pub(crate) const JSON: &str = "application/json; charset=UTF-8";

/// The endpoints of the conformance example, and these:
///
/// | endpoint | |
/// |---|---|
/// | `/a/deep/prefix` | echo |
/// | `/beat` | echo with a heartbeat each 50 ms |
fn gateway() -> Gateway {
    let deep = EndpointConfig::new().origins(Origins::any());
    let beat = deep.clone().heartbeat_delay(Duration::from_millis(50));
    endpoints::gateway("http://localhost/sockjs.min.js")
        .endpoint_with("/a/deep/prefix", deep, echo)
        .endpoint_with("/beat", beat, echo)
}

/// A server, and an HTTP client for it that makes a new connection for each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
}

impl Server {
    /// The endpoints of the conformance example, and some with other settings.
    pub(crate) async fn start() -> Self {
        Self::with(gateway()).await
    }

    /// The same, served without what notices clients' ends better than hyper does.
    pub(crate) async fn start_plainly() -> Self {
        Self { addr: serve_plainly(gateway()).await }
    }

    pub(crate) async fn with(gateway: Gateway) -> Self {
        Self { addr: serve(gateway).await }
    }

    pub(crate) async fn connect(self) -> Connection {
        Connection::open(self.addr).await
    }

    pub(crate) async fn exchange(self, request: &Request) -> Response {
        self.connect().await.exchange(request).await
    }

    pub(crate) async fn get(self, target: &str) -> Response {
        self.exchange(&Request::get(target)).await
    }

    pub(crate) async fn post(self, target: &str, body: impl Into<Bytes>) -> Response {
        self.exchange(&Request::post(target).body(body)).await
    }

    /// Opens a session by a poll: its path, on which the transport's name is still missing.
    pub(crate) async fn open(self, prefix: &str) -> String {
        let session = fresh(prefix);
        assert_eq!(self.poll(&session).await, "o\n");
        session
    }

    /// What one poll is answered with.
    pub(crate) async fn poll(self, session: &str) -> String {
        let answer = self.post(&format!("{session}/xhr"), "").await;
        assert_eq!((answer.status(), answer.header("Content-Type")), (200, Some(JAVASCRIPT)));
        answer.text().to_owned()
    }

    /// Sends a payload, which must be taken.
    pub(crate) async fn send(self, session: &str, payload: impl Into<Bytes>) {
        let answer = self.post(&format!("{session}/xhr_send"), payload).await;
        assert_eq!((answer.status(), answer.text()), (204, ""));
    }

    /// Opens one of the streaming transports, and reads up to the end of its prelude.
    pub(crate) async fn stream(self, session: &str, kind: Streaming) -> Connection {
        let mut connection = self.connect().await;
        let head = connection.start(&kind.request(session)).await;
        kind.check_head(&head);
        kind.check_prelude(&connection.chunk().await.expect("a prelude"));
        connection
    }
}

/// What the application under test reports next.
#[track_caller]
pub(crate) fn next<T>(reports: &mut UnboundedReceiver<T>) -> impl Future<Output = T> {
    let report = within("the application's report", reports.recv());
    async { report.await.expect("the application lives") }
}

/// The path of a session that no client has used yet.
pub(crate) fn fresh(prefix: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}/000/{}x{count}", std::process::id())
}

/// The transports whose responses hold many frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streaming {
    Xhr,
    EventSource,
    HtmlFile,
}

impl Streaming {
    pub(crate) const ALL: [Self; 3] = [Self::Xhr, Self::EventSource, Self::HtmlFile];

    pub(crate) fn request(self, session: &str) -> Request {
        match self {
            Self::Xhr => Request::post(format!("{session}/xhr_streaming")),
            Self::EventSource => Request::get(format!("{session}/eventsource")),
            Self::HtmlFile => Request::get(format!("{session}/htmlfile?c=callback")),
        }
    }

    fn check_head(self, head: &Head) {
        let kind = match self {
            Self::Xhr => JAVASCRIPT,
            Self::EventSource => "text/event-stream",
            Self::HtmlFile => HTML,
        };
        assert_eq!((head.status, head.header("Content-Type")), (200, Some(kind)), "{self:?}");
        assert_eq!(head.header("Transfer-Encoding"), Some("chunked"), "{self:?}");
    }

    fn check_prelude(self, prelude: &[u8]) {
        match self {
            Self::Xhr => assert_eq!(prelude, format!("{}\n", "h".repeat(2048)).as_bytes()),
            Self::EventSource => assert_eq!(prelude, b"\r\n"),
            Self::HtmlFile => assert_html_file_page(prelude),
        }
    }

    /// The bytes of a frame: all of its chunk.
    pub(crate) fn wrap(self, frame: &str) -> String {
        match self {
            Self::Xhr => format!("{frame}\n"),
            Self::EventSource => format!("data: {}\r\n\r\n", frame.replace('%', "%25")),
            Self::HtmlFile => format!("<script>\np({});\n</script>\r\n", in_script(frame)),
        }
    }
}

/// `frame` as the JSON string that stands in a script, `<` escaped.
pub(crate) fn in_script(frame: &str) -> String {
    serde_json::to_string(frame).expect("text is JSON").replace('<', "\\u003c")
}

/// The htmlfile page for the callback `callback`, and its padding.
fn assert_html_file_page(prelude: &[u8]) {
    const PAGE: &str = r#"<!doctype html>
<html><head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
</head><body><h2>Don't panic!</h2>
  <script>
    document.domain = document.domain;
    var c = parent.callback;
    c.start();
    function p(d) {c.message(d);};
    window.onload = function() {c.stop();};
  </script>"#;
    let prelude = std::str::from_utf8(prelude).expect("the page is text");
    assert_eq!(prelude.trim(), PAGE);
    assert!(prelude.ends_with(" \r\n\r\n"), "spaces, then an empty line, end the padding");
    assert!(
        prelude.len() > 1024,
        "browsers begin to parse after 1024 bytes, here are {}",
        prelude.len()
    );
}
