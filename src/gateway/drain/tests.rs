//! Time, without sockets: the lead, the steps, the deadline.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, Empty};
use tokio::sync::Semaphore;

use super::*;
use crate::Session;

async fn idle(mut session: Session) {
    while session.recv().await.is_some() {}
}

/// The answer to a poll: its status, and its frame.
fn poll(gateway: &Gateway, session: usize) -> impl Future<Output = (u16, Bytes)> + use<> {
    let request =
        http::Request::builder().method(Method::POST).uri(format!("/app/0/{session}/xhr"));
    let answering = hyper::service::Service::call(
        gateway,
        request.body(Empty::<Bytes>::new()).expect("a request"),
    );
    async move {
        let Ok(response) = answering.await;
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.expect("infallible").to_bytes())
    }
}

const GONE: &[u8] = b"c[1001,\"Server shutting down\"]\n";

fn elapsed(since: Instant) -> u128 {
    clock::now().saturating_duration_since(since).as_millis()
}

/// A balancer looks every few seconds, and sends clients until it has looked.
#[tokio::test(start_paused = true)]
async fn in_the_lead_only_the_word_is_out() {
    let gateway = Gateway::new().endpoint("/app", idle);
    assert_eq!(poll(&gateway, 0).await, (200, "o\n".into()));
    let (waiting, begun) = (poll(&gateway, 0), clock::now());
    assert!(!gateway.is_draining());
    let config = DrainConfig::new().drain_lead(Duration::from_secs(20));
    let draining = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.drain(config).await }
    });
    tokio::time::sleep(Duration::from_secs(19)).await;
    assert!(gateway.is_draining());
    assert_eq!(poll(&gateway, 1).await, (200, "o\n".into()));
    assert_eq!(waiting.await, (200, GONE.into()));
    assert_eq!(elapsed(begun), 20_000);
    assert_eq!(poll(&gateway, 2).await.0, 503);
    // It came in the lead, and is told as the others.
    assert_eq!(poll(&gateway, 1).await, (200, GONE.into()));
    assert_eq!(draining.await.expect("no panic").told, 2);
    assert_eq!(elapsed(begun), 20_000, "nothing more to wait for");
}

/// A hundred thousand clients that all come to the next server in one moment would end that one
/// too.
#[tokio::test(start_paused = true)]
async fn many_sessions_are_told_in_steps() {
    for (count, steps) in [(99, 1), (100, 50), (130, 44)] {
        let gateway = Gateway::new().endpoint("/app", idle);
        let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
        for session in 0..count {
            assert_eq!(poll(&gateway, session).await, (200, "o\n".into()));
            let (waiting, told) = (poll(&gateway, session), told.clone());
            tokio::spawn(async move {
                assert_eq!(waiting.await, (200, GONE.into()));
                told.send(clock::now()).expect("the test waits");
            });
        }
        drop(told);
        let begun = clock::now();
        let drained = gateway.drain(DrainConfig::new().drain_batch(100)).await;
        assert_eq!((drained.told, drained.untold), (count, 0));
        let mut times = Vec::new();
        while let Some(at) = tells.recv().await {
            times.push(at.saturating_duration_since(begun).as_millis());
        }
        times.dedup();
        assert_eq!(times, (0..steps).map(|step| step * 100).collect::<Vec<_>>(), "{count}");
    }
}

/// What holds a drain up is cut off at its deadline: a client between polls whose time is not over,
/// and a handler that does not return.
#[tokio::test(start_paused = true)]
async fn a_drain_ends_at_its_deadline() {
    let config = super::super::EndpointConfig::new().disconnect_delay(Duration::from_secs(3600));
    let never = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&never);
    let gateway = Gateway::new().endpoint_with("/app", config, move |session: Session| {
        let waiting = Arc::clone(&waiting);
        async move {
            session.send("lost").await?;
            drop(waiting.acquire().await);
            Ok::<_, crate::SendError>(())
        }
    });
    assert_eq!(poll(&gateway, 0).await, (200, "o\n".into()));
    let begun = clock::now();
    let drained = gateway.drain(DrainConfig::new().drain_time(Duration::from_secs(7))).await;
    assert_eq!(drained, Drained { told: 0, untold: 1, undelivered: 1 });
    assert_eq!(elapsed(begun), 7000);
    assert_eq!(gateway.sessions(), 0);
    assert_eq!(poll(&gateway, 0).await, (200, GONE.into()), "it is told when it comes back");
}

/// The count is of those that the drain ends.
#[tokio::test(start_paused = true)]
async fn a_session_that_has_ended_is_not_counted() {
    let gateway = Gateway::new().endpoint("/app", |session: Session| async move { drop(session) });
    assert_eq!(poll(&gateway, 0).await, (200, "o\n".into()));
    assert_eq!(poll(&gateway, 0).await, (200, "c[1000,\"Normal closure\"]\n".into()));
    assert_eq!(gateway.sessions(), 1, "it may still be asked for");
    assert_eq!(gateway.drain(DrainConfig::new()).await, Drained::default());
}
