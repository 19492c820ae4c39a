//! A server's abilities, found by requests.

use std::time::Duration;

use super::idle::Held;
use super::link::{Link, Technique};
use super::target::Target;

/// Whether a poll can be told not to wait: on an open session without messages it is answered at
/// once.
pub async fn short_polls(target: &Target, patience: Duration) -> bool {
    /// Much longer than an answer takes that does not wait, much shorter than any heartbeat delay.
    const AT_ONCE: Duration = Duration::from_secs(1);
    let technique = Technique::ShortPolling(Duration::ZERO);
    let Ok(mut link) = Link::open(target, technique, patience).await else { return false };
    tokio::time::timeout(AT_ONCE, link.progress()).await.is_ok_and(|outcome| outcome.is_ok())
}

/// Whether sessions can be opened.
///
/// # Errors
///
/// Why they cannot.
pub async fn opens(
    target: &Target,
    technique: Technique,
    patience: Duration,
) -> Result<(), super::Error> {
    Held::open(target, technique, 1, patience).await.map(drop)
}

/// Whether a SockJS server answers at all, by a request of `info`.
///
/// # Errors
///
/// The behaviour instead.
pub async fn answers(target: &Target, patience: Duration) -> Result<(), super::Error> {
    let mut link = Link::new(target, Technique::LongPolling);
    link.info(target, patience).await
}
