//! What the gateway logs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber, span};

/// The lines of this crate that were logged, for as long as it lives.
pub(crate) struct Log {
    lines: Lines,
    _guard: Option<DefaultGuard>,
}

type Lines = Arc<Mutex<Vec<Line>>>;

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) level: Level,
    fields: BTreeMap<&'static str, String>,
}

impl Log {
    /// Captures what this thread logs.
    pub(crate) fn capture() -> Self {
        let lines = Lines::default();
        let guard = tracing::subscriber::set_default(Capture(Arc::clone(&lines)));
        Self { lines, _guard: Some(guard) }
    }

    /// Captures what all threads log: once in a process.
    pub(crate) fn capture_all() -> Self {
        let lines = Lines::default();
        tracing::subscriber::set_global_default(Capture(Arc::clone(&lines))).expect("nobody else does so");
        Self { lines, _guard: None }
    }

    /// The lines whose text begins so.
    pub(crate) fn lines(&self, text: &str) -> Vec<Line> {
        let lines = self.lines.lock().expect("no panic under this lock");
        lines.iter().filter(|line| line.field("message").starts_with(text)).cloned().collect()
    }
}

impl Line {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

struct Capture(Lines);

impl Subscriber for Capture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("sockeye")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line { level: *event.metadata().level(), fields: BTreeMap::new() };
        event.record(&mut line);
        self.0.lock().expect("no panic under this lock").push(line);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}
