//! Sends each message to all sessions.

use crate::serving::Serving;
use sockeye::Session;
use sockeye::hub::{Hub, Topic};

/// A handler that sends every message to every session that it serves, the sender's included, in
/// the same order to all.
///
/// Sessions meet on the hub's topic `broadcast`: two endpoints that share a hub share their
/// messages. A session that doesn't read is closed as a slow consumer.
///
/// ```
/// use sockeye::hub::Hub;
/// use sockeye_apps::broadcast;
///
/// let handler = broadcast(&Hub::new());
/// ```
pub fn broadcast(hub: &Hub) -> impl Fn(Session) -> Serving + Clone + Send + Sync + 'static {
    let topic = hub.topic("broadcast");
    move |session| Box::pin(relay(session, topic.clone()))
}

async fn relay(mut session: Session, topic: Topic) {
    let _subscription = topic.subscribe(session.sender());
    while let Some(message) = session.recv().await {
        topic.publish(message);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;
    use sockeye::test_util::{SessionBuilder, session};
    use sockeye::{CloseReason, EndpointConfig, Rate};

    use crate::clock;

    /// A flooder at 4 MB/s ended all readers at 400 kB/s. A rate limit bounds its cost to them.
    #[tokio::test(start_paused = true)]
    async fn a_flood_does_not_end_those_who_read() {
        for (rate, expected) in
            [(Some(Rate::default()), Ok(())), (None, Err(CloseReason::SLOW_CONSUMER))]
        {
            for size in [100, 1000, 64 * 1024] {
                let handler = broadcast(&Hub::new());
                let limited = || {
                    let config = EndpointConfig::new().inbound_rate(rate);
                    SessionBuilder::new().config(config).build()
                };
                let ((first, mut flooder), (second, mut reader)) = (limited(), limited());
                let handlers = [tokio::spawn(handler(first)), tokio::spawn(handler(second))];
                // The clock of tests goes in steps of a millisecond.
                let tick = Duration::from_millis(20);
                let flood = async {
                    loop {
                        for _ in 0..80_000_usize.div_ceil(size) {
                            flooder.send("x".repeat(size)).await;
                        }
                        tokio::time::sleep(tick).await;
                        // The reader drains its queue.
                        while let Some(Ok(_)) = flooder.recv().now_or_never() {}
                    }
                };
                let read = async {
                    let (start, mut bytes) = (clock::now(), 0);
                    while clock::now() - start < Duration::from_secs(60) {
                        bytes += reader.recv().await?.len();
                        while bytes >= 8_000 {
                            tokio::time::sleep(tick).await;
                            bytes -= 8_000;
                        }
                    }
                    Ok(())
                };
                let outcome = tokio::select! {
                    outcome = read => outcome,
                    () = flood => Ok(()),
                };
                assert_eq!(outcome, expected, "messages of {size} bytes");
                handlers.iter().for_each(|handler| handler.abort());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_hears_everything_in_one_order() {
        let hub = Hub::new();
        let handler = broadcast(&hub);
        let ((first, mut ann), (second, mut bob)) = (session(), session());
        tokio::spawn(handler(first));
        let leaving = tokio::spawn(handler(second));
        assert!(bob.texts().await.is_empty(), "and by now both have joined");
        ann.send("from ann").await;
        assert_eq!(bob.text().await, "from ann");
        bob.send("from bob").await;
        assert_eq!(ann.texts().await, ["from ann", "from bob"]);
        assert_eq!(bob.texts().await, ["from bob"]);

        drop(bob);
        leaving.await.expect("no panic");
        ann.send("alone").await;
        assert_eq!(ann.texts().await, ["alone"]);
        assert_eq!((hub.topic("broadcast").subscribers(), hub.undelivered()), (1, 0));
    }
}
