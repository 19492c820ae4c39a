//! Delays.

use std::time::Duration;

use futures_util::SinkExt;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use sockeye::{CloseReason, EndedBy, EndpointConfig, Gateway, Session};
use tokio::sync::mpsc;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message as Packet;

use super::rig::{PREFIX, Rig};
use common::client::Event;
use common::transport::Transport;

pub(crate) async fn heartbeats_come_while_nothing_else_does(transport: Transport) {
    let config = EndpointConfig::new().heartbeat_delay(Duration::from_millis(20));
    let (mut client, session) = Rig::with(transport, config).await.open().await;
    for _ in 0..3 {
        assert_eq!(client.recv().await, Event::Heartbeat);
    }
    session.send("and the session goes on").await.expect("the client is there");
    assert_eq!(client.message().await, "and the session goes on");
}

/// While the application does not receive, the socket is not read, and a pong that waits in it
/// can't be seen: no client is blamed for that. When it receives again, the peer has the whole time
/// anew, and then not longer.
#[tokio::test(start_paused = true)]
async fn the_pong_timer_stands_still_while_the_application_does_not_receive() {
    for path in ["/app/000/s/websocket", "/app/websocket"] {
        let (give, mut sessions) = mpsc::unbounded_channel();
        let config = EndpointConfig::new().inbound_messages(1);
        let gateway = Gateway::new().endpoint_with(PREFIX, config, move |session| {
            give.send(session).expect("the test waits");
            std::future::ready(())
        });
        // In memory, for time to pass as soon as nothing else is to be done.
        let (near, far) = tokio::io::duplex(64 * 1024);
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(far), gateway).with_upgrades();
        tokio::spawn(connection);
        let (mut client, _) =
            client_async(format!("ws://localhost{path}"), near).await.expect("a handshake");
        let mut session: Session = sessions.recv().await.expect("the gateway lives");

        // The client never reads from here on, so it answers no ping.
        for number in 0..3 {
            client.send(Packet::text(format!("[\"{number}\"]"))).await.expect("the server reads");
        }
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(!session.sender().is_closed(), "{path}: it is not the client's fault");

        for _ in 0..3 {
            session.recv().await.expect("it was sent");
        }
        let end = session.ended().await;
        assert_eq!((end.reason, end.by), (CloseReason::NO_PONG, EndedBy::Gateway), "{path}");
    }
}
