//! The results of a suite: one line a figure, a table of models by sets, and pairs of models.

use super::planned::Planned;
use loupe_core::Table;
use loupe_eval::Summary;
use loupe_eval::compare::Comparison;
use serde::Serialize;
use std::collections::BTreeMap;

/// Stands for the profile of figures that no profile has: those of text metrics.
const METRIC: &str = "metric";

/// A figure of a run, as numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResultLine {
    /// The model's name in the suite.
    pub model: String,
    /// The model it was made from.
    pub base: Option<String>,
    /// The set's name in the suite.
    pub set: String,
    /// Its split.
    pub split: String,
    /// The prompt template.
    pub template: String,
    /// The split on which it was chosen; nothing where all templates are run.
    pub chosen_on: Option<String>,
    /// The seed.
    pub seed: u64,
    /// Whose figure.
    pub profile: String,
    /// Its name.
    pub figure: String,
    /// Its value; nothing where no item has one.
    pub value: Option<f64>,
    /// Lower end of its interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Items in it.
    pub n: u64,
    /// Of them, those whose reply could not be parsed.
    pub unparsed: u64,
    /// Items that belong to it and have no value.
    pub unscored: u64,
    /// Items of the run that failed.
    pub failed: u64,
    /// Rows that could not be read.
    pub unreadable: u64,
    /// Items that the run has not come to.
    pub missing: u64,
}

/// Two runs of the suite on the same samples: a model and the one it was made from.
#[derive(Debug, Clone, Serialize)]
pub struct PairLine {
    /// The model.
    pub model: String,
    /// The one it was made from.
    pub base: String,
    /// The set.
    pub set: String,
    /// The prompt template.
    pub template: String,
    /// That of the base: another one where each model has the template that was chosen for it.
    pub base_template: String,
    /// The seed.
    pub seed: u64,
    /// Whose verdicts are compared.
    pub profile: String,
    /// All figures of the comparison.
    pub comparison: Comparison,
}

/// The figures of a run.
pub(super) fn lines(of: &Planned, chosen_on: Option<&str>, summary: &Summary) -> Vec<ResultLine> {
    let line = |profile: &str, figure: &loupe_eval::summary::Figure| ResultLine {
        model: of.model.clone(),
        base: of.base.clone(),
        set: of.set.clone(),
        split: summary.run.split.clone(),
        template: of.template.clone(),
        chosen_on: chosen_on.map(str::to_owned),
        seed: of.seed,
        profile: profile.to_owned(),
        figure: figure.name.clone(),
        value: figure.value,
        low: figure.interval.as_ref().map(|i| i.lo),
        high: figure.interval.as_ref().map(|i| i.hi),
        n: figure.n,
        unparsed: figure.unparsed,
        unscored: figure.unscored,
        failed: summary.failed,
        unreadable: summary.unreadable,
        missing: summary.missing,
    };
    let profiles = summary.profiles.iter().flat_map(|p| p.figures.iter().map(|f| line(&p.name, f)));
    profiles.chain(summary.metrics.iter().map(|f| line(METRIC, f))).collect()
}

/// All lines as a table whose cells are numbers.
pub fn results(lines: &[ResultLine]) -> Table {
    let columns = [
        "model",
        "base",
        "set",
        "split",
        "template",
        "chosen_on",
        "seed",
        "profile",
        "figure",
        "value",
        "low",
        "high",
        "n",
        "unparsed",
        "unscored",
        "failed",
        "unreadable",
        "missing",
    ];
    let mut table = Table::new("results", &columns);
    let number = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
    table.rows = lines
        .iter()
        .map(|l| {
            let base = l.base.as_deref().unwrap_or_default();
            let chosen_on = l.chosen_on.as_deref().unwrap_or_default();
            let words = [l.model.as_str(), base, &l.set, &l.split, &l.template, chosen_on];
            let counts = [l.n, l.unparsed, l.unscored, l.failed, l.unreadable, l.missing];
            let mut row: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            row.push(l.seed.to_string());
            row.extend([l.profile.clone(), l.figure.clone(), number(l.value), number(l.low), number(l.high)]);
            row.extend(counts.iter().map(u64::to_string));
            row
        })
        .collect();
    table
}

/// Models by sets, a table a profile, `strict` first: the first figure that the profile has of each run.
pub fn pivots(lines: &[ResultLine]) -> Vec<Table> {
    let mut profiles: Vec<&str> = Vec::new();
    for line in lines.iter().filter(|l| l.profile != METRIC) {
        if !profiles.contains(&line.profile.as_str()) {
            profiles.push(&line.profile);
        }
    }
    profiles.sort_by_key(|name| *name != "strict");
    profiles.into_iter().map(|profile| pivot(lines, profile)).collect()
}

fn pivot(lines: &[ResultLine], profile: &str) -> Table {
    let mut sets: Vec<&str> = Vec::new();
    let mut rows: Vec<(&str, &str, u64)> = Vec::new();
    let mut cells: BTreeMap<((&str, &str, u64), &str), &ResultLine> = BTreeMap::new();
    for line in lines.iter().filter(|l| l.profile == profile) {
        let row = (line.model.as_str(), line.template.as_str(), line.seed);
        if !sets.contains(&line.set.as_str()) {
            sets.push(&line.set);
        }
        if !rows.contains(&row) {
            rows.push(row);
        }
        cells.entry((row, line.set.as_str())).or_insert(line);
    }
    let title = format!("models by sets · {profile}");
    let mut table = Table::new(title, &[&["model", "template", "seed"][..], &sets].concat());
    for row in rows {
        let cell = |set: &&str| match cells.get(&(row, *set)) {
            None => String::new(),
            Some(line) => {
                let value = line.value.map_or_else(|| "–".to_owned(), |v| format!("{:.1}", 100.0 * v));
                let lost = line.failed + line.unreadable + line.missing;
                if lost > 0 { format!("{value} ({lost} without a reply)") } else { value }
            }
        };
        let mut words = vec![row.0.to_owned(), row.1.to_owned(), row.2.to_string()];
        words.extend(sets.iter().map(cell));
        table.rows.push(words);
    }
    table.note =
        "percent, the first figure of the profile; results.csv has every figure with n, interval and counts"
            .to_owned();
    table
}

/// Each model beside the one it was made from.
pub fn pairs(lines: &[PairLine]) -> Table {
    let columns = [
        "model",
        "base",
        "set",
        "template",
        "base template",
        "seed",
        "profile",
        "figure",
        "n",
        "base %",
        "model %",
        "difference",
        "95 % interval",
        "p",
    ];
    let mut table = Table::new("each model beside its own base", &columns);
    for pair in lines {
        let Some(figure) = pair.comparison.figures.first() else { continue };
        let percent = |v: f64| format!("{:.1}", 100.0 * v);
        let range = figure.interval.as_ref().map(|i| format!("{:+.1} – {:+.1}", 100.0 * i.lo, 100.0 * i.hi));
        let p = figure.bootstrap_p.map(|p| format!("{p:.4}"));
        let words = [&pair.model, &pair.base, &pair.set, &pair.template, &pair.base_template];
        let mut row: Vec<String> = words.map(String::clone).to_vec();
        row.extend([pair.seed.to_string(), pair.profile.clone()]);
        row.extend([figure.name.clone(), figure.n.to_string()]);
        row.extend([percent(figure.a), percent(figure.b), format!("{:+.1}", 100.0 * figure.difference)]);
        row.extend([range.unwrap_or_default(), p.unwrap_or_default()]);
        table.rows.push(row);
    }
    table.note = "paired by sample; intervals and p of a bootstrap over groups".to_owned();
    table
}
