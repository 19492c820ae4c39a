//! The workload that does nothing: sessions that are there.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::error::Error;
use super::latency::Latencies;
use super::link::{Link, Technique};
use super::message::{self, Stationery};
use super::opening::{self, AT_ONCE};
use super::target::Target;

/// Sessions that are held open. Dropping it drops their connections.
///
/// They don't answer pings, so they last as long as the server's heartbeat delay and its patience
/// behind that.
pub struct Held {
    target: Target,
    links: Vec<Link>,
    between_polls: bool,
    patience: Duration,
    /// How long they took to open.
    pub openings: Latencies,
}

/// A burst of messages over held sessions: each session sends `messages` of `size` bytes and awaits
/// them all, and this `rounds` times.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    /// How often.
    pub rounds: u32,
    /// How many at a time.
    pub messages: u32,
    /// Bytes of each.
    pub size: usize,
    /// Whether an HTTP session then closes the connection that it sends on, as browsers do with one
    /// that they have not used for a while.
    pub rests: bool,
}

impl Held {
    /// Opens `count` sessions. With polling, a poll is waiting afterwards.
    ///
    /// # Errors
    ///
    /// When one of them cannot be opened.
    pub async fn open(
        target: &Target,
        technique: Technique,
        count: usize,
        patience: Duration,
    ) -> Result<Self, Error> {
        let opened = opening::open(target, technique, count, patience).await?;
        let target = target.clone();
        let mut held = Self {
            target,
            links: opened.links,
            between_polls: false,
            patience,
            openings: opened.times,
        };
        for link in &mut held.links {
            link.flush().await?;
        }
        Ok(held)
    }

    /// Opens `count` sessions whose clients are between two polls, without any connection.
    ///
    /// # Errors
    ///
    /// When one of them cannot be opened.
    pub async fn open_between_polls(
        target: &Target,
        count: usize,
        patience: Duration,
    ) -> Result<Self, Error> {
        let mut held = Self {
            target: target.clone(),
            links: Vec::with_capacity(count),
            between_polls: true,
            patience,
            openings: Latencies::default(),
        };
        while held.links.len() < count {
            let some = (count - held.links.len()).min(AT_ONCE);
            let opened = opening::open(target, Technique::LongPolling, some, patience).await?;
            held.openings.add(&opened.times);
            held.links.extend(opened.links.into_iter().map(|mut link| {
                link.leave();
                link
            }));
        }
        Ok(held)
    }

    /// Echoes messages over every session, some sessions at a time.
    ///
    /// # Errors
    ///
    /// When a session breaks, or loses a message.
    pub async fn burst(&mut self, burst: Burst) -> Result<(), Error> {
        let (permits, mut tasks) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for (number, link) in std::mem::take(&mut self.links).into_iter().enumerate() {
            let permit =
                Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
            let (between_polls, patience) = (self.between_polls, self.patience);
            tasks.spawn(async move {
                let link = echo_burst(link, number as u32, burst, between_polls, patience).await;
                drop(permit);
                link
            });
        }
        while let Some(link) = tasks.join_next().await {
            self.links.push(link.expect("a burst does not panic and is not aborted")?);
        }
        Ok(())
    }

    /// The measurement.
    pub fn target(&self) -> &Target {
        &self.target
    }
}

async fn echo_burst(
    mut link: Link,
    session: u32,
    burst: Burst,
    between_polls: bool,
    patience: Duration,
) -> Result<Link, Error> {
    let mut stationery = Stationery::new(session, burst.size);
    if between_polls {
        link.come_back();
    }
    for round in 0..burst.rounds {
        let mut awaited = round * burst.messages;
        let end = awaited + burst.messages;
        (awaited..end).for_each(|number| link.send(stationery.write(number, 0)));
        let echoed = poll_fn(|cx| {
            while awaited < end {
                ready!(link.poll_progress(cx, &mut |text| {
                    awaited +=
                        u32::from(message::read(text).is_some_and(|stamp| stamp.number == awaited));
                }))?;
            }
            Poll::Ready(Ok::<_, Error>(()))
        });
        let outcome = tokio::time::timeout(patience, echoed).await;
        outcome.unwrap_or(Err(Error::Silence { step: "the echo of a burst", after: patience }))?;
    }
    // Also the answer to the last payload, which may come behind its echo.
    link.finish(patience).await?;
    if between_polls {
        link.leave();
    } else {
        link.flush().await?;
        if burst.rests {
            // Here and not when all are done: five thousand idle connections more at once would
            // leave the server's heap larger than its sessions need.
            link.rest();
        }
    }
    Ok(link)
}

/// Connections on which nothing was ever said.
pub struct Silent {
    _streams: Vec<TcpStream>,
}

impl Silent {
    /// Makes `count` connections.
    ///
    /// # Errors
    ///
    /// When one of them cannot be made.
    pub async fn connect(target: &Target, count: usize) -> Result<Self, Error> {
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            streams.push(target.clone().connect().await?);
        }
        Ok(Self { _streams: streams })
    }
}
