//! Fan-out: one message to every session that follows a topic.

mod backplane;
mod members;
mod slow;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

pub use self::backplane::{Backplane, Local, Publication, WhenFull};
use self::members::Members;
use self::slow::SlowConsumers;
use crate::session::Kept;
use crate::{CloseReason, Message, Sender, SessionId, TrySendError};

/// Topics and the sessions that follow them; cheap to clone, all clones are the same hub.
///
/// A message is encoded once, however many sessions it goes to. A session that cannot take one
/// because its outbound queue is full is closed with [`CloseReason::SLOW_CONSUMER`] and counted,
/// unless its publisher wants something else ([`Topic::when_full`]): one client that does not read
/// costs the others nothing. A message that is larger by itself than a session can take is counted
/// and closes none. A publication takes the room that there is, also while a [`send`](Sender::send)
/// of the application waits for more: a session that has room is never closed for want of it.
///
/// ```
/// use sockeye::{Session, hub::Hub};
///
/// async fn chat(mut session: Session, hub: Hub) {
///     let topic = hub.topic("chat");
///     let _membership = topic.join(session.sender()); // leaves when dropped
///     while let Some(message) = session.recv().await {
///         topic.publish(message);
///     }
/// }
/// ```
///
/// # Ordering
///
/// All members of a topic get its messages in the same order, and those of one publisher in the
/// order in which it published them. Topics know nothing of each other's order. Across hubs the
/// order is the [`Backplane`]'s; [`Local`] keeps it.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
    backplane: Arc<dyn Backplane>,
}

impl Hub {
    /// A hub of its own.
    pub fn new() -> Self {
        Self::joined_by(Arc::new(Local::new()))
    }

    /// A hub whose topics span all hubs on the `backplane`.
    pub fn joined_by(backplane: Arc<dyn Backplane>) -> Self {
        let inner = Arc::new(Inner::default());
        backplane.attach(Inlet { hub: Arc::downgrade(&inner) });
        Self { inner, backplane }
    }

    /// The topic of that name. It costs nothing until somebody joins, and is forgotten when the
    /// last member leaves.
    pub fn topic(&self, name: impl Into<Arc<str>>) -> Topic {
        Topic { hub: self.clone(), name: name.into(), when_full: WhenFull::Close }
    }

    /// Sends to one session as to a member of a topic: if its outbound queue is full, it is closed
    /// as a slow consumer.
    ///
    /// Returns whether the session took the message.
    pub fn send_to(&self, sender: &Sender, message: impl Into<Message>) -> bool {
        let outcome = offer(sender, message.into());
        let reached = matches!(outcome, Outcome::Taken);
        self.inner.undelivered.fetch_add(u64::from(!reached), Ordering::Relaxed);
        if let Outcome::TooSlow = outcome {
            self.inner.slow.closed(1, sender.id(), None);
        }
        reached
    }

    /// How many topics have members in this hub.
    pub fn topics(&self) -> usize {
        self.inner.topics().len()
    }

    /// How many sessions this hub has closed because they did not keep up.
    pub fn slow_consumers(&self) -> u64 {
        self.inner.slow.total()
    }

    /// How many times a message did not reach a member of this hub, for whatever reason, or was
    /// replaced by a newer one before it did.
    pub fn undelivered(&self) -> u64 {
        self.inner.undelivered.load(Ordering::Relaxed)
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

/// A name to publish under, and to follow; cheap to clone.
#[derive(Clone)]
pub struct Topic {
    hub: Hub,
    name: Arc<str>,
    when_full: WhenFull,
}

impl Topic {
    /// What becomes of a publication for members that can't keep up; so it is for all that is
    /// published through this handle and its clones. Default: [`WhenFull::Close`].
    ///
    /// ```
    /// use sockeye::hub::{Hub, WhenFull};
    ///
    /// let ticks = Hub::new().topic("ticks").when_full(WhenFull::Drop);
    /// ticks.publish("a member that has no room misses it");
    /// ticks.publish_latest("EUR", "a member that has no room gets it later, or a newer one of EUR");
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

    /// Makes a session a member, until the [`Membership`] is dropped.
    ///
    /// A session that joins twice gets every message twice.
    ///
    /// # Ordering
    ///
    /// The member gets everything that is published in this hub after `join` has returned, and
    /// nothing from before it was called. What other hubs publish reaches it as soon as the
    /// backplane knows of the topic.
    pub fn join(&self, sender: Sender) -> Membership {
        let hub = self.hub.clone();
        let mut followers = hub.inner.open(&self.name, None, &*hub.backplane);
        loop {
            let mut members = followers.lock();
            if let Some(key) = members.insert(&sender) {
                drop(members);
                return Membership { hub, followers, key };
            }
            // Its last member left between the two locks, and it is on its way out.
            drop(members);
            followers = hub.inner.open(&self.name, Some(&followers), &*hub.backplane);
        }
    }

    /// Sends a message to every member.
    ///
    /// It never waits for a client: a queue takes the message, or its session is closed. When it
    /// returns, the members in this process have been served.
    pub fn publish(&self, message: impl Into<Message>) -> Delivery {
        self.send(message.into(), None, self.when_full.clone())
    }

    /// Sends a message to every member; one that has no room gets it later, or a newer one of the
    /// same key ([`WhenFull::Latest`]).
    ///
    /// # Ordering
    ///
    /// What a member gets, it gets in the order in which it was published. While messages wait for
    /// a member nothing else finds room there: what is published with [`WhenFull::Close`] then
    /// closes it.
    pub fn publish_latest(
        &self,
        key: impl Into<Arc<str>>,
        message: impl Into<Message>,
    ) -> Delivery {
        self.send(message.into(), None, WhenFull::Latest(key.into()))
    }

    /// Sends a message to every member but one session, as a rule the one it came from.
    pub fn publish_except(&self, message: impl Into<Message>, except: SessionId) -> Delivery {
        self.send(message.into(), Some(except), self.when_full.clone())
    }

    /// How many members the topic has in this hub.
    pub fn members(&self) -> usize {
        let followers = self.hub.inner.topics().get(&*self.name).cloned();
        followers.map_or(0, |followers| followers.lock().len())
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

/// A session's place in a topic; dropping it leaves.
#[must_use = "dropping a membership leaves the topic"]
pub struct Membership {
    hub: Hub,
    followers: Arc<Followers>,
    key: usize,
}

impl Membership {
    /// The topic.
    pub fn topic(&self) -> Topic {
        self.hub.topic(Arc::clone(&self.followers.name))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let (sender, last) = self.followers.lock().remove(self.key);
        // Not under the lock: this may be the last handle of a session and free all that it holds.
        drop(sender);
        if last {
            self.hub.inner.close(&self.followers, &*self.hub.backplane);
        }
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Membership").field(&self.followers.name).finish()
    }
}

/// What became of a publication, as far as this process knows.
///
/// Members in other processes are counted where they are: by the hub that serves them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Sessions that have taken the message into their queue, or keep it behind the queue as the
    /// newest of its key.
    pub reached: usize,
    /// Members that have not: they had closed already, were closed now as slow consumers, or can't
    /// carry it (binary).
    pub undelivered: usize,
    /// Members for which it is too large by itself: more than `outbound_bytes` of their endpoint,
    /// or than their transport can carry. They stay open, and members.
    pub too_large: usize,
    /// Members that had no room for it, and stay ([`WhenFull::Drop`], or more keys than are kept).
    pub dropped: usize,
    /// Earlier messages that this one has replaced as the newest of its key: members had been
    /// reached by them, and will never get them.
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
    hub: Weak<Inner>,
}

impl Inlet {
    /// Hands a publication to the members in this hub, in the order of the calls for a topic.
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

/// What all clones of a hub share.
#[derive(Default)]
struct Inner {
    // Held for one look-up, never while a topic's members are locked or served: a large topic must
    // not hold up the others.
    topics: Mutex<HashMap<Arc<str>, Arc<Followers>>>,
    slow: SlowConsumers,
    undelivered: AtomicU64,
}

/// The members of one topic in this hub.
struct Followers {
    name: Arc<str>,
    // Held while a message is handed to all members: that is what gives them the same order. Each
    // session's own lock is taken inside this one, never the other way round.
    members: Mutex<Members>,
}

impl Inner {
    /// The members of a topic, or a new place for them where there is none but a `retired` one.
    fn open(
        &self,
        name: &Arc<str>,
        retired: Option<&Arc<Followers>>,
        backplane: &dyn Backplane,
    ) -> Arc<Followers> {
        let mut topics = self.topics();
        match topics.get(name) {
            Some(current) if !retired.is_some_and(|retired| Arc::ptr_eq(current, retired)) => {
                Arc::clone(current)
            }
            known => {
                let known = known.is_some();
                let followers =
                    Arc::new(Followers { name: Arc::clone(name), members: Mutex::default() });
                topics.insert(Arc::clone(name), Arc::clone(&followers));
                if !known {
                    backplane.topic_opened(name);
                }
                followers
            }
        }
    }

    fn close(&self, followers: &Arc<Followers>, backplane: &dyn Backplane) {
        let mut topics = self.topics();
        // Somebody may have joined in the meantime, and opened the topic anew.
        if topics.get(&followers.name).is_some_and(|current| Arc::ptr_eq(current, followers)) {
            topics.remove(&followers.name);
            backplane.topic_closed(&followers.name);
        }
    }

    fn deliver(&self, publication: &Publication) -> Delivery {
        let Publication { topic, message, except, when_full } = publication;
        let Some(followers) = self.topics().get(topic).cloned() else { return Delivery::default() };
        let mut delivery = Delivery::default();
        let mut slow = 0;
        let mut slowest = None;
        for sender in followers.lock().iter().filter(|sender| Some(sender.id()) != *except) {
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

    fn topics(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Followers>>> {
        // Nothing panics under this lock but a backplane's `topic_opened`, and then the map is
        // whole.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Followers {
    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Outcome {
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

fn offer(sender: &Sender, message: Message) -> Outcome {
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
