//! The rooms that exist, and when empty ones are dropped.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::label::Label;

/// The rooms by name, with the number of sessions in each. Generic over the room, whose content it
/// never reads.
///
/// The first room is always there: it is not counted against the limit and never refused, but its
/// content is forgotten as any other's is.
pub(super) struct Directory<R> {
    first: Label,
    rooms: HashMap<Label, Slot<R>>,
    /// Empty rooms, by the time when the last session left.
    empty: BTreeMap<Emptied, Label>,
    sequence: u64,
}

struct Slot<R> {
    room: Arc<R>,
    people: usize,
    emptied: Option<Emptied>,
}

/// A moment, and a number that tells apart events of the same moment.
type Emptied = (Instant, u64);

/// The limit of rooms is reached, and none is empty.
#[derive(Debug)]
pub(super) struct Crowded;

impl<R> Directory<R> {
    pub(super) fn new(first: Label) -> Self {
        Self { first, rooms: HashMap::new(), empty: BTreeMap::new(), sequence: 0 }
    }

    /// Counts a session into a room, which is made where there is none. Each `enter` needs its
    /// [`leave`](Self::leave).
    ///
    /// When `limit` rooms exist, the one that has been empty for the longest time gives way.
    pub(super) fn enter(
        &mut self,
        name: &Label,
        limit: usize,
        make: impl FnOnce() -> R,
    ) -> Result<Arc<R>, Crowded> {
        if !self.rooms.contains_key(name) && *name != self.first {
            self.make_room(limit)?;
        }
        let slot = self.rooms.entry(name.clone());
        let slot =
            slot.or_insert_with(|| Slot { room: Arc::new(make()), people: 0, emptied: None });
        slot.people += 1;
        if let Some(emptied) = slot.emptied.take() {
            self.empty.remove(&emptied);
        }
        Ok(Arc::clone(&slot.room))
    }

    /// Counts a session out.
    pub(super) fn leave(&mut self, name: &Label, now: Instant) {
        let Some(slot) = self.rooms.get_mut(name) else { return };
        slot.people -= 1;
        if slot.people == 0 {
            let emptied = (now, self.sequence);
            self.sequence += 1;
            slot.emptied = Some(emptied);
            self.empty.insert(emptied, name.clone());
        }
    }

    /// Forgets the rooms that have been empty for `age`.
    pub(super) fn forget(&mut self, now: Instant, age: Duration) {
        while let Some(entry) = self.empty.first_entry()
            && now.saturating_duration_since(entry.key().0) >= age
        {
            self.rooms.remove(&entry.remove());
        }
    }

    #[cfg(test)]
    pub(super) fn rooms(&self) -> usize {
        self.rooms.len()
    }

    fn make_room(&mut self, limit: usize) -> Result<(), Crowded> {
        let counted = self.rooms.len() - usize::from(self.rooms.contains_key(&self.first));
        if counted < limit {
            return Ok(());
        }
        let oldest =
            self.empty.iter().find(|(_, name)| **name != self.first).map(|(emptied, _)| *emptied);
        let name = oldest.and_then(|emptied| self.empty.remove(&emptied)).ok_or(Crowded)?;
        self.rooms.remove(&name);
        Ok(())
    }
}
