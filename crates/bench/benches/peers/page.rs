//! The findings as Markdown.

use std::fmt::Write as _;

use sockeye_bench::machine::Machine;
use sockeye_bench::report::Group;

use crate::common::{Scale, versions};
use crate::measure::{Contender, Figures, Line, TOO_FEW};

/// All that is told.
pub struct Page<'c> {
    pub machine: Machine,
    pub scale: Scale,
    pub contenders: &'c [Contender],
    /// Peers that were not measured, and why.
    pub skipped: Vec<String>,
    /// Whether servers and load had a core each.
    pub pinned: bool,
    pub figures: Vec<Figures>,
}

impl Page<'_> {
    /// The page, with pictures that lie in `folder`.
    pub fn markdown(&self, folder: &str) -> String {
        let mut page = format!("Measured {}, with {}", self.machine, versions());
        for contender in &self.contenders[1..] {
            let _ = write!(page, "; {}", contender.version);
        }
        page.push_str(".\n");
        if self.scale.smoke {
            page.push_str("\n**Tiny sizes, to see that it runs: the figures say nothing.**\n");
        }
        if !self.pinned {
            page.push_str("\n**Servers and load were not bound to a core each, so the figures say little.**\n");
        }
        for reason in &self.skipped {
            let _ = write!(page, "\n{reason}.\n");
        }
        let _ = write!(
            page,
            "\nServers on one core, the load on another, in turn: {} turns of {:?} each, round trips four times as long, \
             memory once. In brackets: times Sockeye's. Every message is checked: where one was lost, duplicated, reordered or \
             changed, there is no figure.\n",
            self.scale.rounds, self.scale.measured
        );
        for figures in self.figures() {
            page.push_str(&figures.markdown(folder));
        }
        page
    }

    /// Those that have any.
    pub fn figures(&self) -> impl Iterator<Item = &Figures> {
        self.figures.iter().filter(|figures| !figures.lines.is_empty())
    }

    /// # Errors
    ///
    /// When Sockeye itself failed in any line: peers may, and are told so.
    pub fn own_failures(&self) -> Result<(), String> {
        for figures in self.figures() {
            for Line { name, cells, .. } in &figures.lines {
                match &cells[figures.own()] {
                    // A short run may have too few messages for the rarest ones to be told.
                    Err(reason) if reason != TOO_FEW && !self.scale.smoke => {
                        return Err(format!("Sockeye failed: {name}: {reason}"));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

impl Figures {
    /// The picture's file, if there is anything to show.
    pub fn picture(&self) -> Option<String> {
        let any = self.lines.iter().any(|line| line.pictured);
        any.then(|| format!("peers-{}.svg", self.file))
    }

    /// Where Sockeye's column is.
    fn own(&self) -> usize {
        usize::from(self.floor)
    }

    fn markdown(&self, folder: &str) -> String {
        let (mut notes, mut ahead) = (Vec::new(), Vec::new());
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
        for Line { name, cells, .. } in &self.lines {
            let own = cells[self.own()].as_ref().ok().copied();
            let _ = write!(text, "| {name} |");
            for (index, (cell, whose)) in cells.iter().zip(&self.columns).enumerate() {
                let shown = match (cell, own) {
                    (Err(reason), _) => note(&mut notes, reason),
                    (Ok(value), Some(_)) if index == self.own() => figure(*value),
                    // Figures that look the same in the table are the same.
                    (Ok(value), Some(own))
                        if index > self.own() && *value < own && figure(*value) != figure(own) =>
                    {
                        ahead.push(format!(
                            "{whose} in \"{name}\" ({} beside {})",
                            figure(*value),
                            figure(own)
                        ));
                        format!("**ahead: {}** (×{:.2})", figure(*value), value / own)
                    }
                    (Ok(value), Some(own)) => {
                        format!("{} (×{})", figure(*value), ratio(value / own))
                    }
                    (Ok(value), None) => figure(*value),
                };
                let _ = write!(text, " {shown} |");
            }
            text.push('\n');
        }
        for (number, note) in notes.iter().enumerate() {
            let _ = write!(text, "\n[{}] {note}\n", number + 1);
        }
        let said = if ahead.is_empty() {
            "No other server is ahead of Sockeye in any cell.".to_owned()
        } else {
            format!("Ahead of Sockeye: {}.", ahead.join("; "))
        };
        let _ = write!(text, "\n{said}\n");
        text
    }

    /// The picture's title.
    pub fn caption(&self) -> String {
        format!("{}: shorter is better; logarithmic", self.title)
    }

    /// The picture's subject.
    pub fn groups(&self) -> Vec<Group> {
        let group = |line: &Line| Group {
            title: line.name.clone(),
            floor: self.floor,
            // A picture has no room for reasons; the table has.
            values: self
                .columns
                .iter()
                .cloned()
                .zip(line.cells.iter().map(|cell| cell.clone().map_err(|_| "n/a".to_owned())))
                .collect(),
        };
        self.lines.iter().filter(|line| line.pictured).map(group).collect()
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
