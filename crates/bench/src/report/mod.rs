//! The results as one HTML file: pictures, tables and the data, with nothing to be loaded.

mod plots;

use std::fmt::Write as _;

pub use self::plots::Group;
use super::results::Results;
use super::table::{Notes, Table, tables};

/// The whole file.
pub fn html(results: &Results) -> String {
    let mut notes = Notes::default();
    let tables = tables(results, &mut notes);
    let data = serde_json::to_string(results).expect("results have a JSON form");
    let mut body = String::new();
    let targets = results.targets.iter().map(|target| {
        if target.own {
            format!("{} {}", target.name, results.version)
        } else {
            format!("{} ({})", target.name, target.url)
        }
    });
    let targets = targets.collect::<Vec<_>>().join(", ");
    let _ = write!(
        body,
        "<header><h1>Transports compared</h1><p>{}</p><p class=quiet>{}</p></header>",
        escaped(&targets),
        escaped(&results.machine.to_string())
    );
    verdict(results, &mut body);
    body.push_str("<section class=plots>");
    for plot in plots::all(results) {
        let _ = write!(
            body,
            "<figure><figcaption><b>{}</b><span class=quiet>{}</span>{}</figcaption><div class=wide>{}</div></figure>",
            escaped(&plot.title),
            escaped(&plot.explanation),
            legend(&plot.legend),
            plot.svg
        );
    }
    body.push_str("</section><section><h2>Figures</h2>");
    for table in &tables {
        html_table(table, &mut body);
    }
    if !notes.0.is_empty() {
        body.push_str("<h3>Why some figures are missing</h3><ol>");
        for note in &notes.0 {
            let _ = write!(body, "<li>{}</li>", escaped(note));
        }
        body.push_str("</ol>");
    }
    body.push_str("</section>");
    body.push_str(METHOD);
    format!(
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\"><meta name=color-scheme content=\"light dark\">\
         <title>Transports compared</title><style>{STYLE}</style></head>\n<body>{body}\n\
         <script type=\"application/json\" id=data>{}</script></body></html>\n",
        data.replace('<', "\\u003c")
    )
}

/// Values side by side, in groups, on a logarithmic scale, as an SVG file.
pub fn picture(caption: &str, groups: &[Group]) -> String {
    plots::standalone(caption, groups)
}

/// Failures, or the note that there were none.
fn verdict(results: &Results, body: &mut String) {
    let mut list = |class: &str, title: &str, items: Vec<String>| {
        if items.is_empty() {
            return;
        }
        let _ = write!(body, "<div class=\"verdict {class}\"><b>{title}</b><ul>");
        for item in items {
            let _ = write!(body, "<li>{}</li>", escaped(&item));
        }
        body.push_str("</ul></div>");
    };
    list("bad", "Not everything was right", results.failures());
    list(
        "fair",
        "The load was the bottleneck here, so the server can do more",
        results.bottlenecks(),
    );
    list(
        "fair",
        "Other processes had the machine: measure again without them",
        results.disturbances(),
    );
    if results.interrupted {
        list(
            "fair",
            "The comparison was interrupted",
            vec!["The measurements until then are shown.".to_owned()],
        );
    }
    if results.failures().is_empty() {
        let messages: u64 =
            results.direct.iter().map(|entry| entry.found.correctness.expected).sum();
        let _ = write!(
            body,
            "<p class=\"verdict good\">{} messages were checked: none was lost, duplicated, reordered or changed.</p>",
            super::table::count(messages as f64)
        );
    }
}

fn legend(entries: &[&str]) -> String {
    let mut legend = String::new();
    for (number, name) in entries.iter().enumerate() {
        let _ = write!(
            legend,
            "<span class=key><i style=\"background:var(--c{number})\"></i>{}</span>",
            escaped(name)
        );
    }
    legend
}

fn html_table(table: &Table, body: &mut String) {
    let _ = write!(body, "<h3>{}</h3><div class=wide><table><tr>", escaped(&table.title));
    for title in &table.head {
        let _ = write!(body, "<th>{}</th>", escaped(title));
    }
    body.push_str("</tr>");
    for row in &table.rows {
        body.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let class = match () {
                () if table.is_name(column) => "name",
                () if cell.starts_with("n/a") => "none",
                () => "figure",
            };
            let _ = write!(body, "<td class={class}>{}</td>", escaped(cell));
        }
        body.push_str("</tr>");
    }
    body.push_str("</table></div>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = include_str!("report.css");

const METHOD: &str = "<section><h2>How it was measured</h2>\
    <p>One process serves, another one is the load: many sessions, each message with a number and a check, so that every loss, \
    repetition, disorder and change is noticed. Round trips are timed from when a message was due, not from when it could be sent: a \
    server that makes its clients wait does not look faster for it. A percentile is told only if at least ten samples lie beyond it. \
    One way is told by the server's clock, which is the load's. Costs are the server's processor time as the kernel counts it. Bytes \
    are what TCP carries, with heads as long as a browser's. The whole data is in this file, as JSON in the element with the id \
    <code>data</code>.</p></section>";

#[cfg(test)]
mod tests;
