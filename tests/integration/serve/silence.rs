//! Clients that say nothing, or do not come to an end: virtual time.

use sockeye::Budget;
use tokio::time::Instant;

use super::*;

/// What a client gets that sends this and then waits, and after how long the connection ends.
async fn ending(config: ServeConfig, sent: &str) -> (String, Duration) {
    let (make, listener) = made();
    tokio::spawn(sockeye::serve(listener, ok()).with_config(config).into_future());
    let (mut client, connection) = pipe();
    client.write_all(sent.as_bytes()).await.expect("the pipe is empty");
    make.send(Ok(connection)).expect("it listens");
    let start = Instant::now();
    let mut received = String::new();
    client.read_to_string(&mut received).await.expect("text");
    (received, start.elapsed())
}

fn is_about(elapsed: Duration, seconds: u64) -> bool {
    // Timers have a granularity of a millisecond.
    (0..10).contains(&(elapsed.as_millis() as i64 - seconds as i64 * 1000))
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed() {
    let (received, after) = ending(ServeConfig::default(), "").await;
    assert!(received.is_empty() && is_about(after, 60), "{received:?} after {after:?}");
    let config = ServeConfig::new().first_byte_timeout(hour());
    let (_, after) = ending(config, "").await;
    assert!(is_about(after, 3600), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_end_is_not_waited_for() {
    for head in ["G", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let (received, after) = ending(ServeConfig::default(), head).await;
        assert!(received.is_empty() && is_about(after, 75), "{received:?} after {after:?}");
    }
    let (_, after) = ending(ServeConfig::new().head_timeout(hour()), "G").await;
    assert!(is_about(after, 3600), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_stays_idle_after_an_answer_is_closed() {
    let (received, after) = ending(ServeConfig::default(), GET).await;
    assert!(received.ends_with("\r\n\r\nok"), "{received}");
    assert!(is_about(after, 75), "{after:?}");
}

/// For "never" there is `Duration::MAX`, and no deadline can be computed from it.
#[tokio::test(start_paused = true)]
async fn deadlines_can_be_as_far_away_as_one_likes() {
    let config = ServeConfig::new()
        .handshake_timeout(Duration::MAX)
        .first_byte_timeout(Duration::MAX)
        .head_timeout(Duration::MAX)
        .unacknowledged_timeout(Duration::MAX)
        .stop_grace(Duration::MAX);
    let server = start(config, Gateway::new()).await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = all(connect(server.addr, request).await).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    drop(server.stop);
    assert_eq!(server.stopped.await.expect("no panic").cut, 0);
}

/// Exact, for what arrives in one piece as well as in many.
#[tokio::test(start_paused = true)]
async fn a_head_may_be_as_large_as_is_set() {
    for (limit, over, status) in
        [(500, 0, 200), (500, 1, 431), (16 * 1024, 0, 200), (16 * 1024, 1, 431)]
    {
        for pieces in [1, 3] {
            let (make, listener) = made();
            let config = ServeConfig::new().head_size(limit);
            tokio::spawn(sockeye::serve(listener, ok()).with_config(config).into_future());
            let (mut client, connection) = pipe();
            make.send(Ok(connection)).expect("it listens");
            let frame = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
            let filled = "x".repeat(limit + over - frame.len());
            let head = frame.replace("X: ", &format!("X: {filled}"));
            assert_eq!(head.len(), limit + over);
            for piece in head.as_bytes().chunks(head.len().div_ceil(pieces)) {
                client.write_all(piece).await.expect("there is room");
                tokio::task::yield_now().await;
            }
            let answer = read_until(&mut client, "\r\n\r\n").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{limit} {over}: {answer}");
        }
    }
}

/// Connections that say nothing hold memory as well: a client that opens many of them must not
/// find a hole in the budget. What a connection held is free when it has ended.
#[tokio::test(start_paused = true)]
async fn a_silent_connection_counts_in_the_budget_until_it_ends() {
    let budget = Budget::new(usize::MAX);
    let (make, listener) = made();
    let config = ServeConfig::new().budget(budget.clone());
    tokio::spawn(sockeye::serve(listener, ok()).with_config(config).into_future());
    let (mut client, connection) = pipe();
    make.send(Ok(connection)).expect("it listens");
    while budget.used() == 0 {
        tokio::task::yield_now().await;
    }
    let silent = budget.used();
    assert!((1_000..4_000).contains(&silent), "{silent}");
    client.write_all(GET.as_bytes()).await.expect("the pipe is empty");
    read_until(&mut client, "\r\n\r\nok").await;
    let open = budget.used();
    assert!((10_000..16_000).contains(&open), "{open}");
    drop(client);
    while budget.used() > 0 {
        tokio::task::yield_now().await;
    }
}
