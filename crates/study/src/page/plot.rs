//! The plots of a study: ROC curves, FROC curves, a forest of figures, a matrix of agreement.

use crate::analysis::{Agreement, MeritAnalysis, StudyAnalysis};
use crate::merit::Merit;
use loupe_core::Table;
use loupe_report::pages::plot::{
    Axis, COLOURS, Cell, ForestAxis, ForestRow, Matrix, Plot, Series, curves, forest, matrix,
};

fn shown(value: f64) -> String {
    format!("{value:.4}")
}

/// A row a point of each series.
fn points(title: &str, columns: [&str; 3], series: &[Series]) -> Table {
    let mut table = Table::new(title, &columns);
    let row = |s: &Series, (x, y): &(f64, f64)| vec![s.name.clone(), shown(*x), shown(*y)];
    table.rows = series.iter().flat_map(|s| s.points.iter().map(move |p| row(s, p))).collect();
    table
}

fn roc(analysis: &StudyAnalysis, arm: usize) -> Option<Plot> {
    let curve = |c: &crate::analysis::RocCurve| Series {
        name: match c.reader {
            Some(reader) => analysis.contents.readers[reader].clone(),
            None => "mean of the readers".to_owned(),
        },
        points: c.corners.clone(),
        colour: c.reader.map(|reader| reader % COLOURS),
        marked: false,
    };
    let series: Vec<Series> = analysis.roc.iter().filter(|c| c.arm == arm).map(curve).collect();
    let axis = |name: &str| Axis { name: name.to_owned(), end: 1.0, scale: 1.0 };
    let title = format!("ROC curves, {}", analysis.contents.arms[arm]);
    let (x, y) = ("1 − specificity", "sensitivity");
    (!series.is_empty()).then(|| Plot {
        about: "The broken line is chance.".to_owned(),
        drawing: curves(&axis(x), &axis(y), &series, true),
        table: points(&title, ["reader", x, y], &series),
        title,
    })
}

fn froc(analysis: &StudyAnalysis, arm: usize) -> Option<Plot> {
    let mine = || analysis.froc.iter().filter(|c| c.arm == arm);
    let end = mine().filter_map(|c| c.points.last()).map(|p| p.nl_per_case).fold(0.0, f64::max);
    let curve = |c: &crate::analysis::FrocCurve| Series {
        name: analysis.contents.readers[c.reader].clone(),
        points: c.points.iter().map(|p| (p.nl_per_case, p.ll_fraction)).collect(),
        colour: Some(c.reader % COLOURS),
        marked: false,
    };
    let series: Vec<Series> = mine().map(curve).collect();
    let title = format!("FROC curves, {}", analysis.contents.arms[arm]);
    let (x, y) = ("false marks per case", "lesions localised");
    (end > 0.0).then(|| Plot {
        about: String::new(),
        drawing: curves(
            &Axis { name: x.to_owned(), end, scale: 1.0 },
            &Axis { name: y.to_owned(), end: 1.0, scale: 1.0 },
            &series,
            false,
        ),
        table: points(&title, ["reader", x, y], &series),
        title,
    })
}

/// Figures of readers with their intervals, and the means of the arms.
fn merit(analysis: &StudyAnalysis, merit: &MeritAnalysis) -> Option<Plot> {
    let mut rows: Vec<ForestRow> = Vec::new();
    let row = |name: String, value: f64, interval: [f64; 2], heavy: bool| {
        let interval = Some(interval).filter(|i| i.iter().all(|end| end.is_finite()));
        ForestRow { name, value: Some(value), interval, heavy, ..ForestRow::default() }
    };
    for &arm in &analysis.arm_order {
        let name = &analysis.contents.arms[arm];
        for r in merit.each.iter().filter(|r| r.arm == arm) {
            let reader = &analysis.contents.readers[r.reader];
            rows.push(row(format!("{reader}, {name}"), r.value, [r.interval.lo, r.interval.hi], false));
        }
        for m in merit.means.iter().filter(|m| m.test == arm) {
            rows.push(row(format!("mean, {name}"), m.value, [m.interval.lo, m.interval.hi], true));
        }
    }
    let title = format!(
        "{} of each reader with {:.0} % intervals",
        merit.merit.name(),
        analysis.options.level * 100.0
    );
    let mut table = Table::new(&title, &["reader", merit.merit.name(), "from", "to"]);
    table.rows = rows
        .iter()
        .map(|r| {
            let end = |n: usize| r.interval.map_or_else(String::new, |i| shown(i[n]));
            vec![r.name.clone(), r.value.map(shown).unwrap_or_default(), end(0), end(1)]
        })
        .collect();
    let axis = ForestAxis { name: merit.merit.name().to_owned(), scale: 1.0, range: None, line: None };
    let spread = rows.iter().any(|r| r.interval.is_some_and(|[lo, hi]| lo < hi));
    spread.then(|| Plot { title, about: String::new(), drawing: forest(&rows, &axis), table })
}

/// κ of every pair of readers (quadratic weights for ratings).
fn agreement(analysis: &StudyAnalysis, agreement: &Agreement) -> Plot {
    let mut readers: Vec<usize> = agreement.pairs.iter().flat_map(|p| p.readers).collect();
    readers.sort_unstable();
    readers.dedup();
    let name = |reader: &usize| analysis.contents.readers[*reader].clone();
    let of = |a: usize, b: usize| {
        let pair = agreement.pairs.iter().find(|p| p.readers == [a.min(b), a.max(b)])?;
        Some(pair.quadratic.as_ref().or(pair.kappa.as_ref())?.value)
    };
    let cell = |value: f64| Cell {
        words: format!("{value:.2}"),
        note: String::new(),
        value,
        shade: value.max(0.0),
        colour: 0,
    };
    let row = |a: &usize| (name(a), readers.iter().map(|b| of(*a, *b).map(cell)).collect());
    let weights = if agreement.pairs.iter().any(|p| p.quadratic.is_some()) { "quadratic κ" } else { "κ" };
    let title = format!("{weights} of pairs of readers, {}", analysis.contents.arms[agreement.arm]);
    let mut table = Table::new(&title, &["reader", "and", weights]);
    table.rows = agreement
        .pairs
        .iter()
        .filter_map(|p| {
            let [a, b] = p.readers;
            Some(vec![name(&a), name(&b), shown(of(a, b)?)])
        })
        .collect();
    let rows = readers.iter().map(row).collect();
    let of = Matrix { columns: readers.iter().map(name).collect(), rows, ..Matrix::default() };
    Plot { title, about: String::new(), drawing: matrix(&of), table }
}

/// All plots that the analysis has data for.
pub(super) fn plots(analysis: &StudyAnalysis) -> Vec<Plot> {
    let mut all: Vec<Plot> = Vec::new();
    all.extend(analysis.arm_order.iter().filter_map(|arm| roc(analysis, *arm)));
    all.extend(analysis.arm_order.iter().filter_map(|arm| froc(analysis, *arm)));
    let merits = analysis.merits.iter().filter(|m| m.merit != Merit::LogSeconds);
    all.extend(merits.filter_map(|m| merit(analysis, m)));
    all.extend(analysis.agreement.iter().filter(|a| !a.pairs.is_empty()).map(|a| agreement(analysis, a)));
    all
}
