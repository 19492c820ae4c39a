//! Sends each message back with the time of its arrival.

use sockeye::Session;

use crate::os;

/// Sends every message back with a space and the time of its arrival behind it: nanoseconds of this
/// machine's monotonic clock.
///
/// A client on the same machine can compute the time of each way. It is the app that `sockeye
/// bench` measures one-way latencies with.
///
/// # Cancel safety
///
/// Dropping the future ends the session with 1000, behind all that was sent; messages received and
/// not yet sent back are lost.
pub async fn stamp(mut session: Session) {
    while let Some(message) = session.recv().await {
        let came = os::monotonic();
        let stamped = format!("{} {came}", message.as_text().unwrap_or_default());
        if session.send(stamped).await.is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use sockeye::test_util::session;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_message_comes_back_with_a_time_that_does_not_run_backwards() {
        let (session, mut client) = session();
        tokio::spawn(stamp(session));
        let mut last = os::monotonic();
        for text in ["one", "", "two words"] {
            client.send(text).await;
            let stamped = client.text().await;
            let (echo, came) = stamped.rsplit_once(' ').expect("a space");
            let came = came.parse().expect("nanoseconds");
            assert!(echo == text && came >= last && came <= os::monotonic(), "{stamped}");
            last = came;
        }
    }
}
