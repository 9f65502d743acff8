//! Plots as SVG: ROC curves, FROC curves, a forest of figures, a matrix of agreement.

use crate::analysis::{Agreement, MeritAnalysis, StudyAnalysis};
use crate::merit::Merit;
use std::fmt::Write;

/// Text that may stand in HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Colours that can be told apart with impaired colour vision (Okabe and Ito).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444"];
/// Side of the square of a plot, and what is left and below for its labels.
const SIDE: f64 = 300.0;
const MARGIN: f64 = 44.0;

fn colour(number: usize) -> &'static str {
    COLOURS[number % COLOURS.len()]
}

fn figure(out: &mut String, width: f64, height: f64, caption: &str, inside: &str) {
    let _ = writeln!(
        out,
        "<figure><svg width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
         aria-label=\"{0}\">{inside}</svg><figcaption>{0}</figcaption></figure>",
        escaped(caption)
    );
}

/// Axes of a square from 0 to `x_end` and 0 to 1.
fn axes(x_name: &str, y_name: &str, x_end: f64) -> String {
    let (left, top, end) = (MARGIN, 8.0, 8.0 + SIDE);
    let mut out = format!(
        "<rect x=\"{left}\" y=\"{top}\" width=\"{SIDE}\" height=\"{SIDE}\" fill=\"none\" stroke=\"#8c959f\"/>"
    );
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let (x, y) = (left + share * SIDE, end - share * SIDE);
        let _ = write!(
            out,
            "<text x=\"{x:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text><text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{share}</text>",
            end + 15.0,
            (share * x_end * 100.0).round() / 100.0,
            left - 5.0,
            y + 4.0
        );
    }
    let middle = left + SIDE / 2.0;
    let _ = write!(
        out,
        "<text x=\"{middle:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{x_name}</text>\
         <text transform=\"translate(11,{:.0}) rotate(-90)\" text-anchor=\"middle\">{y_name}</text>",
        end + 31.0,
        top + SIDE / 2.0
    );
    out
}

fn line(points: impl Iterator<Item = (f64, f64)>, x_end: f64, colour: &str, width: f64) -> String {
    let at = |(x, y): (f64, f64)| {
        format!("{:.1},{:.1}", MARGIN + (x / x_end).min(1.0) * SIDE, 8.0 + SIDE - y * SIDE)
    };
    let points: Vec<String> = points.map(at).collect();
    format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>",
        points.join(" ")
    )
}

/// Names with their colours, under the plot.
fn legend(names: &[(String, &str)]) -> (String, f64) {
    let mut out = String::new();
    for (i, (name, colour)) in names.iter().enumerate() {
        let y = 8.0 + SIDE + 52.0 + 17.0 * i as f64;
        let _ = write!(
            out,
            "<rect x=\"{MARGIN}\" y=\"{:.0}\" width=\"18\" height=\"4\" fill=\"{colour}\"/><text x=\"{:.0}\" y=\"{y:.0}\">{}</text>",
            y - 6.0,
            MARGIN + 25.0,
            escaped(name)
        );
    }
    (out, 8.0 + SIDE + 46.0 + 17.0 * names.len() as f64)
}

fn roc(out: &mut String, analysis: &StudyAnalysis) {
    for &arm in &analysis.arm_order {
        let curves: Vec<_> = analysis.roc.iter().filter(|c| c.arm == arm).collect();
        if curves.is_empty() {
            continue;
        }
        let mut inside = axes("1 − specificity", "sensitivity", 1.0);
        inside += &line([(0.0, 0.0), (1.0, 1.0)].into_iter(), 1.0, "#d0d7de", 1.0);
        let mut names = Vec::new();
        for curve in &curves {
            let (name, colour, width) = match curve.reader {
                Some(reader) => (analysis.contents.readers[reader].clone(), colour(reader), 1.3),
                None => ("mean of the readers".to_owned(), "#000000", 3.0),
            };
            inside += &line(curve.corners.iter().copied(), 1.0, colour, width);
            names.push((name, colour));
        }
        let (marks, height) = legend(&names);
        let caption = format!("ROC curves, {}", analysis.contents.arms[arm]);
        figure(out, SIDE + MARGIN + 14.0, height, &caption, &(inside + &marks));
    }
}

fn froc(out: &mut String, analysis: &StudyAnalysis) {
    for &arm in &analysis.arm_order {
        let curves: Vec<_> = analysis.froc.iter().filter(|c| c.arm == arm).collect();
        let end = curves.iter().filter_map(|c| c.points.last()).map(|p| p.nl_per_case).fold(0.0, f64::max);
        if curves.is_empty() || end <= 0.0 {
            continue;
        }
        let mut inside = axes("false marks per case", "lesions localised", end);
        let mut names = Vec::new();
        for curve in &curves {
            let points = curve.points.iter().map(|p| (p.nl_per_case, p.ll_fraction));
            inside += &line(points, end, colour(curve.reader), 1.5);
            names.push((analysis.contents.readers[curve.reader].clone(), colour(curve.reader)));
        }
        let (marks, height) = legend(&names);
        let caption = format!("FROC curves, {}", analysis.contents.arms[arm]);
        figure(out, SIDE + MARGIN + 14.0, height, &caption, &(inside + &marks));
    }
}

/// Figures of readers with their intervals, and the means of the arms.
fn forest(out: &mut String, analysis: &StudyAnalysis, merit: &MeritAnalysis) {
    let mut rows: Vec<(String, f64, [f64; 2], bool)> = Vec::new();
    for &arm in &analysis.arm_order {
        let name = &analysis.contents.arms[arm];
        for r in merit.each.iter().filter(|r| r.arm == arm) {
            let reader = &analysis.contents.readers[r.reader];
            rows.push((format!("{reader}, {name}"), r.value, [r.interval.lo, r.interval.hi], false));
        }
        for m in merit.means.iter().filter(|m| m.test == arm) {
            rows.push((format!("mean, {name}"), m.value, [m.interval.lo, m.interval.hi], true));
        }
    }
    let finite = |v: &f64| v.is_finite();
    let low = rows.iter().map(|r| r.2[0]).filter(finite).fold(f64::INFINITY, f64::min);
    let high = rows.iter().map(|r| r.2[1]).filter(finite).fold(f64::NEG_INFINITY, f64::max);
    if low >= high {
        return;
    }
    let (left, width) = (150.0, 300.0);
    let at = |v: f64| left + ((v - low) / (high - low)).clamp(0.0, 1.0) * width;
    let mut inside = String::new();
    for (i, (name, value, [lo, hi], mean)) in rows.iter().enumerate() {
        let y = 18.0 * i as f64 + 14.0;
        let (x, shade) = (at(*value), if *mean { "#000000" } else { "#0072b2" });
        let _ = write!(
            inside,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\
             <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.0}\" y2=\"{y:.0}\" stroke=\"{shade}\"/>",
            left - 8.0,
            y + 4.0,
            escaped(name),
            at(*lo),
            at(*hi)
        );
        let _ = if *mean {
            write!(
                inside,
                "<path d=\"M{:.1} {y}L{x:.1} {}L{:.1} {y}L{x:.1} {}Z\" fill=\"{shade}\"/>",
                x - 7.0,
                y - 5.0,
                x + 7.0,
                y + 5.0
            )
        } else {
            write!(
                inside,
                "<rect x=\"{:.1}\" y=\"{}\" width=\"6\" height=\"6\" fill=\"{shade}\"/>",
                x - 3.0,
                y - 3.0
            )
        };
    }
    let end = 18.0 * rows.len() as f64 + 20.0;
    for share in [0.0, 0.5, 1.0] {
        let value = low + share * (high - low);
        let _ = write!(
            inside,
            "<text x=\"{:.0}\" y=\"{end:.0}\" text-anchor=\"middle\">{value:.2}</text>",
            at(value)
        );
    }
    let caption = format!(
        "{} of each reader with {:.0} % intervals",
        merit.merit.name(),
        analysis.options.level * 100.0
    );
    figure(out, left + width + 30.0, end + 8.0, &caption, &inside);
}

/// κ of every pair of readers (quadratic weights for ratings).
fn matrix(out: &mut String, analysis: &StudyAnalysis, agreement: &Agreement) {
    let mut readers: Vec<usize> = agreement.pairs.iter().flat_map(|p| p.readers).collect();
    readers.sort_unstable();
    readers.dedup();
    let (left, cell) = (90.0, 46.0);
    let mut inside = String::new();
    for (i, a) in readers.iter().enumerate() {
        let name = escaped(&analysis.contents.readers[*a]);
        let middle = left + cell * i as f64 + cell / 2.0;
        let _ = write!(
            inside,
            "<text x=\"{middle:.0}\" y=\"16\" text-anchor=\"middle\">{name}</text><text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{name}</text>",
            left - 6.0,
            24.0 + cell * i as f64 + cell / 2.0 + 4.0
        );
        for (j, b) in readers.iter().enumerate() {
            let pair = agreement.pairs.iter().find(|p| p.readers == [*a.min(b), *a.max(b)]);
            let Some(value) = pair.and_then(|p| p.quadratic.as_ref().or(p.kappa.as_ref())).map(|c| c.value)
            else {
                continue;
            };
            let (x, y) = (left + cell * j as f64, 24.0 + cell * i as f64);
            let _ = write!(
                inside,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{cell}\" height=\"{cell}\" fill=\"#0072b2\" fill-opacity=\"{:.2}\" stroke=\"#ffffff\"/>\
                 <text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{value:.2}</text>",
                0.6 * value.clamp(0.0, 1.0),
                x + cell / 2.0,
                y + cell / 2.0 + 4.0
            );
        }
    }
    let side = cell * readers.len() as f64;
    let weights = if agreement.pairs.iter().any(|p| p.quadratic.is_some()) { "quadratic κ" } else { "κ" };
    let caption = format!("{weights} of pairs of readers, {}", analysis.contents.arms[agreement.arm]);
    figure(out, left + side + 10.0, 24.0 + side + 8.0, &caption, &inside);
}

/// All plots that the analysis has data for.
pub(super) fn plots(analysis: &StudyAnalysis) -> String {
    let mut out = String::new();
    roc(&mut out, analysis);
    froc(&mut out, analysis);
    for merit in analysis.merits.iter().filter(|m| m.merit != Merit::LogSeconds) {
        forest(&mut out, analysis, merit);
    }
    for agreement in analysis.agreement.iter().filter(|a| !a.pairs.is_empty()) {
        matrix(&mut out, analysis, agreement);
    }
    out
}
