//! Sends each message back.

use sockeye::Session;

/// Sends every message back to the session it came from, in order.
///
/// A client that sends and doesn't read fills its outbound queue; then nothing more is received
/// from it until it reads.
///
/// # Cancel safety
///
/// Dropping the future ends the session with 1000, behind all that was sent; messages received and
/// not yet sent back are lost.
pub async fn echo(mut session: Session) {
    while let Some(message) = session.recv().await {
        if session.send(message).await.is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sockeye::test_util::session;

    #[tokio::test(start_paused = true)]
    async fn messages_come_back_in_order_until_the_client_goes() {
        let (session, mut client) = session();
        let handler = tokio::spawn(echo(session));
        for text in ["one", "", "안녕"] {
            client.send(text).await;
        }
        assert_eq!(client.texts().await, ["one", "", "안녕"]);
        drop(client);
        handler.await.expect("no panic");
    }
}
