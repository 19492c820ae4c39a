//! The findings as Markdown.

use std::fmt::Write as _;

use sockeye_bench::machine::Machine;
use sockeye_bench::others::Others;

use crate::common::{Scale, versions};
use crate::contender::{Contender, told_warm_up};
use crate::figures::{Figures, TOO_FEW, TableRow};
use crate::{latency, memory};

/// All that is told.
pub struct Page<'c> {
    pub machine: Machine,
    pub scale: Scale,
    pub contenders: &'c [Contender],
    /// Peers that were not measured, and why; runtimes that are not the newest.
    pub remarks: Vec<String>,
    /// Whether servers and load had a core each.
    pub pinned: bool,
    /// What other processes had of the machine, if that is known.
    pub others: Option<Others>,
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
        if let Some(warning) = self.others.as_ref().and_then(Others::warning) {
            let _ = write!(
                page,
                "\n**Other processes had the machine, so measure again without them: {warning}.**\n"
            );
        }
        for remark in &self.remarks {
            let _ = write!(page, "\n{remark}.\n");
        }
        let _ = write!(
            page,
            "\nServers on one core, the load on another, in turn: {} turns of {:?} each, round trips {} times as long, \
             memory in {} turns. {} A cell has the median of the turns and, in brackets, the lowest and the highest; behind them, times \
             Sockeye's, or \"level\" where the two servers' turns overlap. Every message is checked: where one was lost, duplicated, \
             reordered or changed, or a session was lost, also while it warmed up, there is no figure.\n",
            self.scale.rounds,
            self.scale.measured,
            latency::LONGER,
            self.scale.rounds.min(memory::ROUNDS),
            told_warm_up()
        );
        for figures in self.figures() {
            page.push_str(&figures.markdown(folder));
        }
        page
    }

    /// Those that have any.
    pub fn figures(&self) -> impl Iterator<Item = &Figures> {
        self.figures.iter().filter(|figures| !figures.rows.is_empty())
    }

    /// # Errors
    ///
    /// When Sockeye itself failed in any row: peers may, and the page says so.
    pub fn own_failures(&self) -> Result<(), String> {
        for figures in self.figures() {
            for TableRow { name, cells, .. } in &figures.rows {
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
