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
    use super::*;
    use sockeye::test_util::session;

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
