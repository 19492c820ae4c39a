//! Tiny handlers.

use std::pin::Pin;

use sockeye::hub::Hub;
use sockeye::{Gateway, Session};
use tokio::sync::mpsc;

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

/// A gateway that hands its sessions to the test.
pub fn reporting(prefix: &str) -> (Gateway, mpsc::UnboundedReceiver<Session>) {
    let (give, sessions) = mpsc::unbounded_channel();
    let gateway = Gateway::new().endpoint(prefix, move |session| {
        give.send(session).expect("the test waits");
        std::future::ready(())
    });
    (gateway, sessions)
}
