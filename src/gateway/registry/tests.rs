use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::{EndpointConfig, Gateway, Session};

async fn poll(gateway: &Gateway, segment: &str) -> Bytes {
    let request = Request::post(format!("/app/0/{segment}/xhr"))
        .body(Empty::<Bytes>::new())
        .expect("a request");
    let response = gateway.handle(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().collect().await.expect("infallible").to_bytes()
}

fn registry(gateway: &Gateway) -> &Arc<Registry> {
    &gateway.endpoints[0].registry
}

async fn idle(mut session: Session) {
    while session.recv().await.is_some() {}
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

/// Ten thousand sessions end, and no client comes any more: their ends were remembered forever, up
/// to 600 MB.
#[tokio::test(start_paused = true)]
async fn the_clock_forgets_ended_sessions_without_traffic() {
    let gateway = Gateway::new().endpoint("/app", idle);
    for number in 0..10_000 {
        assert_eq!(poll(&gateway, &number.to_string()).await, "o\n");
    }
    let limits = EndpointConfig::default();
    tokio::time::sleep(limits.disconnect_delay + Duration::from_secs(1)).await;
    assert_eq!((gateway.sessions(), registry(&gateway).lock().memory.held()), (0, 10_000));
    assert_eq!(poll(&gateway, "7").await, "c[1002,\"Connection interrupted\"]\n");
    tokio::time::sleep(limits.remembered_for).await;
    let tables = registry(&gateway).lock();
    assert_eq!(tables.memory.held(), 0);
    assert!(!tables.tasks.sweeping && !tables.tasks.reaping, "tasks without work end");
}

/// A gateway in a static, and a runtime for each test: no session of a polling client expired once
/// the first runtime had ended, because the reaper ended with it.
#[test]
fn sessions_expire_when_the_runtime_of_the_reaper_is_gone() {
    let gateway = Gateway::new().endpoint("/app", idle);
    assert_eq!(runtime().block_on(poll(&gateway, "a")), "o\n");
    assert_eq!(gateway.sessions(), 1, "its deadline stands");
    runtime().block_on(async {
        assert_eq!(poll(&gateway, "b").await, "o\n");
        assert_eq!(gateway.sessions(), 2);
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(gateway.sessions(), 0);
        assert_eq!(registry(&gateway).lock().memory.held(), 2);
    });
    assert!(!registry(&gateway).lock().tasks.sweeping, "the second one is gone as well");
    runtime().block_on(async {
        assert_eq!(poll(&gateway, "c").await, "o\n");
        tokio::time::sleep(Duration::from_secs(6) + EndpointConfig::default().remembered_for).await;
        assert_eq!(registry(&gateway).lock().memory.held(), 0);
    });
}

/// A session is closed on a thread outside any runtime, and the runtime that its registry knows has
/// ended: its deadline stands until the next runtime comes, and no thread deadlocks.
#[test]
fn a_runtime_that_has_ended_is_no_place_for_a_reaper() {
    let gateway = Gateway::new().endpoint("/app", idle);
    let first = runtime();
    assert_eq!(first.block_on(poll(&gateway, "a")), "o\n");
    let session = registry(&gateway).find("a").expect("it was opened");
    drop(first);
    session.close(CloseReason::NORMAL, crate::EndedBy::Application);
    registry(&gateway).schedule(&session, clock::now());
    assert!(!registry(&gateway).lock().tasks.reaping);
    runtime().block_on(async {
        assert_eq!(poll(&gateway, "b").await, "o\n");
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(gateway.sessions(), 0);
    });
}

/// What is remembered of ended sessions counts, and so does the head that a session keeps.
#[tokio::test(start_paused = true)]
async fn remembered_ids_and_kept_heads_count_in_the_budget() {
    let budget = crate::Budget::new(usize::MAX);
    let config = EndpointConfig::new().budget(budget.clone());
    let (disconnect_delay, remembered_for) = (config.disconnect_delay, config.remembered_for);
    let gateway = Gateway::new().endpoint_with("/app", config, idle);

    let (segment, cookie) = ("s".repeat(100), "c".repeat(5_000));
    assert_eq!(poll(&gateway, &segment).await, "o\n");
    let plain = budget.used();
    let request = Request::post(format!("/app/0/{}/xhr?q={}", "t".repeat(100), "q".repeat(3_000)))
        .header(http::header::COOKIE, &cookie)
        .body(Empty::<Bytes>::new())
        .expect("a request");
    drop(gateway.handle(request).await.into_body().collect().await);
    let with_head = budget.used() - plain - plain;
    assert!((8_000..9_000).contains(&with_head), "{with_head}");

    tokio::time::sleep(disconnect_delay + Duration::from_secs(1)).await;
    assert_eq!(gateway.sessions(), 0);
    let remembered = budget.used();
    assert!((200..1_000).contains(&remembered), "two ids: {remembered}");
    tokio::time::sleep(remembered_for + Duration::from_secs(1)).await;
    assert_eq!(budget.used(), 0);
}
