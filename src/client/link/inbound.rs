//! Messages from the server.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::Link;
use crate::Message;
use crate::wakers::Waiter;

impl Link {
    // The application's side.

    pub(in crate::client) async fn recv(&self) -> Option<Message> {
        let mut wait = self.wait(|state| &mut state.receivers);
        poll_fn(|cx| self.poll_recv(wait.waiter(), cx)).await
    }

    pub(in crate::client) fn poll_recv(
        &self,
        waiter: &mut Option<Waiter>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Message>> {
        let mut stale = None;
        self.with(|state, wakes| {
            let Some(message) = state.inbound.pop() else {
                return match state.end {
                    Some(_) => Poll::Ready(None),
                    None => state.receivers.wait(waiter, cx, &mut stale),
                };
            };
            wakes.add_all(&mut state.downlink);
            Poll::Ready(Some(message))
        })
    }

    // The transport's side.

    /// Waits until the inbound queue has room, then adds a frame's messages. A frame enters whole,
    /// so the queue may exceed its limit by a frame.
    pub(in crate::client) async fn deliver(&self, mut frame: Vec<Message>) {
        let bytes = frame.iter().map(Message::len).sum();
        let mut wait = self.wait(|state| &mut state.downlink);
        poll_fn(|cx| {
            let mut stale = None;
            self.with(|state, wakes| {
                if state.abandoned {
                    return Poll::Ready(());
                }
                if !state.inbound.fits(self.limits.inbound, frame.len(), bytes) {
                    return wait.among(state, cx, &mut stale);
                }
                frame.drain(..).for_each(|message| state.inbound.push(message));
                wakes.add_all(&mut state.receivers);
                Poll::Ready(())
            })
        })
        .await;
    }
}
