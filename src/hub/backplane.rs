//! Backplanes, which join hubs in one process or in many.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::{Delivery, Inlet};
use crate::{Message, SessionId};

/// Joins hubs: a message published in any of them reaches the subscribers in all.
///
/// A hub hands every publication to its backplane, and its own subscribers too are served only when
/// the backplane gives it back through the [`Inlet`]. So the backplane decides on the order, and no
/// hub delivers its own publication twice.
///
/// An implementation that spans processes delivers to the inlets of its own process in
/// [`publish`](Self::publish), queues for the others, and delivers publications that it hears from
/// them. It then chooses the order of a topic; at the least it keeps each publisher's own order, on
/// which subscribers rely.
pub trait Backplane: Send + Sync + 'static {
    /// Attaches a hub, which wants all publications until it is gone. A publication handed over
    /// before `attach` returned may be left out.
    fn attach(&self, inlet: Inlet);

    /// Hands a publication to every hub, once each, and tells its outcome in this process.
    ///
    /// It is called by application code that doesn't wait: a backplane that can't send at once
    /// queues, within limits, and counts and logs publications that it has to drop.
    fn publish(&self, publication: &Publication) -> Delivery;

    /// A topic has its first subscriber in a hub. For backplanes that send a topic only where
    /// sessions subscribe to it.
    ///
    /// Called once for each hub, and then not before [`topic_closed`](Self::topic_closed), under a
    /// lock of the hub's: it must neither block nor call the hub.
    fn topic_opened(&self, topic: &str) {
        let _ = topic;
    }

    /// The last subscriber of a topic in a hub has gone. Called as
    /// [`topic_opened`](Self::topic_opened) is.
    fn topic_closed(&self, topic: &str) {
        let _ = topic;
    }
}

/// A message on its way to the subscribers of a topic.
///
/// ```
/// use sockeye::hub::{Publication, WhenFull};
///
/// let heard = Publication::new("prices", "EUR 1.08").when_full(WhenFull::Drop);
/// assert_eq!((&*heard.topic, heard.except), ("prices", None));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Publication {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The message.
    pub message: Message,
    /// The session that must not get it, wherever that session is.
    pub except: Option<SessionId>,
    /// How it treats subscribers that have no room.
    pub when_full: WhenFull,
}

impl Publication {
    /// A message to all subscribers of a topic, which closes those that have no room: for a
    /// backplane that has heard it from another process.
    #[must_use]
    pub fn new(topic: impl Into<Arc<str>>, message: impl Into<Message>) -> Self {
        let (topic, message) = (topic.into(), message.into());
        Self { topic, message, except: None, when_full: WhenFull::default() }
    }

    /// Sets the session that must not get it.
    #[must_use]
    pub fn except(self, except: impl Into<Option<SessionId>>) -> Self {
        Self { except: except.into(), ..self }
    }

    /// Sets how it treats subscribers that have no room.
    #[must_use]
    pub fn when_full(self, when_full: WhenFull) -> Self {
        Self { when_full, ..self }
    }
}

/// How a publication treats a subscriber whose outbound queue has no room for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The subscriber is closed as a slow consumer: it gets everything, or is told that it doesn't.
    #[default]
    Close,
    /// This message is dropped for this subscriber, and counted.
    Drop,
    /// Only the newest message of this key counts: it waits until the subscriber has room, unless a
    /// newer message of the key comes first. The subscriber then gets the waiting messages in the
    /// order of publication. How many keys wait is bounded by
    /// [`outbound_keys`](crate::EndpointConfig::outbound_keys). Keys of different topics are
    /// different keys.
    Latest(Arc<str>),
}

/// Joins the hubs of one process.
///
/// # Ordering
///
/// The subscribers of a topic get its messages in the same order, in all the hubs.
#[derive(Debug)]
pub struct Local {
    // Held, shared, while hubs are served: `attach` thereby waits for publications on their way.
    // Lock order: before all locks of the hubs.
    inlets: RwLock<Vec<Inlet>>,
    // A topic's publications go through these doors one at a time, so that two hubs can't get them
    // in different orders. A hundred doors instead of one, so that topics rarely wait for each
    // other.
    doors: [Mutex<()>; 128],
}

impl Local {
    /// A backplane without hubs.
    pub fn new() -> Self {
        Self { inlets: RwLock::default(), doors: [const { Mutex::new(()) }; 128] }
    }

    fn door(&self, topic: &str) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        topic.hash(&mut hasher);
        // The remainder is below the number of doors, whatever the width of `usize`.
        &self.doors[hasher.finish() as usize % self.doors.len()]
    }
}

impl Default for Local {
    fn default() -> Self {
        Self::new()
    }
}

impl Backplane for Local {
    fn attach(&self, inlet: Inlet) {
        let mut inlets = self.inlets.write().unwrap_or_else(PoisonError::into_inner);
        inlets.retain(|inlet| !inlet.is_gone());
        inlets.push(inlet);
    }

    fn publish(&self, publication: &Publication) -> Delivery {
        let inlets = self.inlets.read().unwrap_or_else(PoisonError::into_inner);
        // A single hub has an order of its own.
        let several = inlets.len() > 1;
        let _turn = several
            .then(|| self.door(&publication.topic).lock().unwrap_or_else(PoisonError::into_inner));
        let mut delivery = Delivery::default();
        for inlet in inlets.iter() {
            delivery += inlet.deliver(publication).unwrap_or_default();
        }
        delivery
    }
}
