//! Stops.

use std::sync::Arc;

use sockeye::{DrainConfig, Drained};
use tokio::sync::Semaphore;

use super::*;
use common::client::Client;
use common::transport::Transport;

/// An answer in progress when the server stops goes out in full, and then its connection ends.
#[tokio::test]
async fn stopping_lets_requests_finish() {
    let (gateway, mut sessions) = reporting("/poll");
    let server = start(ServeConfig::new().stop_grace(hour()), gateway).await;
    let poll = "POST /poll/0/a/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let mut stream = connect(server.addr, poll).await;
    // The session's open frame answers the first poll; the second one waits for a message.
    let session = within("a session", sessions.recv()).await.expect("the gateway lives");
    read_until(&mut stream, "o\n").await;
    stream.write_all(poll.as_bytes()).await.expect("sent");
    let silent = connect(server.addr, "").await;
    // Refused only when the poll has been taken up, and accepted behind the silent one.
    let mut second = connect(server.addr, poll).await;
    read_until(&mut second, "c[2010,\"Another connection still open\"]\n").await;

    drop(server.stop);
    // These are idle: that they end shows that the stop has arrived.
    assert_eq!((all(second).await, all(silent).await), Default::default());
    session.send("the last words").await.expect("the session is open");
    assert!(all(stream).await.ends_with("a[\"the last words\"]\n"));
    let stopped = within("the stop", server.stopped).await.expect("no panic");
    assert_eq!(stopped.cut, 0);
    TcpStream::connect(server.addr).await.expect_err("the listener is closed");
}

/// Unfinished requests are cut off, and counted: a stop takes at most the grace time.
#[tokio::test(start_paused = true)]
async fn stopping_does_not_wait_for_ever() {
    let (make, listener) = made();
    let (begun, mut begins) = mpsc::unbounded_channel();
    let service = service_fn(move |_: Request<Incoming>| {
        begun.send(()).expect("the test waits");
        std::future::pending::<Result<Response<String>, Infallible>>()
    });
    let (stop, signal) = oneshot::channel::<()>();
    let server =
        sockeye::serve(listener, service).with_graceful_shutdown(async move { drop(signal.await) });
    let stopped = tokio::spawn(server.into_future());
    let (mut client, connection) = pipe();
    make.send(Ok(connection)).expect("it listens");
    client.write_all(GET.as_bytes()).await.expect("the pipe is empty");
    begins.recv().await.expect("the service lives");
    let start = tokio::time::Instant::now();
    drop(stop);
    assert_eq!(stopped.await.expect("no panic").cut, 1);
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(all(client).await, "", "the connection is closed, though the runtime goes on");
}

/// No deadline holds then: the answer takes as long as it takes.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_dropped_leaves_answers_in_flight_to_their_end() {
    let (make, listener) = made();
    let (begun, mut begins) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let going = Arc::clone(&go);
    let service = service_fn(move |_: Request<Incoming>| {
        begun.send(()).expect("the test waits");
        let go = Arc::clone(&going);
        async move {
            drop(go.acquire().await);
            Ok(Response::new("ok".to_owned()))
        }
    });
    let server = tokio::spawn(sockeye::serve(listener, service).into_future());
    let (mut client, connection) = pipe();
    make.send(Ok(connection)).expect("it listens");
    client.write_all(GET.as_bytes()).await.expect("the pipe is empty");
    begins.recv().await.expect("the service lives");
    server.abort();
    make.closed().await;
    tokio::time::sleep(hour()).await;
    go.add_permits(1);
    let answer = all(client).await;
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

/// A client between two polls can only be told when it comes back, be it on a connection of its
/// own: until then the server listens. A waiting stream does not hold the stop up.
#[tokio::test]
async fn a_drain_keeps_the_listener_until_all_are_told() {
    let (gateway, mut sessions) = reporting("/app");
    let (listener, addr) = listen().await;
    let (stop, signal) = oneshot::channel::<()>();
    let stopped = sockeye::serve(listener, gateway.clone()).with_drain(
        async move { drop(signal.await) },
        gateway.clone(),
        DrainConfig::default(),
    );
    let stopped = tokio::spawn(stopped.into_future());
    let mut clients = Vec::new();
    let mut open = Vec::new();
    for transport in Transport::ALL {
        clients.push(Client::open(addr, "/app", transport).await);
        open.push(within("a session", sessions.recv()).await.expect("the gateway lives"));
    }
    drop(stop);
    for mut client in clients {
        assert_eq!(client.closed().await, (1001, "Server shutting down".to_owned()));
    }
    let Drained { told, untold, undelivered, .. } =
        within("the stop", stopped).await.expect("no panic");
    assert_eq!((told, untold, undelivered), (Transport::ALL.len(), 0, 0));
    TcpStream::connect(addr).await.expect_err("the listener is closed");
}
