//! The memory that all gateways of a process may hold together.
//!
//! Each session has limits of its own, but a thousand of them add up. A budget counts the memory of
//! all sessions, and has three answers:
//!
//! - from 80 % of its limit on memory is short: new sessions are refused, and sessions that hold
//!   much are no longer read;
//! - at 100 % the largest holder is ended, and then the next, down to 90 %;
//! - below 80 % all goes on.
//!
//! Counting has no lock. A session collects small charges before it reports them, so that small
//! messages that come and go touch nothing that other threads use.

mod account;
mod holders;
mod pauses;

use std::fmt;
use std::panic::RefUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

pub use self::account::Held;
pub(crate) use self::account::{Account, UNPAUSED};
pub(crate) use self::holders::Holder;
use self::holders::Holders;
use self::pauses::Pauses;
pub(crate) use self::pauses::Ticket;
use crate::tally::Tally;

/// A limit for the memory that sessions hold together: queues of both directions, messages that
/// wait in [`Session::send`](crate::Session::send), bodies and messages on their way in, frames on
/// their way out, remembered ids, kept heads, and a fixed cost for each session. Messages that a
/// handler has received are the application's own, and in no count.
///
/// All gateways and TCP endpoints of a process share [`Budget::process`] unless their configuration
/// names another. Default: it counts, and limits nothing until [`set_limit`](Self::set_limit) is
/// called. The program sets it at its start (`--memory`).
///
/// From 80 % of the limit on, a client that would open a session is answered with 503, and a
/// session that holds more than 64 KiB is read no further until memory has come free. At 100 % the
/// session that holds most is ended with 1013 "too much memory held", and the next, until 90 % are
/// left. A message that many sessions share counts once.
///
/// Cloning it is cheap; clones are the same budget.
#[derive(Clone)]
pub struct Budget {
    inner: Arc<Inner>,
}

struct Inner {
    /// Tells a message which budget has counted it.
    id: u32,
    /// Sessions report late, so it may be below zero for a moment.
    used: AtomicIsize,
    /// The part of it that ended holders are about to release.
    leaving: AtomicIsize,
    limit: AtomicUsize,
    /// 80 % of the limit: from here on memory is short.
    short_at: AtomicIsize,
    short: AtomicBool,
    /// A task ends holders.
    relieving: AtomicBool,
    refused: AtomicU64,
    ended: AtomicU64,
    holders: Holders,
    pauses: Pauses,
    refusals: Tally<Shortage>,
    shortages: Tally<Shortage>,
}

/// Counters, and lists that are whole between two statements: a panic leaves nothing broken behind.
impl RefUnwindSafe for Inner {}

/// How short memory is.
struct Shortage {
    used: usize,
    limit: Option<usize>,
}

impl Budget {
    /// The budget of all configurations that name no other.
    pub fn process() -> Self {
        static PROCESS: LazyLock<Budget> = LazyLock::new(|| Budget::new(usize::MAX));
        PROCESS.clone()
    }

    /// A separate budget with a limit in bytes; `usize::MAX` is none.
    pub fn new(limit: usize) -> Self {
        // 0 stands for none in messages. Four thousand million budgets are more than a process
        // makes.
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let budget = Self {
            inner: Arc::new(Inner {
                id: COUNT.fetch_add(1, Ordering::Relaxed),
                used: AtomicIsize::new(0),
                leaving: AtomicIsize::new(0),
                limit: AtomicUsize::new(usize::MAX),
                short_at: AtomicIsize::new(isize::MAX),
                short: AtomicBool::new(false),
                relieving: AtomicBool::new(false),
                refused: AtomicU64::new(0),
                ended: AtomicU64::new(0),
                holders: Holders::default(),
                pauses: Pauses::default(),
                refusals: Tally::new(|refused, Shortage { used, limit }| {
                    tracing::warn!(
                        used,
                        limit,
                        refused,
                        "sessions refused: memory is short; raise its limit (`--memory`, `Budget::set_limit`), or spread the load"
                    );
                }),
                shortages: Tally::new(|times, Shortage { used, limit }| {
                    tracing::warn!(
                        used,
                        limit,
                        times,
                        "memory is short: 80 % of its limit are in use, so new sessions are refused, and those that hold much are read \
                         no further; raise the limit (`--memory`, `Budget::set_limit`), or spread the load"
                    );
                }),
            }),
        };
        budget.set_limit(limit);
        budget
    }

    /// Sets the limit, in bytes; `usize::MAX` is none. It holds from now on, also for what is held
    /// already.
    pub fn set_limit(&self, bytes: usize) {
        self.inner.limit.store(bytes, Ordering::SeqCst);
        let short_at = if bytes == usize::MAX { isize::MAX } else { signed(percent(bytes, 80)) };
        self.inner.short_at.store(short_at, Ordering::SeqCst);
        self.charge(0);
        self.ease();
    }

    /// The limit, in bytes, if there is one.
    pub fn limit(&self) -> Option<usize> {
        Some(self.inner.limit.load(Ordering::Relaxed)).filter(|limit| *limit != usize::MAX)
    }

    /// The memory held now, in bytes; up to a KiB of each session may not be reported yet.
    pub fn used(&self) -> usize {
        usize::try_from(self.inner.used.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Sessions that were refused because memory was short, so far.
    pub fn refused(&self) -> u64 {
        self.inner.refused.load(Ordering::Relaxed)
    }

    /// Sessions that were ended because they held most when the limit was reached, so far.
    pub fn ended(&self) -> u64 {
        self.inner.ended.load(Ordering::Relaxed)
    }

    /// Counts memory outside sessions, such as a server's connections or an application's store,
    /// for as long as the guard lives. The budget never ends such a holder: its code asks
    /// [`is_short`](Self::is_short) before it takes more.
    pub fn hold(&self, bytes: usize) -> Held {
        Held::new(self.clone(), bytes)
    }

    /// Whether 80 % of the limit are in use, or more.
    pub fn is_short(&self) -> bool {
        self.inner.short.load(Ordering::Relaxed)
    }

    pub(crate) fn id(&self) -> u32 {
        self.inner.id
    }

    /// A session has been refused because memory [is short](Self::is_short).
    pub(crate) fn tell_refused(&self) {
        self.inner.refused.fetch_add(1, Ordering::Relaxed);
        self.inner.refusals.add(1, self.shortage());
    }

    fn shortage(&self) -> Shortage {
        Shortage { used: self.used(), limit: self.limit() }
    }

    /// Counts memory taken or released. It may end sessions, so the caller holds no lock of a
    /// session or of a registry.
    pub(crate) fn charge(&self, bytes: isize) {
        let inner = &*self.inner;
        let used = inner.used.fetch_add(bytes, Ordering::SeqCst) + bytes;
        if bytes < 0 {
            self.ease();
        } else if used >= inner.short_at.load(Ordering::Relaxed) {
            self.run_short();
            self.relieve();
        }
    }

    /// The same under locks: it ends no session, and the next loud charge does.
    pub(crate) fn charge_quietly(&self, bytes: isize) {
        let used = self.inner.used.fetch_add(bytes, Ordering::SeqCst) + bytes;
        if bytes < 0 {
            self.ease();
        } else if used >= self.inner.short_at.load(Ordering::Relaxed) {
            self.run_short();
        }
    }

    fn run_short(&self) {
        let inner = &*self.inner;
        if inner.short.swap(true, Ordering::SeqCst) {
            return;
        }
        inner.shortages.add(1, self.shortage());
        // A release before the flag was set has not seen the flag.
        self.ease();
    }

    /// Lets all go on, if memory has come free.
    fn ease(&self) {
        let inner = &*self.inner;
        if !inner.short.load(Ordering::SeqCst) {
            return;
        }
        let is_free = || inner.used.load(Ordering::SeqCst) < inner.short_at.load(Ordering::SeqCst);
        if !is_free() || !inner.short.swap(false, Ordering::SeqCst) {
            return;
        }
        inner.pauses.wake();
        // A charge while the flag was set has not set it again.
        if !is_free() {
            self.run_short();
        }
    }

    /// Ends the largest holders, from 100 % down to 90 %.
    ///
    /// The task whose charge crosses the limit does it, at once: a task made for it might come
    /// late, when the memory is gone. All others pass by.
    fn relieve(&self) {
        let inner = &*self.inner;
        while let Some(limit) = self.limit()
            && self.staying() >= signed(limit)
        {
            if inner.relieving.swap(true, Ordering::SeqCst) {
                return;
            }
            let ended = inner.holders.end_largest(|| self.staying() > signed(percent(limit, 90)));
            inner.ended.fetch_add(ended, Ordering::Relaxed);
            // A task that crossed the limit meanwhile has left it to this task, so the limit is
            // checked once more.
            inner.relieving.store(false, Ordering::SeqCst);
            if ended == 0 {
                return;
            }
        }
    }

    /// The memory of all holders that have not been ended.
    fn staying(&self) -> isize {
        self.inner.used.load(Ordering::SeqCst) - self.inner.leaving.load(Ordering::SeqCst)
    }
}

fn percent(limit: usize, percentage: usize) -> usize {
    // The large part and the rest apart, so that no limit is too large.
    limit / 100 * percentage + limit % 100 * percentage / 100
}

fn signed(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("used", &self.used())
            .field("limit", &self.limit())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
