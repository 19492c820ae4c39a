//! The sessions of an endpoint: looked up, entered, expired and removed.

mod deadlines;
mod gate;
mod memory;
mod tasks;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle;

use self::deadlines::{DeadlineId, Deadlines};
use self::gate::Gate;
pub(crate) use self::memory::Memory;
use self::tasks::Tasks;
pub(crate) use self::work::Work;
use self::work::Works;
use super::reached::{self, Reached};
use crate::budget::Budget;
use crate::clock;
use crate::protocol::close::CloseReason;
use crate::session::{Attachment, Owner, SessionId, Shared};

/// All live sessions of one endpoint.
///
/// Sessions of HTTP transports are found by the session segment of the URL. WebSocket sessions are
/// never looked up (two sockets may carry the same segment, SockJS 0.3.3, WebSocket) and stand here
/// so that limits count them.
pub(crate) struct Registry {
    // Held for look-ups and entries only. Lock order: registry before session.
    tables: Mutex<Tables>,
    sessions: usize,
    budget: Budget,
    works: Works,
    reached: Reached,
}

#[derive(Default)]
struct Tables {
    by_segment: HashMap<Arc<str>, Entry>,
    sockets: HashMap<SessionId, Arc<Shared>>,
    deadlines: Deadlines,
    memory: Memory,
    tasks: Tasks,
    gate: Gate,
}

struct Entry {
    session: Arc<Shared>,
    /// The deadline that stands for this session, if any.
    deadline: Option<DeadlineId>,
}

/// The meaning of a session segment.
pub(crate) enum Lookup {
    /// A session that lives, or has closed a moment ago.
    Found(Arc<Shared>),
    /// It ended; this was its reason. The segment is free from now on.
    Ended(CloseReason),
    /// Made just now, and attached before any other request could find it.
    Created(Attachment),
}

/// Why a session was not made.
#[derive(Debug)]
pub(crate) enum NotMade<E> {
    NoRoom(NoRoom),
    /// The closure that makes sessions refused.
    Refused(E),
}

/// Why there is no room for one more session.
#[derive(Debug)]
pub(crate) enum NoRoom {
    /// The endpoint has as many sessions as its configuration allows.
    Sessions,
    /// Memory is short.
    Memory,
    /// The endpoint drains; clients may try again after so many seconds.
    Draining { retry_after: u32 },
}

impl Registry {
    pub(crate) fn new(sessions: usize, memory: Memory, budget: Budget) -> Self {
        let tables = Mutex::new(Tables { memory: memory.counted(&budget), ..Tables::default() });
        Self { tables, sessions, budget, works: Works::default(), reached: Reached::new("") }
    }

    /// A task of a session begins.
    pub(crate) fn work(&self) -> Work {
        self.works.begin()
    }

    /// The tasks of its sessions.
    pub(crate) fn works(&self) -> &Works {
        &self.works
    }

    /// Names its endpoint in warnings.
    pub(crate) fn named(self, endpoint: &str) -> Self {
        Self { reached: Reached::new(endpoint), ..self }
    }

    /// The limits that its clients reach.
    pub(crate) fn reached(&self) -> &Reached {
        &self.reached
    }

    /// The session of an HTTP transport.
    pub(crate) fn find(&self, segment: &str) -> Option<Arc<Shared>> {
        self.lock().by_segment.get(segment).map(|entry| Arc::clone(&entry.session))
    }

    /// The session of an HTTP transport, for a receiver. An ended session is told once; an unknown
    /// session is created.
    pub(crate) fn find_or_create<E>(
        self: &Arc<Self>,
        segment: &str,
        create: impl FnOnce(Arc<str>) -> Result<Attachment, E>,
    ) -> Result<Lookup, NotMade<E>> {
        let mut tables = self.lock();
        if let Some(entry) = tables.by_segment.get(segment) {
            return Ok(Lookup::Found(Arc::clone(&entry.session)));
        }
        if let Some(reason) = tables.memory.recall(segment, clock::now()) {
            return Ok(Lookup::Ended(reason));
        }
        tables.admit(self.sessions, &self.budget).map_err(NotMade::NoRoom)?;
        let segment: Arc<str> = segment.into();
        let attachment = create(Arc::clone(&segment)).map_err(NotMade::Refused)?;
        tables
            .by_segment
            .insert(segment, Entry { session: Arc::clone(attachment.session()), deadline: None });
        tables.tasks.runtime = Some(Handle::current());
        // This runtime takes over the deadlines that an earlier one left behind.
        self.staff(tables);
        Ok(Lookup::Created(attachment))
    }

    /// Enters a WebSocket's session.
    pub(crate) fn enter_socket(
        self: &Arc<Self>,
        create: impl FnOnce() -> Arc<Shared>,
    ) -> Result<Arc<Shared>, NoRoom> {
        let mut tables = self.lock();
        tables.admit(self.sessions, &self.budget)?;
        let session = create();
        tables.sockets.insert(session.info().id(), Arc::clone(&session));
        self.staff(tables);
        Ok(session)
    }

    /// Forgets an ended session, whether the thread that ended it has called
    /// [`remove`](Self::remove) yet or not: its end is being told, and the segment is free.
    pub(crate) fn forget(&self, session: &Arc<Shared>) {
        let Some(segment) = session.segment() else { return };
        let mut tables = self.lock();
        if tables.by_segment.get(segment).is_some_and(|entry| Arc::ptr_eq(&entry.session, session))
        {
            tables.by_segment.remove(segment);
        } else {
            tables.memory.recall(segment, clock::now());
        }
    }

    /// The sessions of HTTP transports.
    pub(crate) fn by_segment(&self) -> Vec<Arc<Shared>> {
        self.lock().sessions_by_segment().collect()
    }

    /// Live sessions of all transports.
    pub(crate) fn live(&self) -> usize {
        self.lock().live()
    }

    fn schedule(self: &Arc<Self>, session: &Arc<Shared>, at: Instant) {
        let Some(segment) = session.segment() else { return self.remove(session) };
        let mut guard = self.lock();
        let tables = &mut *guard;
        let Some(entry) = tables.by_segment.get_mut(segment) else { return };
        if entry.deadline.is_some() || !Arc::ptr_eq(&entry.session, session) {
            return;
        }
        let at = at.min(clock::now() + session.look_delay());
        entry.deadline = Some(tables.deadlines.enter(Arc::clone(segment), at));
        self.staff(guard);
    }

    fn remove(self: &Arc<Self>, session: &Arc<Shared>) {
        let mut tables = self.lock();
        let Some(segment) = session.segment() else {
            tables.sockets.remove(&session.info().id());
            return;
        };
        if tables.by_segment.get(segment).is_some_and(|entry| Arc::ptr_eq(&entry.session, session))
        {
            tables.by_segment.remove(segment);
            let reason = session.end().map_or(CloseReason::INTERRUPTED, |end| end.reason);
            tables.memory.keep(Arc::clone(segment), reason, clock::now());
            self.staff(tables);
        }
    }

    /// Ends sessions whose clients did not come back, and closed ones whose clients take nothing.
    fn expire_due(self: &Arc<Self>, now: Instant) {
        for session in self.due(now) {
            if session.expire(now) {
                self.remove(&session);
            } else if let Some(at) = session.expires_at() {
                self.schedule(&session, at);
            }
        }
    }

    fn due(&self, now: Instant) -> Vec<Arc<Shared>> {
        let mut tables = self.lock();
        let mut due = Vec::new();
        while let Some((segment, deadline)) = tables.deadlines.pop(now) {
            if let Some(entry) = tables.by_segment.get_mut(&segment)
                && entry.deadline == Some(deadline)
            {
                entry.deadline = None;
                due.push(Arc::clone(&entry.session));
            }
        }
        due
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        // Entries are whole between two statements; a panic elsewhere must not take the endpoint
        // down.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn live(&self) -> usize {
        self.by_segment.len() + self.sockets.len()
    }

    fn sessions_by_segment(&self) -> impl Iterator<Item = Arc<Shared>> {
        self.by_segment.values().map(|entry| Arc::clone(&entry.session))
    }

    /// Whether there is room for one more session.
    fn admit(&self, limit: usize, budget: &Budget) -> Result<(), NoRoom> {
        self.gate.admit()?;
        if self.live() >= limit {
            return Err(NoRoom::Sessions);
        }
        if budget.is_short() { Err(NoRoom::Memory) } else { Ok(()) }
    }
}

/// The registry as sessions see it.
pub(crate) struct Keeper(pub(crate) Arc<Registry>);

impl Owner for Keeper {
    fn budget(&self) -> &Budget {
        &self.0.budget
    }

    fn parked(&self, session: &Arc<Shared>, expires_at: Instant) {
        self.0.schedule(session, expires_at);
    }

    fn over(&self, session: &Arc<Shared>) {
        self.0.remove(session);
    }

    fn ended(&self, session: &Shared, reason: &CloseReason) {
        let is_counted = *reason == CloseReason::TOO_LARGE && session.segment().is_some();
        if let Some(setting) = reached::ended_by(reason).filter(|_| !is_counted) {
            self.0.reached.add(setting, session.info().peer());
        }
    }
}

#[cfg(test)]
mod tests;
