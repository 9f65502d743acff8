//! Means of values that come in groups (questions about one image, frames of one video).

use super::interval::{Interval, t, wilson, wilson_at};
use super::special::t_quantile;
use std::collections::HashMap;

/// Running sums of a figure by cluster; memory grows with the clusters, not with the rows.
#[derive(Debug, Clone, Default)]
pub struct Clusters {
    n: u64,
    sum: f64,
    sum_squares: f64,
    fractional: bool,
    out_of_unit: bool,
    groups: HashMap<u32, (u32, f64)>,
}

impl Clusters {
    /// Adds a value of cluster `group`. Values that are not finite are ignored.
    pub fn add(&mut self, group: u32, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.n += 1;
        self.sum += value;
        self.sum_squares += value * value;
        self.fractional |= value != 0.0 && value != 1.0;
        self.out_of_unit |= !(0.0..=1.0).contains(&value);
        let entry = self.groups.entry(group).or_default();
        entry.0 += 1;
        entry.1 += value;
    }

    /// Values under the clusters that `names` gives, in order.
    pub fn of<'a, K: std::hash::Hash + Eq + 'a>(values: &[f64], names: impl IntoIterator<Item = K>) -> Self {
        let mut ids = HashMap::new();
        let mut all = Self::default();
        for (value, name) in values.iter().zip(names) {
            let next = u32::try_from(ids.len()).unwrap_or(u32::MAX);
            all.add(*ids.entry(name).or_insert(next), *value);
        }
        all
    }

    /// (rows, sum) of each cluster in the order of their numbers.
    pub fn sums(&self) -> Vec<(u32, f64)> {
        let mut all: Vec<_> = self.groups.iter().collect();
        all.sort_unstable_by_key(|(group, _)| **group);
        all.into_iter().map(|(_, sums)| *sums).collect()
    }

    /// Number of values.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Number of groups that have a value.
    pub fn clusters(&self) -> usize {
        self.groups.len()
    }

    /// Their mean.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }

    /// Variance with divisor n − 1.
    fn variance(&self) -> Option<f64> {
        let mean = self.mean()?;
        (self.n > 1).then(|| (self.sum_squares - self.n as f64 * mean * mean).max(0.0) / (self.n - 1) as f64)
    }

    /// Standard error as if all values were independent.
    pub fn se_independent(&self) -> Option<f64> {
        Some((self.variance()? / self.n as f64).sqrt())
    }

    /// Σ over clusters of the squared sum of deviations from the mean.
    fn between(&self) -> Option<f64> {
        let mean = self.mean()?;
        // A map's order is random; adding in sorted order keeps the last bit the same every time.
        let mut squares: Vec<f64> =
            self.groups.values().map(|&(n, sum)| sum - f64::from(n) * mean).map(|d| d * d).collect();
        squares.sort_by(f64::total_cmp);
        Some(squares.iter().sum())
    }

    /// Clustered standard error of lmms-eval: √(SE²_independent + cross terms / n²), that is the
    /// within-row part has the divisor n − 1 and there is no small-sample correction.
    pub fn se_lmms(&self) -> Option<f64> {
        let n = self.n as f64;
        let within = self.variance()? * (n - 1.0);
        let cross = (self.between()? - within) / (n * n);
        Some((self.variance()? / n + cross).max(0.0).sqrt())
    }

    /// Cluster-robust standard error with the factor C/(C − 1) (inspect_ai; the CR1 sandwich of a mean).
    pub fn se_clustered(&self) -> Option<f64> {
        let clusters = self.groups.len() as f64;
        (clusters > 1.0).then_some(())?;
        Some((self.between()? * clusters / (clusters - 1.0)).sqrt() / self.n as f64)
    }

    /// Does any cluster hold more than one value?
    pub fn repeats(&self) -> bool {
        (self.groups.len() as u64) < self.n
    }

    /// The default interval at `level`. Proportions: Wilson; with clusters that repeat, Wilson on the
    /// effective sample size n / deff with Student's t on C − 1 degrees of freedom (Dean and Pagano
    /// 2015, after Korn and Graubard 1998), which keeps its coverage near 0 and 1 and for few
    /// clusters. Means of other values: Student's t on the clustered standard error.
    pub fn interval(&self, level: f64) -> Option<Interval> {
        self.interval_as(level, self.fractional)
    }

    /// Is any value other than 0 and 1?
    pub fn is_fractional(&self) -> bool {
        self.fractional
    }

    /// The interval of [`Clusters::interval`], of a mean of shares or of a proportion as the caller says, so that a
    /// figure has one method whatever its values happen to be. None of a mean whose values are all alike: there is
    /// no spread to estimate an error from.
    pub fn interval_as(&self, level: f64, is_mean: bool) -> Option<Interval> {
        let mean = self.mean()?;
        let n = self.n as f64;
        if is_mean || self.fractional {
            let (se, df) = if self.repeats() {
                (self.se_clustered()?, self.groups.len() as f64 - 1.0)
            } else {
                (self.se_independent()?, n - 1.0)
            };
            // Up to rounding of sums.
            if se <= 1e-12 * mean.abs().max(1.0) {
                return None;
            }
            let mut found = t(mean, se, df, level)?;
            if !self.out_of_unit {
                (found.lo, found.hi) = (found.lo.max(0.0), found.hi.min(1.0));
            }
            if self.repeats() {
                found.method = "clustered t".to_owned();
            }
            return Some(found);
        }
        if !self.repeats() {
            return wilson(self.sum, n, level);
        }
        let df = self.groups.len() as f64 - 1.0;
        if df < 1.0 {
            return None; // one cluster says nothing about the spread between clusters
        }
        let independent = mean * (1.0 - mean) / n;
        let se = self.se_clustered()?;
        // All alike: nothing to estimate the design effect from, so each cluster counts once. A design
        // effect below 1 is noise and never used to claim more than n.
        let effective =
            if independent > 0.0 { n / (se * se / independent).max(1.0) } else { self.groups.len() as f64 };
        let z = t_quantile(0.5 + level / 2.0, df);
        wilson_at(mean * effective, effective, level, z, "clustered wilson")
    }
}
