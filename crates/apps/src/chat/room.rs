//! One room: its members, its history, and the order of its events.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::config::ChatConfig;
use super::event::{Event, Form, Said};
use super::label::Label;
use crate::clock;
use sockeye::hub::{Hub, Subscription, Topic};
use sockeye::{Sender, SessionId};

/// The close code of a session whose client is back on another one.
const REPLACED: u16 = 4001;

/// A room. Events in it happen on its [`Floor`], one after the other.
pub(super) struct ChatRoom {
    name: Label,
    hub: Hub,
    /// Where events are published, in the order of [`Form::ALL`].
    events: [Topic; Form::ALL.len()],
    rosters: Topic,
    // Held while an event is published, so that all members get events in the same order, and a
    // newcomer's history ends exactly where its subscription begins. The hub's locks are taken
    // inside this one.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    names: BTreeMap<Label, Holder>,
    history: History,
    said: SaidIds,
    rosters: RosterPace,
}

/// The session that holds a name.
pub(super) struct Holder {
    pub(super) sender: Sender,
    pub(super) key: Option<Key>,
}

/// The hash of a secret with which a client takes its name back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(pub(super) u64);

/// How a name was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claimed {
    Free,
    /// From a session of the same client, which is closed.
    TakenBack,
}

impl ChatRoom {
    pub(super) fn new(name: Label, hub: &Hub) -> Self {
        let topic = |kind: &str| hub.topic(format!("chat/{kind}/{name}"));
        let events = Form::ALL.map(|form| topic(form.name()));
        let rosters = topic("roster");
        Self { name, hub: hub.clone(), events, rosters, state: Mutex::default() }
    }

    pub(super) fn name(&self) -> &Label {
        &self.name
    }

    /// Takes the floor: until it is dropped, no other event happens in the room.
    pub(super) fn floor<'r>(self: &'r Arc<Self>, config: &'r ChatConfig) -> Floor<'r> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Floor { room: self, config, state, at: clock::unix_millis() }
    }
}

/// A room that belongs to one caller for the moment.
pub(super) struct Floor<'r> {
    room: &'r Arc<ChatRoom>,
    config: &'r ChatConfig,
    state: MutexGuard<'r, State>,
    at: u64,
}

impl Floor<'_> {
    /// Claims a name for a session; `None` when another session has it.
    pub(super) fn claim(&mut self, name: &Label, holder: Holder) -> Option<Claimed> {
        match self.state.names.entry(name.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(holder);
                Some(Claimed::Free)
            }
            Entry::Occupied(mut entry) if entry.get().sender.id() == holder.sender.id() => {
                entry.insert(holder);
                Some(Claimed::Free)
            }
            Entry::Occupied(mut entry) => {
                holder.key.filter(|key| entry.get().key == Some(*key))?;
                entry.insert(holder).sender.close((REPLACED, "replaced"));
                Some(Claimed::TakenBack)
            }
        }
    }

    /// Gives a name back; false when it belongs to another session by now.
    pub(super) fn release(&mut self, name: &Label, session: SessionId) -> bool {
        let is_held =
            self.state.names.get(name).is_some_and(|holder| holder.sender.id() == session);
        if is_held {
            self.state.names.remove(name);
        }
        is_held
    }

    /// Subscribes a session to all events.
    pub(super) fn admit(&self, sender: &Sender, form: Form) -> Subscription {
        self.room.events[form as usize].subscribe(sender.clone())
    }

    /// Subscribes a session to changes of the roster.
    pub(super) fn admit_to_rosters(&self, sender: &Sender) -> Subscription {
        self.room.rosters.subscribe(sender.clone())
    }

    /// Publishes a message and keeps it. A repetition of an id goes to its sender alone, which
    /// repeated it because it got no echo.
    pub(super) fn say(
        &mut self,
        sender: &Sender,
        form: Form,
        name: &Label,
        message: Box<str>,
        id: Option<Box<str>>,
    ) {
        let event = Event::Said { name, message: &message, id: id.as_deref() };
        let known = id
            .as_deref()
            .and_then(|id| self.state.said.remember(id, self.at, self.config.message_ids));
        if let Some(at) = known {
            self.room.hub.send_to(sender, event.write(form, &self.room.name, at));
            return;
        }
        self.publish(&event, None);
        let said = Said { name: name.clone(), message, at: self.at, id };
        self.state.history.keep(said, self.config.history, self.config.history_bytes);
    }

    /// Answers a ping.
    pub(super) fn answer(&self, sender: &Sender, ping: &str) {
        self.tell(sender, Form::Full, &Event::Pong { ping });
    }

    /// Publishes an event to all sessions but one.
    pub(super) fn announce(&self, event: &Event<'_>, except: SessionId) {
        self.publish(event, Some(except));
    }

    /// Tells a session its room and name, with the history.
    pub(super) fn welcome(&self, sender: &Sender, form: Form, you: &Label) {
        let history: Vec<&Said> = self.state.history.kept.iter().collect();
        self.tell(sender, form, &Event::Welcome { you, history: &history });
    }

    /// Sends a session the roster.
    pub(super) fn tell_roster(&self, sender: &Sender) {
        self.with_roster(|roster| self.tell(sender, Form::Full, roster));
    }

    /// Publishes a changed roster to its followers: at once, or with later changes when the last
    /// one is too recent.
    pub(super) fn roster_changed(&mut self) {
        if self.room.rosters.subscribers() == 0 {
            return;
        }
        let interval = self.config.roster_interval;
        match (self.state.rosters.changed(clock::now(), interval), Handle::try_current()) {
            (Pace::Waiting, _) => {}
            (Pace::In(rest), Ok(runtime)) => {
                let (room, config) = (Arc::clone(self.room), self.config.clone());
                runtime.spawn(async move {
                    tokio::time::sleep(rest).await;
                    room.floor(&config).publish_roster();
                });
            }
            // Without a runtime no task can wait: the process is exiting.
            (Pace::Now | Pace::In(_), _) => self.publish_roster(),
        }
    }

    fn publish_roster(&mut self) {
        self.state.rosters.told(clock::now());
        self.with_roster(|roster| {
            self.room.rosters.publish(roster.write(Form::Full, &self.room.name, self.at));
        });
    }

    fn with_roster(&self, tell: impl FnOnce(&Event<'_>)) {
        let names: Vec<&Label> = self.state.names.keys().take(self.config.roster_names).collect();
        tell(&Event::Roster { names: &names, count: self.state.names.len() });
    }

    fn publish(&self, event: &Event<'_>, except: Option<SessionId>) {
        for (form, topic) in Form::ALL.into_iter().zip(&self.room.events) {
            let message = event.write(form, &self.room.name, self.at);
            match except {
                None => topic.publish(message),
                Some(session) => topic.publish_except(message, session),
            };
        }
    }

    /// Sends under the hub's policy: a slow session must not hold the floor.
    fn tell(&self, sender: &Sender, form: Form, event: &Event<'_>) {
        self.room.hub.send_to(sender, event.write(form, &self.room.name, self.at));
    }
}

/// The latest messages, bounded by count and by bytes.
#[derive(Default)]
struct History {
    kept: VecDeque<Said>,
    bytes: usize,
}

impl History {
    fn keep(&mut self, said: Said, count: usize, bytes: usize) {
        self.bytes += said.size();
        self.kept.push_back(said);
        while self.kept.len() > count || self.bytes > bytes {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.size();
        }
    }
}

/// The ids of messages and their times, bounded by count.
///
/// They outlive the history, which a busy room forgets faster than a client notices that its
/// connection was lost. Ids are kept as hashes under a key of the room, so that no client can
/// construct a collision.
#[derive(Default)]
struct SaidIds {
    key: RandomState,
    ids: VecDeque<(u64, u64)>,
}

impl SaidIds {
    /// The time of the message with this id; a new id is remembered with `now`.
    fn remember(&mut self, id: &str, now: u64, limit: usize) -> Option<u64> {
        let hash = self.key.hash_one(id);
        if let Some((_, at)) = self.ids.iter().rev().find(|(known, _)| *known == hash) {
            return Some(*at);
        }
        self.ids.push_back((hash, now));
        while self.ids.len() > limit {
            self.ids.pop_front();
        }
        None
    }
}

/// The pace of rosters: without it, a crowd that arrives at once would get its growing list at each
/// arrival.
#[derive(Default)]
struct RosterPace {
    last: Option<Instant>,
    waiting: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Pace {
    Now,
    In(Duration),
    /// A task is about to publish it.
    Waiting,
}

impl RosterPace {
    fn changed(&mut self, now: Instant, interval: Duration) -> Pace {
        if self.waiting {
            return Pace::Waiting;
        }
        let age = self.last.map(|last| now.saturating_duration_since(last));
        match age.and_then(|age| interval.checked_sub(age)).filter(|rest| !rest.is_zero()) {
            None => Pace::Now,
            Some(rest) => {
                self.waiting = true;
                Pace::In(rest)
            }
        }
    }

    fn told(&mut self, now: Instant) {
        *self = Self { last: Some(now), waiting: false };
    }
}
