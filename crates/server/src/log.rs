//! The program's log, on stderr: written by a thread of its own, so that an unread stderr blocks no
//! session.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::LogFormat;

/// Capacity for lines that wait for stderr, in bytes. Further lines are dropped, and their number
/// follows behind the waiting lines.
const WAITING: usize = 256 * 1024;
/// How long the end of the program waits until the remaining lines are written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Logs through the filter, panics included, until the program ends.
///
/// A pipe holds 64 KiB. When its reader stops, a write to it never returns: a runtime worker that
/// wrote its lines itself would block with all its sessions, and so would each that panics.
pub(crate) fn start(filter: Targets, form: LogFormat) -> Log {
    let log = Log::new();
    let lines = log.lines.clone();
    let format = tracing_subscriber::fmt::layer().with_writer(log.lines.clone());
    let registry = tracing_subscriber::registry().with(filter);
    match form {
        LogFormat::Text => {
            registry.with(format.with_ansi(io::stderr().is_terminal())).init();
        }
        // A collector wants the values beside the message, not below another name.
        LogFormat::Json => registry.with(format.json().flatten_event(true)).init(),
    }
    panic::set_hook(Box::new(report));
    if let Err(error) =
        thread::Builder::new().name("log".to_owned()).spawn(move || lines.write_to(io::stderr()))
    {
        // Without a thread no log is written, which must be reported.
        eprintln!("error: no log is written, for a thread can't be started: {error}");
    }
    log
}

/// The log of a running program. Dropping it writes the remaining lines, if stderr takes them in
/// time.
pub(crate) struct Log {
    lines: Lines,
}

impl Log {
    fn new() -> Self {
        Self { lines: Lines(Arc::default()) }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines.wait_until_written(LAST_WORDS);
    }
}

/// Lines on their way to stderr.
#[derive(Clone)]
struct Lines(Arc<LineQueue>);

#[derive(Default)]
struct LineQueue {
    // Held to add a line or to take all of them, never while they are written.
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: u64,
    /// The thread is writing the lines that it took.
    writing: bool,
}

impl Lines {
    fn add(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.bytes.len() + line.len() > WAITING {
            waiting.dropped += 1;
            return;
        }
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        self.0.changed.notify_all();
    }

    /// Writes lines as they come, forever.
    fn write_to(&self, mut output: impl Write) {
        let mut bytes = Vec::new();
        loop {
            self.take(&mut bytes);
            // A closed stderr has no reader.
            let _ = output.write_all(&bytes).and_then(|()| output.flush());
            bytes.clear();
            bytes.shrink_to(4096);
            self.lock().writing = false;
            self.0.changed.notify_all();
        }
    }

    fn take(&self, into: &mut Vec<u8>) {
        let idle = |waiting: &mut Waiting| waiting.bytes.is_empty() && waiting.dropped == 0;
        let mut waiting =
            self.0.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.bytes, into);
        waiting.writing = true;
        let dropped = std::mem::take(&mut waiting.dropped);
        drop(waiting);
        if dropped > 0 {
            into.extend_from_slice(
                format!("sockeye: {dropped} lines of the log were dropped here: stderr was not read in time\n")
                    .as_bytes(),
            );
        }
    }

    fn wait_until_written(&self, most: Duration) {
        let busy = |waiting: &mut Waiting| waiting.writing || !waiting.bytes.is_empty();
        // In time or not, there is no other place to write.
        drop(self.0.changed.wait_timeout_while(self.lock(), most, busy));
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Consistent after every statement.
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'l> MakeWriter<'l> for Lines {
    type Writer = &'l Lines;

    fn make_writer(&'l self) -> Self::Writer {
        self
    }
}

impl Write for &Lines {
    /// The subscriber writes each line in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The standard hook writes to stderr itself.
fn report(info: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        panic = info.payload_as_str().unwrap_or("not a text"),
        location = info.location().map(tracing::field::display),
        backtrace,
        "panicked"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted_and_told_behind_the_rest() {
        let log = Log::new();
        let line = [vec![b'x'; 1023], vec![b'\n']].concat();
        for _ in 0..WAITING / 1024 + 3 {
            log.lines.add(&line);
        }
        let mut written = Vec::new();
        log.lines.take(&mut written);
        assert_eq!(written.iter().filter(|byte| **byte == b'x').count(), WAITING / 1024 * 1023);
        let told = "\nsockeye: 3 lines of the log were dropped here: stderr was not read in time\n";
        assert!(written.ends_with(told.as_bytes()));
        log.lines.lock().writing = false;
        log.lines.add(b"later\n");
        written.clear();
        log.lines.take(&mut written);
        assert_eq!(written, b"later\n");
        log.lines.lock().writing = false;
    }
}
