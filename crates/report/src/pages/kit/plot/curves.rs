//! Lines in a square.

use super::draw::{COLOURS, Drawing, shortened, text, tick};
use crate::pages::kit::html::escaped;
use std::fmt::Write;

const SIDE: f64 = 260.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 8.0;
const END: f64 = TOP + SIDE;
const LEGEND: f64 = 17.0;

/// An axis from 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Beside it.
    pub name: String,
    /// Where it ends.
    pub end: f64,
    /// What shown numbers are multiplied with: 100 for per cent.
    pub scale: f64,
}

impl Axis {
    /// From 0 to 100 %.
    pub fn percent(name: impl Into<String>) -> Self {
        Self { name: name.into(), end: 1.0, scale: 100.0 }
    }
}

/// A line through points.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// In the legend, where there are several.
    pub name: String,
    /// In units of the axes.
    pub points: Vec<(f64, f64)>,
    /// Number of its colour; nothing for ink, thick: a mean of others.
    pub colour: Option<usize>,
    /// Every point has a mark.
    pub marked: bool,
}

/// Axes from 0 with a frame and ticks.
fn axes(out: &mut String, x: &Axis, y: &Axis) {
    let _ = write!(out, "<rect class=\"box\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{SIDE}\" height=\"{SIDE}\"/>");
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let (across, down) = (LEFT + share * SIDE, END - share * SIDE);
        if (1..4).contains(&step) {
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{across:.1} {TOP}V{END}M{LEFT} {down:.1}H{:.1}\"/>",
                LEFT + SIDE
            );
        }
        let shown = |axis: &Axis| tick(share * axis.end * axis.scale, axis.end * axis.scale);
        text(out, (across, END + 15.0), "soft middle", &shown(x));
        text(out, (LEFT - 6.0, down + 4.0), "soft end", &shown(y));
    }
    text(out, (LEFT + SIDE / 2.0, END + 32.0), "soft middle", &x.name);
    let _ = write!(
        out,
        "<text transform=\"translate(13,{:.0}) rotate(-90)\" class=\"soft middle\">{}</text>",
        TOP + SIDE / 2.0,
        escaped(&y.name)
    );
}

fn place(x: &Axis, y: &Axis, (a, b): (f64, f64)) -> (f64, f64) {
    let share = |v: f64, end: f64| (v / end).clamp(0.0, 1.0) * SIDE;
    (LEFT + share(a, x.end), END - share(b, y.end))
}

fn line(out: &mut String, x: &Axis, y: &Axis, series: &Series) {
    let (class, width) = match series.colour {
        Some(n) => (format!("l{}", n % COLOURS), 2.0),
        None => ("ink".to_owned(), 3.0),
    };
    let places: Vec<String> = series
        .points
        .iter()
        .map(|p| {
            let (across, down) = place(x, y, *p);
            format!("{across:.1},{down:.1}")
        })
        .collect();
    let _ = write!(
        out,
        "<polyline class=\"{class}\" style=\"fill:none\" stroke-width=\"{width}\" points=\"{}\"><title>{}</title></polyline>",
        places.join(" "),
        escaped(&series.name)
    );
    for (a, b) in series.points.iter().filter(|_| series.marked) {
        let (across, down) = place(x, y, (*a, *b));
        let fill = series.colour.map_or("ink".to_owned(), |n| format!("f{}", n % COLOURS));
        let _ = write!(
            out,
            "<circle class=\"{fill}\" cx=\"{across:.1}\" cy=\"{down:.1}\" r=\"3.5\" data-x=\"{a}\" data-value=\"{b}\"><title>{}: {}</title></circle>",
            tick(a * x.scale, x.end * x.scale / 10.0),
            tick(b * y.scale, y.end * y.scale / 10.0)
        );
    }
}

/// Names with their colours, under the plot; the height of the whole.
fn legend(out: &mut String, series: &[Series]) -> f64 {
    let named: Vec<&Series> = series.iter().filter(|s| !s.name.is_empty()).collect();
    if named.len() < 2 {
        return END + 40.0;
    }
    for (n, series) in named.iter().enumerate() {
        let y = END + 52.0 + LEGEND * n as f64;
        let class = series.colour.map_or("ink".to_owned(), |n| format!("l{}", n % COLOURS));
        let _ = write!(
            out,
            "<line class=\"{class}\" stroke-width=\"3\" x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{1:.0}\" y2=\"{1:.0}\"/>",
            LEFT + 20.0,
            y - 4.0
        );
        text(out, (LEFT + 27.0, y), "", &shortened(&series.name, 38));
    }
    END + 46.0 + LEGEND * named.len() as f64 + 6.0
}

/// The series in a square; with the diagonal where `diagonal` is what nothing better than chance, or perfect
/// agreement, looks like.
pub fn curves(x: &Axis, y: &Axis, series: &[Series], diagonal: bool) -> Drawing {
    let mut out = String::new();
    axes(&mut out, x, y);
    if diagonal {
        let _ = write!(
            out,
            "<line class=\"rule\" x1=\"{LEFT}\" y1=\"{END}\" x2=\"{:.1}\" y2=\"{TOP}\"/>",
            LEFT + SIDE
        );
    }
    series.iter().for_each(|series| line(&mut out, x, y, series));
    let height = legend(&mut out, series);
    Drawing { width: LEFT + SIDE + 16.0, height, inside: out }
}

/// A reliability diagram: `(confidence, accuracy, n)` of each bin of equal width from 0 to 1, and how many items each
/// holds.
pub fn reliability(bins: &[(f64, f64, usize)]) -> Drawing {
    const STRIP: f64 = 56.0;
    let (x, y) = (Axis::percent("confidence (%)"), Axis::percent("right (%)"));
    let mut out = String::new();
    axes(&mut out, &Axis { name: String::new(), ..x.clone() }, &y);
    let _ = write!(
        out,
        "<line class=\"rule\" x1=\"{LEFT}\" y1=\"{END}\" x2=\"{:.1}\" y2=\"{TOP}\"/>",
        LEFT + SIDE
    );
    let points = bins.iter().filter(|b| b.2 > 0).map(|b| (b.0, b.1)).collect();
    line(&mut out, &x, &y, &Series { name: String::new(), points, colour: Some(0), marked: true });
    let most = bins.iter().map(|b| b.2).max().unwrap_or(0).max(1) as f64;
    let (width, floor) = (SIDE / bins.len().max(1) as f64, END + 24.0 + STRIP);
    for (n, bin) in bins.iter().enumerate() {
        let held = bin.2;
        let high = STRIP * held as f64 / most;
        let _ = write!(
            out,
            "<rect class=\"f0\" fill-opacity=\"0.55\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{high:.1}\" data-n=\"{held}\"><title>{held} items</title></rect>",
            LEFT + width * n as f64 + 0.5,
            floor - high,
            width - 1.0
        );
    }
    let _ = write!(
        out,
        "<line class=\"box\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{floor}\" y2=\"{floor}\"/>",
        LEFT + SIDE
    );
    text(&mut out, (LEFT - 6.0, floor - STRIP + 9.0), "soft end", &format!("{most:.0}"));
    text(&mut out, (LEFT - 6.0, floor), "soft end", "items");
    text(&mut out, (LEFT + SIDE / 2.0, floor + 17.0), "soft middle", &x.name);
    Drawing { width: LEFT + SIDE + 16.0, height: floor + 24.0, inside: out }
}
