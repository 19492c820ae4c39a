//! Back-pressure from one end to the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::SinkExt;
use sockeye::EndpointConfig;
use sockeye_apps::UpstreamConfig;
use tokio_tungstenite::tungstenite::Message as Packet;

use super::backend::{Rig, SHORT};
use common::client::json;
use common::transport::Transport;
use common::within;

/// Far more than the queues of the session and the sockets' buffers hold.
const MUCH: usize = 24 * 1024 * 1024;
const MESSAGE: usize = 60_000;

fn message(n: usize) -> String {
    format!("{n} {}", "x".repeat(MESSAGE))
}

/// Waits until `count` stands still. On a slow machine this may return too early, which makes a
/// test weaker, but never red.
pub(crate) async fn standstill(count: &AtomicUsize) -> usize {
    let (mut last, mut quiet) = (0, 0);
    while quiet < 20 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = count.load(Ordering::Relaxed);
        quiet = if now == last && now > 0 { quiet + 1 } else { 0 };
        last = now;
    }
    last
}

pub(crate) async fn a_backend_that_does_not_read_stops_its_client(transport: Transport) {
    let minute = Duration::from_secs(60);
    // A client that sends and does not poll is missed only then.
    let patient = EndpointConfig::new().send_wait(minute).disconnect_delay(minute);
    let rig = Rig::with(transport, UpstreamConfig::default(), patient).await;
    let (client, mut backend) = rig.open().await;
    let (sent, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&sent);
    let all = MUCH / MESSAGE;
    let finished = Arc::clone(&done);
    let sending = tokio::spawn(async move {
        let mut client = client;
        for n in 0..all {
            client.send(&[&message(n)]).await;
            counted.fetch_add(1, Ordering::Relaxed);
        }
        finished.fetch_add(1, Ordering::Relaxed);
        client
    });
    let stopped = standstill(&sent).await;
    assert!(
        stopped < all && done.load(Ordering::Relaxed) == 0,
        "{stopped} messages were taken, without a reader"
    );
    for n in 0..all {
        assert_eq!(backend.message().await, message(n));
    }
    drop(within("the rest to be sent", sending).await.expect("all is taken"));
}

pub(crate) async fn a_client_that_does_not_read_stops_the_backend(transport: Transport) {
    // A client that does not poll is missed only then.
    let patient = EndpointConfig::new().disconnect_delay(Duration::from_secs(60));
    let rig = Rig::with(transport, UpstreamConfig::default(), patient).await;
    let (mut client, backend) = rig.open().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let all = MUCH / MESSAGE;
    let sending = tokio::spawn(async move {
        let mut backend = backend;
        for n in 0..all {
            backend.send(&message(n)).await;
            counted.fetch_add(1, Ordering::Relaxed);
        }
        backend
    });
    let stopped = standstill(&sent).await;
    assert!(stopped < all, "{stopped} messages were taken, without a reader");
    for n in 0..all {
        assert_eq!(client.message().await, message(n));
    }
    drop(within("the rest to be sent", sending).await.expect("all is taken"));
}

/// Over HTTP a client can't be stopped forever: its payload is refused, and the session says why.
#[tokio::test]
async fn a_backend_that_never_reads_loses_an_http_client() {
    let minute = Duration::from_secs(60);
    let hasty = EndpointConfig::new().send_wait(SHORT).disconnect_delay(minute);
    let rig = Rig::with(Transport::Xhr, UpstreamConfig::default(), hasty).await;
    let (mut client, mut backend) = rig.open().await;
    let payload = json(&[message(0)]);
    let mut taken = 0;
    loop {
        let answer = client.post(&payload).await;
        if !answer.is_taken() {
            assert_eq!(answer.status(), 503);
            break;
        }
        taken += 1;
        assert!(taken < MUCH / MESSAGE, "there is no reader");
    }
    assert_eq!(client.closed().await, (1008, "inbound queue full".to_owned()));
    for _ in 0..taken {
        assert_eq!(backend.message().await, message(0));
    }
    assert_eq!(backend.closed().await, (1008, "inbound queue full".to_owned()));
}

#[tokio::test]
async fn a_backend_that_takes_nothing_for_write_timeout_is_given_up() {
    let config = UpstreamConfig::new().write_timeout(SHORT);
    let rig = Rig::with(Transport::Xhr, config, EndpointConfig::default()).await;
    let (mut client, _backend) = rig.open().await;
    let uplink = client.uplink();
    let flood = tokio::spawn(async move {
        let payload = json(&[message(0)]);
        for _ in 0..MUCH / MESSAGE {
            uplink.post(&payload).await;
        }
    });
    assert_eq!(
        client.closed().await,
        (1011, "backend does not read: write_timeout is 100ms".to_owned())
    );
    flood.abort();
}

/// A backend may close while its messages wait for a client that does not read yet. They are more
/// than the session's queue holds, and less than would keep the backend from sending all of them:
/// how much the kernel takes besides differs from run to run.
#[tokio::test]
async fn a_close_waits_behind_the_messages() {
    let rig = Rig::start(Transport::RawWebSocket).await;
    let (mut client, mut backend) = rig.open().await;
    for n in 0..24 {
        backend.socket.feed(Packet::text(message(n))).await.expect("the gateway is there");
    }
    let closing = tokio::spawn(backend.close(4000, "that was all"));
    for n in 0..24 {
        assert_eq!(client.message().await, message(n));
    }
    assert_eq!(client.closed().await, (4000, "that was all".to_owned()));
    closing.await.expect("an answered close");
}
