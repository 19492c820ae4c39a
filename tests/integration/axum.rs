//! Mounted in axum: beside others' routes, behind their layers, and on axum's own server.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::error_handling::HandleErrorLayer;
use axum::extract::{OriginalUri, Request as AxumRequest};
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{BoxError, Extension, Router};
use common::apps::{echo, reporting};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use socket2::SockRef;
use sockeye::{DrainConfig, Gateway};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, oneshot};
use tower::{ServiceBuilder, ServiceExt};

use common::client::Client;
use common::http::{Connection, Request, Response};
use common::log::log;
use common::transport::Transport;
use common::within;

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket has an address");
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

async fn ask(addr: SocketAddr, request: Request) -> Response {
    Connection::open(addr).await.exchange(&request).await
}

/// Status and text of a GET.
async fn page(addr: SocketAddr, path: &str) -> (u16, String) {
    let answer = ask(addr, Request::get(path)).await;
    (answer.status(), answer.text().to_owned())
}

fn own(status: u16, text: &str) -> (u16, String) {
    (status, text.to_owned())
}

#[tokio::test]
async fn every_transport_works_on_axums_server() {
    let addr = serve(Gateway::new().endpoint("/echo", echo).into_axum()).await;
    for transport in Transport::ALL {
        let mut client = Client::open(addr, "/echo", transport).await;
        for message in ["one", "%two</script>", "\u{2028}"] {
            client.send(&[message]).await;
            assert_eq!(client.message().await, message, "{transport:?}");
        }
    }
}

/// axum finds out first which HTTP a client speaks, and what it puts around the connection for that
/// must not hide it: hyper's buffer stays behind (8 KiB a session), and frames leave at once, on a
/// listener that was not told so.
#[tokio::test]
async fn a_websocket_gets_the_bare_connection() {
    let (gateway, mut sessions) = reporting("/echo");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket has an address");
    let (give, mut sockets) = mpsc::unbounded_channel();
    let listener = listener.tap_io(move |stream| {
        give.send(SockRef::from(&*stream).try_clone().expect("a second handle"))
            .expect("the test waits");
    });
    tokio::spawn(async move { axum::serve(listener, gateway.into_axum()).await });
    for transport in [Transport::WebSocket, Transport::RawWebSocket] {
        let _client = Client::open(addr, "/echo", transport).await;
        let session = within("a session", sessions.recv()).await.expect("the gateway lives");
        let socket = within("a connection", sockets.recv()).await.expect("the listener lives");
        session.send("one").await.expect("the client is there");
        assert!(socket.tcp_nodelay().expect("a live connection"), "{transport:?}");
        assert!(
            session.info().extensions().get::<OriginalUri>().is_none(),
            "a slice of hyper's buffer"
        );
    }
}

#[tokio::test]
async fn others_keep_their_routes_and_fallback() {
    let gateway = Gateway::new()
        .endpoint("/echo", echo)
        .endpoint("/api/echo", echo)
        .endpoint("/api/echo/inner", echo);
    let app = Router::new()
        .route("/health", get(async || "well"))
        .route("/api/other", get(async || "other"))
        .merge(gateway.into_axum())
        .fallback(async || (axum::http::StatusCode::IM_A_TEAPOT, "nobody's"));
    let addr = serve(app).await;
    for path in ["/echo", "/echo/", "/api/echo", "/api/echo/", "/api/echo/inner"] {
        assert_eq!(page(addr, path).await, own(200, "Welcome to SockJS!\n"), "{path}");
    }
    for path in ["/echo/info", "/api/echo/info?t=1", "/api/echo/inner/info"] {
        assert_eq!(
            ask(addr, Request::get(path)).await.header("Content-Type"),
            Some("application/json; charset=UTF-8")
        );
    }
    assert_eq!(page(addr, "/health").await, own(200, "well"));
    assert_eq!(page(addr, "/api/other").await, own(200, "other"));
    for path in ["/", "/echofoo", "/Echo", "/api", "/api/echoes/info"] {
        assert_eq!(page(addr, path).await, own(418, "nobody's"), "{path}");
    }
    assert_eq!(
        page(addr, "/echo/no/such/thing").await,
        own(404, "Not found.\n"),
        "below a prefix the gateway answers"
    );
    // All methods reach the gateway, which knows which are allowed.
    let answer = ask(addr, Request::post("/echo/info")).await;
    assert_eq!(
        (answer.status(), answer.header("Allow")),
        (405, Some("OPTIONS, GET")),
        "{answer:?}"
    );
    assert_eq!(ask(addr, Request::options("/echo/a/b/xhr")).await.status(), 204);
}

/// They are no parameters and no wildcards in axum's eyes either, though they were before its
/// version 0.8.
#[tokio::test]
async fn prefixes_with_colons_and_asterisks_are_taken_as_they_stand() {
    let gateway = Gateway::new().endpoint("/:room", echo).endpoint("/api/*all", echo);
    let app = Router::new().without_v07_checks().merge(gateway.into_axum());
    let addr = serve(app).await;
    for path in ["/:room", "/:room/", "/api/*all"] {
        assert_eq!(page(addr, path).await, own(200, "Welcome to SockJS!\n"), "{path}");
    }
    for path in ["/room", "/api/some"] {
        assert_eq!(page(addr, path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn paths_arrive_as_they_were_sent() {
    let (gateway, mut sessions) = reporting("/echo");
    let addr = serve(gateway.into_axum()).await;
    for path in ["/echo//", "/echo//b/xhr", "/echo/a//xhr", "/echo/./b/xhr", "/echo/a/b/xhr//"] {
        assert_eq!(ask(addr, Request::post(path)).await.status(), 404, "{path}");
    }
    for (path, query) in [("/echo/a%20b/c%2Fd/xhr", Some("t=%20")), ("/echo/%C3%A9/%2e/xhr", None)]
    {
        let target = query.map_or(path.to_owned(), |query| format!("{path}?{query}"));
        let answer = ask(addr, Request::post(target)).await;
        assert_eq!((answer.status(), answer.text()), (200, "o\n"), "{path}");
        let session = within("a session", sessions.recv()).await.expect("the gateway lives");
        assert_eq!((session.info().path(), session.info().query()), (path, query));
    }
}

#[tokio::test]
async fn a_gateway_can_be_the_fallback() {
    let app = Router::new()
        .route("/health", get(async || "well"))
        .fallback_service(Gateway::new().endpoint("/echo", echo).into_axum());
    let addr = serve(app).await;
    assert_eq!(page(addr, "/health").await, own(200, "well"));
    assert_eq!(page(addr, "/nothing").await, own(404, ""));
    for transport in Transport::ALL {
        let mut client = Client::open(addr, "/echo", transport).await;
        client.send(&["hello"]).await;
        assert_eq!(client.message().await, "hello", "{transport:?}");
    }
    assert_eq!(ask(addr, Request::post("/echo//b/xhr")).await.status(), 404);
}

#[tokio::test]
async fn sessions_know_what_axum_knows_of_the_request() {
    #[derive(Clone, Debug, PartialEq)]
    struct User(&'static str);

    let (gateway, mut sessions) = reporting("/app");
    let addr = serve(gateway.into_axum().layer(Extension(User("ann")))).await;
    for transport in Transport::ALL {
        let _client = Client::open(addr, "/app", transport).await;
        let session = within("a session", sessions.recv()).await.expect("the gateway lives");
        let info = session.info();
        assert!(
            info.peer().is_some_and(|peer| peer.ip() == Ipv4Addr::LOCALHOST),
            "{transport:?}: {info:?}"
        );
        assert_eq!(info.extensions().get(), Some(&User("ann")), "{transport:?}");
    }
}

#[tokio::test]
async fn a_router_with_state_takes_it_as_well() {
    let app: Router<u32> = Router::new()
        .route("/number", get(async |state: axum::extract::State<u32>| state.to_string()))
        .merge(Gateway::new().endpoint("/echo", echo).into_axum());
    let addr = serve(app.with_state(7)).await;
    assert_eq!(page(addr, "/number").await, own(200, "7"));
    assert_eq!(page(addr, "/echo").await, own(200, "Welcome to SockJS!\n"));
}

/// A router that takes a part of the path away breaks the URLs of SockJS, and says nothing. The
/// gateway does, once, and says what to do.
#[tokio::test]
async fn a_nested_gateway_complains() {
    const COMPLAINT: &str = "the gateway is nested under a router that rewrites paths";
    let log = log();
    let addr = serve(Gateway::new().endpoint("/echo", echo).into_axum()).await;
    page(addr, "/echo/info").await;
    assert_eq!(log.lines(COMPLAINT).len(), 0, "nothing is wrong at the top");

    let nested = Gateway::new().endpoint("/echo", echo).into_axum();
    let addr = serve(Router::new().nest("/api", nested)).await;
    for _ in 0..3 {
        page(addr, "/api/echo/info").await;
    }
    let lines = log.lines(COMPLAINT);
    let [line] = &lines[..] else { panic!("{lines:?} is not one line") };
    assert_eq!(line.level, tracing::Level::WARN);
    assert_eq!((line.field("original"), line.field("rewritten")), ("/api/echo/info", "/echo/info"));
    for remedy in [
        "full path as prefix",
        "Router::merge(gateway.into_axum())",
        "fallback_service(gateway.into_axum())",
    ] {
        assert!(line.field("message").contains(remedy), "{line:?}");
    }
}

/// Without a server: as any tower service.
#[tokio::test]
async fn a_gateway_is_a_tower_service() {
    let gateway = Gateway::new().endpoint("/echo", echo);
    let request = AxumRequest::get("/echo").body(axum::body::Body::empty()).expect("a request");
    let answer = gateway.oneshot(request).await.expect("it can't fail");
    let body = answer.into_body().collect().await.expect("infallible").to_bytes();
    assert_eq!(body, "Welcome to SockJS!\n");
}

/// axum copies each piece of a body when hyper takes it, and hides with that how far it was
/// written. What hyper has not taken is known to be lost all the same: of a large frame, that is
/// most.
#[tokio::test]
async fn a_client_that_is_cut_off_in_a_large_answer_is_told() {
    let (gateway, mut sessions) = reporting("/app");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket has an address");
    let listener = listener.tap_io(|stream| {
        SockRef::from(&*stream).set_send_buffer_size(16 * 1024).expect("the socket is fresh");
    });
    let app: Router = gateway.into_axum();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let client = Client::open(addr, "/app", Transport::Xhr).await;
    let session = within("a session", sessions.recv()).await.expect("the gateway lives");
    session.try_send("x".repeat(900_000)).expect("an empty queue takes it");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("the socket is fresh");
    let mut stream =
        within("a connection", socket.connect(addr)).await.expect("the server listens");
    stream
        .write_all(&Transport::Xhr.request(client.session()).to_bytes())
        .await
        .expect("the server reads");
    within("bytes", stream.read_exact(&mut [0; 1000])).await.expect("the server writes");
    stream.set_zero_linger().expect("the socket is open");
    drop(stream);

    let end = within("the end", session.ended()).await;
    assert_eq!((end.reason.code(), end.undelivered), (1002, 1));
    let mut next = Client::of_session(addr, client.session(), Transport::Xhr);
    assert_eq!(next.closed().await.0, 1002);
}

/// docs/tower.md: layers that are made for short requests cover the routes that stand in front of
/// the gateway, and not the gateway.
fn behind(layers: bool) -> Router {
    let gateway = Gateway::new().endpoint("/echo", echo).into_axum();
    let short = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(|_: BoxError| async { StatusCode::REQUEST_TIMEOUT }))
        .timeout(Duration::from_secs(10))
        .concurrency_limit(1);
    let others = Router::new().route("/health", get(async || "well"));
    if layers { others.merge(gateway).layer(short) } else { others.layer(short).merge(gateway) }
}

async fn poll(app: &Router) -> (StatusCode, String) {
    let request = AxumRequest::post("/echo/000/the-session/xhr").body(axum::body::Body::empty());
    let answer = app.clone().oneshot(request.expect("a request")).await;
    let (head, body) = answer.unwrap_or_else(|never| match never {}).into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    (head.status, String::from_utf8(bytes.to_vec()).expect("frames are text"))
}

/// sockjs-client takes any status but 200 for the end of its session.
#[tokio::test(start_paused = true)]
async fn a_timeout_layer_answers_an_idle_poll_unless_the_gateway_is_merged_behind_it() {
    for (layers, status, frame) in
        [(true, StatusCode::REQUEST_TIMEOUT, ""), (false, StatusCode::OK, "h\n")]
    {
        let app = behind(layers);
        assert_eq!(poll(&app).await, (StatusCode::OK, "o\n".to_owned()));
        assert_eq!(poll(&app).await, (status, frame.to_owned()), "layers: {layers}");
    }
}

/// A place for each request at work is one for each idle client.
#[tokio::test(start_paused = true)]
async fn a_parked_poll_holds_a_place_of_a_concurrency_limit_unless_the_gateway_is_merged_behind_it()
{
    for layers in [true, false] {
        let app = behind(layers);
        assert_eq!(poll(&app).await.1, "o\n");
        let mut parked = Box::pin(poll(&app));
        assert!((&mut parked).now_or_never().is_none(), "nothing to tell yet");
        let other = AxumRequest::get("/echo/info").body(axum::body::Body::empty());
        let mut info = Box::pin(app.clone().oneshot(other.expect("a request")));
        assert_eq!((&mut info).now_or_never().is_none(), layers, "layers: {layers}");
    }
}

/// Its shutdown waits for every answer, and polls and streams have none to give: it never ended.
#[tokio::test]
async fn axums_shutdown_ends_behind_a_drain() {
    let (gateway, mut sessions) = reporting("/app");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket has an address");
    let (stop, signal) = oneshot::channel::<()>();
    let app = gateway.clone().into_axum();
    let server = tokio::spawn(async move {
        let (tell, told) = oneshot::channel();
        axum::serve(listener, app)
            .with_graceful_shutdown(async move {
                drop(signal.await);
                let _ = tell.send(gateway.drain(DrainConfig::default()).await);
            })
            .await
            .expect("it can't fail");
        told.await.expect("it was drained")
    });
    let mut clients = Vec::new();
    let mut open = Vec::new();
    for transport in Transport::ALL {
        let mut client = Client::open(addr, "/app", transport).await;
        client.attach().await.expect("the session lives");
        clients.push(client);
        open.push(within("a session", sessions.recv()).await.expect("the gateway lives"));
    }
    drop(stop);
    for mut client in clients {
        assert_eq!(client.closed().await, (1001, "Server shutting down".to_owned()));
    }
    let drained = within("the end of the server", server).await.expect("no panic");
    assert_eq!((drained.told, drained.untold), (Transport::ALL.len(), 0));
}
