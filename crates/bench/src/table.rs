//! The results as tables of text, which are Markdown as well.

use std::fmt::Write as _;

use super::results::{
    Checked, CpuFound, Direct, Distribution, Entry, Finding, Results, Throughput,
};

/// All tables, with missing figures and their reasons, errors, and places where the load was the
/// bottleneck or other processes had the machine.
pub fn text(results: &Results) -> String {
    let mut notes = Notes::default();
    let mut out = String::new();
    for table in tables(results, &mut notes) {
        let _ = writeln!(out, "{}\n\n{}", table.title, table.text());
    }
    for (number, reason) in notes.0.iter().enumerate() {
        let _ = writeln!(out, "[{}] {reason}", number + 1);
    }
    for place in results.bottlenecks() {
        let _ = writeln!(
            out,
            "warning: the load was the bottleneck, so the server can do more: {place}"
        );
    }
    for disturbance in results.disturbances() {
        let _ = writeln!(
            out,
            "warning: other processes had the machine, so measure again without them: {disturbance}"
        );
    }
    for failure in results.failures() {
        let _ = writeln!(out, "FAILED: {failure}");
    }
    if results.interrupted {
        let _ = writeln!(out, "Interrupted: these are the measurements until then.");
    }
    out
}

/// A table: its title, its columns, and its rows.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its subject and units.
    pub title: String,
    /// One for each column.
    pub head: Vec<String>,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<String>>,
}

/// Reasons why cells have no figure, each told once.
#[derive(Debug, Default)]
pub struct Notes(pub Vec<String>);

impl Notes {
    fn mark(&mut self, reason: &str) -> String {
        let known = self.0.iter().position(|note| note == reason);
        let index = known.unwrap_or_else(|| {
            self.0.push(reason.to_owned());
            self.0.len() - 1
        });
        format!("n/a [{}]", index + 1)
    }

    fn cell<T>(&mut self, finding: &Finding<T>, show: impl FnOnce(&T) -> String) -> String {
        match finding {
            Finding::Value(value) => show(value),
            Finding::NotAvailable(reason) => self.mark(reason),
        }
    }

    /// A percentile may be missing although there is a distribution.
    fn time(
        &mut self,
        finding: &Finding<Distribution>,
        pick: fn(&Distribution) -> Option<f64>,
    ) -> String {
        match finding {
            Finding::NotAvailable(reason) => self.mark(reason),
            Finding::Value(distribution) => match pick(distribution) {
                Some(millis) => figure(millis),
                None => self.mark("fewer than ten samples lie beyond it"),
            },
        }
    }
}

/// All tables of the results, with notes on missing figures. With names of usual length a terminal
/// of 100 columns holds each line.
pub fn tables(results: &Results, notes: &mut Notes) -> Vec<Table> {
    let mut tables = if results.direct.is_empty() { Vec::new() } else { direct(results, notes) };
    let several = results.targets.len() > 1;
    for network in &results.networks {
        let title = format!("Over {}, in ms: {}", network.profile.name, network.profile.about);
        let head = ["opens p50", "trip p50", "p90", "messages", "wrong", "broke"];
        tables.push(table(title, &head, several, &network.entries, &mut |found| {
            let checked = &found.correctness;
            vec![
                notes.time(&found.opening, |it| it.p50),
                notes.time(&found.round_trip, |it| it.p50),
                notes.time(&found.round_trip, |it| it.p90),
                count(checked.expected as f64),
                wrong(checked),
                count(checked.broken_sessions as f64),
            ]
        }));
    }
    tables
}

/// With nothing between client and server.
fn direct(results: &Results, notes: &mut Notes) -> Vec<Table> {
    const PERCENTILES: [&str; 5] = ["p50", "p90", "p99", "p99.9", "max"];
    let scale = &results.scale;
    let sessions = scale.sessions;
    let several = results.targets.len() > 1;
    let table = |title: String, head: &[&str], row: &mut dyn FnMut(&Direct) -> Vec<String>| {
        table(title, head, several, &results.direct, row)
    };
    vec![
        table(
            format!("Round trip in ms, {} messages/s over {sessions} sessions", count(scale.rate)),
            &PERCENTILES,
            &mut |found| times(&found.round_trip, notes),
        ),
        table("Of that to the server, in ms".to_owned(), &PERCENTILES, &mut |found| {
            times(&found.to_server, notes)
        }),
        table("Of that to the client, in ms".to_owned(), &PERCENTILES, &mut |found| {
            times(&found.to_client, notes)
        }),
        table(
            format!(
                "Messages/s of {} bytes, {sessions} sessions; the load's share of a core meanwhile",
                scale.message_bytes
            ),
            &["1 in flight", "its load", "16 in flight", "its load"],
            &mut |found| throughput(found, notes),
        ),
        table(
            "Server CPU for a message, µs (user + system)".to_owned(),
            &["1 in flight", "16 in flight"],
            &mut |found| {
                [&found.one_in_flight, &found.sixteen_in_flight]
                    .map(|it| server_cpu(it, notes))
                    .into()
            },
        ),
        table(
            "For a message, 1 in flight: bytes and requests; connections for a session".to_owned(),
            &["bytes sent", "received", "requests", "connections"],
            &mut |found| wire(&found.one_in_flight, notes),
        ),
        table(
            format!(
                "One message to {}: ms until the last has it; server CPU for each, µs",
                count(scale.receivers as f64)
            ),
            &["p50", "p90", "deliveries/s", "CPU (user + system)"],
            &mut |found| fan_out(found, notes),
        ),
        table(
            format!(
                "Sessions: ms to open; visits/s (open, echo, go); KB for each of {} idle ones",
                count(scale.idle_sessions as f64)
            ),
            &["p50", "p90", "visits/s", "KB"],
            &mut |found| sessions_found(found, notes),
        ),
        table(
            "Correctness: messages and their errors; broken sessions".to_owned(),
            &["messages", "lost", "duplicated", "reordered", "changed", "broke"],
            &mut |found| correctness(&found.correctness),
        ),
    ]
}

fn table<T>(
    title: String,
    head: &[&str],
    several: bool,
    entries: &[Entry<T>],
    row: &mut dyn FnMut(&T) -> Vec<String>,
) -> Table {
    let who = if several { &["technique", "target"][..] } else { &["technique"] };
    let head = who.iter().chain(head).map(|title| (*title).to_owned()).collect();
    let rows = entries.iter().map(|Entry { technique, target, found }| {
        let who = [technique, target].into_iter().take(who.len()).cloned();
        who.chain(row(found)).collect()
    });
    Table { title, head, rows: rows.collect() }
}

fn times(finding: &Finding<Distribution>, notes: &mut Notes) -> Vec<String> {
    let shares: [fn(&Distribution) -> Option<f64>; 5] =
        [|it| it.p50, |it| it.p90, |it| it.p99, |it| it.p999, |it| it.max];
    shares.map(|share| notes.time(finding, share)).into()
}

fn throughput(found: &Direct, notes: &mut Notes) -> Vec<String> {
    let cells = [&found.one_in_flight, &found.sixteen_in_flight].map(|it| {
        let share = |it: &Throughput| {
            it.driver_share
                .map_or_else(|| "?".to_owned(), |share| format!("{:.0} %", share * 100.0))
        };
        [notes.cell(it, |it| count(it.messages_per_second)), notes.cell(it, share)]
    });
    cells.concat()
}

fn server_cpu(found: &Finding<Throughput>, notes: &mut Notes) -> String {
    match found {
        Finding::Value(found) => cpu(&found.server_cpu, notes),
        Finding::NotAvailable(reason) => notes.mark(reason),
    }
}

fn wire(found: &Finding<Throughput>, notes: &mut Notes) -> Vec<String> {
    vec![
        notes.cell(found, |it| count(it.bytes_sent)),
        notes.cell(found, |it| count(it.bytes_received)),
        notes.cell(found, |it| figure(it.requests)),
        notes.cell(found, |it| figure(it.connections_per_session)),
    ]
}

fn fan_out(found: &Direct, notes: &mut Notes) -> Vec<String> {
    let last = found.fan_out.value().map(|found| found.last.clone());
    let last = last
        .map_or_else(|| Finding::none(found.fan_out.reason().unwrap_or_default()), Finding::Value);
    vec![
        notes.time(&last, |it| it.p50),
        notes.time(&last, |it| it.p90),
        notes.cell(&found.fan_out, |it| count(it.deliveries_per_second)),
        match &found.fan_out {
            Finding::Value(found) => cpu(&found.server_cpu, notes),
            Finding::NotAvailable(reason) => notes.mark(reason),
        },
    ]
}

fn sessions_found(found: &Direct, notes: &mut Notes) -> Vec<String> {
    vec![
        notes.time(&found.opening, |it| it.p50),
        notes.time(&found.opening, |it| it.p90),
        notes.cell(&found.visits_per_second, |visits| count(*visits)),
        notes.cell(&found.idle_bytes, |bytes| figure(bytes / 1000.0)),
    ]
}

/// Errors of messages, in words as short as a cell: mostly none.
fn wrong(checked: &Checked) -> String {
    let counts = [
        (checked.lost, "lost"),
        (checked.duplicated, "duplicated"),
        (checked.reordered, "reordered"),
        (checked.changed, "changed"),
    ];
    let words = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(number, what)| format!("{number} {what}"));
    let words = words.collect::<Vec<_>>().join(", ");
    if words.is_empty() { "0".to_owned() } else { words }
}

fn correctness(checked: &Checked) -> Vec<String> {
    let counts = [
        checked.expected,
        checked.lost,
        checked.duplicated,
        checked.reordered,
        checked.changed,
        checked.broken_sessions,
    ];
    counts.map(|number| count(number as f64)).into()
}

fn cpu(found: &Finding<CpuFound>, notes: &mut Notes) -> String {
    notes.cell(found, |cpu| {
        format!("{} ({} + {})", figure(cpu.total()), figure(cpu.user), figure(cpu.system))
    })
}

/// Three digits that count.
pub(super) fn figure(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "?".to_owned(),
        100.0.. => count(value),
        10.0..100.0 => format!("{value:.1}"),
        1.0..10.0 => format!("{value:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.3}"),
    }
}

/// A whole number, with commas.
pub(super) fn count(value: f64) -> String {
    if !value.is_finite() {
        return "?".to_owned();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Table {
    /// As Markdown, with columns that stand below each other.
    pub fn text(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().chain([&self.head]).map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                // Figures end below each other, names begin so.
                if self.is_name(column) {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
            format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
        };
        let rule = widths.iter().enumerate().map(|(column, width)| {
            if self.is_name(column) {
                "-".repeat(width + 2)
            } else {
                format!("{}:", "-".repeat(width + 1))
            }
        });
        let rule = format!("|{}|\n", rule.collect::<Vec<_>>().join("|"));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}{rule}{rows}", line(&self.head))
    }

    /// Whether a column holds names.
    pub(super) fn is_name(&self, column: usize) -> bool {
        matches!(self.head[column].as_str(), "technique" | "target")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.0123, "0.012"),
            (1.0, "1.00"),
            (9.876, "9.88"),
            (12.34, "12.3"),
            (1234.5, "1,234"),
        ] {
            assert_eq!(figure(value), text);
        }
        for (value, text) in [
            (0.0, "0"),
            (999.0, "999"),
            (1000.0, "1,000"),
            (1234567.0, "1,234,567"),
            (-1000.0, "-1,000"),
        ] {
            assert_eq!(count(value), text);
        }
        assert_eq!(count(f64::NAN), "?");
    }

    #[test]
    fn a_table_is_markdown_in_columns() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let table = Table {
            title: String::new(),
            head: row(["technique", "p50"]),
            rows: vec![row(["long polling", "0.5"]), row(["WebSocket", "12.25"])],
        };
        let lines = [
            "| technique    |   p50 |",
            "|--------------|------:|",
            "| long polling |   0.5 |",
            "| WebSocket    | 12.25 |",
        ];
        assert_eq!(table.text(), lines.map(|line| format!("{line}\n")).concat());
    }

    #[test]
    fn each_reason_is_told_once() {
        let mut notes = Notes::default();
        let cells = ["a", "b", "a"]
            .map(|reason| notes.cell(&Finding::<f64>::none(reason), |_| String::new()));
        assert_eq!(cells, ["n/a [1]", "n/a [2]", "n/a [1]"]);
        assert_eq!(notes.0, ["a", "b"]);
    }
}
