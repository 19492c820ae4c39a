//! A table of figures, as Markdown and as a picture.

use std::fmt::Write as _;

use sockeye_bench::report::Group;
use sockeye_bench::spread::{Spread, Standing};

use crate::contender::Contender;

/// A table, and a picture. Of all figures, less is better.
pub struct Figures {
    pub title: &'static str,
    /// The subject and method of the measurement, in a sentence.
    pub about: &'static str,
    /// What to know of rows whose name holds the first text.
    pub remarks: &'static [(&'static str, &'static str)],
    pub file: &'static str,
    /// Whether the first column is the libraries' own; Sockeye's is the next.
    pub floor: bool,
    pub columns: Vec<String>,
    pub rows: Vec<TableRow>,
}

/// A row of the table.
pub struct TableRow {
    pub name: String,
    /// Whether the picture has it, which is to be seen at a glance.
    pub pictured: bool,
    pub cells: Vec<Result<Spread, String>>,
    /// Told below the table.
    pub asides: Vec<Aside>,
}

/// A server with another setting, measured in the same turns.
pub struct Aside {
    pub name: String,
    pub seen: Result<Spread, String>,
}

/// Why the time of rare messages is not told: fewer than ten were rarer.
pub const TOO_FEW: &str = "too few samples";

impl Figures {
    pub fn columns(floor: bool, contenders: &[Contender]) -> Vec<String> {
        let floor = floor.then(|| "floor".to_owned());
        floor.into_iter().chain(contenders.iter().map(|contender| contender.name.clone())).collect()
    }

    /// The picture's file, if there is anything to show.
    pub fn picture(&self) -> Option<String> {
        let any = self.rows.iter().any(|row| row.pictured);
        any.then(|| format!("peers-{}.svg", self.file))
    }

    /// Where Sockeye's column is.
    pub fn own(&self) -> usize {
        usize::from(self.floor)
    }

    pub fn markdown(&self, folder: &str) -> String {
        let mut notes = Vec::new();
        let (mut ahead, mut level) = (Vec::new(), Vec::new());
        let mut text = format!("\n### {}\n\n{}\n\n", self.title, self.about);
        if let Some(picture) = self.picture() {
            let _ = write!(
                text,
                "<img src=\"{folder}{picture}\" width=\"100%\" alt=\"{}, as bars\">\n\n",
                self.title
            );
        }
        text.push_str("| |");
        for name in &self.columns {
            let _ = write!(text, " {name} |");
        }
        let _ = write!(text, "\n|---|{}\n", "---:|".repeat(self.columns.len()));
        for row in &self.rows {
            let own = row.cells[self.own()].as_ref().ok();
            let _ = write!(text, "| {} |", row.name);
            for (index, (cell, whose)) in row.cells.iter().zip(&self.columns).enumerate() {
                let shown = match (cell, own) {
                    (Err(reason), _) => note(&mut notes, reason),
                    (Ok(spread), Some(own)) if index != self.own() => {
                        let beside = format!("{whose} in \"{}\"", row.name);
                        match spread.beside(own) {
                            _ if index < self.own() => {}
                            Standing::Ahead => ahead.push(format!(
                                "{beside} ({} beside {})",
                                figure(spread.median),
                                figure(own.median)
                            )),
                            Standing::Level => level.push(beside),
                            Standing::Behind => {}
                        }
                        compared(spread, own)
                    }
                    (Ok(spread), _) => told(spread),
                };
                let _ = write!(text, " {shown} |");
            }
            text.push('\n');
        }
        for (number, note) in notes.iter().enumerate() {
            let _ = write!(text, "\n[{}] {note}\n", number + 1);
        }
        let listed = |servers: &[String], none: &str| match servers {
            [] => none.to_owned(),
            servers => servers.join("; "),
        };
        let none = "no other server in any cell";
        let _ = write!(text, "\nAhead of Sockeye: {}.\n", listed(&ahead, none));
        let _ = write!(text, "\nLevel with Sockeye: {}.\n", listed(&level, none));
        self.write_asides(&mut text);
        for (of, remark) in self.remarks {
            if self.rows.iter().any(|row| row.name.contains(of)) {
                let _ = write!(text, "\n{remark}\n");
            }
        }
        text
    }

    fn write_asides(&self, text: &mut String) {
        for row in &self.rows {
            let own = row.cells[self.own()].as_ref().ok();
            for Aside { name, seen } in &row.asides {
                let seen = match (seen, own) {
                    (Ok(seen), Some(own)) => compared(seen, own),
                    (Ok(seen), None) => told(seen),
                    (Err(reason), _) => format!("no figure: {reason}"),
                };
                let _ = write!(text, "\n{name} in \"{}\": {seen}.\n", row.name);
            }
        }
    }

    /// The picture's title.
    pub fn caption(&self) -> String {
        format!("{}: shorter is better; logarithmic", self.title)
    }

    /// The picture's subject.
    pub fn groups(&self) -> Vec<Group> {
        let group = |row: &TableRow| {
            let value = |cell: &Result<Spread, String>| match cell {
                Ok(spread) => Ok(spread.median),
                // A picture has no room for reasons; the table has.
                Err(_) => Err("n/a".to_owned()),
            };
            let values = self.columns.iter().cloned().zip(row.cells.iter().map(value));
            Group { title: row.name.clone(), floor: self.floor, values: values.collect() }
        };
        self.rows.iter().filter(|row| row.pictured).map(group).collect()
    }
}

fn note(notes: &mut Vec<String>, reason: &str) -> String {
    let known = notes.iter().position(|note| note == reason);
    let index = known.unwrap_or_else(|| {
        notes.push(reason.to_owned());
        notes.len() - 1
    });
    format!("n/a [{}]", index + 1)
}

/// The median and the extremes.
fn told(Spread { median, lowest, highest }: &Spread) -> String {
    let median = figure(*median);
    let (lowest, highest) = (figure(*lowest), figure(*highest));
    // One turn has no spread.
    if lowest == highest { median } else { format!("{median} ({lowest}–{highest})") }
}

/// The same, and how it stands beside Sockeye's.
fn compared(spread: &Spread, own: &Spread) -> String {
    let times = ratio(spread.median / own.median);
    match spread.beside(own) {
        Standing::Ahead => format!("**ahead:** {} ×{times}", told(spread)),
        Standing::Level => format!("{} level", told(spread)),
        Standing::Behind => format!("{} ×{times}", told(spread)),
    }
}

/// Three digits.
fn figure(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn ratio(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
