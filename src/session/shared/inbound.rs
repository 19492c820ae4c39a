//! Messages from the client, on their way to the application.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::SemaphorePermit;

use super::{Change, Shared, State};
use crate::Message;
use crate::clock;
use crate::protocol::close::CloseReason;
use crate::session::core::{EndedBy, Limits, NotAdmitted};
use crate::session::rate_timer::RateTimer;

/// The outcome for messages that a client sent.
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

impl Shared {
    /// A place for a further payload, as soon as a place is free; `None` when the session is
    /// closed.
    ///
    /// A payload without a place must not be read: this bounds the bodies of each session.
    pub(crate) async fn place(&self) -> Option<Place<'_>> {
        self.places.acquire().await.ok()
    }

    /// Waits until the session takes no more messages.
    pub(crate) async fn closed(&self) {
        let mut wait = self.wait(|state| &mut state.others);
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

    /// Queues a whole payload if there is room and no other payload waits for it; else takes a
    /// place for it, before a later payload can find room.
    fn deliver_now(
        &self,
        messages: &mut Vec<Message>,
        crowd: usize,
    ) -> Result<Inbound, InLine<'_>> {
        let delivered = self.with(|state, wakes| {
            if state.waiting_payloads == 0 && state.admit(&self.limits, messages).is_ok() {
                state.changed(Change::Inbound, &self.limits, wakes);
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
        tracing::debug!(%session, waiting = crowd, "payload refused: as many payloads of its session wait as `waiting_payloads` allows");
    }

    async fn deliver_in_turn(
        self: &Arc<Self>,
        messages: Vec<Message>,
        patience: Duration,
        _place: InLine<'_>,
    ) -> Inbound {
        let mut messages = messages;
        // Pinned here, so that its turn ends after the close: a later payload must not be taken
        // when this payload was not.
        let began = clock::now();
        let mut admitted = pin!(async {
            // Never closed; and without a turn the payload is still admitted whole.
            let _turn = self.turn.acquire().await;
            let mut wait = self.wait(|state| &mut state.others);
            let mut rate_timer = RateTimer::default();
            poll_fn(|cx| {
                let mut stale = None;
                let held =
                    self.with(|state, wakes| match state.admit(&self.limits, &mut messages) {
                        Ok(()) => {
                            state.changed(Change::Inbound, &self.limits, wakes);
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
                    Some(NotAdmitted::Full) => Poll::Pending,
                    Some(NotAdmitted::OverRate(until)) => {
                        rate_timer.wake_at(until, cx);
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
            // The application is not to blame for payloads that the client's rate has held back.
            match self.lock().core.held_by_rate_until() {
                Some(until) if until > from => from = until,
                _ => break,
            }
        }
        self.close(CloseReason::INBOUND_FULL, EndedBy::Gateway);
        Inbound::Full
    }
}

impl State {
    /// Takes messages from the client, at its rate if it has one, or leaves them in place.
    pub(in crate::session) fn admit(
        &mut self,
        limits: &Limits,
        messages: &mut Vec<Message>,
    ) -> Result<(), NotAdmitted> {
        match &limits.inbound_rate {
            Some(rate) => self.core.push_at_rate(clock::now(), limits, rate, messages),
            None if self.core.push_inbound(limits, messages) => Ok(()),
            None => Err(NotAdmitted::Full),
        }
    }
}

/// A payload that waits for room, counted when it is made.
struct InLine<'s>(&'s Shared);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting_payloads -= 1;
    }
}
