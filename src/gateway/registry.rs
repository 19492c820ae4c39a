//! Which sessions an endpoint has, and which it had a moment ago.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::clock;
use crate::protocol::close::CloseReason;
use crate::session::{Owner, Receiver, SessionId, Shared};
use crate::tally::Tally;

/// All live sessions of one endpoint.
///
/// Sessions of HTTP transports are found by the session segment of the URL. WebSocket sessions are found by nobody (two sockets may
/// carry the same segment, SockJS 0.3.3, WebSocket) and stand here so that limits count them.
pub(crate) struct Registry {
    // Held for look-ups and entries only. Order: registry before session.
    tables: Mutex<Tables>,
    sessions: usize,
    /// Where the reaper can run: a session may be closed by a thread that knows of no runtime.
    runtime: OnceLock<Handle>,
}

#[derive(Default)]
struct Tables {
    by_segment: HashMap<Arc<str>, Entry>,
    sockets: HashMap<SessionId, Arc<Shared>>,
    /// Dates to look at sessions that had no receiver, one a session at the most: a client that polls a thousand times a second must not
    /// leave five thousand dates behind. The date is early when the session was used since; then it gets a new one.
    dates: BinaryHeap<Reverse<Date>>,
    next_ticket: u64,
    reaping: bool,
    memory: Memory,
    refused: Tally,
}

struct Entry {
    session: Arc<Shared>,
    /// The date that stands for this session, if any.
    ticket: Option<u64>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Date {
    at: Instant,
    ticket: u64,
    segment: Arc<str>,
}

/// What a session segment stands for.
pub(crate) enum Lookup {
    /// A session that lives, or has closed a moment ago.
    Found(Arc<Shared>),
    /// It ended; this was its reason. The segment is free from now on.
    Ended(CloseReason),
    /// Made just now, and attached to before anybody else could find it.
    Created(Receiver),
}

/// The endpoint has as many sessions as its configuration allows.
#[derive(Debug)]
pub(crate) struct TooManySessions {
    /// How many were refused since the operator was last told, when it is time to tell again.
    pub(crate) untold: Option<u64>,
}

impl Registry {
    pub(crate) fn new(sessions: usize, memory: Memory) -> Self {
        let tables = Mutex::new(Tables { memory, ..Tables::default() });
        Self { tables, sessions, runtime: OnceLock::new() }
    }

    /// The session of an HTTP transport.
    pub(crate) fn find(&self, segment: &str) -> Option<Arc<Shared>> {
        self.lock().by_segment.get(segment).map(|entry| Arc::clone(&entry.session))
    }

    /// The session of an HTTP transport, for a receiver: one that has ended is answered once, an unknown one is made.
    pub(crate) fn find_or_create(
        &self,
        segment: &str,
        create: impl FnOnce(Arc<str>) -> Receiver,
    ) -> Result<Lookup, TooManySessions> {
        let mut tables = self.lock();
        if let Some(entry) = tables.by_segment.get(segment) {
            return Ok(Lookup::Found(Arc::clone(&entry.session)));
        }
        if let Some(reason) = tables.memory.recall(segment, clock::now()) {
            return Ok(Lookup::Ended(reason));
        }
        tables.admit(self.sessions)?;
        self.runtime.get_or_init(Handle::current);
        let segment: Arc<str> = segment.into();
        let receiver = create(Arc::clone(&segment));
        tables.by_segment.insert(segment, Entry { session: Arc::clone(receiver.session()), ticket: None });
        Ok(Lookup::Created(receiver))
    }

    /// Enters a WebSocket's session.
    pub(crate) fn enter_socket(&self, create: impl FnOnce() -> Arc<Shared>) -> Result<Arc<Shared>, TooManySessions> {
        let mut tables = self.lock();
        tables.admit(self.sessions)?;
        let session = create();
        tables.sockets.insert(session.info().id(), Arc::clone(&session));
        Ok(session)
    }

    /// Forgets a session that has ended, whether the thread on which it ended has come to [`remove`](Self::remove) it yet or not: its end
    /// is being told, and the segment is free.
    pub(crate) fn forget(&self, session: &Arc<Shared>) {
        let Some(segment) = session.segment() else { return };
        let mut tables = self.lock();
        if tables.by_segment.get(segment).is_some_and(|entry| Arc::ptr_eq(&entry.session, session)) {
            tables.by_segment.remove(segment);
        } else {
            tables.memory.recall(segment, clock::now());
        }
    }

    /// Live sessions of all transports.
    pub(crate) fn live(&self) -> usize {
        self.lock().live()
    }

    fn schedule(self: &Arc<Self>, session: &Arc<Shared>, at: Instant) {
        let Some(segment) = session.segment() else { return self.remove(session) };
        let mut tables = self.lock();
        let tables = &mut *tables;
        let Some(entry) = tables.by_segment.get_mut(segment) else { return };
        if entry.ticket.is_some() || !Arc::ptr_eq(&entry.session, session) {
            return;
        }
        tables.next_ticket += 1;
        entry.ticket = Some(tables.next_ticket);
        tables.dates.push(Reverse(Date { at, ticket: tables.next_ticket, segment: Arc::clone(segment) }));
        if !std::mem::replace(&mut tables.reaping, true) {
            let runtime = Handle::try_current().ok();
            // Every session that has a segment was made within a runtime.
            if let Some(runtime) = runtime.as_ref().or(self.runtime.get()) {
                runtime.spawn(Arc::clone(self).reap());
            }
        }
    }

    fn remove(&self, session: &Arc<Shared>) {
        let mut tables = self.lock();
        let Some(segment) = session.segment() else {
            tables.sockets.remove(&session.info().id());
            return;
        };
        if tables.by_segment.get(segment).is_some_and(|entry| Arc::ptr_eq(&entry.session, session)) {
            tables.by_segment.remove(segment);
            let reason = session.end().map_or(CloseReason::INTERRUPTED, |end| end.reason);
            tables.memory.keep(Arc::clone(segment), reason, clock::now());
        }
    }

    /// Ends sessions whose clients did not come back, or take nothing of a closed one; rests while no date stands, and ends when there is none left.
    async fn reap(self: Arc<Self>) {
        loop {
            let next = {
                let mut tables = self.lock();
                match tables.dates.peek() {
                    Some(Reverse(date)) => date.at,
                    None => {
                        tables.reaping = false;
                        return;
                    }
                }
            };
            // A date entered meanwhile is never earlier than this one: the delay is the same for all sessions of an endpoint.
            tokio::time::sleep_until(next.into()).await;
            let now = clock::now();
            for session in self.due(now) {
                if session.expire(now) {
                    self.remove(&session);
                } else if let Some(at) = session.expires_at() {
                    self.schedule(&session, at);
                }
            }
        }
    }

    fn due(&self, now: Instant) -> Vec<Arc<Shared>> {
        let mut tables = self.lock();
        let mut due = Vec::new();
        while tables.dates.peek().is_some_and(|Reverse(date)| date.at <= now) {
            let Some(Reverse(date)) = tables.dates.pop() else { break };
            if let Some(entry) = tables.by_segment.get_mut(&date.segment)
                && entry.ticket == Some(date.ticket)
            {
                entry.ticket = None;
                due.push(Arc::clone(&entry.session));
            }
        }
        due
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        // Entries are whole between two statements; a panic elsewhere must not take the endpoint down.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn live(&self) -> usize {
        self.by_segment.len() + self.sockets.len()
    }

    /// Whether there is room for one more session.
    fn admit(&mut self, limit: usize) -> Result<(), TooManySessions> {
        if self.live() < limit {
            return Ok(());
        }
        Err(TooManySessions { untold: self.refused.add(1, clock::now()) })
    }
}

/// The registry as sessions see it.
pub(crate) struct Keeper(pub(crate) Arc<Registry>);

impl Owner for Keeper {
    fn parked(&self, session: &Arc<Shared>, expires_at: Instant) {
        self.0.schedule(session, expires_at);
    }

    fn over(&self, session: &Arc<Shared>) {
        self.0.remove(session);
    }
}

/// How sessions ended whose ids a client may still use: its late poll must not open a new session as if nothing had been lost.
///
/// The default remembers nothing.
#[derive(Default)]
pub(crate) struct Memory {
    duration: Duration,
    most: usize,
    reasons: HashMap<Arc<str>, (CloseReason, Instant)>,
    order: VecDeque<(Instant, Arc<str>)>,
}

impl Memory {
    /// Remembers an end for this long, and so many of them, the latest.
    pub(crate) fn new(duration: Duration, most: usize) -> Self {
        Self { duration, most, ..Self::default() }
    }

    fn keep(&mut self, segment: Arc<str>, reason: CloseReason, now: Instant) {
        if self.most == 0 {
            return;
        }
        while self.order.len() >= self.most || self.order.front().is_some_and(|(at, _)| !self.holds(*at, now)) {
            let Some((at, oldest)) = self.order.pop_front() else { break };
            // The same segment may have ended again since: then a later place in the order stands for it.
            if self.reasons.get(&oldest).is_some_and(|(_, kept)| *kept == at) {
                self.reasons.remove(&oldest);
            }
        }
        self.order.push_back((now, Arc::clone(&segment)));
        self.reasons.insert(segment, (reason, now));
    }

    fn recall(&mut self, segment: &str, now: Instant) -> Option<CloseReason> {
        let (reason, at) = self.reasons.remove(segment)?;
        self.holds(at, now).then_some(reason)
    }

    /// Whether what ended `at` that time is still remembered. By the difference: the duration may be longer than a date can tell.
    fn holds(&self, at: Instant, now: Instant) -> bool {
        now.saturating_duration_since(at) < self.duration
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn memory() -> Memory {
        Memory::new(MINUTE, 100)
    }

    fn kept(memory: &mut Memory, segment: &str, now: Instant) -> bool {
        memory.recall(segment, now).is_some()
    }

    /// Clients come again, and an endpoint that is full has better things to do than to write ten thousand lines.
    #[tokio::test(start_paused = true)]
    async fn of_the_sessions_that_were_refused_one_line_is_told_in_a_while() {
        let registry = Registry::new(0, Memory::default());
        let refused = || registry.enter_socket(|| unreachable!("it is full")).err().expect("it is full").untold;
        assert_eq!(refused(), Some(1));
        for _ in 0..100 {
            assert_eq!(refused(), None);
            assert!(
                registry.find_or_create("a", |_| unreachable!("it is full")).is_err_and(|full| full.untold.is_none())
            );
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(refused(), Some(201));
    }

    #[test]
    fn an_end_is_told_once_and_for_as_long_as_was_said() {
        let (mut memory, now) = (memory(), clock::now());
        memory.keep("a".into(), CloseReason::NORMAL, now);
        memory.keep("b".into(), CloseReason::NORMAL, now);
        assert!(kept(&mut memory, "a", now + MINUTE - Duration::from_millis(1)));
        assert!(!kept(&mut memory, "a", now));
        assert!(!kept(&mut memory, "b", now + MINUTE));
    }

    #[test]
    fn the_oldest_ends_are_forgotten_first() {
        let (mut memory, now) = (memory(), clock::now());
        for n in 0..=100 {
            memory.keep(n.to_string().into(), CloseReason::NORMAL, now);
        }
        assert_eq!((memory.reasons.len(), memory.order.len()), (100, 100));
        assert!(!kept(&mut memory, "0", now));
        assert!(kept(&mut memory, "1", now));
    }

    #[test]
    fn nothing_and_for_ever_are_durations_and_numbers_too() {
        let now = clock::now();
        for mut memory in [Memory::new(Duration::ZERO, 100), Memory::new(MINUTE, 0)] {
            memory.keep("a".into(), CloseReason::NORMAL, now);
            assert!(!kept(&mut memory, "a", now));
            assert!(memory.order.len() <= 1);
        }
        let mut memory = Memory::new(Duration::MAX, 100);
        memory.keep("a".into(), CloseReason::NORMAL, now);
        memory.keep("b".into(), CloseReason::NORMAL, now);
        assert!(kept(&mut memory, "a", now + MINUTE * 1000));
    }

    #[test]
    fn an_id_that_ended_twice_keeps_its_later_reason() {
        let (mut memory, now) = (memory(), clock::now());
        memory.keep("a".into(), CloseReason::NORMAL, now);
        memory.keep("a".into(), CloseReason::NO_PONG, now + Duration::from_secs(30));
        memory.keep("b".into(), CloseReason::NORMAL, now + MINUTE);
        assert_eq!(memory.recall("a", now + MINUTE), Some(CloseReason::NO_PONG));
    }
}
