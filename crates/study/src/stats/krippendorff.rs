//! Agreement of any number of readers with gaps: Krippendorff's α.

use serde::Serialize;

/// How far apart two values are (Krippendorff 2011, “Computing Krippendorff's Alpha-Reliability”).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Equal or not.
    Nominal,
    /// By how many values lie between.
    Ordinal,
    /// The squared difference.
    Interval,
    /// The squared difference as a share of the sum; for values from 0 on.
    Ratio,
}

impl Metric {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Nominal, Self::Ordinal, Self::Interval, Self::Ratio];
}

/// α of the values given to each unit (case), by whichever readers read it; units with a single value say nothing.
/// `None` where no unit has two values or all values are alike, and for [`Metric::Ratio`] of negative values.
pub fn alpha(units: &[Vec<f64>], metric: Metric) -> Option<f64> {
    let paired: Vec<&Vec<f64>> = units.iter().filter(|values| values.len() > 1).collect();
    let mut values: Vec<f64> = paired.iter().flat_map(|unit| unit.iter().copied()).collect();
    if values.iter().any(|v| !v.is_finite()) || metric == Metric::Ratio && values.iter().any(|v| *v < 0.0) {
        return None;
    }
    let n = values.len() as f64;
    values.sort_by(f64::total_cmp);
    values.dedup();
    let place = |v: f64| values.partition_point(|other| *other < v);
    let size = values.len();
    // Coincidences within units; their sums are how often each value was given.
    let mut together = vec![0.0; size * size];
    for unit in paired {
        let share = 1.0 / (unit.len() - 1) as f64;
        for (i, a) in unit.iter().enumerate() {
            for b in unit.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, b)| b) {
                together[place(*a) * size + place(*b)] += share;
            }
        }
    }
    let given: Vec<f64> = together.chunks(size.max(1)).map(|row| row.iter().sum()).collect();
    let before: Vec<f64> = given
        .iter()
        .scan(0.0, |sum, g| {
            *sum += g;
            Some(*sum - g / 2.0)
        })
        .collect();
    let distance = |i: usize, j: usize| match metric {
        Metric::Nominal => f64::from(i != j),
        Metric::Ordinal => (before[i] - before[j]).powi(2),
        Metric::Interval => (values[i] - values[j]).powi(2),
        Metric::Ratio if i == j => 0.0,
        Metric::Ratio => ((values[i] - values[j]) / (values[i] + values[j])).powi(2),
    };
    let (mut observed, mut expected) = (0.0, 0.0);
    for i in 0..size {
        for j in 0..size {
            observed += together[i * size + j] * distance(i, j);
            expected += given[i] * given[j] * distance(i, j);
        }
    }
    (expected > 0.0).then(|| 1.0 - (n - 1.0) * observed / expected)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The example of four observers and twelve units with gaps in Krippendorff (2011).
    fn example() -> Vec<Vec<f64>> {
        const GAP: f64 = f64::NAN;
        let observers = [
            [1.0, 2.0, 3.0, 3.0, 2.0, 1.0, 4.0, 1.0, 2.0, GAP, GAP, GAP],
            [1.0, 2.0, 3.0, 3.0, 2.0, 2.0, 4.0, 1.0, 2.0, 5.0, GAP, 3.0],
            [GAP, 3.0, 3.0, 3.0, 2.0, 3.0, 4.0, 2.0, 2.0, 5.0, 1.0, GAP],
            [1.0, 2.0, 3.0, 3.0, 2.0, 4.0, 4.0, 1.0, 2.0, 5.0, 1.0, GAP],
        ];
        (0..12).map(|u| observers.iter().map(|o| o[u]).filter(|v| !v.is_nan()).collect()).collect()
    }

    #[test]
    fn equals_the_published_example() {
        let wanted = [0.743_421, 0.815_388, 0.849_107, 0.797_403];
        for (metric, want) in Metric::ALL.into_iter().zip(wanted) {
            let got = alpha(&example(), metric).unwrap();
            assert!((got - want).abs() < 5e-7, "{metric:?}: {got}");
        }
    }

    #[test]
    fn one_value_or_single_readings_have_none() {
        assert_eq!(alpha(&[vec![2.0, 2.0], vec![2.0, 2.0]], Metric::Interval), None);
        assert_eq!(alpha(&[vec![1.0], vec![2.0]], Metric::Nominal), None);
        assert_eq!(alpha(&[vec![-1.0, 2.0], vec![2.0, 1.0]], Metric::Ratio), None);
    }

    #[test]
    fn perfect_agreement_is_one_under_every_metric() {
        let units = [vec![1.0, 1.0], vec![2.0, 2.0], vec![5.0, 5.0]];
        for metric in Metric::ALL {
            assert_eq!(alpha(&units, metric), Some(1.0));
        }
    }
}
