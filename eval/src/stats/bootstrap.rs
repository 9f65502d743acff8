//! Percentile bootstrap of means and of paired differences, over rows or whole clusters.

use super::interval::Interval;
use super::numpy_rng::NumpyRng;

/// Resamples used where nothing else is said.
pub const RESAMPLES: usize = 10_000;

/// What a bootstrap gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    /// Percentile interval.
    pub interval: Interval,
    /// Two-sided p of the value 0: 2·min(share ≤ 0, share ≥ 0), at most 1.
    pub p: f64,
}

/// Resamples rows: the stream and the result of
/// `percentile([values[rng.integers(0, n, n)].mean() for _ in range(resamples)])` in numpy.
/// `None` of nothing.
pub fn rows(values: &[f64], resamples: usize, seed: u32, level: f64) -> Option<Bootstrap> {
    let n = u32::try_from(values.len()).ok().filter(|&n| n > 0)?;
    let mut rng = NumpyRng::new(seed);
    let draw = || (0..n).map(|_| values[rng.below(n) as usize]).sum::<f64>() / f64::from(n);
    summarise(std::iter::repeat_with(draw).take(resamples).collect(), level, "bootstrap")
}

/// Resamples whole clusters, each given as (rows, sum of values); the mean of a resample is the
/// ratio of its sums (Cameron, Gelbach and Miller 2008, pairs cluster bootstrap). `None` of nothing.
pub fn clusters(groups: &[(u32, f64)], resamples: usize, seed: u32, level: f64) -> Option<Bootstrap> {
    let n = u32::try_from(groups.len()).ok().filter(|&n| n > 0)?;
    let mut rng = NumpyRng::new(seed);
    let draw = || {
        let (mut rows, mut sum) = (0u64, 0.0);
        for _ in 0..n {
            let (r, s) = groups[rng.below(n) as usize];
            rows += u64::from(r);
            sum += s;
        }
        sum / rows.max(1) as f64
    };
    summarise(std::iter::repeat_with(draw).take(resamples).collect(), level, "clustered bootstrap")
}

/// Resamples `units` whole units (cases, readers) and computes any figure of those drawn, which come with repeats.
/// Resamples without a figure are left out; `None` of nothing, or when more than one in twenty has none.
pub fn figure(
    units: usize,
    resamples: usize,
    seed: u32,
    level: f64,
    mut of: impl FnMut(&[usize]) -> Option<f64>,
) -> Option<Bootstrap> {
    let n = u32::try_from(units).ok().filter(|&n| n > 0)?;
    let mut rng = NumpyRng::new(seed);
    let mut drawn = vec![0; units];
    let mut figures = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        drawn.fill_with(|| rng.below(n) as usize);
        figures.extend(of(&drawn));
    }
    if figures.len() * 20 < resamples * 19 {
        return None;
    }
    summarise(figures, level, "bootstrap")
}

fn summarise(mut means: Vec<f64>, level: f64, method: &str) -> Option<Bootstrap> {
    means.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    let interval = Interval::new(percentile(&means, tail)?, percentile(&means, 1.0 - tail)?, level, method);
    let share = |f: fn(f64) -> bool| means.iter().filter(|&&m| f(m)).count() as f64 / means.len() as f64;
    let p = (2.0 * share(|m| m <= 0.0).min(share(|m| m >= 0.0))).min(1.0);
    Some(Bootstrap { interval, p })
}

/// numpy's linear percentile of sorted values, `share` from 0 to 1.
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = share.clamp(0.0, 1.0) * last as f64;
    let low = at.floor();
    let (a, b) = (sorted[low as usize], sorted[(low as usize + 1).min(last)]);
    let t = at - low;
    // numpy interpolates from the nearer end.
    Some(if t < 0.5 { a + (b - a) * t } else { b - (b - a) * (1.0 - t) })
}
