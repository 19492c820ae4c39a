//! A session as its application and its transport share it: the state machine behind a lock, and who waits for what.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::Sleep;

use super::core::{Core, Detach, EndedBy, Limits, Liveness, SessionEnd, Step};
use super::{ConnectInfo, SendError, TrySendError};
use crate::Message;
use crate::clock;
use crate::protocol::close::CloseReason;
use crate::protocol::modified_utf8;

/// Keeps the sessions of an endpoint, and is told when one needs no keeping or a date to look at it again.
pub(crate) trait Owner: Send + Sync {
    /// No receiver is attached, or the session is closing: at `expires_at` it is to be looked at, unless something happens before.
    fn parked(&self, session: &Arc<Shared>, expires_at: Instant);
    /// The session is over and nobody is attached: forget it now.
    fn over(&self, session: &Arc<Shared>);
}

/// A receiver is attached already and did not go in time.
#[derive(Debug)]
pub(crate) struct InUse;

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
            (Self::Records, Some(text)) if modified_utf8::encoded_len(text) > modified_utf8::LONGEST => {
                Err(TrySendError::TooLarge(message))
            }
            _ => Ok(message),
        }
    }
}

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

/// One session.
pub(crate) struct Shared {
    info: ConnectInfo,
    /// The session segment of the URL, by which an HTTP transport finds the session; a WebSocket is found by nobody.
    segment: Option<Arc<str>>,
    carries: Carries,
    limits: Arc<Limits>,
    owner: Arc<dyn Owner>,
    created: Instant,
    /// Payloads that wait for room do so in the order they came (a fair semaphore), else a small late one would overtake a large early one.
    turn: Semaphore,
    // `std::sync`: held for a push or a pop, never across an await. Order: hub before session; wakers are called after unlocking.
    state: Mutex<State>,
}

struct State {
    core: Core,
    /// The application, in `recv`.
    application: Option<Waker>,
    /// The attached transport side.
    receiver: Option<Waker>,
    /// Senders waiting for room in the outbound queue.
    senders: Waiting,
    /// Transports waiting for room in the inbound queue or for another receiver to go, and whoever waits for the end: all rare.
    others: Waiting,
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
            core: Core::new(created, &limits),
            application: None,
            receiver: None,
            senders: Waiting::default(),
            others: Waiting::default(),
            waiting_payloads: 0,
        };
        Arc::new(Self {
            info,
            segment,
            carries,
            limits,
            owner,
            created,
            turn: Semaphore::const_new(1),
            state: Mutex::new(state),
        })
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
        let mut state = self.lock();
        let Some(message) = state.core.pop_inbound() else {
            if !state.core.is_open() {
                return Poll::Ready(None);
            }
            register(&mut state.application, cx);
            return Poll::Pending;
        };
        let others = std::mem::take(&mut state.others);
        drop(state);
        others.wake();
        Poll::Ready(Some(message))
    }

    pub(crate) async fn send(&self, message: Message) -> Result<(), SendError> {
        let mut message = Some(message);
        poll_fn(|cx| {
            // Empty only when polled again after it was ready, which an async fn never does.
            let Some(offered) = message.take() else { return Poll::Ready(Ok(())) };
            match self.offer(offered, Room::WaitedFor(cx)) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(TrySendError::Closed(message)) => Poll::Ready(Err(SendError::Closed(message))),
                Err(TrySendError::NotCarried(message)) => Poll::Ready(Err(SendError::NotCarried(message))),
                Err(TrySendError::TooLarge(message)) => Poll::Ready(Err(SendError::TooLarge(message))),
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

    /// Queues a message for which [`poll_space`](Self::poll_space) has said that there is room, however large it turns out to be, and
    /// whoever has sent meanwhile.
    pub(crate) fn send_promised(&self, message: Message) -> Result<(), TrySendError> {
        self.offer(message, Room::Promised)
    }

    pub(crate) fn poll_space(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.core.is_open() || state.core.has_any_space(&self.limits) {
            return Poll::Ready(());
        }
        state.senders.register(cx);
        Poll::Pending
    }

    pub(crate) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<SessionEnd> {
        let mut state = self.lock();
        if let Some(end) = state.core.ended() {
            return Poll::Ready(end.clone());
        }
        state.others.register(cx);
        Poll::Pending
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
            wakes.add_all(&mut state.senders);
            wakes.add_all(&mut state.others);
            true
        });
        // An attached HTTP receiver may be stuck in a connection that takes nothing, and then nobody asks it for anything any more. A
        // WebSocket's task has a timer of its own for that.
        if closed
            && self.segment.is_some()
            && let Some(expires_at) = self.expires_at()
        {
            self.owner.parked(self, expires_at);
        }
        closed
    }

    fn offer(&self, message: Message, room: Room<'_, '_>) -> Result<(), TrySendError> {
        let message = self.carries.accept(message)?;
        let mut state = self.lock();
        if !state.core.is_open() {
            return Err(TrySendError::Closed(message));
        }
        if !matches!(room, Room::Promised) && !state.core.has_space(&self.limits, &message) {
            if let Room::WaitedFor(cx) = room {
                state.senders.register(cx);
            }
            return Err(TrySendError::Full(message));
        }
        state.core.send(message);
        let receiver = state.receiver.take();
        drop(state);
        if let Some(receiver) = receiver {
            receiver.wake();
        }
        Ok(())
    }

    // The transport's side, for what comes from the client.

    /// Queues a whole payload for the application, waiting for room up to `patience`.
    pub(crate) async fn deliver(self: &Arc<Self>, messages: Vec<Message>, patience: Duration, crowd: usize) -> Inbound {
        let Some(_place) = Place::take(self, crowd) else { return Inbound::Crowded };
        let mut messages = Some(messages);
        let admitted = tokio::time::timeout(patience, async {
            // Never closed; and without a turn the payload is still admitted whole.
            let _turn = self.turn.acquire().await;
            poll_fn(|cx| {
                let Some(offered) = messages.take() else { return Poll::Ready(()) };
                self.with(|state, wakes| match state.core.push_inbound(&self.limits, offered) {
                    Ok(()) => {
                        wakes.add(&mut state.application);
                        Poll::Ready(())
                    }
                    Err(refused) => {
                        messages = Some(refused);
                        state.others.register(cx);
                        Poll::Pending
                    }
                })
            })
            .await;
        });
        if admitted.await.is_ok() {
            return Inbound::Taken;
        }
        self.close(CloseReason::INBOUND_FULL, EndedBy::Gateway);
        Inbound::Full
    }

    /// Ends the session if its client did not come back in time, or takes nothing more of a closed one; false: it is too early for that.
    pub(crate) fn expire(&self, now: Instant) -> bool {
        self.with(|state, _| state.core.expire(now))
    }

    /// When to look again at a session that did not expire; `None` while it is open and a receiver is attached.
    pub(crate) fn expires_at(&self) -> Option<Instant> {
        self.lock().core.expires_at()
    }

    /// For all but the two operations that every message passes, which end no session and wake one task: runs `change` under the lock,
    /// then wakes; tells everyone who waits when the change has ended the session.
    fn with<T>(&self, change: impl FnOnce(&mut State, &mut Wakes) -> T) -> T {
        let mut wakes = Wakes::default();
        let mut ended = None;
        let result = {
            let mut state = self.lock();
            let before = state.core.ended().is_some();
            let result = change(&mut state, &mut wakes);
            if !before && let Some(end) = state.core.ended() {
                ended = Some((end.clone(), state.core.counts()));
                wakes.add(&mut state.application);
                wakes.add_all(&mut state.senders);
                wakes.add_all(&mut state.others);
            }
            result
        };
        wakes.wake();
        if let Some((end, counts)) = ended {
            self.log_end(&end, counts);
        }
        result
    }

    fn log_end(&self, end: &SessionEnd, (received, sent): (u64, u64)) {
        tracing::debug!(
            session = %self.info.id(),
            transport = self.info.transport(),
            age = ?clock::now().saturating_duration_since(self.created),
            received,
            sent,
            undelivered = end.undelivered,
            reason = %end.reason,
            by = ?end.by,
            "session ended"
        );
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under this lock; were it so, the state would still be whole between two statements of `Core`.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The attached transport side of a session. Dropping it means that the connection is gone.
pub(crate) struct Receiver {
    shared: Arc<Shared>,
    attached: bool,
    // One timer, only while attached. Traffic does not move it: when it fires, the core tells the next date.
    sleep: Pin<Box<Sleep>>,
}

impl Receiver {
    /// Attaches, waiting up to `patience` for another receiver to go: its connection may have ended unnoticed, on another thread.
    pub(crate) async fn attach(shared: Arc<Shared>, liveness: Liveness, patience: Duration) -> Result<Self, InUse> {
        let attached = tokio::time::timeout(patience, poll_fn(|cx| shared.poll_attach(cx, liveness))).await;
        attached.map_err(|_| InUse)?;
        Ok(Self::attached(shared))
    }

    /// Attaches to a session that nobody else can know of.
    pub(crate) fn first(shared: Arc<Shared>, liveness: Liveness) -> Self {
        shared.with(|state, _| {
            let taken = state.core.attach(clock::now(), &shared.limits, liveness);
            debug_assert!(taken.is_ok(), "a new session has no receiver");
        });
        Self::attached(shared)
    }

    /// The session that it is attached to.
    pub(crate) fn session(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn attached(shared: Arc<Shared>) -> Self {
        let due = shared.lock().core.next_timeout();
        Self { shared, attached: true, sleep: Box::pin(tokio::time::sleep_until(due.into())) }
    }

    /// The next thing to do for the socket. After a close frame the receiver is detached and must not be polled again.
    pub(crate) fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let mut step = None;
        self.poll_steps(cx, |next| {
            step = Some(next);
            ControlFlow::Break(())
        });
        step.map_or(Poll::Pending, Poll::Ready)
    }

    /// What is to be done for the socket now, under one lock, as long as `take` goes on. If it never breaks off there is no more, and `cx`
    /// is woken when there is. After a close frame the receiver is detached and must not be polled again.
    pub(crate) fn poll_steps(&mut self, cx: &mut Context<'_>, mut take: impl FnMut(Step) -> ControlFlow<()>) {
        loop {
            let now = clock::now();
            let shared = &self.shared;
            let (enough, attached, due) = shared.with(|state, wakes| {
                let mut enough = false;
                while !enough && let Some(step) = state.core.poll_frame(now, &shared.limits) {
                    wakes.add_all(&mut state.senders);
                    enough = take(step).is_break();
                }
                if !enough {
                    register(&mut state.receiver, cx);
                }
                (enough, state.core.is_attached(), state.core.next_timeout())
            });
            if !attached {
                return self.left(due);
            }
            if enough {
                return;
            }
            if self.sleep.is_elapsed() || due < self.sleep.deadline().into_std() {
                self.sleep.as_mut().reset(due.into());
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return;
            }
        }
    }

    /// The server ended the response by itself; the client may come back.
    pub(crate) fn finish(&mut self) {
        self.detach(Detach::Finished);
    }

    /// A ping's bytes have left. Who has [polled](Self::poll_step) before is woken in time for the pong that does not come.
    pub(crate) fn ping_left(&mut self) {
        let due = {
            let mut state = self.shared.lock();
            state.core.ping_left(clock::now(), &self.shared.limits);
            state.core.next_timeout()
        };
        // As a rule nobody polls again before the next date that the timer knows, which may be much later.
        if due < self.sleep.deadline().into_std() {
            self.sleep.as_mut().reset(due.into());
        }
    }

    /// Something arrived from the peer. Queues its messages for the application; gives them back when there is no room, and wakes `cx`
    /// when there may be some.
    ///
    /// The caller's task polls the application next, and the receiver before it rests: so it is not woken for either.
    pub(crate) fn hear(&self, cx: &mut Context<'_>, messages: Vec<Message>) -> Result<(), Vec<Message>> {
        let mut state = self.shared.lock();
        state.receiver = None;
        state.core.heard();
        self.push(state, cx, messages)
    }

    /// Offers messages again that found no room.
    pub(crate) fn hear_again(&self, cx: &mut Context<'_>, messages: Vec<Message>) -> Result<(), Vec<Message>> {
        let state = self.shared.lock();
        self.push(state, cx, messages)
    }

    fn push(
        &self,
        mut state: MutexGuard<'_, State>,
        cx: &mut Context<'_>,
        messages: Vec<Message>,
    ) -> Result<(), Vec<Message>> {
        if let Err(refused) = state.core.push_inbound(&self.shared.limits, messages) {
            state.others.register(cx);
            state.core.reading_paused();
            return Err(refused);
        }
        if state.core.is_reading_paused() {
            state.core.reading_resumed(clock::now(), &self.shared.limits);
        }
        let application = state.application.take();
        drop(state);
        if let Some(application) = application.filter(|waker| !waker.will_wake(cx.waker())) {
            application.wake();
        }
        Ok(())
    }

    /// Queues what the client sent last, room or not: it is in memory already, and the session ends.
    pub(crate) fn push_last(&self, messages: Vec<Message>) {
        self.shared.with(|state, wakes| {
            state.core.push_last(messages);
            wakes.add(&mut state.application);
        });
    }

    /// Ready when the peer has left a ping unanswered, or nothing was taken of a closed session for too long: for while the socket takes
    /// no frames.
    pub(crate) fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = clock::now();
            let silence = self.shared.with(|state, _| {
                // A close from elsewhere must be noticed here as well.
                register(&mut state.receiver, cx);
                state.core.poll_silence(now)
            });
            match silence {
                Ok(()) => return Poll::Ready(()),
                Err(None) => return Poll::Pending,
                Err(Some(due)) => self.sleep.as_mut().reset(due.into()),
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Ends the session for a limit's sake, behind all that is queued.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.shared.close(reason, EndedBy::Gateway);
    }

    /// The peer sends no more but may still read: what is queued goes out, then the session ends as if the peer had gone.
    pub(crate) fn peer_finished(&self) {
        self.shared.close(CloseReason::INTERRUPTED, EndedBy::Peer);
    }

    /// Nobody needs to wake the receiver's task now: it runs, and asks again before it rests.
    pub(crate) fn awake(&self) {
        self.shared.lock().receiver = None;
    }

    /// The peer ended the session, saying why.
    pub(crate) fn peer_closed(&mut self, reason: CloseReason) {
        self.shared.with(|state, _| state.core.peer_closed(reason));
        self.detach(Detach::Vanished);
    }

    /// The protocol or a limit was broken: nothing more is delivered.
    pub(crate) fn abort(&mut self, reason: CloseReason) {
        self.shared.with(|state, _| state.core.abort(reason));
        self.detach(Detach::Vanished);
    }

    fn detach(&mut self, how: Detach) {
        if !self.attached {
            return;
        }
        let expires_at = self.shared.with(|state, wakes| {
            state.core.detach(clock::now(), &self.shared.limits, how);
            wakes.add_all(&mut state.others);
            state.core.next_timeout()
        });
        match how {
            Detach::Finished => self.left(expires_at),
            Detach::Vanished => {
                self.attached = false;
                self.shared.owner.over(&self.shared);
            }
        }
    }

    fn left(&mut self, expires_at: Instant) {
        self.attached = false;
        self.shared.owner.parked(&self.shared, expires_at);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.detach(Detach::Vanished);
    }
}

impl Shared {
    fn poll_attach(&self, cx: &mut Context<'_>, liveness: Liveness) -> Poll<()> {
        let mut state = self.lock();
        match state.core.attach(clock::now(), &self.limits, liveness) {
            Ok(()) => Poll::Ready(()),
            Err(_) => {
                state.others.register(cx);
                Poll::Pending
            }
        }
    }
}

/// What a message needs of the outbound queue.
enum Room<'a, 'w> {
    Now,
    /// If there is none, the task is to be woken when there may be.
    WaitedFor(&'a mut Context<'w>),
    /// Nothing more.
    Promised,
}

/// One payload's place among those that wait.
struct Place<'s>(&'s Shared);

impl<'s> Place<'s> {
    fn take(shared: &'s Shared, crowd: usize) -> Option<Self> {
        let mut state = shared.lock();
        if state.waiting_payloads >= crowd {
            return None;
        }
        state.waiting_payloads += 1;
        Some(Self(shared))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting_payloads -= 1;
    }
}

/// Tasks that wait for the same thing.
#[derive(Default)]
struct Waiting(Vec<Waker>);

impl Waiting {
    /// A task stands here once, however often it asks: a `select!` loop that drops its `send` each turn must not grow the list.
    fn register(&mut self, cx: &mut Context<'_>) {
        if !self.0.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.0.push(cx.waker().clone());
        }
    }

    fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

/// Wakers taken under the lock, to be called after it.
#[derive(Default)]
struct Wakes {
    one: [Option<Waker>; 2],
    many: Vec<Waker>,
}

impl Wakes {
    fn add(&mut self, waker: &mut Option<Waker>) {
        let Some(waker) = waker.take() else { return };
        match self.one.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(waker),
            None => self.many.push(waker),
        }
    }

    fn add_all(&mut self, waiting: &mut Waiting) {
        if !waiting.0.is_empty() {
            self.many.append(&mut waiting.0);
        }
    }

    fn wake(self) {
        self.one.into_iter().flatten().chain(self.many).for_each(Waker::wake);
    }
}

fn register(slot: &mut Option<Waker>, cx: &mut Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        _ => *slot = Some(cx.waker().clone()),
    }
}

#[cfg(test)]
mod tests;
