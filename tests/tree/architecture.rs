//! The layers: each room of the crate uses only what this page lets it use. ARCHITECTURE.md says
//! why.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What each top-level module may use, from the bottom up: of the modules above it in this list,
/// whole ones, or no more of one than the path that is named.
///
/// Each edge goes upwards in the list, and only one doesn't: a message keeps its quoted form, so
/// that it is encoded once however many sessions send it.
const LAYERS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("tally", &["clock"]),
    ("escape", &[]),
    ("wakers", &[]),
    ("message", &["protocol::quote"]),
    ("budget", &["tally"]),
    ("protocol", &["message", "escape"]),
    ("session", &["protocol", "message", "budget", "wakers", "clock"]),
    ("transport", &["session", "protocol", "message", "escape"]),
    ("serve", &["transport", "budget", "escape", "clock"]),
    (
        "gateway",
        &[
            "serve",
            "transport",
            "session",
            "protocol",
            "message",
            "budget",
            "escape",
            "tally",
            "clock",
        ],
    ),
    ("hub", &["session", "protocol::close", "message", "tally", "clock"]),
    // Its queues are bounded like those of a session.
    (
        "client",
        &[
            "protocol",
            "session::Queue",
            "session::QueueLimit",
            "message",
            "escape",
            "wakers",
            "clock",
        ],
    ),
    // Sessions without sockets, for tests of handlers.
    ("test_util", &["gateway", "session", "protocol::close", "message"]),
    // Entries for the micro benchmarks, compiled for them only.
    ("micro", &["hub", "session", "gateway", "protocol", "message", "clock"]),
    // Entries for the fuzz targets, compiled for them and for tests only.
    ("fuzz", &["gateway", "protocol", "message"]),
    // The front door re-exports from everywhere.
    (
        "lib",
        &[
            "message",
            "budget",
            "escape",
            "protocol",
            "session",
            "transport",
            "serve",
            "gateway",
            "hub",
            "client",
        ],
    ),
];

/// Words that a part of the source must not contain, because it would know too much.
const UNKNOWN: &[(&str, &[&str])] = &[
    ("protocol", &["tokio::", "http::", "hyper", "std::time", "std::sync::Mutex", "async fn"]),
    ("wakers", &["tokio::", "http::", "hyper", "async fn"]),
    ("budget", &["tokio::", "http::", "hyper", "async fn"]),
    ("message", &["tokio::", "http::", "hyper", "async fn"]),
    // The state machine: no runtime, no locks, no clock, no names of transports.
    (
        "session::core",
        &[
            "tokio::", "Mutex", "Arc", "Waker", "clock::", "::now()", "http::", "async fn", "xhr",
            "jsonp",
        ],
    ),
    ("session::queue", &["tokio::", "Mutex", "clock::", "::now()", "http::", "async fn"]),
    ("session", &["hyper", "http_body", "tungstenite", "axum"]),
    ("hub", &["hyper", "http::", "http_body", "tungstenite", "axum", "tokio::net"]),
    ("transport", &["axum", "Handler", "Registry"]),
    ("serve", &["Session", "Handler", "Registry", "tungstenite"]),
];

/// A longer file is not accepted, a file past the first number is named.
const LINES: (usize, usize) = (400, 600);

#[test]
fn each_layer_uses_only_those_below_it() {
    let sources = Source::all();
    assert!(sources.len() > 30, "the sources were not found: {}", sources.len());
    let names = reexports(&sources);
    let mut wrong = String::new();
    for source in &sources {
        for (line, path) in source.paths() {
            if let Err(why) = judge(&source.module, &path, &names) {
                writeln!(wrong, "{}:{line}: {why}", source.file.display())
                    .expect("a String takes everything");
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "edges that are not in the table of tests/tree/architecture.rs:\n{wrong}"
    );
}

#[test]
fn the_table_has_no_circles() {
    for (place, (module, uses)) in LAYERS.iter().enumerate() {
        for used in *uses {
            let below = LAYERS[..place].iter().any(|(name, _)| is_within(used, name));
            assert!(
                below || (*module == "message" && *used == "protocol::quote"),
                "{module} uses {used}"
            );
        }
    }
}

#[test]
fn nobody_knows_too_much() {
    let mut wrong = String::new();
    for source in Source::all() {
        let module = source.module.join("::");
        for (_, words) in UNKNOWN.iter().filter(|(part, _)| is_within(&module, part)) {
            for (number, line) in source.code.lines().enumerate() {
                for word in words.iter().filter(|word| line.contains(**word)) {
                    let line = number + 1;
                    writeln!(wrong, "{}:{line}: {module} knows of `{word}`", source.file.display())
                        .expect("a String");
                }
            }
        }
    }
    assert!(wrong.is_empty(), "what is not a layer's business:\n{wrong}");
}

#[test]
fn files_are_short_enough_to_be_read() {
    let (soft, hard) = LINES;
    let mut too_long = String::new();
    for file in rust_files(&source_folder()).into_iter().filter(|file| !is_test(file)) {
        let lines = read(&file).lines().count();
        if lines > hard {
            writeln!(too_long, "{}: {lines}", file.display()).expect("a String takes everything");
        } else if lines > soft {
            println!("{} has {lines} lines: look for a seam", file.display());
        }
    }
    assert!(
        too_long.is_empty(),
        "files of more than {hard} lines, to be split along a real seam:\n{too_long}"
    );
}

/// A user that puts a public future into a `select!` must know what its drop loses. (That errors and
/// panics are documented, clippy sees to.)
#[test]
fn public_waits_tell_what_cancelling_them_loses() {
    let (mut waits, mut silent) = (0, String::new());
    for file in rust_files(&source_folder()) {
        let mut told = false;
        for (number, line) in read(&file).lines().map(str::trim).enumerate() {
            if line.starts_with("pub async fn") {
                waits += 1;
                if !told {
                    writeln!(silent, "{}:{}: {line}", file.display(), number + 1)
                        .expect("a String takes everything");
                }
            }
            told = told && line.starts_with(['/', '#']) || line == "/// # Cancel safety";
        }
    }
    assert!(waits > 15, "they were not found: {waits}");
    assert!(silent.is_empty(), "futures without a section `# Cancel safety`:\n{silent}");
}

/// The test of this test: what it finds, and what it leaves alone.
#[test]
fn edges_are_found_however_they_are_written() {
    let names = BTreeMap::from([("Gateway".to_owned(), "gateway".to_owned())]);
    let wrong = |module: &str, code: &str| {
        let source = Source {
            file: PathBuf::new(),
            module: parts(module),
            code: without_comments_and_tests(code),
        };
        source
            .paths()
            .into_iter()
            .filter(|(_, path)| judge(&source.module, path, &names).is_err())
            .count()
    };
    for code in [
        "use crate::gateway::Gateway;",
        "pub(crate) use crate::{message::Message, gateway::{config as c}, protocol::frame};",
        "use crate::{\n    clock,\n    hub,\n};",
        "use crate::Gateway;",
        "fn f() -> Result<(), crate::gateway::Error> {}",
        "use super::super::gateway;",
        "type T = Vec<super::super::gateway::T>;",
        "use crate::nobody_knows_this;",
    ] {
        assert_eq!(wrong("session::core", code), 1, "{code}");
    }
    for code in [
        "// use crate::gateway;",
        "/// [`Gateway`](crate::Gateway)\nstruct S;",
        "use super::queue; use self::inner; use crate::session::queue;",
        "use crate::message::Message; use crate::protocol::{close::CloseReason, frame};",
        "#[cfg(test)]\nmod tests {\n    use crate::gateway;\n}\n",
        "let gateway = 1;",
    ] {
        assert_eq!(wrong("session::core", code), 0, "{code}");
    }
    assert_eq!(wrong("message", "use crate::protocol::quote;"), 0);
    assert_eq!(wrong("message", "use crate::protocol::frame;"), 1, "no more than is named");
    assert_eq!(wrong("message", "use crate::protocol;"), 1, "no more than is named");
}

/// One file, without what is no code.
struct Source {
    file: PathBuf,
    /// The module's path in its crate.
    module: Vec<String>,
    code: String,
}

impl Source {
    fn all() -> Vec<Self> {
        let folder = source_folder();
        let files = rust_files(&folder).into_iter().filter(|file| !is_test(file));
        files
            .map(|file| {
                let inside =
                    file.strip_prefix(&folder).expect("it was found there").with_extension("");
                let mut module: Vec<String> = inside
                    .iter()
                    .map(|part| part.to_str().expect("names are text").to_owned())
                    .collect();
                if module.last().is_some_and(|last| last == "mod") {
                    module.pop();
                }
                Self { module, code: without_comments_and_tests(&read(&file)), file }
            })
            .collect()
    }

    /// The paths in this file that begin at the crate or at a module above, made absolute, and
    /// their lines.
    fn paths(&self) -> Vec<(usize, Vec<String>)> {
        let mut found = Vec::new();
        for start in ["crate::", "super::"] {
            for (at, _) in self.code.match_indices(start) {
                let before = self.code[..at].chars().next_back();
                if before.is_some_and(|before| {
                    before.is_alphanumeric() || matches!(before, '_' | ':' | '$')
                }) {
                    continue;
                }
                let line = self.code[..at].lines().count().max(1);
                let mut tree = Vec::new();
                read_tree(&self.code[at..], &mut Vec::new(), &mut tree);
                found.extend(tree.into_iter().map(|path| (line, self.absolute(path))));
            }
        }
        found
    }

    fn absolute(&self, path: Vec<String>) -> Vec<String> {
        let ups = path.iter().take_while(|part| *part == "super").count();
        let base = match path[0].as_str() {
            "crate" => &[][..],
            _ => &self.module[..self.module.len().saturating_sub(ups)],
        };
        let rest = path.iter().skip(ups.max(1)).filter(|part| *part != "self");
        base.iter().chain(rest).cloned().collect()
    }
}

/// Reads a path, or the tree of paths of a `use`, as far as it goes; returns what follows.
fn read_tree<'c>(code: &'c str, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'c str {
    let depth = before.len();
    let mut rest = code.trim_start();
    loop {
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner.trim_start();
            while !rest.is_empty() && !rest.starts_with('}') {
                rest = read_tree(rest, before, found).trim_start();
                // A renaming is no part of the path.
                let end = rest.find([',', '}']).unwrap_or(rest.len());
                rest = rest[end..].trim_start_matches(',').trim_start();
            }
            before.truncate(depth);
            return rest.strip_prefix('}').unwrap_or(rest);
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end > 0 {
            before.push(rest[..end].to_owned());
        }
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(more) if end > 0 => rest = more.trim_start(),
            _ => break,
        }
    }
    found.push(before.clone());
    before.truncate(depth);
    rest
}

/// Whether `module` may use what is at `path`.
fn judge(
    module: &[String],
    path: &[String],
    names: &BTreeMap<String, String>,
) -> Result<(), String> {
    let Some(first) = path.first() else { return Ok(()) };
    let target = match names.get(first) {
        Some(home) => format!("{home}::{}", path.join("::")),
        None => path.join("::"),
    };
    let Some((layer, uses)) = LAYERS.iter().find(|(layer, _)| *layer == module[0]) else {
        return Err(format!("the module `{}` has no row", module[0]));
    };
    if is_within(&target, layer) || uses.iter().any(|used| is_within(&target, used)) {
        return Ok(());
    }
    Err(format!("`{layer}` must not use `{target}`"))
}

fn is_within(path: &str, part: &str) -> bool {
    path.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Where the names at the top of the library come from.
fn reexports(sources: &[Source]) -> BTreeMap<String, String> {
    let lib = sources.iter().find(|source| source.module == ["lib"]).expect("src/lib.rs");
    let mut names = BTreeMap::new();
    for (at, start) in lib.code.match_indices("pub use ") {
        let mut found = Vec::new();
        read_tree(&lib.code[at + start.len()..], &mut Vec::new(), &mut found);
        for mut path in found {
            let name = path.pop().expect("a path has a part");
            names.insert(name, path.join("::"));
        }
    }
    assert!(names.contains_key("Session"), "the names of the library were not found: {names:?}");
    names
}

/// Comments become spaces, so that lines keep their numbers; tests at the end of a file may use
/// what they like.
fn without_comments_and_tests(code: &str) -> String {
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut kept = String::new();
    for line in code.lines() {
        // `//` in a string is cut as well; no string here goes on with a path.
        kept.push_str(line.split("//").next().unwrap_or_default());
        kept.push('\n');
    }
    kept
}

fn parts(module: &str) -> Vec<String> {
    module.split("::").map(str::to_owned).collect()
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// A file of tests, or of what only tests use.
fn is_test(file: &Path) -> bool {
    let inside = file.strip_prefix(source_folder()).expect("it was found there").with_extension("");
    inside.iter().any(|part| part == "tests" || part == "testing")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("sources are text")
}
