//! How far readers agree with themselves: cases that were read twice in one arm.

use super::agreement::{Coefficient, MOST_CATEGORIES, Scale, coefficient};
use super::options::Options;
use crate::readings::{Choice, Preference, Reading, Readings};
use crate::stats::icc::{Form, Icc, icc};
use crate::stats::kappa::{Weights, kappa};
use loupe_eval::stats::{mean, variance};
use serde::Serialize;
use std::collections::BTreeMap;

/// A reader's first and second readings, or those of all readers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OwnAgreement {
    /// Numbers of the arms: one, or the two that were compared.
    pub arms: Vec<usize>,
    /// Number of the reader; `None` for all of them.
    pub reader: Option<usize>,
    /// What is compared.
    pub scale: Scale,
    /// Cases that were read twice.
    pub n: usize,
    /// Share that were read alike.
    pub same: f64,
    /// Cohen's κ, where there are few enough values to be categories.
    pub kappa: Option<Coefficient>,
    /// κ with quadratic weights, for ratings.
    pub quadratic: Option<Coefficient>,
    /// ICC(2,1), for ratings.
    pub icc: Option<Icc>,
    /// Second less first rating.
    pub change: Option<RatingChange>,
}

/// How ratings differ between two readings (Bland and Altman 1986).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RatingChange {
    /// Mean difference, second less first.
    pub mean: f64,
    /// Limits of agreement, the mean ∓ 1.96 standard deviations.
    pub limits: [f64; 2],
}

/// What was said at first and again, with the unit of the case.
type Twice = (usize, (f64, f64));

fn choice(p: &Preference) -> f64 {
    let turned = p.first > p.second;
    match (p.choice, turned) {
        (Choice::First, false) | (Choice::Second, true) => 0.0,
        (Choice::Second, false) | (Choice::First, true) => 1.0,
        (Choice::Tie, _) => 2.0,
        (Choice::Neither, _) => 3.0,
    }
}

/// Every reader on every scale and arm with repeated readings, and all readers where there are several.
pub(super) fn own_agreement(readings: &Readings, readers: &[usize], options: &Options) -> Vec<OwnAgreement> {
    let mut found: BTreeMap<(Vec<usize>, usize), BTreeMap<usize, Vec<Twice>>> = BTreeMap::new();
    let mut put = |arms: Vec<usize>, scale: usize, reader: usize, case: usize, pair: (f64, f64)| {
        let unit = readings.cases[case].unit;
        found.entry((arms, scale)).or_default().entry(reader).or_default().push((unit, pair));
    };
    let values = |r: &Reading| [r.rating, Readings::decision(r, options.threshold).map(f64::from)];
    for again in readings.repeats.iter().filter(|r| readers.contains(&r.reader)) {
        let same = |r: &&Reading| (r.arm, r.reader, r.case) == (again.arm, again.reader, again.case);
        let Some(first) = readings.readings.iter().find(same) else { continue };
        for (scale, pair) in values(first).into_iter().zip(values(again)).enumerate() {
            if let (Some(a), Some(b)) = pair {
                put(vec![again.arm], scale, again.reader, again.case, (a, b));
            }
        }
        if let (Some(a), Some(b)) = (&first.category, &again.category) {
            let number = |word: &String| {
                let all =
                    readings.readings.iter().chain(&readings.repeats).filter_map(|r| r.category.as_ref());
                all.filter(|other| *other < word).collect::<std::collections::BTreeSet<_>>().len() as f64
            };
            put(vec![again.arm], 2, again.reader, again.case, (number(a), number(b)));
        }
    }
    for again in &readings.repeated_preferences {
        let arms = |p: &Preference| vec![p.first.min(p.second), p.first.max(p.second)];
        let same =
            |p: &&Preference| (p.reader, p.case) == (again.reader, again.case) && arms(p) == arms(again);
        if let Some(first) = readings.preferences.iter().find(same) {
            put(arms(again), 3, again.reader, again.case, (choice(first), choice(again)));
        }
    }
    let mut all = Vec::new();
    for ((arms, scale), of_readers) in found {
        let scale = [Scale::Rating, Scale::Decision, Scale::Category, Scale::Preference][scale];
        let of = |reader, rows: &[Twice]| agreement(arms.clone(), reader, scale, rows, options);
        all.extend(of_readers.iter().map(|(reader, rows)| of(Some(*reader), rows)));
        if of_readers.len() > 1 {
            let pooled: Vec<Twice> = of_readers.into_values().flatten().collect();
            all.push(of(None, &pooled));
        }
    }
    all
}

fn agreement(
    arms: Vec<usize>,
    reader: Option<usize>,
    scale: Scale,
    rows: &[Twice],
    options: &Options,
) -> OwnAgreement {
    let mut levels: Vec<f64> = rows.iter().flat_map(|(_, (a, b))| [*a, *b]).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let level = |value: f64| levels.partition_point(|l| *l < value);
    let numbered: Vec<(usize, (usize, usize))> =
        rows.iter().map(|(unit, (a, b))| (*unit, (level(*a), level(*b)))).collect();
    let with = |weights: Weights| {
        let few = levels.len() <= MOST_CATEGORIES;
        few.then(|| coefficient(&numbered, options, |rows| kappa(rows, levels.len(), weights))).flatten()
    };
    let rating = scale == Scale::Rating;
    let table: Vec<Vec<f64>> = rows.iter().map(|(_, (a, b))| vec![*a, *b]).collect();
    let forms = if rating { icc(&table, options.level) } else { None };
    let changes: Vec<f64> = rows.iter().map(|(_, (a, b))| b - a).collect();
    let change = || {
        let (mean, spread) = (mean(&changes)?, 1.96 * variance(&changes)?.sqrt());
        Some(RatingChange { mean, limits: [mean - spread, mean + spread] })
    };
    OwnAgreement {
        arms,
        reader,
        scale,
        n: rows.len(),
        same: rows.iter().filter(|(_, (a, b))| a == b).count() as f64 / rows.len() as f64,
        kappa: with(Weights::None),
        quadratic: if rating { with(Weights::Quadratic) } else { None },
        icc: forms.and_then(|all| all.into_iter().find(|i| i.form == Form::Agreement)),
        change: if rating { change() } else { None },
    }
}
