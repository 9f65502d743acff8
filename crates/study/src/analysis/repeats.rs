//! How far readers agree with themselves: cases that were read twice in one arm.

use super::agreement::{Coefficient, MOST_CATEGORIES, Scale, coefficient};
use super::options::Options;
use crate::readings::{Choice, Preference, Reading, Readings};
use crate::stats::icc::{Form, Icc, icc};
use crate::stats::kappa::{Weights, kappa};
use loupe_eval::stats::{mean, variance};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

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
    let mut found: BTreeMap<(Vec<usize>, Scale), BTreeMap<usize, Vec<Twice>>> = BTreeMap::new();
    let mut put = |arms: Vec<usize>, scale: Scale, reader: usize, case: usize, pair: [Option<f64>; 2]| {
        if let [Some(a), Some(b)] = pair {
            let unit = readings.cases[case].unit;
            found.entry((arms, scale)).or_default().entry(reader).or_default().push((unit, (a, b)));
        }
    };
    let words = readings.readings.iter().chain(&readings.repeats).filter_map(|r| r.category.as_deref());
    let words: Vec<&str> = words.collect::<BTreeSet<_>>().into_iter().collect();
    let by_arm: Vec<_> = (0..readings.arms.len()).map(|arm| readings.of_arm(arm)).collect();
    for again in readings.repeats.iter().filter(|r| readers.contains(&r.reader)) {
        let Some(&first) = by_arm.get(again.arm).and_then(|of| of.get(&(again.reader, again.case))) else {
            continue;
        };
        let mut both = |scale, value: &dyn Fn(&Reading) -> Option<f64>| {
            put(vec![again.arm], scale, again.reader, again.case, [value(first), value(again)]);
        };
        both(Scale::Rating, &|r| r.rating);
        both(Scale::Decision, &|r| Readings::decision(r, options.threshold).map(f64::from));
        both(Scale::Category, &|r| {
            r.category.as_deref().and_then(|word| words.binary_search(&word).ok()).map(|n| n as f64)
        });
    }
    let arms = |p: &Preference| vec![p.first.min(p.second), p.first.max(p.second)];
    let firsts: BTreeMap<_, _> =
        readings.preferences.iter().map(|p| ((p.reader, p.case, arms(p)), choice(p))).collect();
    for again in &readings.repeated_preferences {
        let first = firsts.get(&(again.reader, again.case, arms(again))).copied();
        put(arms(again), Scale::Preference, again.reader, again.case, [first, Some(choice(again))]);
    }
    let mut all = Vec::new();
    for ((arms, scale), of_readers) in found {
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
