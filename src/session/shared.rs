//! A session as its application and its transport share it: the state machine and its waiters
//! behind a lock.

mod changes;
mod holding;
mod inbound;
mod outbound;
mod written;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

pub(in crate::session) use self::changes::Change;
pub(crate) use self::inbound::{Inbound, Place};
pub(in crate::session) use self::outbound::SenderPlace;
pub(crate) use self::written::Connection;
use self::written::{Connections, shut};
use super::core::{Core, EndedBy, Limits, SessionEnd};
use super::turns::Turns;
use super::{ConnectInfo, TrySendError};
use crate::Message;
use crate::budget::{Account, Budget};
use crate::clock;
use crate::protocol::close::CloseReason;
use crate::protocol::modified_utf8;
use crate::wakers::{Wait, Waiters, Wakes, register};

/// Keeps the sessions of an endpoint, and is told when a session is over or needs an expiry
/// deadline.
pub(crate) trait Owner: Send + Sync {
    /// The budget that counts the memory of its sessions.
    fn budget(&self) -> &Budget;
    /// No receiver is attached, or the session is closing: the owner calls `expire` at
    /// `expires_at`.
    fn parked(&self, session: &Arc<Shared>, expires_at: Instant);
    /// The session is over and no receiver is attached: the owner forgets it now.
    fn over(&self, session: &Arc<Shared>);
    /// The gateway has ended the session for this reason. The caller holds no lock.
    fn ended(&self, _session: &Shared, _reason: &CloseReason) {}
}

/// The messages that a session's transport can carry to its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    Text,
    TextAndBinary,
    /// Text that fits into a record of modified UTF-8.
    Records,
}

impl Carries {
    fn accept(self, message: Message) -> Result<Message, TrySendError> {
        match (self, message.as_text()) {
            (Self::Text | Self::Records, None) => Err(TrySendError::NotCarried(message)),
            (Self::Records, Some(text))
                if modified_utf8::encoded_len(text) > modified_utf8::LONGEST =>
            {
                Err(TrySendError::TooLarge(message))
            }
            _ => Ok(message),
        }
    }
}

/// The bytes of an idle session, and of a socket with its session, as `make bench` has measured
/// them after bursts ("memory of 5,000 idle sessions" in BENCHMARKS.md: resident memory, divided),
/// the KiB included that a session may owe the budget.
const SESSION: usize = 2_500 + 1_024;
const SESSION_AND_SOCKET: usize = 5_200 + 1_024;

/// One session.
pub(crate) struct Shared {
    info: ConnectInfo,
    /// The session segment of the URL, by which an HTTP transport finds the session; a WebSocket
    /// has none.
    segment: Option<Arc<str>>,
    carries: Carries,
    pub(super) limits: Arc<Limits>,
    pub(super) owner: Arc<dyn Owner>,
    created: Instant,
    /// Payloads that wait for room do so in the order they came (a fair semaphore), else a small
    /// late one would overtake a large early one.
    turn: Semaphore,
    /// Places for payloads that arrive or wait for room, in the order they came; closed with the
    /// session.
    places: Semaphore,
    /// The bytes that the session holds outside its queues.
    account: Account,
    // `std::sync`: held for a push or a pop, never across an await. Order: hub before session;
    // wakers are called after unlocking.
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) core: Core,
    /// The application, in `recv`.
    pub(super) application: Option<Waker>,
    /// The attached transport side.
    pub(super) attachment: Option<Waker>,
    /// Senders waiting for room in the outbound queue.
    senders: Turns,
    /// Transports waiting for room in the inbound queue or for another receiver to go, and waiters
    /// for the end: all rare.
    pub(super) others: Waiters,
    waiting_payloads: usize,
    /// Where frames are on their way, as far as the server lets it be known.
    connections: Connections,
}

impl Shared {
    pub(crate) fn new(
        info: ConnectInfo,
        segment: Option<Arc<str>>,
        carries: Carries,
        limits: Arc<Limits>,
        owner: Arc<dyn Owner>,
    ) -> Arc<Self> {
        let created = clock::now();
        let state = State {
            core: Core::new(created, &limits).counted(owner.budget().id()),
            application: None,
            attachment: None,
            senders: Turns::default(),
            others: Waiters::default(),
            waiting_payloads: 0,
            connections: Connections::default(),
        };
        let places = limits.payloads.clamp(1, Semaphore::MAX_PERMITS);
        // A session of HTTP without its connections, which are its server's.
        let fixed = if segment.is_some() { SESSION } else { SESSION_AND_SOCKET } + info.weight();
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            info,
            segment,
            carries,
            limits,
            account: Account::new(owner.budget(), this.clone(), fixed),
            owner,
            created,
            turn: Semaphore::const_new(1),
            places: Semaphore::const_new(places),
            state: Mutex::new(state),
        })
    }

    /// The account for bytes of the session outside its queues.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn info(&self) -> &ConnectInfo {
        &self.info
    }

    pub(crate) fn segment(&self) -> Option<&Arc<str>> {
        self.segment.as_ref()
    }

    pub(crate) fn carries_binary(&self) -> bool {
        self.carries == Carries::TextAndBinary
    }

    pub(crate) fn is_closed(&self) -> bool {
        !self.lock().core.is_open()
    }

    pub(crate) fn is_attached(&self) -> bool {
        let state = self.lock();
        state.core.is_open() && state.core.is_attached()
    }

    pub(crate) fn end(&self) -> Option<SessionEnd> {
        self.lock().core.ended().cloned()
    }

    /// Whether the session has ended and no client knows of it.
    pub(crate) fn ended_untold(&self) -> bool {
        self.lock().core.ended_untold()
    }

    // The application's side.

    pub(crate) fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let mut stale = None;
        let mut state = self.lock();
        let Some(message) = state.core.pop_inbound() else {
            if !state.core.takes_more() {
                return Poll::Ready(None);
            }
            register(&mut state.application, cx, &mut stale);
            return Poll::Pending;
        };
        let others = std::mem::take(&mut state.others);
        let charge = state.core.due_charge();
        drop(state);
        others.wake();
        self.charge(charge);
        Poll::Ready(Some(message))
    }

    pub(in crate::session) fn recv(&self) -> Receiving<'_> {
        Receiving { session: self, waits: false }
    }

    pub(crate) async fn ended(&self) -> SessionEnd {
        let mut wait = self.wait(|state| &mut state.others);
        poll_fn(|cx| {
            let mut stale = None;
            let mut state = self.lock();
            match state.core.ended() {
                Some(end) => Poll::Ready(end.clone()),
                None => wait.among(&mut state, cx, &mut stale),
            }
        })
        .await
    }

    /// Closes the session; false: it was closed already, and nothing has changed.
    pub(crate) fn close(self: &Arc<Self>, reason: CloseReason, by: EndedBy) -> bool {
        let closed = self.with(|state, wakes| {
            if !state.core.is_open() {
                return false;
            }
            state.core.close(clock::now(), &self.limits, reason, by);
            state.changed(Change::Closed, &self.limits, wakes);
            true
        });
        if closed {
            self.places.close();
        }
        // An attached HTTP receiver may be stuck in a connection that takes nothing, and is then no
        // longer polled. A WebSocket's task has a timer of its own for that.
        if closed
            && self.segment.is_some()
            && let Some(expires_at) = self.expires_at()
        {
            self.owner.parked(self, expires_at);
        }
        closed
    }

    /// Ends the response that the session is attached to, in order: a waiting poll with a heartbeat,
    /// a stream behind its next frame. The session goes on, and its client comes back. False: there
    /// is none, because the session is a socket's or its client is between two requests.
    pub(crate) fn end_response(&self) -> bool {
        if self.segment.is_none() {
            return false;
        }
        self.with(|state, wakes| {
            let attached = state.core.is_attached();
            if attached {
                state.core.release_receiver(clock::now());
                state.changed(Change::Outbound, &self.limits, wakes);
            }
            attached
        })
    }

    /// The application has dropped its session: it receives no more, even if it keeps a
    /// [`Sender`](super::Sender).
    pub(crate) fn abandon(self: &Arc<Self>, reason: CloseReason) {
        self.close(reason, EndedBy::Application);
        let freed_after_unlocking = self.with(|state, wakes| {
            // The last messages of a client that has gone may still wait for room; now they are
            // dropped.
            state.changed(Change::InboundRoom, &self.limits, wakes);
            (state.core.take_inbound(), state.application.take())
        });
        drop(freed_after_unlocking);
    }

    /// Ends the session if its client did not come back in time, or takes nothing more of a closed
    /// one; false when that is too early.
    pub(crate) fn expire(&self, now: Instant) -> bool {
        let mut stuck = Vec::new();
        let over = self.with(|state, _| {
            let over = state.core.expire(now);
            if over {
                stuck = state.connections.all();
            }
            over
        });
        shut(&stuck);
        over
    }

    /// Ends a session whose time is up, whatever its client has taken; its connections, where frames
    /// are on their way, are shut. Returns its end.
    pub(crate) fn cut_off(self: &Arc<Self>) -> Option<SessionEnd> {
        let mut stuck = Vec::new();
        let end = self.with(|state, wakes| {
            state.core.abort(CloseReason::INTERRUPTED);
            stuck = state.connections.all();
            state.changed(Change::Outbound, &self.limits, wakes);
            state.core.ended().cloned()
        });
        shut(&stuck);
        if !self.lock().core.is_attached() {
            self.owner.over(self);
        }
        end
    }

    /// When to look again at a session that did not expire; `None` while it is open and a receiver
    /// is attached.
    pub(crate) fn expires_at(&self) -> Option<Instant> {
        self.lock().core.expires_at()
    }

    /// The longest time between two looks at a session that may expire: its deadline moves as its
    /// connection takes bytes, and the owner is not told.
    pub(crate) fn look_delay(&self) -> Duration {
        // Not without a pause, where sessions wait for nothing.
        self.limits.disconnect_delay.min(self.limits.write_timeout).max(Duration::from_millis(10))
    }

    /// Runs `change` under the lock, then wakes the waiters that it has added to the `Wakes`, and
    /// those of [`Change::Ended`] and [`Change::Detached`] if it came to that.
    ///
    /// For all but the two operations that every message passes, which end no session and wake a
    /// single task.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State, &mut Wakes) -> T) -> T {
        let mut wakes = Wakes::default();
        let mut ended = None;
        let mut _stale = None;
        let (result, charge) = {
            let mut state = self.lock();
            let before = state.core.ended().is_some();
            let was_attached = state.core.is_attached();
            let result = change(&mut state, &mut wakes);
            if !before && let Some(end) = state.core.ended() {
                ended = Some((end.clone(), state.core.counts()));
                state.changed(Change::Ended, &self.limits, &mut wakes);
            }
            if was_attached && !state.core.is_attached() {
                state.changed(Change::Detached, &self.limits, &mut wakes);
                // A stored waker would keep its task's memory.
                _stale = state.attachment.take();
            }
            (result, state.core.due_charge())
        };
        wakes.wake();
        self.charge(charge);
        if let Some((end, counts)) = ended {
            self.places.close();
            self.log_end(&end, counts);
            if end.by == EndedBy::Gateway {
                self.owner.ended(self, &end.reason);
            }
        }
        result
    }

    fn log_end(&self, end: &SessionEnd, (received, sent): (u64, u64)) {
        tracing::debug!(
            session = %self.info.id(),
            transport = self.info.transport(),
            peer = self.info.peer().map(tracing::field::display),
            age = ?clock::now().saturating_duration_since(self.created),
            received,
            sent,
            undelivered = end.undelivered,
            reason = %end.reason,
            by = ?end.by,
            "session ended"
        );
    }

    /// A wait among the waiters of a list.
    pub(super) fn wait(&self, list: fn(&mut State) -> &mut Waiters) -> Wait<'_, State> {
        Wait::new(&self.state, list)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under this lock; were it so, the state would still be whole between two
        // statements of `Core`.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The application's wait for a message.
pub(in crate::session) struct Receiving<'s> {
    session: &'s Shared,
    waits: bool,
}

impl Future for Receiving<'_> {
    type Output = Option<Message>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let polled = self.session.poll_recv(cx);
        self.waits = polled.is_pending();
        polled
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        // A message that was there costs no second lock.
        if self.waits {
            let waker = self.session.lock().application.take();
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests;
