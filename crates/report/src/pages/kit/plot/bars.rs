//! Amounts as bars.

use super::draw::{Drawing, round_end, shortened, text, tick};
use crate::pages::kit::html::escaped;
use std::fmt::Write;

const ROW: f64 = 20.0;
const NAMES: f64 = 220.0;
const WIDTH: f64 = 240.0;

/// A bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// To the left.
    pub name: String,
    /// Its length.
    pub value: f64,
    /// Number of its colour.
    pub colour: usize,
}

/// Bars that lie, one under the other, each with its value.
pub fn bars(all: &[Bar]) -> Drawing {
    let mut out = String::new();
    let most = all.iter().map(|b| b.value).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    for (n, bar) in all.iter().enumerate() {
        let y = 4.0 + ROW * n as f64;
        let long = bar.value / most * WIDTH;
        let name = escaped(&bar.name);
        let shown = tick(bar.value, if bar.value.fract() == 0.0 { 100.0 } else { 1.0 });
        let _ = write!(
            out,
            "<g data-name=\"{name}\" data-value=\"{}\"><title>{name}: {shown}</title>",
            bar.value
        );
        text(&mut out, (NAMES - 8.0, y + 14.0), "end", &shortened(&bar.name, 34));
        let _ = write!(
            out,
            "<rect class=\"f{}\" x=\"{NAMES}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\" rx=\"2\"/>",
            bar.colour,
            y + 3.0,
            long.max(1.0)
        );
        text(&mut out, (NAMES + long + 7.0, y + 14.0), "soft", &shown);
        out.push_str("</g>");
    }
    Drawing { width: NAMES + WIDTH + 60.0, height: 8.0 + ROW * all.len() as f64, inside: out }
}

/// How often values fall into 20 bins of equal width from 0 to a round number, with the counts.
pub fn histogram(values: &[f64], name: &str) -> (Drawing, Vec<([f64; 2], usize)>) {
    const BINS: usize = 20;
    const SIDE: (f64, f64) = (300.0, 150.0);
    const LEFT: f64 = 52.0;
    let end = round_end(values.iter().copied().filter(|v| v.is_finite()).fold(0.0, f64::max));
    let mut counts = [0usize; BINS];
    for value in values.iter().filter(|v| v.is_finite()) {
        let at = (value / end * BINS as f64) as usize;
        counts[at.min(BINS - 1)] += 1;
    }
    let (wide, high) = SIDE;
    let floor = 8.0 + high;
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let mut out = String::new();
    let width = wide / BINS as f64;
    let edge = |n: usize| end * n as f64 / BINS as f64;
    for (n, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let tall = high * *count as f64 / most as f64;
        let _ = write!(
            out,
            "<rect class=\"f0\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" data-value=\"{count}\"><title>{} to {}: {count}</title></rect>",
            LEFT + width * n as f64 + 0.5,
            floor - tall,
            width - 1.0,
            tick(edge(n), end),
            tick(edge(n + 1), end)
        );
    }
    let _ = write!(
        out,
        "<line class=\"box\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{floor}\" y2=\"{floor}\"/>",
        LEFT + wide
    );
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        text(&mut out, (LEFT + share * wide, floor + 15.0), "soft middle", &tick(share * end, end));
    }
    text(&mut out, (LEFT - 6.0, 17.0), "soft end", &most.to_string());
    text(&mut out, (LEFT - 6.0, floor), "soft end", "0");
    text(&mut out, (LEFT + wide / 2.0, floor + 32.0), "soft middle", name);
    let drawing = Drawing { width: LEFT + wide + 20.0, height: floor + 40.0, inside: out };
    (drawing, counts.iter().enumerate().map(|(n, count)| ([edge(n), edge(n + 1)], *count)).collect())
}
