//! Log lines for frequent events, without flooding the log.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::clock;

/// At most one line per interval: a thousand clients behind one dead link fall behind together, and
/// as many knock at a full endpoint.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Counts events and logs them: the first at once, later ones once per interval.
///
/// No counted event stays unlogged. Later events are logged when the interval is over, even if no
/// more happen; when the runtime ends; or when the tally is dropped, if they were counted outside a
/// runtime.
pub(crate) struct Tally<T: Send + 'static> {
    reporter: Arc<Reporter<T>>,
}

struct Reporter<T> {
    // Held to count only. Lines are logged after it is released.
    counts: Mutex<Counts<T>>,
    tell: Box<dyn Fn(u64, T) + Send + Sync>,
}

struct Counts<T> {
    last: Option<Instant>,
    /// How many, and the latest of them.
    untold: Option<(u64, T)>,
    /// A task waits for the end of the interval.
    waited_for: bool,
}

impl<T: Send + 'static> Tally<T> {
    /// `tell` gets how many there were, and which was the latest.
    pub(crate) fn new(tell: impl Fn(u64, T) + Send + Sync + 'static) -> Self {
        let counts = Counts { last: None, untold: None, waited_for: false };
        Self { reporter: Arc::new(Reporter { counts: Mutex::new(counts), tell: Box::new(tell) }) }
    }

    /// Counts `count` more, and tells of them if it is time.
    pub(crate) fn add(&self, count: u64, latest: T) {
        let now = clock::now();
        let mut counts = self.reporter.lock();
        let before = counts.untold.take().map_or(0, |(before, _)| before);
        counts.untold = Some((before + count, latest));
        let Some(rest) = counts.rest_of_interval(now) else {
            return self.reporter.tell(counts, now);
        };
        if counts.waited_for {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            counts.waited_for = true;
            // Unlocked first: a runtime that is shutting down drops the task here and now, which
            // tells.
            drop(counts);
            let last = Rest(Arc::clone(&self.reporter));
            runtime.spawn(async move {
                tokio::time::sleep(rest).await;
                drop(last);
            });
        }
    }
}

impl<T> Counts<T> {
    fn rest_of_interval(&self, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(self.last?);
        REPORT_INTERVAL.checked_sub(age).filter(|rest| !rest.is_zero())
    }
}

impl<T> Reporter<T> {
    fn tell(&self, mut counts: MutexGuard<'_, Counts<T>>, now: Instant) {
        let Some((count, latest)) = counts.untold.take() else { return };
        counts.last = Some(now);
        drop(counts);
        (self.tell)(count, latest);
    }

    fn lock(&self) -> MutexGuard<'_, Counts<T>> {
        // Whole between two statements.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The count still to be logged at the end of an interval. Dropping it logs it: the runtime may end
/// before the interval does.
struct Rest<T>(Arc<Reporter<T>>);

impl<T> Drop for Rest<T> {
    fn drop(&mut self) {
        let mut counts = self.0.lock();
        counts.waited_for = false;
        self.0.tell(counts, clock::now());
    }
}

impl<T> Drop for Reporter<T> {
    fn drop(&mut self) {
        let counts = self.counts.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((count, latest)) = mem::take(&mut counts.untold) {
            (self.tell)(count, latest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = Arc<Mutex<Vec<(u64, &'static str)>>>;

    fn tally() -> (Tally<&'static str>, Told) {
        let told = Told::default();
        let into = Arc::clone(&told);
        (
            Tally::new(move |count, latest| into.lock().expect("no panic").push((count, latest))),
            told,
        )
    }

    fn take(told: &Told) -> Vec<(u64, &'static str)> {
        mem::take(&mut *told.lock().expect("no panic"))
    }

    #[tokio::test(start_paused = true)]
    async fn one_line_an_interval_tells_of_all() {
        let (tally, told) = tally();
        tally.add(1, "first");
        assert_eq!(take(&told), [(1, "first")]);
        tally.add(700, "a");
        tokio::time::sleep(REPORT_INTERVAL / 2).await;
        tally.add(300, "b");
        assert_eq!(take(&told), []);
        // No more events happen, and the count is logged all the same.
        tokio::time::sleep(REPORT_INTERVAL / 2 + Duration::from_millis(2)).await;
        assert_eq!(take(&told), [(1000, "b")]);
        tokio::time::sleep(REPORT_INTERVAL * 2).await;
        assert_eq!(take(&told), [], "there is nothing to tell");
        tally.add(1, "later");
        assert_eq!(take(&told), [(1, "later")]);
    }

    /// A server that stops in the middle of an interval.
    #[test]
    fn what_is_left_is_told_when_the_runtime_ends() {
        let (tally, told) = tally();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            for _ in 0..5 {
                tally.add(1, "stop");
            }
        });
        assert_eq!(take(&told), [(1, "stop")]);
        drop(runtime);
        assert_eq!(take(&told), [(4, "stop")]);
    }

    /// A thread without a runtime publishes, and closes slow consumers.
    #[test]
    fn what_is_left_without_a_runtime_is_told_when_the_tally_goes() {
        let (tally, told) = tally();
        for _ in 0..3 {
            tally.add(1, "gone");
        }
        assert_eq!(take(&told), [(1, "gone")]);
        drop(tally);
        assert_eq!(take(&told), [(2, "gone")]);
    }
}
