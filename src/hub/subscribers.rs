//! The subscribers of a topic: subscribing and leaving take constant time, and a publication walks
//! over subscribers only.

use slab::Slab;

use crate::Sender;

/// Subscribers, densely, so that a publication walks over no gaps that others have left.
#[derive(Default)]
pub(super) struct Subscribers {
    senders: Vec<Subscriber>,
    /// Where in `senders` the subscriber with that key stands.
    places: Slab<usize>,
    retired: bool,
}

struct Subscriber {
    key: usize,
    sender: Sender,
}

/// Below this many the memory is not worth giving back.
const KEPT_CAPACITY: usize = 16;

impl Subscribers {
    /// Adds a subscriber and returns its key, or `None` when the last subscriber has gone before:
    /// then the topic is to be opened anew.
    pub(super) fn insert(&mut self, sender: &Sender) -> Option<usize> {
        if self.retired {
            return None;
        }
        let key = self.places.insert(self.senders.len());
        self.senders.push(Subscriber { key, sender: sender.clone() });
        Some(key)
    }

    /// Removes the subscriber with that key, which must be there; true when it was the last
    /// subscriber, and no other can come.
    pub(super) fn remove(&mut self, key: usize) -> (Sender, bool) {
        let place = self.places.remove(key);
        let subscriber = self.senders.swap_remove(place);
        if let Some(moved) = self.senders.get(place) {
            self.places[moved.key] = place;
        }
        self.retired = self.senders.is_empty();
        self.give_back();
        (subscriber.sender, self.retired)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sender> {
        self.senders.iter().map(|subscriber| &subscriber.sender)
    }

    pub(super) fn len(&self) -> usize {
        self.senders.len()
    }

    /// A topic that was crowded once must not hold that memory ever after.
    fn give_back(&mut self) {
        let capacity = self.senders.capacity();
        if capacity > KEPT_CAPACITY && self.senders.len() < capacity / 4 {
            self.senders.shrink_to(capacity / 2);
            self.places.shrink_to_fit();
        }
    }
}
