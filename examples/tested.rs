//! A handler and its unit tests: `cargo test --example tested --features
//! test-util`.
//!
//! No socket is opened. Under tokio's paused clock a delay takes no time either: the test of the
//! quiz's deadline runs in microseconds.

use std::time::Duration;

use sockeye::{Gateway, SendError, Session};
use tokio::net::TcpListener;
use tokio::time::timeout;

/// Asks, and waits for the answer for as long as the query says: `?seconds=10`.
async fn quiz(mut session: Session) -> Result<(), SendError> {
    let seconds = session.info().query_param("seconds").and_then(|text| text.parse().ok());
    session.send("What is six times seven?").await?;
    match timeout(Duration::from_secs(seconds.unwrap_or(30)), session.recv()).await {
        Ok(Some(answer)) if answer == "42" => session.send("Right.").await?,
        Ok(Some(_)) => session.send("Wrong.").await?,
        Ok(None) => {}
        Err(_) => session.close((4408, "too late")),
    }
    Ok(())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8081").await?;
    println!("listening on http://{}", listener.local_addr()?);
    sockeye::serve(listener, Gateway::new().endpoint("/quiz", quiz)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sockeye::test_util::SessionBuilder;
    use sockeye::{CloseReason, EndedBy};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_right_answer_is_right() {
        let mut peer = SessionBuilder::new().run(quiz);
        assert_eq!(peer.text().await, "What is six times seven?");
        peer.send("42").await;
        assert_eq!(peer.text().await, "Right.");
        assert_eq!(peer.recv().await, Err(CloseReason::NORMAL));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_its_time() {
        let mut peer = SessionBuilder::new().query("seconds=10").run(quiz);
        assert_eq!(peer.text().await, "What is six times seven?");
        let asked = tokio::time::Instant::now();
        assert_eq!(peer.recv().await, Err(CloseReason::new(4408, "too late")));
        assert_eq!(asked.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_ends_the_quiz() {
        let mut peer = SessionBuilder::new().run(quiz);
        assert_eq!(peer.text().await, "What is six times seven?");
        peer.close(CloseReason::NORMAL);
        let end = peer.ended().await;
        assert_eq!((end.reason, end.by), (CloseReason::NORMAL, EndedBy::Peer));
    }
}
