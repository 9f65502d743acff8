//! The empirical ROC curve, its area and the area's error.

use super::estimate::{ErrorMethod, Estimate, Unit};

/// One half for a tie, 1 where the positive case has the higher rating (Mann and Whitney).
pub fn wins(negative: f64, positive: f64) -> f64 {
    if negative < positive { 1.0 } else { f64::from(negative == positive) / 2.0 }
}

/// Trapezoid area under the ROC curve of ratings of actually negative and actually positive cases, with its error.
/// `None` below two cases of either kind.
pub fn area(negative: &[Unit<f64>], positive: &[Unit<f64>], method: ErrorMethod) -> Option<Estimate> {
    Estimate::two_sample(negative, positive, method, |a, b| wins(*a, *b))
}

/// Corners of the empirical curve as (false positive fraction, true positive fraction), from (0, 0) to (1, 1): a case is
/// called positive from each rating on. Empty where a kind of case is missing.
pub fn curve(negative: &[f64], positive: &[f64]) -> Vec<(f64, f64)> {
    if negative.is_empty() || positive.is_empty() {
        return Vec::new();
    }
    let mut all: Vec<(f64, bool)> =
        negative.iter().map(|r| (*r, false)).chain(positive.iter().map(|r| (*r, true))).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut fp, mut tp) = (0.0, 0.0);
    let mut corners = vec![(0.0, 0.0)];
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let hits = tied.iter().filter(|(_, truth)| *truth).count() as f64;
        tp += hits;
        fp += tied.len() as f64 - hits;
        corners.push((fp / negative.len() as f64, tp / positive.len() as f64));
    }
    corners
}

/// The mean of curves at each false positive fraction where one has a corner (vertical averaging), whose area is the mean of
/// the areas.
pub fn mean_curve(curves: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let mut at: Vec<f64> = curves.iter().flatten().map(|(x, _)| *x).collect();
    at.sort_by(f64::total_cmp);
    at.dedup();
    let mut mean = Vec::new();
    for x in at {
        // A vertical step has a lower and an upper end.
        let ends: Vec<(f64, f64)> = curves.iter().map(|curve| height(curve, x)).collect();
        let n = ends.len() as f64;
        let low = ends.iter().map(|(low, _)| low).sum::<f64>() / n;
        let high = ends.iter().map(|(_, high)| high).sum::<f64>() / n;
        mean.push((x, low));
        if high > low {
            mean.push((x, high));
        }
    }
    mean
}

/// Lower and upper height of a curve at `x`.
fn height(curve: &[(f64, f64)], x: f64) -> (f64, f64) {
    let mut here = curve.iter().filter(|(at, _)| *at == x).map(|(_, y)| *y);
    if let Some(low) = here.next() {
        return (low, here.next_back().unwrap_or(low));
    }
    let after = curve.partition_point(|(at, _)| *at < x);
    match (after.checked_sub(1).and_then(|i| curve.get(i)), curve.get(after)) {
        (Some((x0, y0)), Some((x1, y1))) => {
            let y = y0 + (y1 - y0) * (x - x0) / (x1 - x0);
            (y, y)
        }
        (Some((_, y)), None) | (None, Some((_, y))) => (*y, *y),
        (None, None) => (0.0, 0.0),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn trapezoid(curve: &[(f64, f64)]) -> f64 {
        curve.windows(2).map(|w| (w[1].0 - w[0].0) * (w[0].1 + w[1].1) / 2.0).sum()
    }

    fn units(values: &[f64]) -> Vec<Unit<f64>> {
        values.iter().enumerate().map(|(unit, &value)| Unit { unit, value }).collect()
    }

    const NEGATIVE: [f64; 5] = [1.0, 2.0, 2.0, 3.0, 5.0];
    const POSITIVE: [f64; 4] = [2.0, 4.0, 5.0, 5.0];

    #[test]
    fn the_area_is_that_under_the_curve() {
        let found = area(&units(&NEGATIVE), &units(&POSITIVE), ErrorMethod::DeLong).unwrap();
        let corners = curve(&NEGATIVE, &POSITIVE);
        assert!((trapezoid(&corners) - found.value).abs() < 1e-12);
        assert_eq!((corners[0], *corners.last().unwrap()), ((0.0, 0.0), (1.0, 1.0)));
    }

    #[test]
    fn the_mean_curve_has_the_mean_area() {
        let curves = [curve(&NEGATIVE, &POSITIVE), curve(&POSITIVE, &NEGATIVE), curve(&[1.0, 9.0], &[5.0])];
        let want = curves.iter().map(|c| trapezoid(c)).sum::<f64>() / 3.0;
        assert!((trapezoid(&mean_curve(&curves)) - want).abs() < 1e-12);
    }

    #[test]
    fn turning_the_scale_turns_the_area() {
        let turned = |values: &[f64]| units(&values.iter().map(|v| -v).collect::<Vec<_>>());
        let there = area(&units(&NEGATIVE), &units(&POSITIVE), ErrorMethod::DeLong).unwrap();
        let back = area(&turned(&NEGATIVE), &turned(&POSITIVE), ErrorMethod::DeLong).unwrap();
        assert!((there.value + back.value - 1.0).abs() < 1e-12);
        assert!((there.variance() - back.variance()).abs() < 1e-12);
    }
}
