//! Problems of a file, with the line that holds them.

use std::fmt::Write as _;
use std::ops::Range;

/// A part of a file that can't be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// `None` for a problem of no place.
    pub(crate) span: Option<Range<usize>>,
    /// The setting: `endpoint."/echo".heartbeat_delay`. Empty for a problem of the whole.
    pub(crate) path: String,
    /// The problem, and what to write instead.
    pub(crate) text: String,
}

impl Problem {
    /// Lines that show where in the file `name` the problem is.
    pub(crate) fn render(&self, name: &str, source: &str) -> String {
        let subject = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        let Some(span) = &self.span else {
            return format!("error: {name}: {subject}{}\n", self.text);
        };
        let start = span.start.min(source.len());
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
        let line = &source[line_start..line_end];
        let number = source[..start].matches('\n').count() + 1;
        let column = source[line_start..start].chars().count() + 1;
        let shown = without_secret(line);
        let mut text = format!("error: {name}:{number}:{column}: {subject}{}\n", self.text);
        let margin = " ".repeat(number.to_string().len());
        let _ = writeln!(text, "{margin} |");
        let _ = writeln!(text, "{number} | {}", shown.trim_end());
        let end = span.end.clamp(start, line_end);
        let carets = source[start..end].chars().count().max(1);
        // A secret's value is not shown, nor its length.
        let carets = if column > shown.chars().count() { 1 } else { carets };
        let carets = carets.min((shown.chars().count() + 2).saturating_sub(column).max(1));
        let _ = writeln!(text, "{margin} | {}{}", " ".repeat(column - 1), "^".repeat(carets));
        text
    }
}

/// The line up to the value of a secret; control characters as blanks, so that the caret stands
/// below its place.
fn without_secret(line: &str) -> String {
    let secret = ["token", "password", "secret"].into_iter().filter_map(|word| {
        line.match_indices(word).find_map(|(at, _)| {
            let behind = at + word.len();
            let rest = line[behind..].trim_start_matches(['"', '\'', ' ', '\t']);
            rest.starts_with('=').then(|| line.len() - rest.len() + 1)
        })
    });
    let shown = match secret.min() {
        Some(end) => format!("{} …", &line[..end]),
        None => line.to_owned(),
    };
    shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `known`, and the one that was meant, for a key that is unknown.
pub(crate) fn unknown(key: &str, known: &[&str]) -> String {
    let nearest = known.iter().min_by_key(|known| distance(key, known));
    let meant = nearest.filter(|known| distance(key, known) <= (key.len() / 3).max(1));
    let list = known.join(", ");
    match meant {
        Some(meant) => format!("there is no setting {key:?}: write {meant}. All here: {list}"),
        None => format!("there is no setting {key:?}: choose one of {list}, or take it out"),
    }
}

/// How many characters must change, come or go (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
