//! What becomes of frames on their way to the client.

use std::sync::Arc;

use super::Shared;
use crate::clock;
use crate::session::carriers::CarrierId;

impl Shared {
    /// A frame's first bytes go by themselves.
    pub(in crate::session) fn piece_handed_over(&self, bytes: usize, carrier: Option<CarrierId>) {
        let mut state = self.lock();
        state.core.frame_handed_over(clock::now(), &self.limits, 0, bytes);
        if let Some(carrier) = carrier {
            state.carriers.take_on_more(carrier);
        }
    }

    /// The connection took a part of a frame.
    pub(in crate::session) fn frame_moved(&self) {
        self.lock().core.frame_moved(clock::now(), &self.limits);
    }

    /// The connection took a whole frame with so many messages.
    pub(in crate::session) fn frame_written(&self, messages: usize, carrier: Option<CarrierId>) {
        self.with(|state, _| {
            carrier.into_iter().for_each(|carrier| state.carriers.let_go(carrier));
            state.core.frame_written(clock::now(), &self.limits, messages);
        });
    }

    /// A frame with so many messages was not written, or not in full.
    pub(in crate::session) fn frame_lost(
        self: &Arc<Self>,
        messages: usize,
        carrier: Option<CarrierId>,
    ) {
        let over = self.with(|state, wakes| {
            let had_ended = state.core.ended().is_some();
            carrier.into_iter().for_each(|carrier| state.carriers.let_go(carrier));
            state.core.frame_lost(messages);
            // A receiver that is there by now takes the close frame.
            wakes.add(&mut state.receiver);
            !had_ended && !state.core.is_attached()
        });
        if over {
            self.owner.over(self);
        }
    }
}
