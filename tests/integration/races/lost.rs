//! Clients that are cut off in the middle of an answer: what was in it is lost, and is told. Over
//! sockets whose buffers are small, for what a kernel has taken counts as written.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use sockeye::{EndedBy, EndpointConfig, Gateway, Session, SessionEnd, WatchedStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;

use super::{PREFIX, gateway, patient};
use common::client::Client;
use common::transport::{Frame, Transport};
use common::within;

const HTTP: [Transport; 5] = [
    Transport::Xhr,
    Transport::Jsonp,
    Transport::XhrStreaming,
    Transport::EventSource,
    Transport::HtmlFile,
];
const ROUNDS: usize = 8;

/// A poll's answer of 900 kB, or the last frame of a stream, of which the client reads 100 bytes
/// and resets. The next receiver got the message behind it, and never a 1002: hyper drops a body as
/// soon as it has the last chunk, so the drop of the body told nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_in_the_middle_of_the_last_frame() {
    for transport in HTTP {
        let mut rig = Rig::new(roomy()).await;
        for round in 0..ROUNDS {
            let (session, client, path) = rig.cut_in_a_frame(transport).await;
            session.try_send("behind it").expect("there is room");
            client.reset();
            let end = within("the end", session.ended()).await;
            assert_eq!(told(&end), (1002, EndedBy::Peer, 2), "{transport:?}, round {round}");
            let mut next = Client::of_session(rig.addr, &path, transport);
            assert_eq!(next.frame().await, interrupted(), "{transport:?}, round {round}");
        }
    }
}

/// The same, of a client that is back before the server knows of the reset: the new receiver is
/// told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_back_before_it_resets() {
    for transport in HTTP {
        let mut rig = Rig::new(roomy()).await;
        for round in 0..ROUNDS {
            let (session, client, path) = rig.cut_in_a_frame(transport).await;
            let mut next = Client::of_session(rig.addr, &path, transport);
            next.attach().await.expect("the session lives");
            client.reset();
            assert_eq!(next.frame().await, interrupted(), "{transport:?}, round {round}");
            let end = within("the end", session.ended()).await;
            assert_eq!(told(&end), (1002, EndedBy::Peer, 1), "{transport:?}, round {round}");
        }
    }
}

/// A stream that would have gone on. The frame that it was cut in had left the queue, and no count
/// told of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_in_the_middle_of_a_stream() {
    for transport in HTTP.into_iter().filter(|transport| !transport.polls()) {
        let mut rig = Rig::new(roomy().response_limit(usize::MAX)).await;
        for round in 0..ROUNDS {
            let (session, client, path) = rig.cut_in_a_frame(transport).await;
            client.reset();
            let end = within("the end", session.ended()).await;
            assert_eq!(told(&end), (1002, EndedBy::Peer, 1), "{transport:?}, round {round}");
            let mut next = Client::of_session(rig.addr, &path, transport);
            assert_eq!(next.frame().await, interrupted(), "{transport:?}, round {round}");
        }
    }
}

/// The application has closed, and frame and close frame leave together: its close stands, and so
/// does the loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_before_it_could_read_the_close() {
    for transport in HTTP {
        let mut rig = Rig::new(roomy()).await;
        for round in 0..ROUNDS {
            let (session, client, path) = rig.cut_in_a_frame(transport).await;
            session.close((3000, "enough"));
            client.reset();
            let end = within("the end", session.ended()).await;
            assert_eq!(told(&end), (3000, EndedBy::Application, 1), "{transport:?}, round {round}");
            let mut next = Client::of_session(rig.addr, &path, transport);
            assert_eq!(
                next.frame().await,
                Frame::Close(3000, "enough".to_owned()),
                "{transport:?}, round {round}"
            );
        }
    }
}

/// A client that reads nothing more, and keeps its connection open. Its session was given up, but
/// the frame stayed in memory for as long as the client liked, with its connection: hyper asks the
/// body of a connection that takes nothing for nothing, so the end of the session told it nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_loses_its_connection_with_its_session() {
    for transport in HTTP {
        for response_limit in [128 * 1024, usize::MAX] {
            let write_timeout = Duration::from_millis(300);
            let config = roomy().write_timeout(write_timeout).response_limit(response_limit);
            let mut rig = Rig::new(config).await;
            let (session, client, path) = rig.cut_in_a_frame(transport).await;
            let end = within("the end", session.ended()).await;
            assert_eq!(told(&end), (1008, EndedBy::Gateway, 1), "{transport:?}");
            let rest = client.read_to_its_end().await;
            assert!(rest < 800_000, "{transport:?}: {rest} bytes came behind the end");
            let mut next = Client::of_session(rig.addr, &path, transport);
            let close = Frame::Close(1008, "the client does not read".to_owned());
            assert_eq!(next.frame().await, close, "{transport:?}");
        }
    }
}

/// A client that reads all that a response holds, but slowly. The delay for its return ran from
/// when the last frame was handed over, so that it lost its session while it still read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_keeps_its_session() {
    for transport in [Transport::Xhr, Transport::XhrStreaming] {
        let mut rig = Rig::new(roomy().disconnect_delay(Duration::from_millis(300))).await;
        let (session, mut client, path) = rig.cut_in_a_frame(transport).await;
        // A second, in which bytes go on leaving.
        for _ in 0..10 {
            client.read(16 * 1024).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        client.read(899_000 - 10 * 16 * 1024).await;
        session.try_send("the next").expect("it is open");
        let mut next = Client::of_session(rig.addr, &path, transport);
        assert_eq!(next.message().await, "the next", "{transport:?}");
    }
}

fn roomy() -> EndpointConfig {
    patient().outbound_bytes(usize::MAX)
}

fn told(end: &SessionEnd) -> (u16, EndedBy, usize) {
    (end.reason.code(), end.by, end.undelivered)
}

/// How the open frame ends.
fn open_frame(transport: Transport) -> &'static str {
    match transport {
        Transport::Jsonp | Transport::HtmlFile => "(\"o\")",
        Transport::EventSource => "data: o",
        _ => "\no\n",
    }
}

fn interrupted() -> Frame {
    Frame::Close(1002, "Connection interrupted".to_owned())
}

/// A server whose sockets hold little, and the sessions that it opened.
struct Rig {
    addr: SocketAddr,
    sessions: mpsc::UnboundedReceiver<Session>,
}

impl Rig {
    async fn new(config: EndpointConfig) -> Self {
        let (give, sessions) = mpsc::unbounded_channel();
        let gateway = gateway(config, move |session| {
            give.send(session).expect("the test waits");
            std::future::ready(())
        });
        Self { addr: serve(gateway).await, sessions }
    }

    /// A session whose client has read 100 bytes of a frame of 900 kB, and its path.
    async fn cut_in_a_frame(&mut self, transport: Transport) -> (Session, SlowClient, String) {
        let path = transport.fresh(PREFIX);
        let mut client = SlowClient::open(self.addr).await;
        client.ask(transport, &path).await;
        client.read_past(open_frame(transport)).await;
        let session = within("a session", self.sessions.recv()).await.expect("the gateway lives");
        if transport.polls() {
            client = SlowClient::open(self.addr).await;
            client.ask(transport, &path).await;
        }
        session.try_send("x".repeat(900_000)).expect("there is room");
        client.read_past("xxxx").await;
        client.read(100).await;
        (session, client, path)
    }
}

async fn serve(gateway: Gateway) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket has an address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("connections can be accepted");
            SockRef::from(&stream).set_send_buffer_size(16 * 1024).expect("the socket is fresh");
            let stream = WatchedStream::new(stream);
            let (gateway, watch) = (gateway.clone(), stream.watch());
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(watch.clone());
                let answer = Service::call(&gateway, request);
                async move { Ok::<_, Infallible>(answer.await.expect("infallible")) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).half_close(true);
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    addr
}

/// A client whose socket holds little, and which reads byte by byte.
struct SlowClient(TcpStream);

impl SlowClient {
    async fn open(addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("the socket is fresh");
        Self(within("a connection", socket.connect(addr)).await.expect("the server listens"))
    }

    async fn ask(&mut self, transport: Transport, path: &str) {
        self.0.write_all(&transport.request(path).to_bytes()).await.expect("the server reads");
    }

    /// Reads up to and with `what`.
    async fn read_past(&mut self, what: &str) {
        let mut read = Vec::new();
        within(what, async {
            while !read.ends_with(what.as_bytes()) {
                read.push(self.0.read_u8().await.expect("the server writes"));
            }
        })
        .await;
    }

    async fn read(&mut self, count: usize) {
        within("bytes", self.0.read_exact(&mut vec![0; count])).await.expect("the server writes");
    }

    /// How many bytes come until the server ends the connection, in whatever way.
    async fn read_to_its_end(mut self) -> usize {
        let (mut buffer, mut read) = (vec![0; 16 * 1024], 0);
        within("the end of the connection", async {
            while let Ok(more @ 1..) = self.0.read(&mut buffer).await {
                read += more;
            }
        })
        .await;
        read
    }

    /// Breaks the connection off with RST.
    fn reset(self) {
        self.0.set_zero_linger().expect("the socket is open");
    }
}
