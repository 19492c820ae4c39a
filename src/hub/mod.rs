//! Fan-out: one message to every subscriber of a topic.

mod backplane;
mod fan_out;
mod slow;
mod subscribers;
#[cfg(test)]
mod tests;
mod topic;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use self::backplane::{Backplane, Local, Publication, WhenFull};
pub use self::fan_out::{Delivery, Inlet};
use self::fan_out::{Outcome, Topics, offer};
pub use self::topic::{Subscription, Topic};
#[cfg(doc)]
use crate::CloseReason;
use crate::{Message, Sender};

/// Topics and the sessions that subscribe to them; cheap to clone, all clones are the same hub.
///
/// A message is encoded once, however many sessions it goes to. A session that cannot take a
/// message because its outbound queue is full is closed with [`CloseReason::SLOW_CONSUMER`] and
/// counted, unless its publisher chose otherwise ([`Topic::when_full`]): a client that does not
/// read costs the others nothing. A message that is larger by itself than a session can take is
/// counted and closes no session. A publication may take room ahead of a waiting
/// [`send`](Sender::send) of the application: a session that has room is never closed as a slow
/// consumer.
///
/// ```
/// use sockeye::{Session, hub::Hub};
///
/// async fn chat(mut session: Session, hub: Hub) {
///     let topic = hub.topic("chat");
///     let _subscription = topic.subscribe(session.sender()); // ends when dropped
///     while let Some(message) = session.recv().await {
///         topic.publish(message);
///     }
/// }
/// ```
///
/// # Ordering
///
/// All subscribers of a topic get its messages in the same order, and those of each publisher in
/// the order of publication. There is no order between topics. Across hubs the order is the
/// [`Backplane`]'s; [`Local`] keeps it.
#[derive(Clone)]
pub struct Hub {
    topics: Arc<Topics>,
    backplane: Arc<dyn Backplane>,
}

impl Hub {
    /// A hub of its own.
    pub fn new() -> Self {
        Self::joined_by(Arc::new(Local::new()))
    }

    /// A hub whose topics span all hubs on the `backplane`.
    pub fn joined_by(backplane: Arc<dyn Backplane>) -> Self {
        let topics = Arc::new(Topics::default());
        backplane.attach(Inlet { hub: Arc::downgrade(&topics) });
        Self { topics, backplane }
    }

    /// The topic of that name. It costs nothing until a session subscribes, and is forgotten when
    /// the last subscription ends.
    pub fn topic(&self, name: impl Into<Arc<str>>) -> Topic {
        Topic { hub: self.clone(), name: name.into(), when_full: WhenFull::Close }
    }

    /// Sends to one session as to a subscriber of a topic: a session whose outbound queue is full
    /// is closed as a slow consumer.
    ///
    /// Returns whether the session took the message.
    pub fn send_to(&self, sender: &Sender, message: impl Into<Message>) -> bool {
        let outcome = offer(sender, message.into());
        let reached = matches!(outcome, Outcome::Taken);
        self.topics.undelivered.fetch_add(u64::from(!reached), Ordering::Relaxed);
        if let Outcome::TooSlow = outcome {
            self.topics.slow.closed(1, sender.id(), None);
        }
        reached
    }

    /// How many topics have subscribers in this hub.
    pub fn topics(&self) -> usize {
        self.topics.lock().len()
    }

    /// How many sessions this hub has closed because they did not keep up.
    pub fn slow_consumers(&self) -> u64 {
        self.topics.slow.total()
    }

    /// How many times a message did not reach a subscriber of this hub, for any reason, or was
    /// replaced by a newer message before.
    pub fn undelivered(&self) -> u64 {
        self.topics.undelivered.load(Ordering::Relaxed)
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("topics", &self.topics())
            .field("slow_consumers", &self.slow_consumers())
            .field("undelivered", &self.undelivered())
            .finish_non_exhaustive()
    }
}
