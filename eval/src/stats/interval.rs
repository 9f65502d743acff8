//! Confidence intervals of proportions and means from counts.

use super::special::{beta_quantile, normal_quantile, t_quantile};
use serde::{Deserialize, Serialize};

/// A two-sided confidence interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub lo: f64,
    /// Upper end.
    pub hi: f64,
    /// Confidence level, such as 0.95.
    pub level: f64,
    /// How it was made.
    pub method: String,
}

impl Interval {
    pub(crate) fn new(lo: f64, hi: f64, level: f64, method: &str) -> Self {
        Self { lo, hi, level, method: method.to_owned() }
    }

    /// Does it hold `value`?
    pub fn contains(&self, value: f64) -> bool {
        self.lo <= value && value <= self.hi
    }
}

fn z(level: f64) -> f64 {
    normal_quantile(0.5 + level / 2.0)
}

/// Wilson (1927) score interval of `successes` out of `n`, which may be fractional (effective sizes).
/// `None` when n is not above 0.
pub fn wilson(successes: f64, n: f64, level: f64) -> Option<Interval> {
    wilson_at(successes, n, level, z(level), "wilson")
}

/// Wilson's interval with the critical value given.
pub(crate) fn wilson_at(successes: f64, n: f64, level: f64, z: f64, method: &str) -> Option<Interval> {
    if n.is_nan() || n <= 0.0 {
        return None;
    }
    let p = successes / n;
    let z2 = z * z;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).max(0.0).sqrt();
    // At the ends the formula gives 0 and 1 up to rounding.
    let lo = if successes <= 0.0 { 0.0 } else { (centre - half).max(0.0) };
    let hi = if successes >= n { 1.0 } else { (centre + half).min(1.0) };
    Some(Interval::new(lo, hi, level, method))
}

/// Clopper and Pearson (1934): exact, from the beta distribution.
pub fn clopper_pearson(successes: u64, n: u64, level: f64) -> Option<Interval> {
    if n == 0 || successes > n {
        return None;
    }
    let (k, n, tail) = (successes as f64, n as f64, (1.0 - level) / 2.0);
    let lo = if successes == 0 { 0.0 } else { beta_quantile(tail, k, n - k + 1.0) };
    let hi = if k == n { 1.0 } else { beta_quantile(1.0 - tail, k + 1.0, n - k) };
    Some(Interval::new(lo, hi, level, "clopper-pearson"))
}

/// Agresti and Coull (1998).
pub fn agresti_coull(successes: f64, n: f64, level: f64) -> Option<Interval> {
    if n.is_nan() || n <= 0.0 {
        return None;
    }
    let z = z(level);
    let n = n + z * z;
    let p = (successes + z * z / 2.0) / n;
    let half = z * (p * (1.0 - p) / n).sqrt();
    Some(Interval::new((p - half).max(0.0), (p + half).min(1.0), level, "agresti-coull"))
}

/// `mean` ± Student's t × `se` with `df` degrees of freedom.
pub fn t(mean: f64, se: f64, df: f64, level: f64) -> Option<Interval> {
    (df > 0.0 && se.is_finite()).then(|| {
        let half = t_quantile(0.5 + level / 2.0, df) * se;
        Interval::new(mean - half, mean + half, level, "t")
    })
}
