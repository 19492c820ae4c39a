//! `sockeye::serve`: services, listeners, silent and slow clients, lost ones, and stops.
//!
//! Where no socket is the point, connections are pipes in memory and time is virtual.

mod clients;
mod listeners;
mod services;
mod silence;
mod stopping;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use sockeye::serve::{Connection, Establish, Listener, Stopped};
use sockeye::{Gateway, ServeConfig, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tower::util::service_fn;

use common::apps::reporting;
use common::within;

/// A listener whose connections, and errors, the test makes.
struct Made<A>(mpsc::UnboundedReceiver<io::Result<A>>);

impl<A: Establish> Listener for Made<A> {
    type Accepted = A;

    async fn accept(&mut self) -> io::Result<A> {
        match self.0.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }
}

fn made<A>() -> (mpsc::UnboundedSender<io::Result<A>>, Made<A>) {
    let (make, listener) = mpsc::unbounded_channel();
    (make, Made(listener))
}

/// A connection in memory: the client's end, and the server's.
fn pipe() -> (DuplexStream, Connection) {
    let (near, far) = duplex(64 * 1024);
    (near, Connection::new(far))
}

/// Answers every request with `ok`.
fn ok()
-> impl tower::Service<Request<Incoming>, Response = Response<String>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(async |_| Ok(Response::new("ok".to_owned())))
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A server on a port.
struct Server {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    stopped: JoinHandle<Stopped>,
}

async fn start(config: ServeConfig, gateway: Gateway) -> Server {
    let (listener, addr) = listen().await;
    let (stop, signal) = oneshot::channel();
    let server = sockeye::serve(listener, gateway)
        .with_config(config)
        .with_graceful_shutdown(async move { drop(signal.await) });
    Server { addr, stop, stopped: tokio::spawn(server.into_future()) }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket has an address");
    (listener, addr)
}

async fn connect(addr: SocketAddr, sent: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.expect("the server accepts");
    stream.write_all(sent.as_bytes()).await.expect("sent");
    stream
}

/// All that comes before the server ends the connection in order.
#[track_caller]
fn all(mut stream: impl AsyncReadExt + Unpin) -> impl Future<Output = String> {
    within("the end of the connection", async move {
        let mut received = String::new();
        stream.read_to_string(&mut received).await.expect("by FIN");
        received
    })
}

#[track_caller]
fn read_until(stream: &mut (impl AsyncReadExt + Unpin), end: &str) -> impl Future<Output = String> {
    within("an answer", async move {
        let mut received = Vec::new();
        while !received.ends_with(end.as_bytes()) {
            match stream.read_u8().await {
                Ok(byte) => received.push(byte),
                Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&received)),
            }
        }
        String::from_utf8(received).expect("text")
    })
}

fn hour() -> Duration {
    Duration::from_secs(3600)
}
