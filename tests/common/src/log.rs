//! What the gateway logs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex};

use sockeye::SessionId;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

/// What the crate logs in this process, on whichever thread, from the first [`log`] on.
pub struct Log {
    lines: Lines,
}

type Lines = Arc<Mutex<Vec<Line>>>;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    pub level: Level,
    fields: BTreeMap<&'static str, String>,
}

/// Begins to listen, or goes on.
pub fn log() -> &'static Log {
    static LOG: LazyLock<Log> = LazyLock::new(|| {
        let lines = Lines::default();
        tracing::subscriber::set_global_default(Capture(Arc::clone(&lines)))
            .expect("nobody else listens");
        // Another thread may just have found no subscriber, and would remember that.
        tracing::callsite::rebuild_interest_cache();
        Log { lines }
    });
    &LOG
}

impl Log {
    /// The lines whose text begins so.
    pub fn lines(&self, text: &str) -> Vec<Line> {
        self.find(|line| line.field("message").starts_with(text))
    }

    /// The lines about this session whose text begins so.
    pub fn lines_of(&self, session: SessionId, text: &str) -> Vec<Line> {
        let session = session.to_string();
        self.find(|line| {
            line.field("session") == session && line.field("message").starts_with(text)
        })
    }

    /// The lines that tell of the end of this session.
    pub fn ends_of(&self, session: SessionId) -> Vec<Line> {
        self.lines_of(session, "session ended")
    }

    fn find(&self, wanted: impl Fn(&Line) -> bool) -> Vec<Line> {
        self.lines
            .lock()
            .expect("no panic under this lock")
            .iter()
            .filter(|line| wanted(line))
            .cloned()
            .collect()
    }
}

impl Line {
    pub fn field(&self, name: &str) -> &str {
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
