//! Which of two arms readers prefer: win rates with ties, also with the lengths of the texts held equal.

use super::proportion::{Observation, Proportion, proportion};
use loupe_eval::stats::Interval;
use loupe_eval::stats::bootstrap::{self, RESAMPLES};
use serde::Serialize;
use std::collections::BTreeSet;

/// One preference between two arms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vote {
    /// Number of the reader.
    pub reader: usize,
    /// Number of the unit.
    pub unit: usize,
    /// 1 where the first arm won, 0 where the second did, ½ for a tie and for neither.
    pub score: f64,
    /// Length of the first text less that of the second.
    pub longer: Option<f64>,
}

/// How often the first arm wins, ties counted as halves; `None` of nothing.
pub fn win_rate(votes: &[Vote], level: f64) -> Option<Proportion> {
    let seen: Vec<Observation> =
        votes.iter().map(|v| Observation { reader: v.reader, unit: v.unit, value: v.score }).collect();
    proportion(&seen, true, level)
}

/// A win rate at equal lengths.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LengthControlled {
    /// Votes with both lengths.
    pub n: usize,
    /// The rate at equal lengths.
    pub value: f64,
    /// How much the log odds change where the first text is longer by one standard deviation of the differences.
    pub effect_of_length: f64,
    /// Interval by a bootstrap of units.
    pub interval: Option<Interval>,
}

/// Win rate with lengths held equal (after Dubois et al. 2024, AlpacaEval 2): a logistic regression of the score on
/// tanh(difference of lengths / its standard deviation), read where the difference is 0. `None` below ten votes with
/// lengths, where all differences are 0, or where length alone decides every vote.
pub fn length_controlled(votes: &[Vote], level: f64, seed: u32) -> Option<LengthControlled> {
    let with: Vec<(usize, f64, f64)> =
        votes.iter().filter_map(|v| Some((v.unit, v.longer?, v.score))).collect();
    let n = with.len() as f64;
    if with.len() < 10 {
        return None;
    }
    let spread = (with.iter().map(|(_, d, _)| d * d).sum::<f64>() / n).sqrt();
    if spread <= 0.0 {
        return None;
    }
    let rows: Vec<(usize, f64, f64)> =
        with.into_iter().map(|(u, d, s)| (u, (d / spread).tanh(), s)).collect();
    let [constant, effect_of_length] = logistic(rows.iter().map(|(_, x, y)| (*x, *y, 1.0)))?;
    let units: Vec<usize> = rows.iter().map(|r| r.0).collect::<BTreeSet<_>>().into_iter().collect();
    let interval = bootstrap::figure(units.len(), RESAMPLES / 10, seed, level, |drawn| {
        let mut times = vec![0.0; units.len()];
        drawn.iter().for_each(|&unit| times[unit] += 1.0);
        let weighted =
            rows.iter().map(|(u, x, y)| (*x, *y, units.binary_search(u).map_or(0.0, |at| times[at])));
        Some(sigmoid(logistic(weighted)?[0]))
    });
    Some(LengthControlled {
        n: rows.len(),
        value: sigmoid(constant),
        effect_of_length,
        interval: interval.map(|b| b.interval),
    })
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Constant and slope of a logistic regression of rows (x, share y, weight), by Newton's method; `None` where there is
/// no finite maximum.
#[expect(clippy::needless_pass_by_value, reason = "an iterator that is cheap to copy")]
fn logistic(rows: impl Iterator<Item = (f64, f64, f64)> + Clone) -> Option<[f64; 2]> {
    let mut at = [0.0, 0.0];
    for _ in 0..50 {
        let (mut g, mut h) = ([0.0; 2], [0.0; 3]);
        for (x, y, w) in rows.clone() {
            let p = sigmoid(at[0] + at[1] * x);
            let (off, curve) = (w * (y - p), w * p * (1.0 - p));
            g = [g[0] + off, g[1] + off * x];
            h = [h[0] + curve, h[1] + curve * x, h[2] + curve * x * x];
        }
        let determinant = h[0] * h[2] - h[1] * h[1];
        if determinant <= 1e-9 {
            return None;
        }
        let step = [(h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant];
        at = [at[0] + step[0], at[1] + step[1]];
        if at.iter().any(|v| v.abs() > 30.0) {
            return None;
        }
        if step.iter().all(|s| s.abs() < 1e-10) {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn vote(reader: usize, unit: usize, score: f64, longer: f64) -> Vote {
        Vote { reader, unit, score, longer: Some(longer) }
    }

    #[test]
    fn ties_are_halves_and_cases_are_clusters() {
        // Three readers who always say the same about a case: cases, not votes, are what counts.
        let votes: Vec<Vote> =
            (0..20).flat_map(|u| (0..3).map(move |r| vote(r, u, [1.0, 0.5, 0.0, 1.0][u % 4], 0.0))).collect();
        let rate = win_rate(&votes, 0.95).unwrap();
        assert_eq!((rate.n, rate.value), (60, 0.625));
        let of_cases =
            win_rate(&votes.iter().filter(|v| v.reader == 0).copied().collect::<Vec<_>>(), 0.95).unwrap();
        let (all, one) = (rate.over_cases.unwrap(), of_cases.over_cases.unwrap());
        assert!((all.lo - one.lo).abs() < 1e-12 && (all.hi - one.hi).abs() < 1e-12);
        let both = rate.over_both.unwrap();
        assert!(both.lo <= all.lo + 0.03 && both.hi >= all.hi - 0.03);
    }

    #[test]
    fn a_preference_for_length_is_taken_out() {
        // The first arm is longer in three of four cases, and four in five longer texts win.
        let mut votes = Vec::new();
        for unit in 0..200 {
            let longer = if unit % 4 == 0 { -50.0 } else { 50.0 };
            let longer_wins = unit % 5 != 0;
            votes.push(vote(unit % 3, unit, f64::from((longer > 0.0) == longer_wins), longer));
        }
        let plain = win_rate(&votes, 0.95).unwrap().value;
        let held = length_controlled(&votes, 0.95, 1).unwrap();
        assert!(
            plain > 0.6 && (held.value - 0.5).abs() < 0.01 && held.effect_of_length > 1.0,
            "{plain} {held:?}"
        );
        assert!(held.interval.unwrap().contains(0.5));
    }

    #[test]
    fn length_that_decides_everything_leaves_nothing_to_say() {
        let votes: Vec<Vote> =
            (0..40).map(|u| vote(0, u, f64::from(u % 2 == 0), if u % 2 == 0 { 9.0 } else { -9.0 })).collect();
        assert_eq!(length_controlled(&votes, 0.95, 1), None);
    }
}
