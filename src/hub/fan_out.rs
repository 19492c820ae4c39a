//! Open topics, and how a publication reaches their subscribers.

use std::collections::HashMap;
use std::fmt;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::slow::SlowConsumers;
use super::subscribers::Subscribers;
use super::{Backplane, Publication, WhenFull};
use crate::session::Kept;
use crate::{CloseReason, Message, Sender, TrySendError};

/// The outcome of a publication, as far as this process knows.
///
/// Subscribers in other processes are counted where they are: by the hub that serves them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Sessions that have taken the message into their queue, or keep it behind the queue as the
    /// newest of its key.
    pub reached: usize,
    /// Subscribers that have not: they had closed already, were closed now as slow consumers, or
    /// can't carry it (binary).
    pub undelivered: usize,
    /// Subscribers for which it is too large by itself: more than `outbound_bytes` of their
    /// endpoint, or than their transport can carry. They stay open, and subscribed.
    pub too_large: usize,
    /// Subscribers that had no room for it, and stay ([`WhenFull::Drop`], or more keys than are
    /// kept).
    pub dropped: usize,
    /// Earlier messages that this message has replaced as the newest of its key: they counted as
    /// reached, and are never delivered.
    pub replaced: usize,
}

impl AddAssign for Delivery {
    fn add_assign(&mut self, other: Self) {
        self.reached += other.reached;
        self.undelivered += other.undelivered;
        self.too_large += other.too_large;
        self.dropped += other.dropped;
        self.replaced += other.replaced;
    }
}

/// Where a [`Backplane`] hands publications to a hub; it does not keep the hub alive.
#[derive(Clone)]
pub struct Inlet {
    pub(super) hub: Weak<Topics>,
}

impl Inlet {
    /// Hands a publication to the subscribers in this hub, in the order of the calls for a topic.
    ///
    /// `None` when the hub is gone.
    pub fn deliver(&self, publication: &Publication) -> Option<Delivery> {
        Some(self.hub.upgrade()?.deliver(publication))
    }

    /// Whether the hub is gone, so that nothing needs to be handed to it any more.
    pub fn is_gone(&self) -> bool {
        self.hub.strong_count() == 0
    }
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet").field("gone", &self.is_gone()).finish()
    }
}

/// State that all clones of a hub share.
#[derive(Default)]
pub(super) struct Topics {
    // Held for one look-up, never while a topic's subscribers are locked or served: a large topic
    // must not hold up the others.
    by_name: Mutex<HashMap<Arc<str>, Arc<OpenTopic>>>,
    pub(super) slow: SlowConsumers,
    pub(super) undelivered: AtomicU64,
}

/// The subscribers of one topic in this hub.
pub(super) struct OpenTopic {
    pub(super) name: Arc<str>,
    // Held while a message is handed to all subscribers: this gives them the same order. Each
    // session's own lock is taken inside this lock, never the other way round.
    subscribers: Mutex<Subscribers>,
}

impl Topics {
    /// The open topic of that name, made anew when there is none or only a `retired` one.
    pub(super) fn open(
        &self,
        name: &Arc<str>,
        retired: Option<&Arc<OpenTopic>>,
        backplane: &dyn Backplane,
    ) -> Arc<OpenTopic> {
        let mut topics = self.lock();
        match topics.get(name) {
            Some(current) if !retired.is_some_and(|retired| Arc::ptr_eq(current, retired)) => {
                Arc::clone(current)
            }
            known => {
                let known = known.is_some();
                let open =
                    Arc::new(OpenTopic { name: Arc::clone(name), subscribers: Mutex::default() });
                topics.insert(Arc::clone(name), Arc::clone(&open));
                if !known {
                    backplane.topic_opened(name);
                }
                open
            }
        }
    }

    pub(super) fn close(&self, open: &Arc<OpenTopic>, backplane: &dyn Backplane) {
        let mut topics = self.lock();
        // Another session may have subscribed in the meantime, and opened the topic anew.
        if topics.get(&open.name).is_some_and(|current| Arc::ptr_eq(current, open)) {
            topics.remove(&open.name);
            backplane.topic_closed(&open.name);
        }
    }

    fn deliver(&self, publication: &Publication) -> Delivery {
        let Publication { topic, message, except, when_full } = publication;
        let Some(open) = self.lock().get(topic).cloned() else { return Delivery::default() };
        let mut delivery = Delivery::default();
        let mut slow = 0;
        let mut slowest = None;
        for sender in open.lock().iter().filter(|sender| Some(sender.id()) != *except) {
            match publish(sender, topic, message.clone(), when_full) {
                Outcome::Taken => delivery.reached += 1,
                Outcome::Replaced => {
                    delivery.reached += 1;
                    delivery.replaced += 1;
                }
                Outcome::Dropped => delivery.dropped += 1,
                Outcome::Gone => delivery.undelivered += 1,
                Outcome::TooLarge => delivery.too_large += 1,
                Outcome::TooSlow => {
                    delivery.undelivered += 1;
                    slow += 1;
                    slowest = Some(sender.id());
                }
            }
        }
        let missed =
            delivery.undelivered + delivery.too_large + delivery.dropped + delivery.replaced;
        if missed > 0 {
            self.undelivered.fetch_add(missed as u64, Ordering::Relaxed);
        }
        if let Some(session) = slowest {
            self.slow.closed(slow, session, Some(topic));
        }
        delivery
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<OpenTopic>>> {
        // Nothing panics under this lock but a backplane's `topic_opened`, and then the map is
        // whole.
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenTopic {
    pub(super) fn lock(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) enum Outcome {
    Taken,
    /// Kept behind the queue, instead of an earlier message.
    Replaced,
    Dropped,
    /// Closed, or not able to carry the message.
    Gone,
    TooLarge,
    /// Closed just now.
    TooSlow,
}

fn publish(sender: &Sender, topic: &Arc<str>, message: Message, when_full: &WhenFull) -> Outcome {
    match when_full {
        WhenFull::Close => offer(sender, message),
        WhenFull::Drop => {
            sender.try_publish(message).map_or_else(|error| refused(&error), |()| Outcome::Taken)
        }
        WhenFull::Latest(key) => {
            match sender.publish_latest((Arc::clone(topic), Arc::clone(key)), message) {
                Ok(Kept::Queued | Kept::Waits { replaced: false }) => Outcome::Taken,
                Ok(Kept::Waits { replaced: true }) => Outcome::Replaced,
                Ok(Kept::NoPlace) => Outcome::Dropped,
                Err(error) => refused(&error),
            }
        }
    }
}

pub(super) fn offer(sender: &Sender, message: Message) -> Outcome {
    match sender.try_publish(message) {
        Ok(()) => Outcome::Taken,
        Err(TrySendError::Full(_)) if sender.give_up(CloseReason::SLOW_CONSUMER) => {
            Outcome::TooSlow
        }
        // Another topic may have been faster: a session is counted once.
        Err(TrySendError::Full(_)) => Outcome::Gone,
        Err(error) => refused(&error),
    }
}

fn refused(error: &TrySendError) -> Outcome {
    match error {
        TrySendError::Full(_) => Outcome::Dropped,
        TrySendError::TooLarge(_) => Outcome::TooLarge,
        TrySendError::Closed(_) | TrySendError::NotCarried(_) => Outcome::Gone,
    }
}
