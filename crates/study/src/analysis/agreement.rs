//! How far readers agree, arm by arm.

use super::options::Options;
use crate::readings::{Reading, Readings};
use crate::stats::fleiss::fleiss;
use crate::stats::icc::{Icc, icc};
use crate::stats::kappa::{Weights, kappa};
use crate::stats::krippendorff::{Metric, alpha};
use loupe_eval::stats::{Interval, bootstrap};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Up to so many different values are taken as categories.
pub(super) const MOST_CATEGORIES: usize = 20;

/// What readers are compared on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Ratings, numbers in order.
    Rating,
    /// Positive or negative.
    Decision,
    /// Categories without order.
    Category,
    /// Which of two arms was preferred; compared between a reader's own readings alone.
    Preference,
}

/// A coefficient with its interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coefficient {
    /// Its value.
    pub value: f64,
    /// Percentile interval of a bootstrap of units.
    pub interval: Option<Interval>,
}

/// κ of two readers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairAgreement {
    /// Numbers of the readers.
    pub readers: [usize; 2],
    /// Cases that both read.
    pub n: usize,
    /// Share of cases on which they say the same.
    pub same: f64,
    /// Cohen's κ.
    pub kappa: Option<Coefficient>,
    /// κ with linear weights, for ratings.
    pub linear: Option<f64>,
    /// κ with quadratic weights, for ratings.
    pub quadratic: Option<Coefficient>,
}

/// Agreement of the readers of an arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// Number of the arm.
    pub arm: usize,
    /// What is compared.
    pub scale: Scale,
    /// Number of readers.
    pub readers: usize,
    /// Cases with two readings or more.
    pub n: usize,
    /// Cases that all readers read, on which Fleiss' κ and the intraclass correlations rest.
    pub complete: usize,
    /// Number of different values.
    pub values: usize,
    /// Pairs of readers; empty where there are too many values to be categories.
    pub pairs: Vec<PairAgreement>,
    /// Fleiss' κ.
    pub fleiss: Option<Coefficient>,
    /// Krippendorff's α by metric; only the nominal one for categories and decisions.
    pub alpha: Vec<(Metric, Coefficient)>,
    /// Intraclass correlations of ratings.
    pub icc: Vec<Icc>,
}

/// Values by case and reader, as numbers; categories and decisions are numbered.
struct Values {
    /// (unit, value of each reader).
    cases: Vec<(usize, Vec<Option<f64>>)>,
    readers: Vec<usize>,
    levels: Vec<f64>,
}

fn values(readings: &Readings, arm: usize, readers: &[usize], scale: Scale, options: &Options) -> Values {
    let mut words: BTreeMap<&str, usize> = BTreeMap::new();
    let all = || readings.readings.iter().filter(|r| r.arm == arm);
    for word in all().filter_map(|r| r.category.as_deref()) {
        words.entry(word).or_insert(0);
    }
    words.values_mut().enumerate().for_each(|(i, number)| *number = i);
    let value = |r: &Reading| match scale {
        Scale::Rating => r.rating,
        Scale::Decision => Readings::decision(r, options.threshold).map(f64::from),
        Scale::Category => r.category.as_deref().and_then(|word| words.get(word)).map(|n| *n as f64),
        Scale::Preference => None,
    };
    let of_arm = readings.of_arm(arm);
    let at = |reader: usize, case: usize| of_arm.get(&(reader, case)).and_then(|r| value(r));
    let readers: Vec<usize> =
        readers.iter().copied().filter(|r| (0..readings.cases.len()).any(|c| at(*r, c).is_some())).collect();
    let row = |case: usize| readers.iter().map(|r| at(*r, case)).collect::<Vec<_>>();
    let cases: Vec<_> = readings.cases.iter().enumerate().map(|(c, case)| (case.unit, row(c))).collect();
    let mut levels: Vec<f64> = cases.iter().flat_map(|(_, row)| row.iter().flatten().copied()).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    Values { cases, readers, levels }
}

impl Values {
    fn level(&self, value: f64) -> usize {
        self.levels.partition_point(|level| *level < value)
    }

    fn pair(&self, i: usize, j: usize, ordered: bool, options: &Options) -> Option<PairAgreement> {
        let both = |(unit, row): &(usize, Vec<Option<f64>>)| {
            Some((*unit, (self.level(row[i]?), self.level(row[j]?))))
        };
        let rows: Vec<(usize, (usize, usize))> = self.cases.iter().filter_map(both).collect();
        if rows.is_empty() {
            return None;
        }
        let count = self.levels.len();
        let with = |weights: Weights| coefficient(&rows, options, move |rows| kappa(rows, count, weights));
        let plain: Vec<(usize, usize)> = rows.iter().map(|(_, pair)| *pair).collect();
        Some(PairAgreement {
            readers: [self.readers[i], self.readers[j]],
            n: rows.len(),
            same: plain.iter().filter(|(a, b)| a == b).count() as f64 / rows.len() as f64,
            kappa: with(Weights::None),
            linear: if ordered { kappa(&plain, count, Weights::Linear) } else { None },
            quadratic: if ordered { with(Weights::Quadratic) } else { None },
        })
    }
}

/// A figure of rows, with the interval of drawing units anew.
pub(super) fn coefficient<T: Clone>(
    rows: &[(usize, T)],
    options: &Options,
    of: impl Fn(&[T]) -> Option<f64>,
) -> Option<Coefficient> {
    let mut units: BTreeMap<usize, Vec<T>> = BTreeMap::new();
    for (unit, row) in rows {
        units.entry(*unit).or_default().push(row.clone());
    }
    let units: Vec<Vec<T>> = units.into_values().collect();
    let value = of(&units.concat())?;
    let drawn = bootstrap::figure(units.len(), options.resamples, options.seed, options.level, |drawn| {
        of(&drawn.iter().flat_map(|&unit| units[unit].iter().cloned()).collect::<Vec<T>>())
    });
    Some(Coefficient { value, interval: drawn.map(|b| b.interval) })
}

/// Agreement of the given readers in an arm on one scale; `None` below two readers.
fn of_arm(
    readings: &Readings,
    arm: usize,
    readers: &[usize],
    scale: Scale,
    options: &Options,
) -> Option<Agreement> {
    let values = values(readings, arm, readers, scale, options);
    let count = values.readers.len();
    let given: Vec<(usize, Vec<f64>)> = values
        .cases
        .iter()
        .map(|(unit, row)| (*unit, row.iter().flatten().copied().collect::<Vec<f64>>()))
        .filter(|(_, row)| row.len() > 1)
        .collect();
    if count < 2 || given.is_empty() {
        return None;
    }
    let complete: Vec<(usize, Vec<f64>)> =
        given.iter().filter(|(_, row)| row.len() == count).cloned().collect();
    let levels = values.levels.len();
    let categories = levels <= MOST_CATEGORIES;
    let ordered = scale == Scale::Rating;
    let mut pairs = Vec::new();
    for i in (0..count).filter(|_| categories) {
        pairs.extend((i + 1..count).filter_map(|j| values.pair(i, j, ordered, options)));
    }
    let counted = |row: &Vec<f64>| {
        let mut counts = vec![0; levels];
        row.iter().for_each(|v| counts[values.level(*v)] += 1);
        counts
    };
    let table: Vec<(usize, Vec<u32>)> = complete.iter().map(|(unit, row)| (*unit, counted(row))).collect();
    let metrics: &[Metric] = match (ordered, categories) {
        (true, true) => &Metric::ALL,
        (true, false) => &[Metric::Ordinal, Metric::Interval, Metric::Ratio],
        (false, _) => &[Metric::Nominal],
    };
    // α over many different values costs their square for each resample.
    let alpha_options =
        Options { resamples: if categories { options.resamples } else { 0 }, ..options.clone() };
    let alphas = metrics.iter().filter_map(|metric| {
        Some((*metric, coefficient(&given, &alpha_options, |rows| alpha(rows, *metric))?))
    });
    let rows: Vec<Vec<f64>> = complete.iter().map(|(_, row)| row.clone()).collect();
    Some(Agreement {
        arm,
        scale,
        readers: count,
        n: given.len(),
        complete: complete.len(),
        values: levels,
        fleiss: if categories { coefficient(&table, options, fleiss) } else { None },
        alpha: alphas.collect(),
        icc: if ordered { icc(&rows, options.level).unwrap_or_default() } else { Vec::new() },
        pairs,
    })
}

/// Agreement of the given readers in every arm, on every scale that the file has.
pub(super) fn agreement(readings: &Readings, readers: &[usize], options: &Options) -> Vec<Agreement> {
    let has = |scale: Scale| {
        readings.readings.iter().any(|r| match scale {
            Scale::Rating => r.rating.is_some(),
            Scale::Decision => Readings::decision(r, options.threshold).is_some(),
            Scale::Category => r.category.is_some(),
            Scale::Preference => false,
        })
    };
    let scales: Vec<Scale> =
        [Scale::Rating, Scale::Decision, Scale::Category].into_iter().filter(|s| has(*s)).collect();
    let arms: BTreeSet<usize> = readings.readings.iter().map(|r| r.arm).collect();
    arms.iter()
        .flat_map(|arm| scales.iter().filter_map(|s| of_arm(readings, *arm, readers, *s, options)))
        .collect()
}
