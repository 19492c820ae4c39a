//! Drains: queued records, then FIN.

use sockeye::DrainConfig;

use super::*;

#[tokio::test]
async fn a_drain_sends_what_is_queued_then_fin() {
    let (give, mut sessions) = unbounded_channel();
    let handler = move |session: Session| {
        give.send(session).expect("the test waits");
        std::future::ready(())
    };
    let (addr, endpoint) = listen(TcpConfig::default(), handler).await;
    let mut client = TcpStream::connect(addr).await.expect("it listens");
    let mut session = within(sessions.recv()).await.expect("the endpoint lives");
    // Large enough not to have left before.
    let long = "x".repeat(60_000);
    for _ in 0..10 {
        session.send(&*long).await.expect("the client is there");
    }
    let draining = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.drain(DrainConfig::default()).await }
    });
    assert_eq!(within(session.recv()).await, None);
    let mut late = TcpStream::connect(addr).await.expect("it listens");
    assert_eq!(within(late.rest()).await, b"", "closed at once");
    assert_eq!(within(client.rest()).await, record(&long).repeat(10));
    drop(client);
    let end = session.ended().await;
    assert_eq!((end.reason.code(), end.by, end.undelivered), (1001, EndedBy::Gateway, 0));
    let drained = within(draining).await.expect("no panic");
    assert_eq!((drained.told, drained.untold, drained.undelivered), (1, 0, 0));
}

/// It takes nothing: what is left is counted.
#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_cut_off_at_the_deadline() {
    let (mut client, server) = duplex(64);
    let endpoint = TcpEndpoint::with_config(
        TcpConfig::new().linger(EVER),
        |mut session: Session| async move {
            session.send("x".repeat(1000)).await.expect("the client is there");
            for _ in 0..3 {
                session.send("x".repeat(60_000)).await.expect("the client is there");
            }
            while session.recv().await.is_some() {}
        },
    );
    let serving = endpoint.clone();
    tokio::spawn(async move { serving.serve(server, None).await });
    assert_eq!(client.bytes(2).await, 1000_u16.to_be_bytes());
    let start = Instant::now();
    let drained = endpoint.drain(DrainConfig::default()).await;
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    assert_eq!((drained.told, drained.untold), (0, 1));
    assert!((1..=3).contains(&drained.undelivered), "{drained:?}");
}
