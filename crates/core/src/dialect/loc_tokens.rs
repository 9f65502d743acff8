//! Location tokens: PaliGemma's `<loc0123>` before the label, Florence-2's `<loc_123>` after it.

use super::parsed::{NumberStyle, Order, Parsed, Refusal};

/// How the tokens look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocShape {
    /// What comes before the digits.
    pub open: &'static str,
    /// Fewest and most digits.
    pub digits: (usize, usize),
    /// Bins a side.
    pub bins: u32,
    /// The label comes before its tokens, not after.
    pub label_first: bool,
}

impl LocShape {
    /// `<loc0000>` to `<loc1023>`, then the label, `;` between boxes (big_vision, paligemma).
    pub const PALIGEMMA: Self = Self { open: "<loc", digits: (4, 4), bins: 1024, label_first: false };
    /// The label, then `<loc_0>` to `<loc_999>`, four a box (Florence-2 processor).
    pub const FLORENCE: Self = Self { open: "<loc_", digits: (1, 3), bins: 1000, label_first: true };
}

/// What Florence-2 writes around the corners of polygons.
const POLYGON: (&str, &str) = ("<poly>", "</poly>");

pub(super) fn parse(text: &str, shape: LocShape, order: Order, out: &mut Parsed) {
    let mut rest = text;
    let mut words = String::new(); // label in front of the tokens
    let mut in_polygon = false;
    while let Some(at) = rest.find(shape.open) {
        words.push_str(rest.get(..at).unwrap_or_default());
        let mut run = rest.get(at..).unwrap_or_default();
        let mut bins = Vec::new();
        while let Some((bin, after)) = token(run, shape) {
            bins.push(bin);
            run = after.trim_start_matches(' ');
        }
        if bins.is_empty() {
            // Looks like a token and is none.
            words.push_str(shape.open);
            rest = run.get(shape.open.len()..).unwrap_or_default();
            continue;
        }
        // Corners of one polygon may come in several runs.
        let last = |mark: &str| words.rfind(mark).map(|at| at + 1).unwrap_or(0);
        let (opened, closed) = (last(POLYGON.0), last(POLYGON.1));
        in_polygon = opened > closed || (in_polygon && closed == 0);
        if in_polygon {
            out.refused.push(Refusal::Polygon);
            words.clear();
            rest = run;
            continue;
        }
        let label = if shape.label_first { clean(&words) } else { clean(label_after(run, shape)) };
        boxes(&bins, shape, order, label.as_deref(), out);
        words.clear();
        rest = run;
    }
}

/// The token at the start of `text` and what follows it.
fn token(text: &str, shape: LocShape) -> Option<(u32, &str)> {
    let digits = text.strip_prefix(shape.open)?;
    let count = digits.bytes().take(shape.digits.1 + 1).take_while(u8::is_ascii_digit).count();
    if count < shape.digits.0 || count > shape.digits.1 {
        return None;
    }
    let bin = digits.get(..count)?.parse().ok()?;
    Some((bin, digits.get(count..)?.strip_prefix('>')?))
}

fn label_after(text: &str, shape: LocShape) -> &str {
    let ends = |at: usize, c: char| {
        matches!(c, ';' | '\n') || text.get(at..).is_some_and(|rest| rest.starts_with(shape.open))
    };
    let end = text.char_indices().find(|&(at, c)| ends(at, c)).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default()
}

/// A label without separators, sentence marks and other tokens such as `</s>` or `<seg001>`.
fn clean(words: &str) -> Option<String> {
    let mut label = String::new();
    let mut in_token = false;
    for c in words.chars() {
        match c {
            '<' => in_token = true,
            '>' if in_token => in_token = false,
            _ if !in_token => label.push(c),
            _ => {}
        }
    }
    let label = label.trim().trim_matches([';', ',', '.', ':']).trim();
    (!label.is_empty()).then(|| label.to_owned())
}

fn boxes(bins: &[u32], shape: LocShape, order: Order, label: Option<&str>, out: &mut Parsed) {
    for group in bins.chunks(4) {
        match group {
            group if group.iter().any(|&b| b >= shape.bins) => {
                out.refused.push(Refusal::Range { what: "a bin".into() });
            }
            &[a, b, c, d] => {
                out.push_box(order, [a, b, c, d].map(f64::from), label);
            }
            _ => out.refused.push(Refusal::Length { what: "a box".into(), need: 4, got: group.len() }),
        }
    }
}

pub(super) fn write(said: &Parsed, shape: LocShape, numbers: NumberStyle) -> String {
    let each = said.boxes.iter().map(|b| {
        let bins = numbers.box_numbers(b).map(|n| {
            let bin = n.parse::<f64>().unwrap_or(0.0).clamp(0.0, f64::from(shape.bins - 1));
            format!("{}{:0width$}>", shape.open, bin as u32, width = shape.digits.0)
        });
        let (tokens, label) = (bins.concat(), b.label.as_deref().unwrap_or_default());
        match (shape.label_first, label.is_empty()) {
            (true, _) => format!("{label}{tokens}"),
            (false, true) => tokens,
            (false, false) => format!("{tokens} {label}"),
        }
    });
    each.collect::<Vec<_>>().join(if shape.label_first { "" } else { " ; " })
}
