//! Values with their intervals, a row each.

use super::draw::{Drawing, round_end, shortened, text, tick};
use crate::pages::kit::html::escaped;
use std::fmt::Write;

const ROW: f64 = 20.0;
const NAMES: f64 = 216.0;
const WIDTH: f64 = 250.0;
const WORDS: f64 = 156.0;
/// Characters that have room for a name.
const NAME: usize = 31;

/// A mark beside the value of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// What it is, said where the pointer rests.
    pub name: String,
    /// Where it stands.
    pub value: f64,
}

/// A row of a forest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ForestRow {
    /// To the left.
    pub name: String,
    /// The value; a row without one is a heading.
    pub value: Option<f64>,
    /// From its lower to its upper end.
    pub interval: Option<[f64; 2]>,
    /// Drawn as a diamond: a mean of others.
    pub heavy: bool,
    /// Other values of the row, drawn as ticks.
    pub marks: Vec<Mark>,
}

impl ForestRow {
    /// A heading.
    pub fn heading(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// What the values of a forest are.
#[derive(Debug, Clone, PartialEq)]
pub struct ForestAxis {
    /// Under the axis.
    pub name: String,
    /// What shown numbers are multiplied with: 100 for per cent.
    pub scale: f64,
    /// From where to where; as the intervals have it when not given.
    pub range: Option<[f64; 2]>,
    /// A value with a line of its own: no difference.
    pub line: Option<f64>,
}

/// The range that holds all of it, a little wider.
fn range(rows: &[ForestRow], axis: &ForestAxis) -> [f64; 2] {
    if let Some(range) = axis.range {
        return range;
    }
    let ends = rows.iter().flat_map(|r| r.interval.into_iter().flatten().chain(r.value));
    let marks = rows.iter().flat_map(|r| r.marks.iter().map(|m| m.value));
    let all = ends.chain(marks).chain(axis.line).filter(|v| v.is_finite());
    let [low, high] = all.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], v| [a.min(v), b.max(v)]);
    match low.is_finite() {
        false => [0.0, 1.0],
        true if low < high => quarters(low, high),
        true => [low - 0.5, high + 0.5],
    }
}

/// The ends of four round steps that hold all of it.
fn quarters(low: f64, high: f64) -> [f64; 2] {
    let mut step = round_end((high - low) / 4.0);
    loop {
        let start = (low / step).floor() * step;
        if start + 4.0 * step >= high {
            return [start, start + 4.0 * step];
        }
        if !step.is_finite() {
            return [low, high];
        }
        step = round_end(1.01 * step);
    }
}

/// A forest of `rows`.
pub fn forest(rows: &[ForestRow], axis: &ForestAxis) -> Drawing {
    let [low, high] = range(rows, axis);
    let at = |v: f64| NAMES + ((v - low) / (high - low)).clamp(0.0, 1.0) * WIDTH;
    let end = 8.0 + ROW * rows.len() as f64;
    let mut out = String::new();
    for step in 0..=4 {
        let value = low + f64::from(step) / 4.0 * (high - low);
        let x = at(value);
        let _ = write!(out, "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"4\" y2=\"{end:.0}\"/>");
        let shown = tick(value * axis.scale, (high - low) * axis.scale);
        text(&mut out, (x, end + 15.0), "soft middle", &shown);
    }
    if let Some(line) = axis.line.filter(|v| (low..=high).contains(v)) {
        let x = at(line);
        let _ = write!(out, "<line class=\"rule\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"4\" y2=\"{end:.0}\"/>");
    }
    for (n, row) in rows.iter().enumerate() {
        self::row(&mut out, row, 8.0 + ROW * (n as f64 + 0.5), &at, axis);
    }
    text(&mut out, (NAMES + WIDTH / 2.0, end + 32.0), "soft middle", &axis.name);
    Drawing { width: NAMES + WIDTH + WORDS + 14.0, height: end + 40.0, inside: out }
}

fn row(out: &mut String, row: &ForestRow, y: f64, at: &impl Fn(f64) -> f64, axis: &ForestAxis) {
    let Some(value) = row.value.filter(|v| v.is_finite()) else {
        return text(out, (4.0, y + 4.0), "soft strong", &shortened(&row.name, 60));
    };
    let shown = |v: f64| tick(v * axis.scale, if axis.scale > 1.0 { 10.0 } else { 1.0 });
    let mut words = shown(value);
    if let Some([lo, hi]) = row.interval {
        let _ = write!(words, " ({} to {})", shown(lo), shown(hi));
    }
    let title = escaped(&format!("{}: {words}", row.name));
    let _ =
        write!(out, "<g data-name=\"{}\" data-value=\"{value}\"><title>{title}</title>", escaped(&row.name));
    text(
        out,
        (NAMES - 10.0, y + 4.0),
        if row.heavy { "end strong" } else { "end" },
        &shortened(&row.name, NAME),
    );
    if let Some([lo, hi]) = row.interval {
        let _ = write!(
            out,
            "<line class=\"l0\" stroke-width=\"2\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" data-lo=\"{lo}\" data-hi=\"{hi}\"/>",
            at(lo),
            at(hi)
        );
    }
    let x = at(value);
    let (wide, high) = if row.heavy { (7.0, 6.0) } else { (4.5, 4.5) };
    let shape = match row.heavy {
        true => format!(
            "M{:.1} {y:.1}L{x:.1} {:.1}L{:.1} {y:.1}L{x:.1} {:.1}Z",
            x - wide,
            y - high,
            x + wide,
            y + high
        ),
        false => format!("M{:.1} {:.1}h9v9h-9Z", x - wide, y - high),
    };
    let _ = write!(out, "<path class=\"{}\" d=\"{shape}\"/>", if row.heavy { "ink" } else { "f0" });
    text(out, (NAMES + WIDTH + 10.0, y + 4.0), "soft", &words);
    out.push_str("</g>");
    for (n, mark) in row.marks.iter().enumerate() {
        let (x, colour) = (at(mark.value), 1 + n % 2);
        let _ = write!(
            out,
            "<g data-mark=\"{0}\" data-value=\"{1}\"><title>{0}: {2}</title><line class=\"l{colour}\" stroke-width=\"3\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{3:.1}\" y2=\"{4:.1}\"/></g>",
            escaped(&mark.name),
            mark.value,
            shown(mark.value),
            y - 8.0,
            y + 8.0
        );
    }
}
