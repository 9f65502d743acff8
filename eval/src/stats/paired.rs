//! Comparisons of two systems on the same items.

use super::interval::{Interval, t};
use super::special::{chi2_sf, fair_binomial, fair_binomial_cdf, t_two_sided};
use super::{mean, variance};
use serde::Serialize;

/// A paired t-test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairedT {
    /// Mean of a − b.
    pub difference: f64,
    /// Its standard error.
    pub se: f64,
    /// Interval of the difference.
    pub interval: Interval,
    /// Test statistic.
    pub t: f64,
    /// Two-sided p.
    pub p: f64,
    /// Number of pairs.
    pub n: usize,
}

/// Student's paired test of the differences a − b, as `scipy.stats.ttest_rel`; `None` below two
/// pairs or when all differences are equal and not 0.
pub fn t_test(differences: &[f64], level: f64) -> Option<PairedT> {
    let (n, difference) = (differences.len(), mean(differences)?);
    let se = (variance(differences)? / n as f64).sqrt();
    let df = (n - 1) as f64;
    let (statistic, p) = match (se > 0.0, difference == 0.0) {
        (true, _) => (difference / se, t_two_sided(difference / se, df)),
        (false, true) => (0.0, 1.0),
        (false, false) => return None,
    };
    Some(PairedT { difference, se, interval: t(difference, se, df, level)?, t: statistic, p, n })
}

/// McNemar's test of two systems that are right or wrong on the same items.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct McNemar {
    /// Both right.
    pub both: u64,
    /// Only the first right.
    pub only_a: u64,
    /// Only the second right.
    pub only_b: u64,
    /// Both wrong.
    pub neither: u64,
    /// Exact two-sided p (binomial on the discordant pairs).
    pub exact_p: f64,
    /// Mid-p (Fagerland, Lydersen and Laake 2013): less conservative, still close to its level.
    pub mid_p: f64,
    /// χ² without correction.
    pub chi2_p: f64,
    /// χ² with Edwards' continuity correction.
    pub chi2_corrected_p: f64,
}

/// McNemar's test from the pairs (first right, second right).
pub fn mcnemar(pairs: impl IntoIterator<Item = (bool, bool)>) -> McNemar {
    let mut counts = [0u64; 4];
    for (a, b) in pairs {
        counts[usize::from(!a) * 2 + usize::from(!b)] += 1;
    }
    let [both, only_a, only_b, neither] = counts;
    let (n, k) = (only_a + only_b, only_a.min(only_b));
    let exact_p = if n == 0 || only_a == only_b { 1.0 } else { (2.0 * fair_binomial_cdf(k, n)).min(1.0) };
    let mid_p = match n {
        0 => 1.0,
        // What is more extreme plus half of what is as extreme; at the centre the tails share a term.
        _ if only_a == only_b => 1.0 - 0.5 * fair_binomial(k, n),
        _ => (2.0 * fair_binomial_cdf(k, n) - fair_binomial(k, n)).clamp(0.0, 1.0),
    };
    let chi2 = |correction: f64| {
        if n == 0 {
            return 1.0;
        }
        let off = (only_a.abs_diff(only_b) as f64 - correction).max(0.0);
        chi2_sf(off * off / n as f64, 1.0)
    };
    McNemar { both, only_a, only_b, neither, exact_p, mid_p, chi2_p: chi2(0.0), chi2_corrected_p: chi2(1.0) }
}

/// Two-sided p of the mean of paired differences by approximate randomisation (Noreen 1989): how often the mean is at least as large when
/// the two systems are exchanged at random, item by item, with the observed one counted in. `None` without a pair.
pub fn approximate_randomisation(differences: &[f64], exchanges: usize, seed: u64) -> Option<f64> {
    let observed = mean(differences)?.abs();
    let mut state = seed;
    // SplitMix64 (Steele, Lea and Flood 2014): 64 independent signs a step.
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let scale: f64 = differences.iter().map(|d| d.abs()).sum::<f64>() / differences.len() as f64;
    let mut as_large = 0usize;
    for _ in 0..exchanges {
        let mut sum = 0.0;
        for chunk in differences.chunks(64) {
            let mut signs = next();
            for d in chunk {
                sum += if signs & 1 == 1 { *d } else { -*d };
                signs >>= 1;
            }
        }
        // Sums of the same numbers in another order of signs differ in their last bits.
        as_large += usize::from((sum / differences.len() as f64).abs() >= observed - 1e-12 * scale);
    }
    Some((as_large + 1) as f64 / (exchanges + 1) as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::approximate_randomisation;

    #[test]
    fn exchanges_at_random() {
        assert_eq!(approximate_randomisation(&[], 100, 1), None);
        assert_eq!(approximate_randomisation(&[0.0; 5], 100, 1), Some(1.0));
        // Of three equal differences 2 of 8 sign patterns are as large.
        let p = approximate_randomisation(&[1.0; 3], 20_000, 1).unwrap();
        assert!((p - 0.25).abs() < 0.02, "{p}");
        // Of ten, 2 of 1024.
        assert!(approximate_randomisation(&[0.3; 10], 20_000, 1).unwrap() < 0.006);
        let same = |seed| approximate_randomisation(&[0.1, -0.2, 0.4], 1000, seed);
        assert_eq!(same(7), same(7));
    }
}
