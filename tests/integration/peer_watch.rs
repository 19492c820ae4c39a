//! Clients that go unnoticed by hyper alone: `WatchedStream` and `PeerWatch`.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use sockeye::{EndedBy, EndpointConfig, Gateway, Session, SessionEnd, WatchedStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Far beyond what any of this takes; only a session that never ends runs into it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client asks for a poll, sends a line end too many, and goes. hyper does not look at the
/// connection while the line end waits to be read, so without the watch the session would live
/// until a heartbeat fails: here for an hour.
#[tokio::test]
async fn stray_bytes_do_not_hide_a_lost_client() {
    for request in [
        "POST /echo/0/a/xhr HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /echo/0/a/xhr_streaming HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let (address, mut ends) = serve().await;
        // The first poll is answered at once; the second waits.
        let mut client = TcpStream::connect(address).await.unwrap();
        if !request.contains("streaming") {
            client.write_all(request.as_bytes()).await.unwrap();
            read_until(&mut client, "o\n").await;
        }
        client.write_all(request.as_bytes()).await.unwrap();
        client.write_all(b"\r\n").await.unwrap();
        drop(client);
        let end =
            tokio::time::timeout(PATIENCE, ends.recv()).await.expect("the end is noticed").unwrap();
        assert_eq!((end.reason.code(), end.by), (1002, EndedBy::Peer), "{request}");
    }
}

/// `nc -N` and the like close their sending side right after the request, and still want the
/// answer.
#[tokio::test]
async fn a_client_that_closes_its_sending_side_gets_its_answer() {
    let (address, _ends) = serve().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /echo/info HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    client.shutdown().await.unwrap();
    read_until(&mut client, "\"websocket\":true").await;
}

async fn serve() -> (SocketAddr, mpsc::Receiver<SessionEnd>) {
    let (tell, ends) = mpsc::channel(1);
    let handler = move |mut session: Session| {
        let tell = tell.clone();
        async move {
            while session.recv().await.is_some() {}
            let _ = tell.send(session.ended().await).await;
        }
    };
    let hour = Duration::from_secs(3600);
    let config = EndpointConfig::new().heartbeat_delay(hour).disconnect_delay(hour);
    let gateway = Gateway::new().endpoint_with("/echo", config, handler);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = WatchedStream::new(stream);
            let (gateway, watch) = (gateway.clone(), stream.watch());
            let service = service_fn(move |mut request| {
                request.extensions_mut().insert(watch.clone());
                gateway.call(request)
            });
            tokio::spawn(
                http1::Builder::new()
                    .half_close(true)
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (address, ends)
}

async fn read_until(client: &mut TcpStream, end: &str) {
    let (mut seen, mut buffer) = (String::new(), [0; 4096]);
    while !seen.ends_with(end) && !seen.contains(end) {
        let read = tokio::time::timeout(PATIENCE, client.read(&mut buffer))
            .await
            .expect("an answer")
            .unwrap();
        assert!(read > 0, "the connection ended after {seen:?}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}
