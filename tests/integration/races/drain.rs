//! A drain under load: 200 sessions on each transport send and receive while it begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sockeye::{DrainConfig, Drained, EndpointConfig, Gateway, SendError, Sender, Session};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

use common::client::{Client, Event, json};
use common::transport::Transport;
use common::within;

const SESSIONS: usize = 200;
/// Messages that each client has received when the drain begins.
const WARM: usize = 5;
/// Between two messages of a session: all of them together are a load that two cores carry.
const PACE: Duration = Duration::from_millis(250);

/// One load at a time.
static MACHINE: Mutex<()> = Mutex::const_new(());

/// A session as its handler knows it in the end.
struct Handled {
    sent: usize,
    received: usize,
    undelivered: usize,
    code: u16,
}

/// An application that sends numbers, and receives meanwhile.
fn gateway() -> (Gateway, mpsc::UnboundedReceiver<Handled>) {
    let (tell, handled) = mpsc::unbounded_channel();
    // Small, so that sends wait for their clients. And a client that this machine leaves no time is
    // not gone.
    let config =
        EndpointConfig::new().outbound_messages(16).disconnect_delay(Duration::from_secs(60));
    let gateway = Gateway::new().endpoint_with("/load", config, move |mut session: Session| {
        let tell = tell.clone();
        async move {
            let sender = session.sender();
            let (mut sent, mut received) = (0, 0);
            loop {
                tokio::select! {
                    message = session.recv() => match message {
                        Some(_) => received += 1,
                        None => break,
                    },
                    taken = paced(&sender, sent), if !sender.is_closed() => {
                        sent += usize::from(taken.is_ok());
                    }
                }
            }
            let end = session.ended().await;
            let (undelivered, code) = (end.undelivered, end.reason.code());
            tell.send(Handled { sent, received, undelivered, code }).expect("the test waits");
        }
    });
    (gateway, handled)
}

async fn paced(sender: &Sender, number: usize) -> Result<(), SendError> {
    tokio::time::sleep(PACE).await;
    sender.send(number.to_string()).await
}

/// What a client knows in the end.
#[derive(Default)]
struct Seen {
    received: usize,
    /// Payloads that were answered as taken before the drain.
    taken: usize,
}

async fn work(
    mut client: Client,
    transport: Transport,
    warm: Arc<Semaphore>,
    draining: Arc<AtomicBool>,
) -> Seen {
    let mut seen = Seen::default();
    loop {
        match client.recv().await {
            Event::Message(number) => {
                assert_eq!(number, seen.received.to_string(), "{transport:?}: in order, once");
                seen.received += 1;
            }
            Event::Heartbeat => {}
            Event::Close(code, reason) => {
                assert_eq!((code, &*reason), (1001, "Server shutting down"), "{transport:?}");
                return seen;
            }
            other => panic!("{transport:?}: {other:?}"),
        }
        if seen.received == WARM {
            warm.add_permits(1);
        }
        if seen.received.is_multiple_of(3) && !transport.is_socket() {
            let answer = client.post(&json(&["up"])).await;
            // Told meanwhile: then the session is gone.
            assert!(answer.is_taken() || answer.status() == 404, "{transport:?}: {answer:?}");
            // Told after the answer, so that it was taken before.
            seen.taken += usize::from(answer.is_taken() && !draining.load(Ordering::SeqCst));
        } else if seen.received.is_multiple_of(3) && !draining.load(Ordering::SeqCst) {
            client.send(&["up"]).await;
        }
    }
}

/// Starts the clients, drains when all are at work, and compares what both sides know.
async fn drain_under_load(
    addr: std::net::SocketAddr,
    mut handled: mpsc::UnboundedReceiver<Handled>,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<Drained>,
) {
    let (warm, draining) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicBool::new(false)));
    let count = SESSIONS * Transport::ALL.len();
    let mut clients = Vec::new();
    for transport in Transport::ALL {
        for _ in 0..SESSIONS {
            let (warm, draining) = (warm.clone(), draining.clone());
            clients.push(tokio::spawn(async move {
                let opening = Client::open(addr, "/load", transport).await;
                work(opening, transport, warm, draining).await
            }));
        }
    }
    let all = u32::try_from(count).expect("a small number");
    drop(within("all clients at work", warm.acquire_many(all)).await.expect("it stays open"));
    draining.store(true, Ordering::SeqCst);
    drop(stop);
    let mut seen = Seen::default();
    for client in clients {
        let one = within("a client that was told", client).await.expect("no panic");
        seen.received += one.received;
        seen.taken += one.taken;
    }
    let drained = within("the end of the server", server).await.expect("no panic");
    assert_eq!((drained.told, drained.untold), (count, 0));
    let (mut sent, mut received, mut undelivered) = (0, 0, 0);
    for _ in 0..count {
        let one = within("a handler's end", handled.recv()).await.expect("the gateway lives");
        assert_eq!(one.code, 1001);
        sent += one.sent;
        received += one.received;
        undelivered += one.undelivered;
    }
    assert_eq!((sent, drained.undelivered), (seen.received + undelivered, undelivered));
    assert!(received >= seen.taken, "{received} of {}", seen.taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_is_told_and_every_message_counted() {
    let _machine = MACHINE.lock().await;
    let (gateway, handled) = gateway();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = sockeye::serve(listener, gateway.clone()).with_drain(
        async move { drop(stopped.await) },
        gateway,
        DrainConfig::new().drain_time(Duration::from_secs(20)),
    );
    let server = tokio::spawn(serving.into_future());
    drain_under_load(addr, handled, stop, server).await;
}

#[cfg(feature = "axum")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_is_told_and_every_message_counted_under_axum() {
    let _machine = MACHINE.lock().await;
    let (gateway, handled) = gateway();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel::<()>();
    let (tell, told) = oneshot::channel();
    let server = tokio::spawn(async move {
        axum::serve(listener, gateway.clone().into_axum())
            .with_graceful_shutdown(async move {
                drop(stopped.await);
                let _ = tell.send(
                    gateway.drain(DrainConfig::new().drain_time(Duration::from_secs(20))).await,
                );
            })
            .await
            .expect("it can't fail");
        told.await.expect("it was drained")
    });
    drain_under_load(addr, handled, stop, server).await;
}
