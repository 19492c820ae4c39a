//! Sends back one line, and ends.

use sockeye::{CloseReason, Session};

/// Answers the first message with `[ECHO]…(from Server!)` and ends the session: the echo server of
/// Java's socket tutorials, for a [`TcpEndpoint`](sockeye::TcpEndpoint).
///
/// # Cancel safety
///
/// Dropping the future ends the session with 1000, behind all that was sent; a message received and
/// not yet answered is lost.
pub async fn line_echo(mut session: Session) {
    let Some(message) = session.recv().await else { return };
    let Some(line) = message.as_text() else { return };
    if session.send(format!("[ECHO]{line}(from Server!)")).await.is_err() {
        // The client is gone, or the answer is too large for a record; a close with 1000 would
        // report success.
        session.close(CloseReason::TOO_LARGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sockeye::test_util::session;

    #[tokio::test(start_paused = true)]
    async fn one_line_is_answered_and_no_more() {
        let (session, mut client) = session();
        tokio::spawn(line_echo(session));
        client.send("안녕").await;
        client.send("more").await;
        assert_eq!(client.text().await, "[ECHO]안녕(from Server!)");
        assert_eq!(client.recv().await, Err(CloseReason::NORMAL));
    }
}
