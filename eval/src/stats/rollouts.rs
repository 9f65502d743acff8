//! Several replies to each item.

use serde::{Deserialize, Serialize};

/// Figures of k replies per item, each a mean over the items.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rollouts {
    /// Replies per item.
    pub k: usize,
    /// Number of items.
    pub n: usize,
    /// Expected accuracy of one reply.
    pub expected: f64,
    /// Share of items that more than half of the replies get right (lmms-eval's consensus).
    pub majority_right: f64,
    /// Share of items on which at least one of the k replies is right.
    pub any: f64,
    /// Share of items on which all replies are right.
    pub all: f64,
    /// Mean variance of right/wrong within an item, divisor k − 1 (lmms-eval's internal variance); 0 for k = 1.
    pub internal_variance: f64,
    /// Share of pairs of replies to one item that agree in being right or wrong; 1 for k = 1.
    pub consistency: f64,
}

/// Figures from the number of right replies out of `k`, one entry an item; `None` of nothing.
pub fn summarise(right: &[usize], k: usize) -> Option<Rollouts> {
    if right.is_empty() || k == 0 {
        return None;
    }
    let n = right.len() as f64;
    let mean = |f: &dyn Fn(f64) -> f64| right.iter().map(|&c| f(c as f64)).sum::<f64>() / n;
    let kf = k as f64;
    Some(Rollouts {
        k,
        n: right.len(),
        expected: mean(&|c| c / kf),
        majority_right: mean(&|c| f64::from(2.0 * c > kf)),
        any: mean(&|c| f64::from(c > 0.0)),
        all: mean(&|c| f64::from(c >= kf)),
        internal_variance: if k > 1 { mean(&|c| c * (kf - c) / (kf * (kf - 1.0))) } else { 0.0 },
        consistency: if k > 1 {
            mean(&|c| (c * (c - 1.0) + (kf - c) * (kf - c - 1.0)) / (kf * (kf - 1.0)))
        } else {
            1.0
        },
    })
}

/// Unbiased pass@k of `n` replies with `c` right (Chen et al. 2021): 1 − C(n−c, k)/C(n, k).
/// `None` when k is 0 or above n.
pub fn pass_at(k: usize, n: usize, c: usize) -> Option<f64> {
    if k == 0 || k > n || c > n {
        return None;
    }
    let wrong = n - c;
    if wrong < k {
        return Some(1.0);
    }
    Some(1.0 - (0..k).map(|i| (wrong - i) as f64 / (n - i) as f64).product::<f64>())
}

/// The answer given most often, the earliest on ties (Python's `Counter.most_common`); unparsed
/// replies (`None`) have no vote.
pub fn majority<'a, T: PartialEq>(answers: &'a [Option<T>]) -> Option<&'a T> {
    let mut counts: Vec<(&'a T, usize)> = Vec::new();
    for answer in answers.iter().flatten() {
        match counts.iter_mut().find(|(a, _)| *a == answer) {
            Some((_, n)) => *n += 1,
            None => counts.push((answer, 1)),
        }
    }
    let most = counts.iter().map(|(_, n)| *n).max()?;
    counts.into_iter().find(|(_, n)| *n == most).map(|(a, _)| a)
}
