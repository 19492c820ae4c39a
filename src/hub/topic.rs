//! A topic's handle, and a session's subscription to it.

use std::fmt;
use std::sync::Arc;

use super::fan_out::OpenTopic;
use super::{Delivery, Hub, Publication, WhenFull};
use crate::{Message, Sender, SessionId};

/// A name to publish under, and to subscribe to; cheap to clone.
#[derive(Clone)]
pub struct Topic {
    pub(super) hub: Hub,
    pub(super) name: Arc<str>,
    pub(super) when_full: WhenFull,
}

impl Topic {
    /// Sets how publications through this handle and its clones treat subscribers that can't keep
    /// up. Default: [`WhenFull::Close`].
    ///
    /// ```
    /// use sockeye::hub::{Hub, WhenFull};
    ///
    /// let ticks = Hub::new().topic("ticks").when_full(WhenFull::Drop);
    /// ticks.publish("a subscriber that has no room misses it");
    /// ticks.publish_latest("EUR", "a subscriber that has no room gets it later, or a newer one of EUR");
    /// ```
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Subscribes a session, until the [`Subscription`] is dropped.
    ///
    /// A session that subscribes twice gets every message twice.
    ///
    /// # Ordering
    ///
    /// The subscriber gets every message published in this hub after `subscribe` has returned, and
    /// none from before it was called. Messages of other hubs reach it as soon as the backplane
    /// knows of the topic.
    pub fn subscribe(&self, sender: Sender) -> Subscription {
        let hub = self.hub.clone();
        let mut open = hub.topics.open(&self.name, None, &*hub.backplane);
        loop {
            let mut subscribers = open.lock();
            if let Some(key) = subscribers.insert(&sender) {
                drop(subscribers);
                return Subscription { hub, open, key };
            }
            // The last subscription ended between the two locks, and the topic is on its way out.
            drop(subscribers);
            open = hub.topics.open(&self.name, Some(&open), &*hub.backplane);
        }
    }

    /// Sends a message to every subscriber.
    ///
    /// It never waits for a client: a queue takes the message, or its session is closed. When it
    /// returns, the subscribers in this process have been served.
    pub fn publish(&self, message: impl Into<Message>) -> Delivery {
        self.send(message.into(), None, self.when_full.clone())
    }

    /// Sends a message to every subscriber; a subscriber without room gets it later, or a newer
    /// message of the same key ([`WhenFull::Latest`]).
    ///
    /// # Ordering
    ///
    /// A subscriber gets messages in the order of publication. While messages wait for a
    /// subscriber, no other message finds room there: a publication with [`WhenFull::Close`] then
    /// closes it.
    pub fn publish_latest(
        &self,
        key: impl Into<Arc<str>>,
        message: impl Into<Message>,
    ) -> Delivery {
        self.send(message.into(), None, WhenFull::Latest(key.into()))
    }

    /// Sends a message to every subscriber but one session, as a rule its sender.
    pub fn publish_except(&self, message: impl Into<Message>, except: SessionId) -> Delivery {
        self.send(message.into(), Some(except), self.when_full.clone())
    }

    /// How many subscribers the topic has in this hub.
    pub fn subscribers(&self) -> usize {
        let open = self.hub.topics.lock().get(&*self.name).cloned();
        open.map_or(0, |open| open.lock().len())
    }

    fn send(&self, message: Message, except: Option<SessionId>, when_full: WhenFull) -> Delivery {
        self.hub.backplane.publish(&Publication {
            topic: Arc::clone(&self.name),
            message,
            except,
            when_full,
        })
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Topic").field(&self.name).finish()
    }
}

/// A session's subscription to a topic; dropping it ends it.
#[must_use = "dropping a subscription ends it"]
pub struct Subscription {
    hub: Hub,
    pub(super) open: Arc<OpenTopic>,
    pub(super) key: usize,
}

impl Subscription {
    /// The topic.
    pub fn topic(&self) -> Topic {
        self.hub.topic(Arc::clone(&self.open.name))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let (sender, last) = self.open.lock().remove(self.key);
        // Not under the lock: this may be the last handle of a session and free all that it holds.
        drop(sender);
        if last {
            self.hub.topics.close(&self.open, &*self.hub.backplane);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscription").field(&self.open.name).finish()
    }
}
