//! Sends what comes to everybody.

use super::Serving;
use crate::Session;
use crate::hub::{Hub, Topic};

/// A handler that sends every message to every session that it serves, the sender's included, in the same order to all.
///
/// Sessions meet on the hub's topic `broadcast`: two endpoints that share a hub share their messages. A session that doesn't
/// read is closed as a slow consumer.
///
/// ```
/// use sockeye::{apps::broadcast, hub::Hub};
///
/// let handler = broadcast(&Hub::new());
/// ```
pub fn broadcast(hub: &Hub) -> impl Fn(Session) -> Serving + Clone + Send + Sync + 'static {
    let topic = hub.topic("broadcast");
    move |session| Box::pin(relay(session, topic.clone()))
}

async fn relay(mut session: Session, topic: Topic) {
    let _membership = topic.join(session.sender());
    while let Some(message) = session.recv().await {
        topic.publish(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::testing::session;

    #[tokio::test(start_paused = true)]
    async fn everybody_hears_everything_in_one_order() {
        let hub = Hub::new();
        let handler = broadcast(&hub);
        let ((first, mut ann), (second, mut bob)) = (session(), session());
        tokio::spawn(handler(first));
        let leaving = tokio::spawn(handler(second));
        assert!(bob.hear_all().await.is_empty(), "and by now both have joined");
        ann.say("from ann").await;
        assert_eq!(bob.hear().await, "from ann");
        bob.say("from bob").await;
        assert_eq!(ann.hear_all().await, ["from ann", "from bob"]);
        assert_eq!(bob.hear_all().await, ["from bob"]);

        drop(bob);
        leaving.await.expect("no panic");
        ann.say("alone").await;
        assert_eq!(ann.hear_all().await, ["alone"]);
        assert_eq!((hub.topic("broadcast").members(), hub.undelivered()), (1, 0));
    }
}
