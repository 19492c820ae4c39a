//! The tasks of a registry: one ends sessions whose dates have come, the other forgets ended ones.
//! Each runs while there is something to wait for, with or without traffic, in whichever runtime is
//! there.

use std::sync::{Arc, MutexGuard, Weak};

use tokio::runtime::Handle;

use super::{Registry, Tables};
use crate::clock;

/// Which tasks run, and where others can.
#[derive(Default)]
pub(super) struct Tasks {
    pub(super) reaping: bool,
    pub(super) sweeping: bool,
    /// That of the latest session: one may be closed by a thread that knows of no runtime.
    pub(super) runtime: Option<Handle>,
}

impl Registry {
    /// Starts the tasks that have something to do and don't run: for the first time, again, or
    /// because the runtime that they ran in has ended. Takes the lock, for it must be free then: a
    /// runtime that is ending drops what it is given at once, and that takes the lock.
    pub(super) fn staff(self: &Arc<Self>, mut tables: MutexGuard<'_, Tables>) {
        let tables_now = &mut *tables;
        let reap = !tables_now.tasks.reaping && !tables_now.dates.is_empty();
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

/// A task that stands in [`Tasks`] as running. Dropped before it has finished, for its runtime
/// ends, it leaves the place to another.
struct Task {
    registry: Weak<Registry>,
    running: fn(&mut Tasks) -> &mut bool,
    finished: bool,
}

impl Task {
    /// Ends sessions whose clients did not come back, or take nothing of a closed one; rests while
    /// no date stands, and ends when there is none left.
    ///
    /// It keeps the registry: sessions live in there, also when their gateway is gone.
    async fn reap(mut self, registry: Arc<Registry>) {
        loop {
            let next = {
                let mut tables = registry.lock();
                match tables.dates.peek() {
                    Some(date) => date.0.at,
                    None => return self.finish(&mut tables),
                }
            };
            // A date entered meanwhile is hardly ever earlier than this one, and never by more than
            // the time between two looks (`Shared::look_delay`), which is the same for all sessions
            // of an endpoint.
            tokio::time::sleep_until(next.into()).await;
            registry.expire_due(clock::now());
        }
    }

    /// Forgets ended sessions, the oldest first, and ends when there are none left.
    ///
    /// It does not keep the registry: what nobody can ask for need not be remembered.
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
            // What ends meanwhile is forgotten later: each is remembered for the same time.
            tokio::time::sleep_until(next.into()).await;
        }
    }

    /// Under the lock under which nothing was found to do: what comes later starts another task.
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
