//! Tiny handlers.

use std::pin::Pin;

use sockeye::Session;
use sockeye::hub::Hub;

/// Sends every message back.
pub async fn echo(mut session: Session) {
    while let Some(message) = session.recv().await {
        if session.send(message).await.is_err() {
            break;
        }
    }
}

/// Sends every message to every session, the sender's included.
pub fn broadcast(
    hub: &Hub,
) -> impl Fn(Session) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + 'static {
    let topic = hub.topic("broadcast");
    move |mut session| {
        let topic = topic.clone();
        Box::pin(async move {
            let _subscription = topic.subscribe(session.sender());
            while let Some(message) = session.recv().await {
                topic.publish(message);
            }
        })
    }
}
