//! The programs in `examples/` are run, each with clients.

use std::io::Cursor;
use std::net::{Ipv4Addr, SocketAddr};

use http::header::{COOKIE, HeaderValue};
use sockeye::client::{Builder, Client, ConnectError, Connection, Transport};
use tokio::net::TcpListener;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use common::http::Request;
use common::within;

#[allow(dead_code, reason = "the test gives it lines of its own")]
#[path = "../../examples/client.rs"]
mod client;
#[allow(dead_code, reason = "the test serves it on a port of its own")]
#[path = "../../examples/drain.rs"]
mod drain;
#[allow(dead_code, reason = "the test serves it on a port of its own")]
#[path = "../../examples/login.rs"]
mod login;
#[allow(dead_code, reason = "the test serves it on a port of its own")]
#[path = "../../examples/rooms.rs"]
mod rooms;
/// Its own tests run with these.
#[allow(dead_code, reason = "only its tests are run")]
#[path = "../../examples/tested.rs"]
mod tested;
#[allow(dead_code, reason = "the test serves it on a port of its own")]
#[path = "../../examples/tls.rs"]
mod tls;

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket has an address");
    (listener, addr)
}

async fn connect(builder: Builder, url: &str) -> Connection {
    within("a connection", builder.connect(url)).await.unwrap_or_else(|error| panic!("{error:?}"))
}

async fn text(connection: &mut Connection) -> String {
    let message = within("a message", connection.recv()).await.expect("the session is open");
    message.as_text().expect("text").to_owned()
}

/// Without a log-in nothing opens, and the client can tell why; with one the handler knows the
/// user, whatever carries the session.
#[tokio::test]
async fn login_lets_users_in_and_nobody_else() {
    let (listener, addr) = listen().await;
    tokio::spawn(sockeye::serve(listener, login::app()).into_future());
    let url = format!("http://{addr}/greet");
    let refused: ConnectError =
        within("a refusal", Client::connect(&url)).await.expect_err("no log-in");
    assert_eq!(refused.status().map(|status| status.as_u16()), Some(401));

    let request = Request::post("/login").body("ann");
    let answer = common::http::Connection::open(addr).await.exchange(&request).await;
    let cookie = answer.header("Set-Cookie").expect("a log-in");
    let cookie = cookie.split(';').next().expect("a name and a value");
    for transport in [Transport::WebSocket, Transport::XhrStreaming, Transport::XhrPolling] {
        let builder = Client::builder()
            .transports([transport])
            .header(COOKIE, HeaderValue::try_from(cookie).expect("it was one"));
        let mut connection = connect(builder, &url).await;
        assert_eq!(text(&mut connection).await, "hello ann");
        connection.send("hi").await.expect("open");
        assert_eq!(text(&mut connection).await, "ann: hi");
    }
    for wrong in ["login=", "login=x", "other=1"] {
        let builder = Client::builder().header(COOKIE, HeaderValue::from_static(wrong));
        let refused = within("a refusal", builder.connect(&url)).await.expect_err("no log-in");
        assert_eq!(refused.status().map(|status| status.as_u16()), Some(401), "{wrong}");
    }
}

#[tokio::test]
async fn rooms_tell_who_is_here_and_what_is_said() {
    let (listener, addr) = listen().await;
    tokio::spawn(sockeye::serve(listener, rooms::gateway()).into_future());
    let enter = async |name: &str| {
        let url = format!("http://{addr}/rooms?room=tea%20%26%20cake&name={name}");
        connect(Client::builder(), &url).await
    };
    let mut ann = enter("ann").await;
    assert_eq!(text(&mut ann).await, r#"{"here":["ann"]}"#);
    let mut bob = enter("bob").await;
    let mut cid = enter("cid").await;
    for (person, lists) in [
        (&mut ann, &[r#"{"here":["ann","bob"]}"#, r#"{"here":["ann","bob","cid"]}"#][..]),
        (&mut bob, &[r#"{"here":["ann","bob"]}"#, r#"{"here":["ann","bob","cid"]}"#]),
        (&mut cid, &[r#"{"here":["ann","bob","cid"]}"#]),
    ] {
        for list in lists {
            assert_eq!(text(person).await, *list);
        }
    }
    ann.send(r#"{"to":"bob","text":"psst"}"#).await.expect("open");
    ann.send(r#"{"to":"nobody","text":"psst"}"#).await.expect("open");
    ann.send(r#"{"text":"hi"}"#).await.expect("open");
    assert_eq!(text(&mut bob).await, r#"{"from":"ann","text":"psst","direct":true}"#);
    for person in [&mut ann, &mut bob, &mut cid] {
        assert_eq!(text(person).await, r#"{"from":"ann","text":"hi","direct":false}"#);
    }
    ann.close().await;
    for person in [&mut bob, &mut cid] {
        assert_eq!(text(person).await, r#"{"here":["bob","cid"]}"#);
    }

    for (query, code) in [("room=tea%20%26%20cake&name=bob", 4409), ("room=tea", 4400)] {
        let url = format!("http://{addr}/rooms?{query}");
        let mut refused = connect(Client::builder(), &url).await;
        assert_eq!(within("the end", refused.recv()).await, None);
        assert_eq!(refused.ended().await.reason.code(), code, "{query}");
    }
    bob.send("no JSON").await.expect("open");
    assert_eq!(within("the end", bob.recv()).await, None);
    assert_eq!(bob.ended().await.reason.code(), 4400);
    assert_eq!(text(&mut cid).await, r#"{"here":["cid"]}"#);
}

/// A certificate for localhost, its key, and a client that trusts it.
fn identity() -> (CertificateDer<'static>, PrivateKeyDer<'static>, Builder) {
    let identity =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = identity.cert.der().clone();
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der()).expect("a key");
    (certificate, key, Client::builder().trusted_roots(identity.cert.pem()))
}

async fn echoes_over_tls(builder: impl Fn() -> Builder, port: u16) {
    for transport in Transport::DEFAULT {
        let builder = builder().transports([transport]);
        let mut connection = connect(builder, &format!("https://localhost:{port}/echo")).await;
        connection.send("secret").await.expect("open");
        assert_eq!(text(&mut connection).await, "secret", "{transport}");
    }
}

#[tokio::test]
async fn tls_carries_every_transport() {
    let (certificate, key, builder) = identity();
    let config = tls::rustls_config(certificate, key).expect("a certificate and its key");
    let (listener, addr) = listen().await;
    let listener = tls::Tls { listener, acceptor: config.into() };
    tokio::spawn(sockeye::serve(listener, tls::gateway()).into_future());
    echoes_over_tls(|| builder.clone(), addr.port()).await;
}

/// Lines in, messages out; then the end of the input.
#[tokio::test]
async fn client_says_what_is_typed() {
    let (listener, addr) = listen().await;
    tokio::spawn(sockeye::serve(listener, rooms::gateway()).into_future());
    let url = format!("http://{addr}/rooms?room=tea&name=ann");
    let input = &b"{\"text\":\"hi\"}\n"[..];
    let mut output = Cursor::new(Vec::new());
    let talked = client::talk(&url, input, &mut output);
    within("the end", talked).await.expect("the server is there");
    let output = String::from_utf8(output.into_inner()).expect("text");
    assert!(output.starts_with("connected by websocket\n"), "{output}");
    assert!(output.ends_with("0 messages not delivered\n"), "{output}");
}

/// Every client is told, whatever carries its session, and the server comes to its end.
#[tokio::test]
async fn drain_tells_every_client() {
    let (listener, addr) = listen().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(drain::serve(listener, async move { drop(stopped.await) }));
    let ready = async || {
        let mut connection = common::http::Connection::open(addr).await;
        connection.exchange(&Request::get("/readyz")).await.status()
    };
    assert_eq!(ready().await, 200);
    let mut clients = Vec::new();
    for transport in common::transport::Transport::ALL {
        let mut client = common::client::Client::open(addr, "/echo", transport).await;
        client.send(&["hello"]).await;
        assert_eq!(client.message().await, "hello");
        clients.push(client);
    }
    let count = clients.len();
    drop(stop);
    // The first client comes back last: until then the server listens, and tells balancers.
    for (place, mut client) in clients.into_iter().enumerate().rev() {
        if place == 0 {
            within("the word for balancers", async { while ready().await == 200 {} }).await;
        }
        assert_eq!(client.closed().await.0, 1001);
    }
    let drained = within("the end of the server", server).await.expect("no panic");
    let drained = drained.expect("it can't fail");
    assert_eq!((drained.told, drained.untold), (count, 0));
}
