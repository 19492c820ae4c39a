//! The attached transport side of a session.

mod alarm;
mod inbound;

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use self::alarm::Alarm;
use super::buffered::Buffered;
use super::core::{Cargo, Detach, EndedBy, Limits, Liveness, Step};
use super::rate_timer::RateTimer;
use super::receipt::Receipt;
use super::shared::{Change, Connection, Shared, State};
use crate::budget::Ticket;
use crate::clock;
use crate::protocol::close::CloseReason;
use crate::protocol::frame::Frame;
use crate::wakers::{Waiter, register};

/// A session's hold on the connection that receives its frames: the transport's side of it, which
/// pulls the frames and pushes messages. Dropping it means that the connection is gone.
pub(crate) struct Attachment {
    shared: Arc<Shared>,
    attached: bool,
    /// The frame that was taken last is to be the last.
    leaves: bool,
    /// Frames are on their way, and no deadline stands for the session.
    unwatched: bool,
    /// Waiting for room in the inbound queue.
    waiter: Waiter,
    /// Waiting for memory.
    ticket: Ticket,
    alarm: Alarm,
    /// Waiting until the client is within its rate.
    rate_timer: RateTimer,
}

impl Attachment {
    /// Attaches, waiting up to `patience` for another receiver to go: its connection may have ended
    /// unnoticed, on another thread.
    pub(crate) async fn attach(
        shared: Arc<Shared>,
        liveness: Liveness,
        patience: Duration,
    ) -> Result<Self, InUse> {
        {
            let mut wait = shared.wait(|state| &mut state.others);
            let attached = poll_fn(|cx| {
                let mut stale = None;
                let mut state = shared.lock();
                match state.core.attach(clock::now(), &shared.limits, liveness) {
                    Ok(()) => Poll::Ready(()),
                    Err(_) => wait.among(&mut state, cx, &mut stale),
                }
            });
            if tokio::time::timeout(patience, attached).await.is_err() {
                let session = shared.info().id();
                tracing::debug!(%session, waited = ?patience, "receiver refused with 2010: the session's other receiver did not leave within `attach_wait`");
                return Err(InUse);
            }
        }
        Ok(Self::attached(shared))
    }

    /// Attaches, unless another receiver is there now.
    pub(crate) fn try_attach(shared: &Arc<Shared>, liveness: Liveness) -> Option<Self> {
        let attached = shared.lock().core.attach(clock::now(), &shared.limits, liveness);
        attached.is_ok().then(|| Self::attached(Arc::clone(shared)))
    }

    /// Attaches to a session that no other task can know of.
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
        let (waiter, ticket, rate_timer) = (Waiter::new(), Ticket::default(), RateTimer::default());
        Self {
            shared,
            attached: true,
            leaves: false,
            unwatched: false,
            waiter,
            ticket,
            alarm: Alarm::at(due),
            rate_timer,
        }
    }

    /// The next thing to do for the socket. After a close frame the attachment is over and must not
    /// be polled again.
    pub(crate) fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let mut step = None;
        self.poll_steps(cx, |next| {
            step = Some(next);
            ControlFlow::Break(())
        });
        step.map_or(Poll::Pending, Poll::Ready)
    }

    /// The next frame, and its receipt. After a close frame the attachment is over and must not be
    /// polled again.
    ///
    /// `connection`: through which the frame is to go, where the server lets it be known.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        connection: Option<&Arc<dyn Connection>>,
    ) -> Poll<(Frame, Receipt)> {
        let mut handed = None;
        let (mut unwatched, mut leaves) = (false, false);
        self.poll_core(cx, |state, now, limits, next| {
            let core = &mut state.core;
            // Only a WebSocket can be pinged; receivers of single frames attach without pings.
            let Step::Frame(frame) = next else { return ControlFlow::Continue(()) };
            let (messages, bytes) = frame.load();
            core.frame_handed_over(now, limits, messages, bytes);
            unwatched = core.is_attached() && core.watch();
            leaves = core.receiver_leaves();
            let cargo = match &frame {
                Frame::Message(message) if message.is_shared() => Cargo::Shared(message.clone()),
                _ => Cargo::Own(bytes),
            };
            state.cargo_leaves(&cargo, connection);
            handed = Some((frame, messages, cargo));
            ControlFlow::Break(())
        });
        self.unwatched |= unwatched;
        self.leaves |= leaves;
        let Some((frame, messages, cargo)) = handed else { return Poll::Pending };
        let receipt = Receipt::new(Arc::clone(&self.shared), messages, cargo, connection.cloned());
        Poll::Ready((frame, receipt))
    }

    /// Whether the frame that was taken last is the last of its response: the session wants its
    /// client to come back.
    pub(crate) fn leaves(&self) -> bool {
        self.leaves
    }

    /// The connection goes on, with frames on their way. If it takes nothing, it does not ask for
    /// more either, so that the attachment's own timer is not polled: the owner gets a deadline.
    pub(crate) fn stay(&mut self) {
        if std::mem::take(&mut self.unwatched) {
            // The earliest possible deadline, which is then renewed.
            self.shared.owner.parked(&self.shared, clock::now() + self.shared.look_delay());
        }
    }

    /// Hands the socket's next steps to `take`, under one lock, as long as it goes on. If it never
    /// breaks off there is no more, and `cx` is woken when there is. After a close frame the
    /// attachment is over and must not be polled again.
    pub(crate) fn poll_steps(
        &mut self,
        cx: &mut Context<'_>,
        mut take: impl FnMut(Step) -> ControlFlow<()>,
    ) {
        self.poll_core(cx, |_, _, _, step| take(step));
    }

    fn poll_core(
        &mut self,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&mut State, Instant, &Limits, Step) -> ControlFlow<()>,
    ) {
        loop {
            let now = clock::now();
            let shared = &self.shared;
            let mut stale = None;
            let (enough, attached, due) = shared.with(|state, wakes| {
                let mut enough = false;
                while !enough && let Some(step) = state.core.poll_frame(now, &shared.limits) {
                    enough = take(state, now, &shared.limits, step).is_break();
                }
                state.changed(Change::OutboundRoom, &shared.limits, wakes);
                if !enough {
                    register(&mut state.attachment, cx, &mut stale);
                }
                (enough, state.core.is_attached(), state.core.next_timeout())
            });
            if !attached {
                return self.left(due);
            }
            if enough {
                return;
            }
            if self.alarm.poll_by(due, cx).is_pending() {
                return;
            }
        }
    }

    /// The server ended the response by itself; the client may come back.
    pub(crate) fn finish(&mut self) {
        self.detach(Detach::Finished);
    }

    /// A ping's bytes have left, behind `ahead` bytes that the system may hold still. A task that
    /// has [polled](Self::poll_step) before is woken in time for the pong that does not come.
    pub(crate) fn ping_left(&mut self, ahead: usize) {
        let due = {
            let mut state = self.shared.lock();
            state.core.ping_left(clock::now(), &self.shared.limits, ahead);
            state.core.next_timeout()
        };
        // As a rule the next poll is at the timer's next deadline, which may be much later.
        self.alarm.bring_forward(due);
    }

    /// For bytes of the session that the transport holds.
    pub(crate) fn buffered(&self) -> Buffered {
        Buffered::of(&self.shared)
    }

    /// Ready when the peer has left a ping unanswered, or nothing was taken of a closed session for
    /// too long: for while the socket takes no frames.
    pub(crate) fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = clock::now();
            let mut stale = None;
            let silence = self.shared.with(|state, _| {
                // A close from elsewhere must be noticed here as well.
                register(&mut state.attachment, cx, &mut stale);
                state.core.poll_silence(now)
            });
            match silence {
                Ok(()) => return Poll::Ready(()),
                Err(None) => return Poll::Pending,
                Err(Some(due)) => {
                    if self.alarm.poll_at(due, cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Ends the session for a limit's sake, behind all that is queued.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.shared.close(reason, EndedBy::Gateway);
    }

    /// The peer sends no more but may still read: queued messages go out, then the session ends as
    /// if the peer had gone.
    pub(crate) fn peer_finished(&self) {
        self.shared.close(CloseReason::INTERRUPTED, EndedBy::Peer);
    }

    /// No input need wake its task now: it runs, and asks again before it rests.
    /// `heard`: there was a sign of life from the peer, though no message.
    pub(crate) fn awake(&self, heard: bool) {
        let mut state = self.shared.lock();
        let stale = state.attachment.take();
        if heard {
            state.core.heard();
        }
        drop(state);
        drop(stale);
    }

    /// There was a sign of life from the peer.
    pub(crate) fn heard(&self) {
        self.shared.lock().core.heard();
    }

    /// The peer's socket, having been full, has taken bytes: a sign of life too.
    pub(crate) fn took_bytes(&self) {
        self.shared.lock().core.took_bytes(clock::now(), &self.shared.limits);
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
        let expires_at = self.shared.with(|state, _| {
            state.core.detach(clock::now(), &self.shared.limits, how);
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

impl Drop for Attachment {
    fn drop(&mut self) {
        self.shared.account().budget().stop_waiting(&mut self.ticket);
        self.detach(Detach::Vanished);
    }
}

/// A receiver is attached already and did not go in time.
#[derive(Debug)]
pub(crate) struct InUse;

#[cfg(test)]
mod tests;
