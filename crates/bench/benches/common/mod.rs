//! Code shared by the benchmarks of whole servers.

#[path = "../floors/mod.rs"]
pub mod floors;
pub mod rows;
pub mod servers;

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub warm_up: Duration,
    pub measured: Duration,
    pub rounds: usize,
    pub smoke: bool,
}

impl Scale {
    pub fn new(smoke: bool, seconds: f64, rounds: usize) -> Self {
        let measured = Duration::from_secs_f64(if smoke { 0.05 } else { seconds });
        Self {
            warm_up: measured.mul_f64(0.3),
            measured,
            rounds: if smoke { 1 } else { rounds.max(1) },
            smoke,
        }
    }

    pub fn sessions(&self, full: usize) -> usize {
        if self.smoke { (full / 50).max(2) } else { full }
    }
}

/// The environment that the figures depend on.
pub fn versions() -> String {
    let lock = include_str!("../../../../Cargo.lock");
    let version = |name: &str| {
        let entry = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?.1;
        Some(format!("{name} {}", entry.split_once('"')?.0))
    };
    let names = ["sockeye", "hyper", "tokio", "tokio-tungstenite"];
    names.into_iter().filter_map(version).collect::<Vec<_>>().join(", ")
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Puts Markdown into a file, in place of the text between the lines `<!-- mark -->` and `<!--
/// /mark -->`.
///
/// # Errors
///
/// When there are no such lines, or the file can't be read or written.
pub fn put(file: &Path, mark: &str, markdown: &str) -> Result<(), String> {
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let old = std::fs::read_to_string(file).map_err(text)?;
    let parts =
        old.split_once(&begin).and_then(|(head, rest)| Some((head, rest.split_once(&end)?.1)));
    let (head, tail) = parts
        .ok_or_else(|| format!("{} has no lines {} and {end}", file.display(), begin.trim_end()))?;
    std::fs::write(file, format!("{head}{begin}{markdown}{end}{tail}")).map_err(text)
}

pub fn text(error: impl Display) -> String {
    error.to_string()
}
