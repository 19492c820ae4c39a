//! What joins hubs, in one process or in many.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::{Delivery, Inlet};
use crate::{Message, SessionId};

/// Joins hubs: what is published in one of them reaches the subscribers in all.
///
/// A hub hands every publication to its backplane, and its own subscribers too are served only by
/// what the backplane gives back through the [`Inlet`]. So it is the backplane that decides on the
/// order, and a hub can't hear its own words twice.
///
/// An implementation that spans processes delivers to the inlets of its own process in
/// [`publish`](Self::publish), queues for the others, and delivers what it hears from them. The
/// order of a topic is then that of its choosing: each publisher's own order is the least that
/// subscribers rely on.
pub trait Backplane: Send + Sync + 'static {
    /// A hub comes, which wants all publications until it is gone. One that was handed over before
    /// `attach` returned may be left out.
    fn attach(&self, inlet: Inlet);

    /// Hands a publication to every hub, once each, and tells what became of it in this process.
    ///
    /// It is called by application code that doesn't wait: a backplane that can't send at once
    /// queues, within limits, and counts and logs what it has to drop.
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
#[derive(Clone, Debug)]
pub struct Publication {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The message.
    pub message: Message,
    /// The one session that is not to get it, wherever it is.
    pub except: Option<SessionId>,
    /// What becomes of it for subscribers that have no room.
    pub when_full: WhenFull,
}

/// What becomes of a publication for a subscriber whose outbound queue has no room for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The subscriber is closed as a slow consumer: it gets everything, or is told that it doesn't.
    #[default]
    Close,
    /// This message is dropped for this subscriber, and counted.
    Drop,
    /// Only the newest message of this key counts: it waits until the subscriber has room, unless a
    /// newer one of the key comes before. The subscriber then gets what waited in the order in
    /// which it was published. How many keys wait is bounded by
    /// [`outbound_keys`](crate::EndpointConfig::outbound_keys). A key is one among those of its
    /// topic.
    Latest(Arc<str>),
}

/// Joins the hubs of one process.
///
/// # Ordering
///
/// The subscribers of a topic get its messages in the same order, in all the hubs.
#[derive(Debug)]
pub struct Local {
    // Held, shared, while hubs are served: `attach` thereby waits for what is on its way. It comes
    // before all locks of the hubs.
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
        // One hub has an order of its own.
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
