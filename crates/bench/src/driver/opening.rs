//! Opening many sessions without storming the server.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::error::Error;
use super::latency::Latencies;
use super::link::{Link, Technique};
use super::target::Target;
use crate::os;
use std::time::Duration;

/// Sessions that open at the same time: enough to keep a server busy, too few to overflow a
/// backlog.
pub(super) const AT_ONCE: usize = 64;

pub(super) struct Opened {
    pub(super) links: Vec<Link>,
    /// From the first byte of the connection to the open frame.
    pub(super) times: Latencies,
}

/// Opens `count` sessions.
///
/// # Errors
///
/// The first one that any of them meets.
pub(super) async fn open(
    target: &Target,
    technique: Technique,
    count: usize,
    patience: Duration,
) -> Result<Opened, Error> {
    let (permits, mut opening) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for _ in 0..count {
        let permit =
            Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
        let target = target.clone();
        opening.spawn(async move {
            let begun = os::monotonic();
            let link = Link::open(&target, technique, patience).await;
            drop(permit);
            link.map(|link| (link, os::monotonic() - begun))
        });
    }
    let mut opened = Opened { links: Vec::with_capacity(count), times: Latencies::default() };
    while let Some(outcome) = opening.join_next().await {
        let (link, took) = outcome.expect("opening does not panic and is not aborted")?;
        opened.times.record(took);
        opened.links.push(link);
    }
    Ok(opened)
}
