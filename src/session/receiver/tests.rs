use super::*;
use crate::protocol::frame::Frame;
use crate::session::testing::{limits, shared};

/// A ping leaves when the socket is flushed, which is after the session was asked for the last time in that turn. The receiver's timer
/// then still stands at the next heartbeat, and a peer that is dead would be missed until then.
#[tokio::test(start_paused = true)]
async fn the_pong_is_awaited_from_when_the_ping_has_left() {
    let limits = limits();
    let mut receiver = Receiver::first(shared(limits.clone()), Liveness::Pings);
    let mut steps = Vec::new();
    while steps.last() != Some(&Step::Ping) {
        steps.push(poll_fn(|cx| receiver.poll_step(cx)).await);
    }
    assert_eq!(steps, [Step::Frame(Frame::Open), Step::Frame(Frame::Heartbeat), Step::Ping]);

    // The turn in which the ping is handed to the socket ends, and then its bytes leave.
    let end = poll_fn(|cx| match receiver.poll_step(cx) {
        Poll::Pending => {
            receiver.ping_left();
            Poll::Pending
        }
        Poll::Ready(step) => Poll::Ready(step),
    });
    let left = clock::now();
    assert_eq!(end.await, Step::Frame(Frame::Close(CloseReason::NO_PONG)));
    assert_eq!(clock::now() - left, limits.pong_timeout);
}
