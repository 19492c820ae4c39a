//! Races, each with its story: on several threads, again and again.
//!
//! A lost wake-up shows as a test that waits in vain. No heartbeat comes to the rescue, because
//! none is due before the test gives up.

mod connections;
mod drain;
mod lost;
mod memory;
mod messages;
mod receivers;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use sockeye::{EndpointConfig, Gateway, Handler, Session};

const PREFIX: &str = "/app";

/// Delays that no test waits for.
fn patient() -> EndpointConfig {
    let hour = Duration::from_secs(3600);
    EndpointConfig::new().heartbeat_delay(hour).send_wait(hour).disconnect_delay(hour)
}

fn gateway(config: EndpointConfig, handler: impl Handler) -> Gateway {
    Gateway::new().endpoint_with(PREFIX, config, handler)
}

async fn echo(mut session: Session) {
    while let Some(message) = session.recv().await {
        if session.send(message).await.is_err() {
            break;
        }
    }
}

async fn poll_once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// What several senders sent, each in its own order.
#[derive(Default)]
struct Order {
    next: [usize; 8],
    count: usize,
}

impl Order {
    fn check(&mut self, message: &str) {
        let (sender, number) = message.split_once(':').expect("a sender and a number");
        let next = &mut self.next[sender.parse::<usize>().expect("a sender")];
        assert_eq!(number, next.to_string(), "of sender {sender}");
        *next += 1;
        self.count += 1;
    }
}
