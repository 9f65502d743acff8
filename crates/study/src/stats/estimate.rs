//! A figure of merit of one reader with one test, and how its error shares cases with that of another.
//!
//! Every error is written as a sum over units (cases, or patients with several cases), one part a unit; the
//! covariance of two figures is the product of their parts. Figures of different cases share none, so designs in
//! which readers or tests have cases of their own need nothing more.

use serde::Serialize;

/// How errors over cases are estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorMethod {
    /// DeLong, DeLong and Clarke-Pearson (1988): placement values. Not for units of several cases.
    DeLong,
    /// Leaving out one unit at a time (Quenouille 1956; Obuchowski and Rockette 1995 use it so).
    Jackknife,
}

/// A figure of merit with the parts of its error.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// (unit, part of the error), units ascending.
    parts: Vec<(usize, f64)>,
}

/// A value that belongs to a unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unit<T> {
    /// Number of the unit.
    pub unit: usize,
    /// What was seen.
    pub value: T,
}

impl Estimate {
    fn new(value: f64, mut parts: Vec<(usize, f64)>) -> Self {
        parts.sort_by_key(|(unit, _)| *unit);
        Self { value, parts }
    }

    /// Mean of values that units share, one or several a unit: its error is what a unit left out changes. With one
    /// value a unit the variance is s²/n. `None` below two units.
    pub fn mean(values: &[Unit<f64>]) -> Option<Self> {
        let groups = grouped(values.iter().map(|v| (v.unit, [v.value, 1.0])));
        let (sum, n) = groups.iter().fold((0.0, 0.0), |(s, n), (_, [v, c])| (s + v, n + c));
        let without = groups.iter().map(|(unit, [v, c])| (*unit, (sum - v) / (n - c)));
        Self::from_left_out(sum / n, without.collect())
    }

    /// The area between two samples, as a mean over pairs of `kernel(actually negative, actually positive)`: the
    /// trapezoid area under an ROC curve, or a weighted AFROC. `None` when a sample has fewer than two values, or, with
    /// the jackknife, when a unit holds a whole sample.
    pub fn two_sample<N, P>(
        negative: &[Unit<N>],
        positive: &[Unit<P>],
        method: ErrorMethod,
        kernel: impl Fn(&N, &P) -> f64,
    ) -> Option<Self> {
        let (n, m) = (negative.len() as f64, positive.len() as f64);
        if negative.len() < 2 || positive.len() < 2 {
            return None;
        }
        // (unit, sum of its pairs) of each value.
        let mut of_negative: Vec<(usize, f64)> = negative.iter().map(|u| (u.unit, 0.0)).collect();
        let mut of_positive: Vec<(usize, f64)> = positive.iter().map(|u| (u.unit, 0.0)).collect();
        for ((_, row), a) in of_negative.iter_mut().zip(negative) {
            for ((_, column), b) in of_positive.iter_mut().zip(positive) {
                let credit = kernel(&a.value, &b.value);
                *row += credit;
                *column += credit;
            }
        }
        let sum: f64 = of_negative.iter().map(|(_, s)| s).sum();
        let value = sum / (n * m);
        if method == ErrorMethod::DeLong {
            let parts = |sums: &[(usize, f64)], own: f64, other: f64| -> Vec<(usize, f64)> {
                let scale = (own * (own - 1.0)).sqrt();
                sums.iter().map(|(unit, s)| (*unit, (s / other - value) / scale)).collect()
            };
            let mut all = parts(&of_negative, n, m);
            all.extend(parts(&of_positive, m, n));
            return Some(Self::new(value, all));
        }
        // What a unit holds: the sums of its pairs, its negative cases, its positive ones.
        let held = of_negative.iter().map(|(unit, s)| (*unit, [*s, 1.0, 0.0]));
        let held = grouped(held.chain(of_positive.iter().map(|(unit, s)| (*unit, [*s, 0.0, 1.0]))));
        // Pairs within a unit are in both sums.
        let within = |unit: usize| -> f64 {
            let mut credit = 0.0;
            for a in negative.iter().filter(|a| a.unit == unit) {
                credit += positive
                    .iter()
                    .filter(|b| b.unit == unit)
                    .map(|b| kernel(&a.value, &b.value))
                    .sum::<f64>();
            }
            credit
        };
        let without = held.iter().map(|&(unit, [s, a, b])| {
            let shared = if a > 0.0 && b > 0.0 { within(unit) } else { 0.0 };
            (unit, (sum - s + shared) / ((n - a) * (m - b)))
        });
        Self::from_left_out(value, without.collect())
    }

    /// From the figures that remain when each unit is left out.
    fn from_left_out(value: f64, without: Vec<(usize, f64)>) -> Option<Self> {
        let n = without.len() as f64;
        if without.len() < 2 || without.iter().any(|(_, v)| !v.is_finite()) {
            return None;
        }
        let mean = without.iter().map(|(_, v)| v).sum::<f64>() / n;
        let scale = ((n - 1.0) / n).sqrt();
        Some(Self::new(value, without.into_iter().map(|(u, v)| (u, (v - mean) * scale)).collect()))
    }

    /// What this figure has more than `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let negated = other.parts.iter().map(|(unit, part)| (*unit, [-part]));
        let parts = grouped(self.parts.iter().map(|(unit, part)| (*unit, [*part])).chain(negated));
        Self::new(self.value - other.value, parts.into_iter().map(|(unit, [part])| (unit, part)).collect())
    }

    /// Covariance of the errors of two figures over the units that both have.
    pub fn covariance(&self, other: &Self) -> f64 {
        let (mut sum, mut at) = (0.0, 0);
        for (unit, part) in &self.parts {
            while other.parts.get(at).is_some_and(|(u, _)| u < unit) {
                at += 1;
            }
            if let Some((_, theirs)) = other.parts.get(at).filter(|(u, _)| u == unit) {
                sum += part * theirs;
            }
        }
        sum
    }

    /// Variance of the error.
    pub fn variance(&self) -> f64 {
        self.covariance(self)
    }

    /// The units that the figure rests on, ascending.
    pub fn units(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().map(|(unit, _)| *unit)
    }
}

/// Sums by unit, units ascending.
fn grouped<const N: usize>(values: impl Iterator<Item = (usize, [f64; N])>) -> Vec<(usize, [f64; N])> {
    let mut sums = std::collections::BTreeMap::new();
    for (unit, value) in values {
        let sum = sums.entry(unit).or_insert([0.0; N]);
        for (s, v) in sum.iter_mut().zip(value) {
            *s += v;
        }
    }
    sums.into_iter().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn units(values: &[f64], from: usize) -> Vec<Unit<f64>> {
        values.iter().enumerate().map(|(i, &value)| Unit { unit: from + i, value }).collect()
    }

    fn wins(a: &f64, b: &f64) -> f64 {
        if a < b { 1.0 } else { f64::from(a == b) / 2.0 }
    }

    #[test]
    fn a_mean_has_the_usual_variance() {
        let found = Estimate::mean(&units(&[1.0, 2.0, 4.0, 9.0], 0)).unwrap();
        assert_eq!(found.value, 4.0);
        assert!((found.variance() - (9.0 + 4.0 + 0.0 + 25.0) / 3.0 / 4.0).abs() < 1e-12);
        assert_eq!(Estimate::mean(&units(&[1.0], 0)), None);
    }

    #[test]
    fn the_jackknife_of_an_area_is_that_of_leaving_out_in_earnest() {
        let (a, b) = (units(&[1.0, 2.0, 2.5, 3.0], 0), units(&[2.0, 3.5, 3.0], 4));
        let area = |skip: usize| {
            let left = |units: &[Unit<f64>]| -> Vec<f64> {
                units.iter().filter(|u| u.unit != skip).map(|u| u.value).collect()
            };
            let (a, b) = (left(&a), left(&b));
            let sum: f64 = a.iter().flat_map(|x| b.iter().map(move |y| wins(x, y))).sum();
            sum / (a.len() * b.len()) as f64
        };
        let left: Vec<f64> = (0..7).map(area).collect();
        let mean = left.iter().sum::<f64>() / 7.0;
        let want = 6.0 / 7.0 * left.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        let found = Estimate::two_sample(&a, &b, ErrorMethod::Jackknife, wins).unwrap();
        assert!((found.variance() - want).abs() < 1e-12);
        assert!((found.value - area(99)).abs() < 1e-12);
    }

    #[test]
    fn a_patient_with_several_cases_is_left_out_as_a_whole() {
        // Unit 0 has a negative and a positive case.
        let a = [0, 1, 2].map(|unit| Unit { unit, value: unit as f64 });
        let b = [0, 3, 4].map(|unit| Unit { unit, value: unit as f64 + 0.5 });
        let found = Estimate::two_sample(&a, &b, ErrorMethod::Jackknife, wins).unwrap();
        let without_0 = [(1.0, 3.5), (1.0, 4.5), (2.0, 3.5), (2.0, 4.5)].map(|(x, y)| wins(&x, &y));
        assert_eq!(without_0.iter().sum::<f64>(), 4.0);
        assert_eq!(found.units().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert!((found.value - 7.0 / 9.0).abs() < 1e-12);
    }

    #[test]
    fn figures_of_different_cases_share_no_error() {
        let one = Estimate::mean(&units(&[1.0, 2.0, 4.0], 0)).unwrap();
        let other = Estimate::mean(&units(&[1.0, 5.0, 4.0], 3)).unwrap();
        assert_eq!(one.covariance(&other), 0.0);
        assert!((one.minus(&other).variance() - one.variance() - other.variance()).abs() < 1e-12);
        assert_eq!(one.minus(&one).variance(), 0.0);
    }
}
