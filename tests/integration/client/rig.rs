//! What stands between a client and a gateway, and what stands in for one.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sockeye::client::{Builder, Client, Connection, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use common::{PATIENCE, within};

/// A client that no slow machine makes impatient.
pub(crate) fn patient() -> Builder {
    Client::builder().minimum_open_timeout(PATIENCE).info_timeout(PATIENCE)
}

pub(crate) async fn connect(builder: Builder, addr: SocketAddr) -> Connection {
    let url = format!("http://{addr}/app");
    within("a connection", builder.connect(&url))
        .await
        .unwrap_or_else(|error| panic!("{error}: {error:?}"))
}

pub(crate) async fn text(connection: &mut Connection) -> String {
    let message = within("a message", connection.recv()).await.expect("the session is open");
    message.as_text().expect("text").to_owned()
}

/// What a proxy does to what passes through it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proxy {
    /// Removes `Upgrade` and `Connection`.
    DropsUpgrade,
    /// Takes an upgrade and never answers.
    SwallowsUpgrade,
    /// Passes a response on when it is complete.
    Buffers,
}

impl Proxy {
    /// Stands before `target`.
    pub(crate) async fn start(self, target: SocketAddr) -> SocketAddr {
        let (listener, addr) = listen().await;
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(self.relay(client, target));
            }
        });
        addr
    }

    async fn relay(self, client: TcpStream, target: SocketAddr) {
        let mut server = TcpStream::connect(target).await.expect("the server listens");
        let (mut from_client, mut to_client) = client.into_split();
        let Some(head) = read_head(&mut from_client).await else { return };
        let is_upgrade = head.to_ascii_lowercase().contains("\r\nupgrade:");
        let head = match self {
            Self::SwallowsUpgrade if is_upgrade => return std::future::pending().await,
            Self::DropsUpgrade if is_upgrade => without(&head, &["upgrade:", "connection:"]),
            _ => head,
        };
        // What fails from here on has been ended by one of the two.
        let _ = server.write_all(head.as_bytes()).await;
        let (mut from_server, mut to_server) = server.split();
        let up = tokio::io::copy(&mut from_client, &mut to_server);
        let down = async {
            // Room for a whole head, or a read would end within the name that tells a stream.
            let mut held = Vec::with_capacity(16 * 1024);
            while let Ok(1..) = from_server.read_buf(&mut held).await {
                let streams = String::from_utf8_lossy(&held)
                    .to_ascii_lowercase()
                    .contains("transfer-encoding: chunked");
                if matches!(self, Self::Buffers) && streams && !held.ends_with(b"\r\n0\r\n\r\n") {
                    continue;
                }
                if to_client.write_all(&held).await.is_err() {
                    break;
                }
                held.clear();
            }
        };
        tokio::select! {
            _ = up => {}
            () = down => {}
        }
    }
}

pub(crate) async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).expect("heads are ASCII here"))
}

fn without(head: &str, names: &[&str]) -> String {
    let kept = head
        .split("\r\n")
        .filter(|line| !names.iter().any(|name| line.to_ascii_lowercase().starts_with(name)));
    kept.collect::<Vec<_>>().join("\r\n")
}

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket has an address");
    (listener, addr)
}

/// A server that says what a test wants, and remembers what it was asked.
pub(crate) struct Scripted {
    pub(crate) addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

pub(crate) type Answer = Response<BoxBody<Bytes, Infallible>>;

impl Scripted {
    pub(crate) async fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_delayed(move |asked| (Duration::ZERO, script(asked))).await
    }

    /// The script also says how long each answer takes.
    pub(crate) async fn start_delayed(
        script: impl Fn(&Asked) -> (Duration, Answer) + Send + Sync + 'static,
    ) -> Self {
        let (listener, addr) = listen().await;
        let (script, asked) = (Arc::new(script), Arc::new(Mutex::new(Vec::new())));
        let list = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, list) = (Arc::clone(&script), Arc::clone(&list));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (script, list) = (Arc::clone(&script), Arc::clone(&list));
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.expect("a whole body").to_bytes();
                        let asked = Asked {
                            method: parts.method,
                            target: parts.uri.to_string(),
                            headers: parts.headers,
                            body: String::from_utf8(body.to_vec()).expect("bodies are text"),
                        };
                        list.lock().expect("no panic").push(asked.clone());
                        let (delay, answer) = script(&asked);
                        tokio::time::sleep(delay).await;
                        Ok::<_, Infallible>(answer)
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { addr, asked }
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    /// The bodies of all `xhr_send`s so far.
    pub(crate) fn payloads(&self) -> Vec<String> {
        let asked = self.asked().into_iter();
        asked.filter(|asked| asked.target.contains("/xhr_send")).map(|asked| asked.body).collect()
    }
}

impl Asked {
    /// The last segment of the path.
    pub(crate) fn transport(&self) -> &str {
        let path = self.target.split('?').next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }
}

pub(crate) fn answer(status: u16, body: impl Into<Bytes>) -> Answer {
    Response::builder().status(status).body(Full::new(body.into()).boxed()).expect("a response")
}

pub(crate) fn info() -> Answer {
    answer(200, r#"{"websocket":false,"origins":["*:*"],"cookie_needed":false,"entropy":1}"#)
}

/// An answer that says this much and never ends.
pub(crate) fn endless(start: &'static str) -> Answer {
    streaming(stream::iter([Bytes::from_static(start.as_bytes())]).chain(stream::pending()))
}

pub(crate) fn streaming(pieces: impl Stream<Item = Bytes> + Send + Sync + 'static) -> Answer {
    let body = StreamBody::new(pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece))));
    Response::new(BodyExt::boxed(body))
}

pub(crate) const ALL: [Transport; 5] = [
    Transport::WebSocket,
    Transport::XhrStreaming,
    Transport::EventSource,
    Transport::XhrPolling,
    Transport::RawWebSocket,
];
