//! Clients that are lost, half closed, or read nothing: over sockets.

use sockeye::{EndedBy, EndpointConfig};

use super::*;

#[tokio::test]
async fn an_application_learns_the_addresses_of_both_ends() {
    let (gateway, mut sessions) = reporting("/app");
    let server = start(ServeConfig::default(), gateway).await;
    let request = "POST /app/0/a/xhr HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    let stream = connect(server.addr, request).await;
    let session = within("a session", sessions.recv()).await.expect("the gateway lives");
    assert_eq!(session.info().peer(), stream.local_addr().ok());
    assert_eq!(session.info().local(), Some(server.addr));
}

/// A client asks for a poll, sends a line end too many perhaps, and goes. hyper does not look at the
/// connection while the line end waits to be read, so without the watch the session would live
/// until a heartbeat fails: here for an hour.
#[tokio::test]
async fn a_client_that_is_lost_while_its_poll_waits_is_noticed_at_once() {
    let config = EndpointConfig::new().heartbeat_delay(hour()).disconnect_delay(hour());
    for path in ["/app/0/a/xhr", "/app/0/a/xhr_streaming"] {
        for stray in ["", "\r\n"] {
            let (give, mut sessions) = mpsc::unbounded_channel();
            let gateway = Gateway::new().endpoint_with("/app", config.clone(), move |session| {
                give.send(session).expect("the test waits");
                std::future::ready(())
            });
            let server = start(ServeConfig::default(), gateway).await;
            let request = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
            let mut client = connect(server.addr, &request).await;
            let session: Session =
                within("a session", sessions.recv()).await.expect("the gateway lives");
            if path.ends_with("xhr") {
                read_until(&mut client, "o\n").await;
                client.write_all(format!("{request}{stray}").as_bytes()).await.expect("sent");
                // Refused once the poll waits.
                let mut other = connect(server.addr, &request).await;
                read_until(&mut other, "c[2010,\"Another connection still open\"]\n").await;
            } else {
                read_until(&mut client, "o\n\r\n").await;
                client.write_all(stray.as_bytes()).await.expect("sent");
            }
            drop(client);
            let end = within("the end of the session", session.ended()).await;
            assert_eq!((end.reason.code(), end.by), (1002, EndedBy::Peer), "{path} {stray:?}");
        }
    }
}

/// `nc -N` and the like close their sending side right after the request, and still want the
/// answer, also one that is long in coming: hyper by itself drops the request at the end of input.
#[tokio::test(start_paused = true)]
async fn a_client_that_closes_its_sending_side_gets_its_answer() {
    let (make, listener) = made();
    let service = service_fn(async |_: Request<Incoming>| {
        tokio::time::sleep(hour()).await;
        Ok(Response::new("ok".to_owned()))
    });
    tokio::spawn(sockeye::serve(listener, service).into_future());
    let (mut client, connection) = pipe();
    make.send(Ok(connection)).expect("it listens");
    client.write_all(GET.as_bytes()).await.expect("the pipe is empty");
    client.shutdown().await.expect("connected");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("text");
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
}

/// A phone in a tunnel, or a debugger at a breakpoint: the kernel answers for the peer, but its
/// program does not read. TCP by itself keeps such a connection forever; the session must end,
/// and with it its queue.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_peer_whose_window_stays_shut_loses_its_session() {
    let (told, mut ends) = mpsc::unbounded_channel();
    let gateway = Gateway::new().endpoint("/flood", move |session: Session| {
        let told = told.clone();
        async move {
            let flood = "x".repeat(64 * 1024);
            while session.send(flood.as_str()).await.is_ok() {}
            drop(told.send(session.ended().await));
        }
    });
    let config = ServeConfig::new().unacknowledged_timeout(Duration::from_secs(1));
    let server = start(config, gateway).await;
    let request = "GET /flood/websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let _unread = connect(server.addr, request).await;
    let end = within("the end of the session", ends.recv()).await.expect("the gateway lives");
    assert!(end.undelivered > 0, "{end:?}");
}
