//! Connections that come and go: over sockets.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use sockeye::{Body, EndedBy, EndpointConfig, Gateway, Session};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tower_service::Service;

use super::{Order, PREFIX, echo, gateway, patient, poll_once};
use common::client::Client;
use common::log::log;
use common::server::{serve, serve_service};
use common::transport::{Frame, Transport};
use common::within;

/// The client aborts its receiver and comes again at once, on a new connection, while both cores
/// are busy with something else. The server may see the newcomer first. It must not be told that
/// the old connection is still open, for its client knows that it is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abort_then_reconnect_by_polls() {
    abort_then_reconnect(Transport::Xhr).await;
}

/// The same story with streams.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abort_then_reconnect_by_streams() {
    abort_then_reconnect(Transport::XhrStreaming).await;
}

async fn abort_then_reconnect(transport: Transport) {
    let _load = Load::on_both_cores();
    let waits = Arc::new(Semaphore::new(0));
    // The default of attach_wait is what is tested here.
    let gateway = gateway(EndpointConfig::default(), echo);
    let addr = serve_service(Watched { gateway, waits: Arc::clone(&waits) }).await;
    for round in 0..2_000 {
        let mut client = Client::open(addr, PREFIX, transport).await;
        let session = client.session().to_owned();
        if transport.polls() {
            client.attach().await.expect("the session lives");
            within("the poll to wait", waits.acquire()).await.expect("never closed").forget();
        }
        if round % 2 == 0 {
            drop(client)
        } else {
            client.reset()
        }

        let mut next = Client::of_session(addr, &session, transport);
        match next.frame().await {
            Frame::Open => {}
            Frame::Close(1002, reason) if reason == "Connection interrupted" => {
                drop(next);
                next = Client::of_session(addr, &session, transport);
                assert_eq!(next.frame().await, Frame::Open, "round {round}: the name is free");
            }
            other => panic!("round {round}: {other:?}"),
        }
        // Newcomers wait as well, when they come early.
        waits.forget_permits(usize::MAX);
    }
}

/// The server ends a response, because it was a poll or because the limit is reached, and the
/// client is back while the old response is still on its way out of the server. It is never told
/// that its own last connection is in the way, though no test waits for that here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_back_at_once() {
    let config = patient().response_limit(1).attach_wait(Duration::ZERO);
    let addr = serve(gateway(config, echo)).await;
    let mut clients = JoinSet::new();
    for transport in [
        Transport::Xhr,
        Transport::XhrStreaming,
        Transport::EventSource,
        Transport::HtmlFile,
        Transport::Jsonp,
    ] {
        clients.spawn(async move {
            let mut client = Client::open(addr, PREFIX, transport).await;
            for round in 0..300 {
                let mut next = Client::of_session(addr, client.session(), transport);
                next.send(&[&round.to_string()]).await;
                assert_eq!(next.message().await, round.to_string());
                client = next;
            }
        });
    }
    within("all clients", clients.join_all()).await;
}

/// The application sends a lot and closes before any of it has left. All of it arrives, then the
/// close, then the end of the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_while_messages_are_on_their_way() {
    let large = "x".repeat(16 * 1024);
    let config = patient().outbound_bytes(usize::MAX);
    let addr = serve(gateway(config, move |session: Session| {
        let large = large.clone();
        async move {
            for number in 0..40 {
                session.try_send(format!("{number} {large}")).expect("there is room");
            }
            session.close((3000, "that was all"));
        }
    }))
    .await;
    let mut clients = JoinSet::new();
    for transport in Transport::ALL {
        clients.spawn(async move {
            for _ in 0..10 {
                let mut client = Client::open(addr, PREFIX, transport).await;
                for number in 0..40 {
                    let message = client.message().await;
                    assert_eq!(message.split_once(' ').expect("a number").0, number.to_string());
                }
                assert_eq!(client.closed().await, (3000, "that was all".to_owned()));
            }
        });
    }
    within("all clients", clients.join_all()).await;
}

/// The application closes while the client breaks its connection off. One of them was first; both
/// agree on which, everything is told once, and nothing of the session stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_while_the_client_goes() {
    let log = log();
    let config = patient().disconnect_delay(Duration::from_millis(20));
    let (give, mut sessions) = mpsc::unbounded_channel();
    let gateway = gateway(config, move |session| {
        give.send(session).expect("the test waits");
        std::future::ready(())
    });
    let addr = serve(gateway.clone()).await;
    let mut ended = Vec::new();
    for round in 0..600 {
        let transport =
            [Transport::WebSocket, Transport::RawWebSocket, Transport::XhrStreaming][round % 3];
        let client = Client::open(addr, PREFIX, transport).await;
        let session: Session =
            within("a session", sessions.recv()).await.expect("the gateway lives");
        let sender = session.sender();
        let closing = tokio::spawn(async move { sender.close((3000, "enough")) });
        client.reset();
        closing.await.expect("no panic");
        let end = within("the end", session.ended()).await;
        let told = (end.reason.code(), end.by);
        assert!(
            [(3000, EndedBy::Application), (1002, EndedBy::Peer)].contains(&told),
            "round {round}: {told:?}"
        );
        ended.push(session.id());
    }
    within("all sessions to be forgotten", async {
        while gateway.sessions() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    for session in ended {
        assert_eq!(log.ends_of(session).len(), 1, "lines of {session}");
    }
}

/// Two threads and a WebSocket's task: messages are sent and received elsewhere than where the
/// socket is read and written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_is_woken_from_elsewhere() {
    const EACH: usize = 1_000;
    let config = patient().inbound_messages(2).outbound_messages(2);
    let addr = serve(gateway(config, |mut session: Session| async move {
        let senders = [0, 1].map(|sender| {
            let to_client = session.sender();
            tokio::spawn(async move {
                for number in 0..EACH {
                    to_client
                        .send(format!("{sender}:{number}"))
                        .await
                        .expect("the client is there");
                }
            })
        });
        let receiver = tokio::spawn(async move {
            let mut order = Order::default();
            while order.count < EACH {
                order
                    .check(session.recv().await.expect("more is to come").as_text().expect("text"));
            }
            session
        });
        let session = receiver.await.expect("no panic");
        for sender in senders {
            sender.await.expect("no panic");
        }
        drop(session);
    }))
    .await;
    for transport in [Transport::WebSocket, Transport::RawWebSocket] {
        let mut client = Client::open(addr, PREFIX, transport).await;
        let mut order = Order::default();
        for number in 0..EACH {
            client.send(&[&format!("0:{number}")]).await;
            for _ in 0..2 {
                order.check(&client.message().await);
            }
        }
        assert_eq!(client.closed().await.0, 1000);
    }
}

/// A gateway that tells when a request has begun to wait: then its receiver is attached.
#[derive(Clone)]
struct Watched {
    gateway: Gateway,
    waits: Arc<Semaphore>,
}

impl Service<Request<Incoming>> for Watched {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let mut answer = Service::call(&mut self.gateway, request);
        let waits = Arc::clone(&self.waits);
        Box::pin(async move {
            if let Poll::Ready(answer) = poll_once(answer.as_mut()).await {
                return answer;
            }
            waits.add_permits(1);
            answer.await
        })
    }
}

/// Keeps two cores busy for as long as it lives.
struct Load(Arc<AtomicBool>);

impl Load {
    fn on_both_cores() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..2 {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(stop)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
