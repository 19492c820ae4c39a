//! Sends each message to all other sessions.

use crate::serving::Serving;
use sockeye::Session;
use sockeye::hub::{Hub, Topic};

/// A handler that sends every message, as it is, to every other session that it serves, and never
/// back.
///
/// It is all the server that two pages need to call each other by WebRTC. Sessions meet on the
/// hub's topic `relay`: two endpoints that share a hub share their messages. A closed session gets
/// nothing any more; one that doesn't read is closed as a slow consumer.
///
/// ```
/// use sockeye::hub::Hub;
/// use sockeye_apps::relay;
///
/// let handler = relay(&Hub::new());
/// ```
///
/// # Ordering
///
/// All sessions get messages in the same order, but for their own, which they don't get.
pub fn relay(hub: &Hub) -> impl Fn(Session) -> Serving + Clone + Send + Sync + 'static {
    let topic = hub.topic("relay");
    move |session| Box::pin(serve(session, topic.clone()))
}

async fn serve(mut session: Session, topic: Topic) {
    let _subscription = topic.subscribe(session.sender());
    while let Some(message) = session.recv().await {
        topic.publish_except(message, session.id());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sockeye::test_util::session;

    #[tokio::test(start_paused = true)]
    async fn everybody_else_hears_every_byte() {
        let hub = Hub::new();
        let handler = relay(&hub);
        let ((first, mut ann), (second, mut bob), (third, mut eve)) =
            (session(), session(), session());
        for session in [first, second, third] {
            tokio::spawn(handler(session));
        }
        // A late session gets no earlier messages.
        while hub.topic("relay").subscribers() < 3 {
            tokio::task::yield_now().await;
        }
        // Relayed, not parsed: invalid JSON passes as well.
        let texts = ["{\"event\":\"offer\", \"data\":{}}", "", "{\"event\":", "안녕\u{0}\n"];
        for text in texts {
            ann.send(text).await;
        }
        assert_eq!(bob.texts().await, texts);
        assert_eq!(eve.texts().await, texts);
        assert!(ann.texts().await.is_empty(), "never back");
    }

    #[tokio::test(start_paused = true)]
    async fn closed_sessions_leave_at_once() {
        let hub = Hub::new();
        let handler = relay(&hub);
        let ((first, ann), (second, mut bob)) = (session(), session());
        let leaving = tokio::spawn(handler(first));
        tokio::spawn(handler(second));
        assert!(bob.texts().await.is_empty());
        assert_eq!(hub.topic("relay").subscribers(), 2);
        drop(ann);
        leaving.await.expect("no panic");
        assert_eq!(hub.topic("relay").subscribers(), 1);
        bob.send("alone").await;
        assert!(bob.texts().await.is_empty());
        assert_eq!(hub.undelivered(), 0);
    }
}
