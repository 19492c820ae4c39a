//! The pictures: bars, drawn by plotters as SVG whose colours the page's style decides.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::results::{Direct, Distribution, Entry, Finding, Results};
use crate::table::{count, figure};

/// A picture and the text beside it.
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) explanation: String,
    /// The legend of the colours, from the first on; none with one colour.
    pub(super) legend: Vec<&'static str>,
    pub(super) svg: String,
}

/// Values side by side, in groups, as a picture of its own: a whole SVG file in the colours of its
/// viewer, on a ground of its own, so that it can be read on any page. The scale is logarithmic;
/// the caption is to say so.
pub(super) fn standalone(caption: &str, groups: &[Group]) -> String {
    let heading = |label: &str| Bar {
        label: label.to_owned(),
        heading: true,
        ends: Vec::new(),
        note: String::new(),
    };
    let mut bars = vec![heading(caption)];
    for Group { title, floor, values } in groups {
        bars.push(heading(title));
        bars.extend(values.iter().enumerate().map(|(index, (name, value))| {
            let colour = match index.checked_sub(usize::from(*floor)) {
                None => FLOOR,
                Some(place) => place % FLOOR,
            };
            let (ends, note) = match value {
                Ok(value) => (vec![(*value, colour)], figure(*value)),
                Err(reason) => (Vec::new(), reason.clone()),
            };
            Bar { label: name.clone(), heading: false, ends, note }
        }));
    }
    let svg = draw(&bars, NARROW_LINE, true);
    let end_of_tag = svg.find('>').map_or(0, |end| end + 1);
    format!("{}<style>{STANDALONE}</style>{GROUND}{}", &svg[..end_of_tag], &svg[end_of_tag..])
}

/// Values to be compared with each other.
#[derive(Clone, Debug)]
pub struct Group {
    /// Their names.
    pub title: String,
    /// Whether the first one is the baseline of the others: it is grey.
    pub floor: bool,
    /// Whose each is, and it, or why there is none.
    pub values: Vec<(String, Result<f64, String>)>,
}

/// The page's style has the same colours.
const STANDALONE: &str = "svg{--c0:#2563a8;--c1:#d9822b;--c2:#5a9e6f;--c3:#a34a6b;--c4:#7a6bb5;--c5:#8a8a8a;--ink:#1d2228;--quiet:#5b6670;\
    --paper:#fff;--line:#d8dde2}@media(prefers-color-scheme:dark){svg{--c0:#6ea8e6;--c1:#e8a562;--c2:#86c79a;--c3:#d485a4;--c4:#ab9ee0;\
    --c5:#a0a0a0;--ink:#e4e8ec;--quiet:#9aa5af;--paper:#15191d;--line:#333b43}}text{font-family:system-ui,sans-serif}";
const GROUND: &str = "<rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"var(--paper)\"/>";

/// One line of bars.
struct Bar {
    label: String,
    /// It names the lines below.
    heading: bool,
    /// Where each part ends, and its colour. All of them begin where the bar does.
    ends: Vec<(f64, usize)>,
    /// The text behind it.
    note: String,
}

/// The ends of a bar's parts, and the text behind it.
type Shown = (Vec<(f64, usize)>, String);

/// All pictures for which there is anything to show.
pub(super) fn all(results: &Results) -> Vec<Plot> {
    let several = results.targets.len() > 1;
    let mut plots = Vec::new();
    let mut add =
        |title: &str, explanation: String, legend: &[&'static str], log: bool, bars: Vec<Bar>| {
            if bars.iter().any(|bar| !bar.ends.is_empty()) {
                let (title, legend) = (title.to_owned(), legend.to_vec());
                plots.push(Plot { title, explanation, legend, svg: draw(&bars, LINE, log) });
            }
        };
    let direct = |bar: &dyn Fn(&Direct) -> Shown| -> Vec<Bar> {
        let label = |entry: &Entry<Direct>| label(&entry.technique, &entry.target, several);
        let bars = results.direct.iter().map(|entry| {
            let (ends, note) = bar(&entry.found);
            Bar { label: label(entry), heading: false, ends, note }
        });
        bars.collect()
    };
    let scale = &results.scale;
    add(
        "Round trip, milliseconds",
        format!(
            "{} messages a second over {} sessions; logarithmic",
            count(scale.rate),
            scale.sessions
        ),
        &["half of all messages", "99 of 100", "the slowest"],
        true,
        direct(&|found| distribution(&found.round_trip)),
    );
    add(
        "Messages a second",
        format!("{} sessions, each with so many messages in flight; logarithmic", scale.sessions),
        &["1 in flight", "16 in flight"],
        true,
        direct(&|found| {
            let rate = |it: &Finding<_>| {
                it.value().map(|it: &crate::results::Throughput| it.messages_per_second)
            };
            let (one, sixteen) = (rate(&found.one_in_flight), rate(&found.sixteen_in_flight));
            parts([sixteen.map(|it| (it, 1)), one.map(|it| (it, 0))], found.one_in_flight.reason())
        }),
    );
    add(
        "Server time for a message, microseconds",
        "processor time, with one message in flight for each session".to_owned(),
        &["in the server", "in the kernel"],
        false,
        direct(&|found| {
            let cpu = found.one_in_flight.value().and_then(|it| it.server_cpu.value());
            parts(
                [cpu.map(|cpu| (cpu.total(), 1)), cpu.map(|cpu| (cpu.user, 0))],
                cpu_reason(found),
            )
        }),
    );
    add(
        "Bytes on the wire for a message",
        format!(
            "{} bytes of text, there and back, with headers as a browser sends them",
            scale.message_bytes
        ),
        &["to the server", "and to the client"],
        false,
        direct(&|found| {
            let bytes = found.one_in_flight.value().map(|it| (it.bytes_sent, it.bytes_received));
            let ends = [
                bytes.map(|(sent, received)| (sent + received, 1)),
                bytes.map(|(sent, _)| (sent, 0)),
            ];
            parts(ends, found.one_in_flight.reason())
        }),
    );
    add(
        "One message to many, milliseconds until the last has it",
        format!("{} receivers; half of all messages", count(scale.receivers as f64)),
        &[],
        false,
        direct(&|found| {
            let last = found.fan_out.value().and_then(|it| it.last.p50);
            parts([last.map(|it| (it, 0)), None], found.fan_out.reason())
        }),
    );
    add(
        "Server memory of an idle session, KB",
        format!("{} sessions", count(scale.idle_sessions as f64)),
        &[],
        false,
        direct(&|found| {
            let bytes = found.idle_bytes.value().map(|bytes| (bytes / 1000.0, 0));
            parts([bytes, None], found.idle_bytes.reason())
        }),
    );
    for network in &results.networks {
        let bars = network.entries.iter().map(|entry| {
            let (ends, note) = distribution_of(&entry.found.round_trip, |it| it.p90);
            Bar {
                label: label(&entry.technique, &entry.target, several),
                heading: false,
                ends,
                note,
            }
        });
        let name = &network.profile.name;
        add(
            &format!("Round trip over {name}, milliseconds"),
            format!("{}; logarithmic", network.profile.about),
            &["half of all messages", "9 of 10", "the slowest"],
            true,
            bars.collect(),
        );
    }
    plots
}

fn label(technique: &str, target: &str, several: bool) -> String {
    if several { format!("{technique} · {target}") } else { technique.to_owned() }
}

fn cpu_reason(found: &Direct) -> Option<&str> {
    match &found.one_in_flight {
        Finding::Value(found) => found.server_cpu.reason(),
        Finding::NotAvailable(reason) => Some(reason),
    }
}

fn parts(ends: [Option<(f64, usize)>; 2], reason: Option<&str>) -> Shown {
    let ends: Vec<_> = ends.into_iter().flatten().filter(|(end, _)| end.is_finite()).collect();
    let figures: Vec<_> = ends.iter().rev().map(|(end, _)| figure(*end)).collect();
    let note = if ends.is_empty() {
        reason.unwrap_or("too few samples").to_owned()
    } else {
        figures.join(" / ")
    };
    (ends, note)
}

fn distribution(found: &Finding<Distribution>) -> Shown {
    distribution_of(found, |it| it.p99)
}

fn distribution_of(found: &Finding<Distribution>, most: fn(&Distribution) -> Option<f64>) -> Shown {
    let Some(found) = found.value() else {
        return (Vec::new(), found.reason().unwrap_or_default().to_owned());
    };
    let ends = [(found.max, 2), (most(found), 1), (found.p50, 0)];
    let ends: Vec<_> = ends.into_iter().filter_map(|(end, colour)| Some((end?, colour))).collect();
    let figures: Vec<_> = ends.iter().rev().map(|(end, _)| figure(*end)).collect();
    let note =
        if ends.is_empty() { "no message came back".to_owned() } else { figures.join(" / ") };
    (ends, note)
}

const WIDTH: u32 = 900;
const LINE: u32 = 30;
/// Where there are many.
const NARROW_LINE: u32 = 23;
/// The room for names to the left of the bars, and for figures behind the longest: at least and at
/// most.
const LABELS: (u32, u32) = (190, 340);
const NOTES: (u32, u32) = (170, 300);
/// Between text and bars, and between text and the edge.
const GAP: u32 = 10;
/// What a character takes at most, on average, in the fonts that browsers have for `sans-serif`.
const CHARACTER: f64 = 6.6;

fn draw(bars: &[Bar], line: u32, log: bool) -> String {
    let height = line * bars.len() as u32 + 40;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        // Drawing into a string cannot fail; were it to, a picture would miss a part.
        let _ = draw_on(&area, bars, log);
    }
    themed(&svg)
}

type Area<'s> = DrawingArea<SVGBackend<'s>, Shift>;
type Failure<'s> = DrawingAreaErrorKind<<SVGBackend<'s> as DrawingBackend>::ErrorType>;

fn draw_on<'s>(area: &Area<'s>, bars: &[Bar], log: bool) -> Result<(), Failure<'s>> {
    let ends = || {
        bars.iter()
            .flat_map(|bar| bar.ends.iter().map(|(end, _)| *end))
            .filter(|end| *end > 0.0 && end.is_finite())
    };
    // Without any bar there are axes nevertheless: a logarithmic one without an end would be drawn
    // forever.
    let shortest = ends().reduce(f64::min).unwrap_or(1.0);
    let most = ends().reduce(f64::max).unwrap_or(1.0) * 1.05;
    let labels = room(LABELS, bars.iter().filter(|bar| !bar.heading).map(|bar| &bar.label));
    let notes = room(NOTES, bars.iter().filter(|bar| !bar.ends.is_empty()).map(|bar| &bar.note));
    let mut builder = ChartBuilder::on(area);
    builder.margin_top(4).margin_right(notes).x_label_area_size(26).y_label_area_size(labels);
    let places = if log {
        // A decade that the shortest bar is well into, so that it can be seen.
        let least = 10_f64.powf((shortest / 2.0).log10().floor());
        let scale = (least..most.max(least * 10.0)).log_scale();
        draw_bars(builder.build_cartesian_2d(scale, lines(bars))?, bars, least)?
    } else {
        draw_bars(builder.build_cartesian_2d(0.0..most, lines(bars))?, bars, 0.0)?
    };
    write(area, bars, &places)
}

/// Where a bar begins and ends, in pixels.
struct Place {
    left: i32,
    right: i32,
    middle: i32,
}

fn draw_bars<'s, X>(
    mut chart: ChartContext<'_, SVGBackend<'s>, Cartesian2d<X, RangedCoordf64>>,
    bars: &[Bar],
    least: f64,
) -> Result<Vec<Place>, Failure<'s>>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut mesh = chart.configure_mesh();
    mesh.disable_y_mesh().y_labels(0).x_labels(8).x_label_formatter(&|value| figure_at(*value));
    mesh.axis_style(GRID)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .label_style(QUIET_TEXT)
        .draw()?;
    for (index, bar) in bars.iter().enumerate() {
        let mut ends = bar.ends.clone();
        // A shorter part is drawn over a longer one, or it would not be seen.
        ends.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        for (end, colour) in ends {
            chart.draw_series([rectangle(index, least, end.max(least), colour)])?;
        }
    }
    let place = |(index, bar): (usize, &Bar)| {
        let end = bar.ends.iter().map(|(end, _)| *end).fold(least, f64::max);
        let (left, middle) = chart.backend_coord(&(least, index as f64 + 0.5));
        Place { left, right: chart.backend_coord(&(end, 0.0)).0, middle }
    };
    Ok(bars.iter().enumerate().map(place).collect())
}

/// The room for the longest of these texts.
fn room<'b>((least, most): (u32, u32), texts: impl Iterator<Item = &'b String>) -> u32 {
    let longest = texts.map(|text| width(text)).fold(0.0, f64::max);
    (longest as u32 + 2 * GAP).clamp(least, most)
}

fn width(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER
}

/// As much of a text as there is room for.
fn fitted(text: &str, room: i32) -> String {
    let room = f64::from(room);
    if width(text) <= room {
        return text.to_owned();
    }
    let kept = ((room / CHARACTER) as usize).saturating_sub(1);
    text.chars().take(kept).chain(['…']).collect()
}

/// Names to the left of the bars, figures behind them.
fn write<'s>(area: &Area<'s>, bars: &[Bar], places: &[Place]) -> Result<(), Failure<'s>> {
    let style = |colour: &'static RGBColor, side| {
        TextStyle::from(("sans-serif", 14).into_font())
            .color(colour)
            .pos(Pos::new(side, VPos::Center))
    };
    for (bar, Place { left, right, middle }) in bars.iter().zip(places) {
        let (gap, width) = (GAP as i32, WIDTH as i32);
        let (place, side, room) = match bar.heading {
            true => (gap, HPos::Left, width - 2 * gap),
            false => (left - gap, HPos::Right, left - 2 * gap),
        };
        let colour = if bar.heading || !bar.ends.is_empty() { &INK } else { &QUIET };
        area.draw(&Text::new(fitted(&bar.label, room), (place, *middle), style(colour, side)))?;
        let colour = if bar.ends.is_empty() { &QUIET } else { &INK };
        let behind = right + gap;
        let note = fitted(&bar.note, width - behind - gap);
        area.draw(&Text::new(note, (behind, *middle), style(colour, HPos::Left)))?;
    }
    area.present()
}

/// The first bar on top.
fn lines(bars: &[Bar]) -> std::ops::Range<f64> {
    bars.len() as f64..0.0
}

fn rectangle(index: usize, from: f64, to: f64, colour: usize) -> Rectangle<(f64, f64)> {
    let style = ShapeStyle::from(&SERIES[colour]).filled();
    Rectangle::new([(from, index as f64 + 0.18), (to, index as f64 + 0.82)], style)
}

fn figure_at(value: f64) -> String {
    if value >= 1000.0 { count(value) } else { format!("{}", (value * 1e6).round() / 1e6) }
}

// Colours that stand for those of the page's style.
const INK: RGBColor = RGBColor(1, 0, 0);
const QUIET: RGBColor = RGBColor(2, 0, 0);
const GRID: RGBColor = RGBColor(3, 0, 0);
const SERIES: [RGBColor; 6] = [
    RGBColor(16, 0, 0),
    RGBColor(17, 0, 0),
    RGBColor(18, 0, 0),
    RGBColor(19, 0, 0),
    RGBColor(20, 0, 0),
    RGBColor(21, 0, 0),
];
/// The last of them.
const FLOOR: usize = 5;
const QUIET_TEXT: (&str, i32, &RGBColor) = ("sans-serif", 13, &QUIET);

fn themed(svg: &str) -> String {
    let mut svg = svg.to_owned();
    let series = SERIES.into_iter().zip(["c0", "c1", "c2", "c3", "c4", "c5"]);
    for (RGBColor(red, green, blue), name) in
        series.chain([(INK, "ink"), (QUIET, "quiet"), (GRID, "line")])
    {
        svg = svg.replace(
            &format!("\"#{red:02X}{green:02X}{blue:02X}\""),
            &format!("\"var(--{name})\""),
        );
    }
    svg
}

#[cfg(test)]
mod tests;
