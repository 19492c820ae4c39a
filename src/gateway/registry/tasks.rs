//! The tasks of a registry: the reaper ends sessions at their deadlines, the sweeper forgets ended
//! ones. Each runs while a deadline stands, with or without traffic, in any runtime at hand.

use std::sync::{Arc, MutexGuard, Weak};

use tokio::runtime::Handle;

use super::{Registry, Tables};
use crate::clock;

/// Which tasks run, and where others can.
#[derive(Default)]
pub(super) struct Tasks {
    pub(super) reaping: bool,
    pub(super) sweeping: bool,
    /// That of the latest session: a session may be closed on a thread outside any runtime.
    pub(super) runtime: Option<Handle>,
}

impl Registry {
    /// Starts the tasks that have something to do and don't run: for the first time, again, or
    /// because their runtime has ended.
    ///
    /// Takes the lock to release it before it spawns: a runtime that is ending drops a new task at
    /// once, and that drop locks the registry.
    pub(super) fn staff(self: &Arc<Self>, mut tables: MutexGuard<'_, Tables>) {
        let tables_now = &mut *tables;
        let reap = !tables_now.tasks.reaping && tables_now.deadlines.next().is_some();
        let sweep = !tables_now.tasks.sweeping && tables_now.memory.next().is_some();
        if !reap && !sweep {
            return;
        }
        // Every session that has a segment was made within a runtime.
        let Some(runtime) = Handle::try_current().ok().or_else(|| tables_now.tasks.runtime.clone())
        else {
            return;
        };
        tables_now.tasks.reaping |= reap;
        tables_now.tasks.sweeping |= sweep;
        drop(tables);
        if reap {
            runtime.spawn(self.task(|tasks| &mut tasks.reaping).reap(Arc::clone(self)));
        }
        if sweep {
            runtime.spawn(self.task(|tasks| &mut tasks.sweeping).sweep());
        }
    }

    fn task(self: &Arc<Self>, running: fn(&mut Tasks) -> &mut bool) -> Task {
        Task { registry: Arc::downgrade(self), running, finished: false }
    }
}

/// A task that stands in [`Tasks`] as running. Dropped before it has finished, because its runtime
/// ended, it makes room for another.
struct Task {
    registry: Weak<Registry>,
    running: fn(&mut Tasks) -> &mut bool,
    finished: bool,
}

impl Task {
    /// The reaper: sleeps until the next deadline, expires sessions, and ends when no deadline is
    /// left.
    ///
    /// It keeps the registry alive: sessions live in it, also when their gateway is gone.
    async fn reap(mut self, registry: Arc<Registry>) {
        loop {
            let next = {
                let mut tables = registry.lock();
                match tables.deadlines.next() {
                    Some(next) => next,
                    None => return self.finish(&mut tables),
                }
            };
            // A deadline entered meanwhile is hardly ever earlier than this one, and never by more
            // than the time between two looks (`Shared::look_delay`), which is the same for all
            // sessions of an endpoint.
            tokio::time::sleep_until(next.into()).await;
            registry.expire_due(clock::now());
        }
    }

    /// The sweeper: forgets ended sessions, the oldest first, and ends when none is left.
    ///
    /// It does not keep the registry alive: without a gateway no client can ask for an end.
    async fn sweep(mut self) {
        while let Some(registry) = self.registry.upgrade() {
            let next = {
                let mut tables = registry.lock();
                tables.memory.sweep(clock::now());
                match tables.memory.next() {
                    Some(next) => next,
                    None => return self.finish(&mut tables),
                }
            };
            drop(registry);
            // Sessions that end meanwhile are forgotten later: all are remembered equally long.
            tokio::time::sleep_until(next.into()).await;
        }
    }

    /// Under the same lock under which no work was found: later work starts another task.
    fn finish(&mut self, tables: &mut Tables) {
        self.finished = true;
        *(self.running)(&mut tables.tasks) = false;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        if let Some(registry) = self.registry.upgrade() {
            *(self.running)(&mut registry.lock().tasks) = false;
        }
    }
}
