//! Listeners that are no `TcpListener`: failures of accept, handshakes, and connections of any kind.

use common::apps::echo;
use common::log::log;
use common::records::record;
use futures_util::{SinkExt, StreamExt};
use sockeye::{LocalAddr, PeerAddr, TcpEndpoint};
use tokio::time::Instant;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message as Packet;

use super::*;

/// Out of files: the connections that wait are served when some have been closed, and no core spins
/// meanwhile. A connection that was reset before its accept holds nothing up.
#[tokio::test(start_paused = true)]
async fn a_failed_accept_is_tried_again_after_a_pause() {
    const COMPLAINT: &str = "cannot accept connections now; `ulimit -n`";
    let log = log();
    let (make, listener) = made();
    tokio::spawn(sockeye::serve(listener, ok()).into_future());
    let start = Instant::now();
    make.send(Err(io::ErrorKind::ConnectionAborted.into())).expect("it listens");
    for _ in 0..3 {
        make.send(Err(io::Error::other("Too many open files"))).expect("it listens");
    }
    let (mut client, connection) = pipe();
    make.send(Ok(connection)).expect("it listens");
    client.write_all(GET.as_bytes()).await.expect("the pipe is empty");
    assert!(read_until(&mut client, "ok").await.starts_with("HTTP/1.1 200 "));
    // 10, 20 and 40 ms.
    assert!((70..80).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    let pauses: Vec<_> =
        log.lines(COMPLAINT).iter().map(|line| line.field("pause").to_owned()).collect();
    assert_eq!(pauses, ["10ms", "20ms", "40ms"]);
}

/// A handshake, in the connection's own task.
struct Handshake {
    done: oneshot::Receiver<io::Result<()>>,
    connection: Connection,
}

impl Establish for Handshake {
    async fn establish(self) -> io::Result<Connection> {
        self.done.await.expect("the test decides")?;
        Ok(self.connection)
    }
}

fn handshake() -> (DuplexStream, oneshot::Sender<io::Result<()>>, Handshake) {
    let (client, connection) = pipe();
    let (end, done) = oneshot::channel();
    (client, end, Handshake { done, connection })
}

#[tokio::test(start_paused = true)]
async fn a_handshake_holds_no_other_connection_up() {
    let (make, listener) = made();
    tokio::spawn(sockeye::serve(listener, ok()).into_future());
    let (mut slow, slow_end, accepted) = handshake();
    make.send(Ok(accepted)).expect("it listens");
    let (mut quick, quick_end, accepted) = handshake();
    make.send(Ok(accepted)).expect("it listens");
    for (client, end) in [(&mut quick, quick_end), (&mut slow, slow_end)] {
        client.write_all(GET.as_bytes()).await.expect("the pipe is empty");
        end.send(Ok(())).expect("it is waited for");
        assert!(read_until(client, "ok").await.starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_fails_or_takes_too_long_ends_its_connection() {
    let (make, listener) = made();
    tokio::spawn(sockeye::serve(listener, ok()).into_future());
    let (client, end, accepted) = handshake();
    make.send(Ok(accepted)).expect("it listens");
    end.send(Err(io::Error::other("no common cipher"))).expect("it is waited for");
    assert_eq!(all(client).await, "");

    let (client, _never, accepted) = handshake();
    make.send(Ok(accepted)).expect("it listens");
    let start = Instant::now();
    assert_eq!(all(client).await, "");
    assert_eq!(start.elapsed().as_secs(), 10);
}

/// Requests carry what the listener knows, and handlers of sessions are told.
#[tokio::test(start_paused = true)]
async fn a_connection_of_any_kind_has_the_addresses_that_it_is_told() {
    const POLL: &str = "POST /app/0/ID/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let (gateway, mut sessions) = reporting("/app");
    let (make, listener) = made();
    tokio::spawn(sockeye::serve(listener, gateway).into_future());
    let (give, mut of_tcp) = mpsc::unbounded_channel();
    let endpoint = TcpEndpoint::new(move |session: Session| {
        give.send(session).expect("the test waits");
        std::future::ready(())
    });
    let (make_tcp, listener) = made();
    tokio::spawn(async move { endpoint.listen(listener).await });
    let peer = SocketAddr::from(([192, 0, 2, 1], 4711));
    let local = SocketAddr::from(([192, 0, 2, 2], 443));
    for (peer, local) in [(None, None), (Some(peer), None), (None, Some(local))] {
        let told = |mut connection: Connection| {
            if let Some(peer) = peer {
                connection = connection.peer(peer);
            }
            if let Some(local) = local {
                connection = connection.local(local);
            }
            Ok(connection)
        };
        let (mut client, connection) = pipe();
        make.send(told(connection)).expect("it listens");
        let poll = POLL.replace("ID", &format!("{}{}", peer.is_some(), local.is_some()));
        client.write_all(poll.as_bytes()).await.expect("the pipe is empty");
        let session = within("a session", sessions.recv()).await.expect("the gateway lives");
        assert_eq!((session.info().peer(), session.info().local()), (peer, local));
        assert!(session.info().extensions().is_empty());

        let (_client, connection) = pipe();
        make_tcp.send(told(connection)).expect("it listens");
        let session = within("a session", of_tcp.recv()).await.expect("the endpoint lives");
        assert_eq!((session.info().peer(), session.info().local()), (peer, local));
    }
}

/// An axum handler, say, which is told as well.
#[tokio::test(start_paused = true)]
async fn a_request_carries_the_addresses_for_any_service() {
    let (make, listener) = made();
    let service = service_fn(async |request: Request<Incoming>| {
        let (peer, local) =
            (request.extensions().get::<PeerAddr>(), request.extensions().get::<LocalAddr>());
        Ok(Response::new(format!("{peer:?} {local:?}.")))
    });
    tokio::spawn(sockeye::serve(listener, service).into_future());
    let (mut client, connection) = pipe();
    let connection =
        connection.peer(([192, 0, 2, 1], 4711).into()).local(([192, 0, 2, 2], 443).into());
    make.send(Ok(connection)).expect("it listens");
    client.write_all(GET.as_bytes()).await.expect("the pipe is empty");
    let said = "Some(PeerAddr(192.0.2.1:4711)) Some(LocalAddr(192.0.2.2:443)).";
    read_until(&mut client, said).await;
}

/// The WebSocket gets the connection itself back from hyper, with its bytes in order: the first
/// one was read ahead.
#[tokio::test(start_paused = true)]
async fn a_websocket_runs_on_a_connection_of_any_kind() {
    let (make, listener) = made();
    let gateway = Gateway::new().endpoint("/echo", echo);
    tokio::spawn(sockeye::serve(listener, gateway).into_future());
    let (client, connection) = pipe();
    make.send(Ok(connection)).expect("it listens");
    let (mut client, _) =
        client_async("ws://localhost/echo/websocket", client).await.expect("a handshake");
    for text in ["one", &"x".repeat(50_000)] {
        client.send(Packet::text(text)).await.expect("the server reads");
        let echoed = client.next().await.expect("an echo").expect("a message");
        assert_eq!(echoed.to_text().expect("a text"), text);
    }
}

/// The loop that accepts is one for both.
#[tokio::test(start_paused = true)]
async fn a_tcp_endpoint_takes_any_listener() {
    let (make, listener) = made();
    let endpoint = TcpEndpoint::new(echo);
    tokio::spawn(async move { endpoint.listen(listener).await });
    make.send(Err(io::Error::other("Too many open files"))).expect("it listens");
    let (mut client, end, accepted) = handshake();
    make.send(Ok(accepted)).expect("it listens");
    end.send(Ok(())).expect("it is waited for");
    client.write_all(&record("hello")).await.expect("the pipe is empty");
    let mut echoed = [0; 7];
    within("the echo", client.read_exact(&mut echoed)).await.expect("the session lives");
    assert_eq!(&echoed[..], record("hello"));

    let (client, _never, accepted) = handshake();
    make.send(Ok(accepted)).expect("it listens");
    let start = Instant::now();
    assert_eq!(all(client).await, "");
    assert_eq!(start.elapsed().as_secs(), 10, "that of the first record");
}
