//! A session as its application and its transport share it: the state machine behind a lock, and
//! who waits for what.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::core::{Core, EndedBy, Held, Kept, Key, Limits, SessionEnd};
use super::pace::Pace;
use super::wakers::{Turns, Waiter, Waiting, Wakes, register};
use super::{ConnectInfo, SendError, TrySendError};
use crate::Message;
use crate::budget::{Account, Budget, Holder};
use crate::clock;
use crate::protocol::close::CloseReason;
use crate::protocol::modified_utf8;

/// Keeps the sessions of an endpoint, and is told when one needs no keeping or a date to look at it
/// again.
pub(crate) trait Owner: Send + Sync {
    /// What counts the memory of its sessions.
    fn budget(&self) -> &Budget;
    /// No receiver is attached, or the session is closing: at `expires_at` it is to be looked at,
    /// unless something happens before.
    fn parked(&self, session: &Arc<Shared>, expires_at: Instant);
    /// The session is over and nobody is attached: forget it now.
    fn over(&self, session: &Arc<Shared>);
}

/// What a session's transport can carry to its client.
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

/// What an idle session holds, in bytes, and a socket with its session: as `make bench` has
/// measured them after bursts ("memory of 5,000 idle sessions" in README.md: resident memory,
/// divided), the KiB included that a session may owe the budget.
const SESSION: usize = 2_500 + 1_024;
const SESSION_AND_SOCKET: usize = 5_200 + 1_024;

/// What became of messages that a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inbound {
    /// Queued for the application, or dropped because the session is closing.
    Taken,
    /// The application did not make room in time; the session closes.
    Full,
    /// Too many payloads of this session wait already.
    Crowded,
}

/// Held for a payload from before its first byte is read until its session has it.
pub(crate) type Place<'s> = SemaphorePermit<'s>;

/// One session.
pub(crate) struct Shared {
    info: ConnectInfo,
    /// The session segment of the URL, by which an HTTP transport finds the session; a WebSocket is
    /// found by nobody.
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
    /// What the session holds beside its queues.
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
    pub(super) receiver: Option<Waker>,
    /// Senders waiting for room in the outbound queue.
    senders: Turns,
    /// Transports waiting for room in the inbound queue or for another receiver to go, and whoever
    /// waits for the end: all rare.
    pub(super) others: Waiting,
    waiting_payloads: usize,
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
            receiver: None,
            senders: Turns::default(),
            others: Waiting::default(),
            waiting_payloads: 0,
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

    /// What the session holds beside its queues, for whoever holds it.
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

    pub(crate) async fn send(&self, message: Message) -> Result<(), SendError> {
        let mut message = Some(message);
        let mut turn = SenderTurn { session: self, waiter: None };
        poll_fn(|cx| {
            // Empty only when polled again after it was ready, which an async fn never does.
            let Some(offered) = message.take() else { return Poll::Ready(Ok(())) };
            match self.offer(offered, Room::WaitedFor(&mut turn, cx)) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(TrySendError::Closed(message)) => Poll::Ready(Err(SendError::Closed(message))),
                Err(TrySendError::NotCarried(message)) => {
                    Poll::Ready(Err(SendError::NotCarried(message)))
                }
                Err(TrySendError::TooLarge(message)) => {
                    Poll::Ready(Err(SendError::TooLarge(message)))
                }
                Err(TrySendError::Full(refused)) => {
                    message = Some(refused);
                    Poll::Pending
                }
            }
        })
        .await
    }

    pub(crate) fn try_send(&self, message: Message) -> Result<(), TrySendError> {
        self.offer(message, Room::Now)
    }

    /// The same, also while senders wait for more room than there is.
    ///
    /// For publications, of which one that finds no room closes the session. They can't keep a
    /// sender waiting for ever: coming faster than the client reads they fill the queue, and coming
    /// more slowly they leave it room.
    pub(crate) fn try_send_past_senders(&self, message: Message) -> Result<(), TrySendError> {
        self.offer(message, Room::NowPastSenders)
    }

    /// Queues a message for which [`poll_space`](Self::poll_space) has said that there is room,
    /// however large it turns out to be up to the whole queue, and whoever has sent meanwhile.
    pub(crate) fn send_promised(&self, message: Message) -> Result<(), TrySendError> {
        self.offer(message, Room::Promised)
    }

    /// Ready when there is room for a message; `waiter` is one and the same for all calls, until
    /// its session drops.
    pub(super) fn poll_space(&self, waiter: &mut Option<Waiter>, cx: &mut Context<'_>) -> Poll<()> {
        let mut stale = None;
        let mut wakes = Wakes::default();
        let mut state = self.lock();
        if !state.core.is_open() || state.senders.take_grant() {
            return Poll::Ready(());
        }
        if !state.senders.is_first(*waiter) || !state.core.has_space(&self.limits, 0) {
            state.senders.register_sink(*waiter.get_or_insert_with(Waiter::new), cx, &mut stale);
            return Poll::Pending;
        }
        if let Some(waiter) = *waiter {
            stale = state.senders.leave(waiter);
            state.wake_sender(&self.limits, &mut wakes);
        }
        drop(state);
        drop(stale);
        wakes.wake();
        Poll::Ready(())
    }

    pub(crate) async fn ended(&self) -> SessionEnd {
        let mut wait = Wait::new(self, |state| &mut state.others);
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
            wakes.add(&mut state.application);
            wakes.add(&mut state.receiver);
            wakes.add_senders(&mut state.senders);
            wakes.add_all(&mut state.others);
            true
        });
        if closed {
            self.places.close();
        }
        // An attached HTTP receiver may be stuck in a connection that takes nothing, and then
        // nobody asks it for anything any more. A WebSocket's task has a timer of its own for that.
        if closed
            && self.segment.is_some()
            && let Some(expires_at) = self.expires_at()
        {
            self.owner.parked(self, expires_at);
        }
        closed
    }

    /// Queues a message if there is room, also while senders wait for more; else it waits behind
    /// the queue, as the newest of its key.
    pub(crate) fn send_latest(&self, key: Key, message: Message) -> Result<Kept, TrySendError> {
        let message = self.carries.accept(message)?;
        if message.len() > self.limits.outbound.bytes {
            return Err(TrySendError::TooLarge(message));
        }
        let mut state = self.lock();
        if !state.core.is_open() {
            return Err(TrySendError::Closed(message));
        }
        let kept = state.core.send_latest(&self.limits, key, message);
        // The receiver of a full queue has been woken.
        let receiver = if kept == Kept::Queued { state.receiver.take() } else { None };
        let charge = state.core.due_charge();
        drop(state);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        self.charge(charge);
        Ok(kept)
    }

    /// The application has dropped its session: nobody can receive any more, whoever keeps a
    /// [`Sender`](super::Sender).
    pub(super) fn abandon(self: &Arc<Self>, reason: CloseReason) {
        self.close(reason, EndedBy::Application);
        let freed_after_unlocking = self.with(|state, wakes| {
            // What a client that has gone sent last may still wait for room; now it is dropped.
            wakes.add_all(&mut state.others);
            (state.core.take_inbound(), state.application.take())
        });
        drop(freed_after_unlocking);
    }

    fn offer(&self, message: Message, room: Room<'_, '_, '_>) -> Result<(), TrySendError> {
        let message = self.carries.accept(message)?;
        if message.len() > self.limits.outbound.bytes {
            return Err(TrySendError::TooLarge(message));
        }
        let mut stale = None;
        let mut state = self.lock();
        if !state.core.is_open() {
            return Err(TrySendError::Closed(message));
        }
        let admitted = match &room {
            Room::Promised => true,
            Room::NowPastSenders => state.core.has_space(&self.limits, message.len()),
            Room::Now => {
                state.senders.is_empty() && state.core.has_space(&self.limits, message.len())
            }
            Room::WaitedFor(turn, _) => {
                state.senders.is_first(turn.waiter)
                    && state.core.has_space(&self.limits, message.len())
            }
        };
        if !admitted {
            if let Room::WaitedFor(turn, cx) = room {
                let waiter = *turn.waiter.get_or_insert_with(Waiter::new);
                state.senders.register(waiter, message.len(), cx, &mut stale);
            }
            return Err(TrySendError::Full(message));
        }
        state.core.send(message);
        let receiver = state.receiver.take();
        let charge = state.core.due_charge();
        drop(state);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        self.charge(charge);
        Ok(())
    }

    // The transport's side, for what comes from the client.

    /// A place for one more payload, as soon as one is free; `None` when the session is closed.
    ///
    /// Who has none must not have read anything of its payload: so much is bounded for each
    /// session.
    pub(crate) async fn place(&self) -> Option<Place<'_>> {
        self.places.acquire().await.ok()
    }

    /// Waits until the session takes no more messages.
    pub(crate) async fn closed(&self) {
        let mut wait = Wait::new(self, |state| &mut state.others);
        poll_fn(|cx| {
            let mut stale = None;
            let mut state = self.lock();
            if state.core.is_open() {
                wait.among(&mut state, cx, &mut stale)
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// Queues a whole payload for the application, waiting for room up to `patience`.
    pub(crate) async fn deliver(
        self: &Arc<Self>,
        messages: Vec<Message>,
        patience: Duration,
        crowd: usize,
    ) -> Inbound {
        let mut messages = messages;
        match self.deliver_now(&mut messages, crowd) {
            Ok(outcome) => outcome,
            // Boxed: it has a timer, for which no payload that finds room should reserve any.
            Err(place) => Box::pin(self.deliver_in_turn(messages, patience, place)).await,
        }
    }

    /// Queues a whole payload if there is room and no other waits for it; else takes a place for
    /// it, before a later one can find room.
    fn deliver_now(
        &self,
        messages: &mut Vec<Message>,
        crowd: usize,
    ) -> Result<Inbound, InLine<'_>> {
        let delivered = self.with(|state, wakes| {
            if state.waiting_payloads == 0 && state.admit(&self.limits, messages).is_ok() {
                wakes.add(&mut state.application);
                return Ok(Inbound::Taken);
            }
            if state.waiting_payloads >= crowd {
                return Ok(Inbound::Crowded);
            }
            state.waiting_payloads += 1;
            Err(InLine(self))
        });
        if let Ok(Inbound::Crowded) = delivered {
            self.log_crowded(crowd);
        }
        delivered
    }

    pub(crate) fn log_crowded(&self, crowd: usize) {
        let session = self.info.id();
        tracing::debug!(%session, waiting = crowd, "payload refused: too many of its session wait already (`waiting_payloads`)");
    }

    async fn deliver_in_turn(
        self: &Arc<Self>,
        messages: Vec<Message>,
        patience: Duration,
        _place: InLine<'_>,
    ) -> Inbound {
        let mut messages = messages;
        // Pinned here, so that its turn ends after the close: the payload behind this one must not
        // be taken when this one was not.
        let began = clock::now();
        let mut admitted = pin!(async {
            // Never closed; and without a turn the payload is still admitted whole.
            let _turn = self.turn.acquire().await;
            let mut wait = Wait::new(self, |state| &mut state.others);
            let mut pace = Pace::default();
            poll_fn(|cx| {
                let mut stale = None;
                let held =
                    self.with(|state, wakes| match state.admit(&self.limits, &mut messages) {
                        Ok(()) => {
                            wakes.add(&mut state.application);
                            None
                        }
                        Err(held) => {
                            // Also over its rate: it is told when the session closes.
                            let _: Poll<()> = wait.among(state, cx, &mut stale);
                            Some(held)
                        }
                    });
                match held {
                    None => Poll::Ready(()),
                    Some(Held::Full) => Poll::Pending,
                    Some(Held::OverRate(until)) => {
                        pace.wake_at(until, cx);
                        Poll::Pending
                    }
                }
            })
            .await;
        });
        let mut from = began;
        loop {
            match from.checked_add(patience) {
                Some(at)
                    if tokio::time::timeout_at(at.into(), admitted.as_mut()).await.is_err() => {}
                Some(_) => return Inbound::Taken,
                None => {
                    admitted.as_mut().await;
                    return Inbound::Taken;
                }
            }
            // The application is not to blame for what the client's rate has held back, this
            // payload or those before it.
            match self.lock().core.held_by_rate_until() {
                Some(until) if until > from => from = until,
                _ => break,
            }
        }
        self.close(CloseReason::INBOUND_FULL, EndedBy::Gateway);
        Inbound::Full
    }

    /// Ends the session if its client did not come back in time, or takes nothing more of a closed
    /// one; false: it is too early for that.
    pub(crate) fn expire(&self, now: Instant) -> bool {
        self.with(|state, _| state.core.expire(now))
    }

    /// When to look again at a session that did not expire; `None` while it is open and a receiver
    /// is attached.
    pub(crate) fn expires_at(&self) -> Option<Instant> {
        self.lock().core.expires_at()
    }

    // The transport's side, for frames on their way to the client.

    /// A frame's first bytes go by themselves.
    pub(super) fn piece_handed_over(&self, bytes: usize) {
        self.lock().core.frame_handed_over(clock::now(), &self.limits, 0, bytes);
    }

    /// The connection took a part of a frame.
    pub(super) fn frame_moved(&self) {
        self.lock().core.frame_moved(clock::now(), &self.limits);
    }

    /// The connection took a whole frame with so many messages.
    pub(super) fn frame_written(&self, messages: usize) {
        self.with(|state, _| state.core.frame_written(clock::now(), &self.limits, messages));
    }

    /// A frame with so many messages was not written, or not in full.
    pub(super) fn frame_lost(self: &Arc<Self>, messages: usize) {
        let over = self.with(|state, wakes| {
            let had_ended = state.core.ended().is_some();
            state.core.frame_lost(messages);
            // A receiver that is there by now takes the close frame.
            wakes.add(&mut state.receiver);
            !had_ended && !state.core.is_attached()
        });
        if over {
            self.owner.over(self);
        }
    }

    /// How often a session is looked at by the clock, at the least, while there may be something to
    /// see: its dates move as its connection takes bytes, and nothing tells whoever keeps them.
    pub(crate) fn look_delay(&self) -> Duration {
        // Not without a pause, where sessions wait for nothing.
        self.limits.disconnect_delay.min(self.limits.write_timeout).max(Duration::from_millis(10))
    }

    /// Tells the budget what the queues hold more, or less. It may end sessions, also this one, so
    /// no lock of one is held.
    pub(super) fn charge(&self, bytes: isize) {
        if bytes != 0 {
            self.account.budget().charge(bytes);
        }
    }

    /// For all but the two operations that every message passes, which end no session and wake one
    /// task: runs `change` under the lock, then wakes; tells everyone who waits when the change has
    /// ended the session, and those who wait to attach when it has detached the receiver.
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
                wakes.add(&mut state.application);
                wakes.add_senders(&mut state.senders);
                wakes.add_all(&mut state.others);
            }
            if was_attached && !state.core.is_attached() {
                wakes.add_all(&mut state.others);
                // Its task has what it wanted; a waker that stays would keep that task's memory.
                _stale = state.receiver.take();
            }
            (result, state.core.due_charge())
        };
        wakes.wake();
        self.charge(charge);
        if let Some((end, counts)) = ended {
            self.places.close();
            self.log_end(&end, counts);
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

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under this lock; were it so, the state would still be whole between two
        // statements of `Core`.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes messages from the client, at its rate if it has one, or leaves them where they are.
    pub(super) fn admit(
        &mut self,
        limits: &Limits,
        messages: &mut Vec<Message>,
    ) -> Result<(), Held> {
        match &limits.inbound_rate {
            Some(rate) => self.core.push_at_rate(clock::now(), limits, rate, messages),
            None if self.core.push_inbound(limits, messages) => Ok(()),
            None => Err(Held::Full),
        }
    }

    /// There may be room in the outbound queue, or the first sender that waits for some is another
    /// one.
    pub(super) fn wake_sender(&mut self, limits: &Limits, wakes: &mut Wakes) {
        let Self { core, senders, .. } = self;
        // As a rule nobody waits, and this is asked for every message.
        senders.wake_first(|bytes| core.has_space(limits, bytes), wakes);
    }
}

impl Holder for Shared {
    fn held(&self) -> usize {
        self.account.held() + self.lock().core.held()
    }

    fn end(self: Arc<Self>, bytes: usize) -> bool {
        if !self.account.end() {
            return false;
        }
        tracing::warn!(
            session = %self.info.id(),
            transport = self.info.transport(),
            peer = self.info.peer().map(tracing::field::display),
            bytes,
            limit = self.account.budget().limit(),
            "session ended: memory is full, and it held the most (`--memory`, `Budget::set_limit`)"
        );
        self.with(|state, wakes| {
            state.core.reclaim(CloseReason::TOO_MUCH_HELD);
            // Its socket may take nothing, and it is to be given up all the same.
            wakes.add(&mut state.receiver);
            wakes.add(&mut state.application);
        });
        true
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let charge =
            self.state.get_mut().unwrap_or_else(PoisonError::into_inner).core.last_charge();
        self.charge(charge);
    }
}

/// What a message needs of the outbound queue.
enum Room<'a, 's, 'w> {
    /// Room now, and no sender that waits for some: it would be passed.
    Now,
    /// Room now.
    NowPastSenders,
    /// Room in its turn. If there is none, the task is to be woken when there may be.
    WaitedFor(&'a mut SenderTurn<'s>, &'a mut Context<'w>),
    /// Nothing more.
    Promised,
}

/// A sender's place among those that wait for room, from when it first had to wait. Dropping it
/// gives the place up.
struct SenderTurn<'s> {
    session: &'s Shared,
    waiter: Option<Waiter>,
}

impl Drop for SenderTurn<'_> {
    fn drop(&mut self) {
        // One that never had to wait has nothing to give up.
        let Some(waiter) = self.waiter else { return };
        let mut wakes = Wakes::default();
        let mut state = self.session.lock();
        let stale = state.senders.leave(waiter);
        // The next one may need less.
        state.wake_sender(&self.session.limits, &mut wakes);
        drop(state);
        drop(stale);
        wakes.wake();
    }
}

/// A future that waits for something of a session. Dropping it, the wait is given up.
pub(super) struct Wait<'s> {
    session: &'s Shared,
    list: fn(&mut State) -> &mut Waiting,
    waiter: Option<Waiter>,
}

impl<'s> Wait<'s> {
    pub(super) fn new(session: &'s Shared, list: fn(&mut State) -> &mut Waiting) -> Self {
        Self { session, list, waiter: None }
    }

    /// Has the task woken when something has happened.
    pub(super) fn among<T>(
        &mut self,
        state: &mut State,
        cx: &mut Context<'_>,
        stale: &mut Option<Waker>,
    ) -> Poll<T> {
        (self.list)(state).register(*self.waiter.get_or_insert_with(Waiter::new), cx, stale);
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        // Who never had to wait has nothing to give up.
        let Some(waiter) = self.waiter else { return };
        let waker = (self.list)(&mut self.session.lock()).leave(waiter);
        drop(waker);
    }
}

/// One payload among those that wait for room, counted when it is made.
struct InLine<'s>(&'s Shared);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting_payloads -= 1;
    }
}

#[cfg(test)]
mod tests;
