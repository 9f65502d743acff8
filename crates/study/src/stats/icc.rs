//! Agreement of readers on numbers: the intraclass correlation in its six forms.

use loupe_eval::stats::Interval;
use loupe_eval::stats::special::f_upper;
use serde::Serialize;

/// What the intraclass correlation is about (Shrout and Fleiss 1979; McGraw and Wong 1996 for the intervals).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// ICC(1,1): each case has readers of its own; one reading.
    OneWay,
    /// ICC(2,1): readers are a sample; agreement of one reading.
    Agreement,
    /// ICC(3,1): these readers; consistency of one reading.
    Consistency,
    /// ICC(1,k): the mean of k readings of readers of its own.
    OneWayMean,
    /// ICC(2,k): agreement of the mean of k readings.
    AgreementMean,
    /// ICC(3,k): consistency of the mean of k readings.
    ConsistencyMean,
}

impl Form {
    /// All six, in the order of Shrout and Fleiss.
    pub const ALL: [Self; 6] = [
        Self::OneWay,
        Self::Agreement,
        Self::Consistency,
        Self::OneWayMean,
        Self::AgreementMean,
        Self::ConsistencyMean,
    ];

    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::OneWay => "ICC(1,1)",
            Self::Agreement => "ICC(2,1)",
            Self::Consistency => "ICC(3,1)",
            Self::OneWayMean => "ICC(1,k)",
            Self::AgreementMean => "ICC(2,k)",
            Self::ConsistencyMean => "ICC(3,k)",
        }
    }
}

/// An intraclass correlation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Icc {
    /// Which.
    pub form: Form,
    /// Its value.
    pub value: f64,
    /// Its interval from the F distribution.
    pub interval: Option<Interval>,
}

/// The six forms for the ratings of `table`, a row for each case and a column for each reader; every row has to be
/// full. `None` below two cases or readers, or where all ratings are alike.
pub fn icc(table: &[Vec<f64>], level: f64) -> Option<Vec<Icc>> {
    let readers = table.first()?.len();
    let (n, k) = (table.len() as f64, readers as f64);
    if table.len() < 2 || readers < 2 || table.iter().any(|row| row.len() != readers) {
        return None;
    }
    let grand = table.iter().flatten().sum::<f64>() / (n * k);
    let square = |mean: f64| (mean - grand).powi(2);
    let total: f64 = table.iter().flatten().map(|v| square(*v)).sum();
    let cases: f64 = k * table.iter().map(|row| square(row.iter().sum::<f64>() / k)).sum::<f64>();
    let column = |j: usize| table.iter().map(|row| row[j]).sum::<f64>() / n;
    let of_readers: f64 = n * (0..readers).map(|j| square(column(j))).sum::<f64>();
    if total <= 0.0 {
        return None;
    }
    let between = cases / (n - 1.0);
    let within = (total - cases) / (n * (k - 1.0));
    let reader = of_readers / (k - 1.0);
    let rest = ((total - cases - of_readers) / ((n - 1.0) * (k - 1.0))).max(0.0);

    let one_way = (between - within) / (between + (k - 1.0) * within);
    let agreement = (between - rest) / (between + (k - 1.0) * rest + k * (reader - rest) / n);
    let consistency = (between - rest) / (between + (k - 1.0) * rest);
    let tail = (1.0 - level) / 2.0;
    // Limits of F = between/error give those of the form for one reading.
    let from_f = |error: f64, df2: f64| {
        let f = between / error;
        let lo = f / f_upper(tail, n - 1.0, df2);
        let hi = f * f_upper(tail, df2, n - 1.0);
        f.is_finite().then(|| [lo, hi].map(|f| (f - 1.0) / (f + k - 1.0)))
    };
    // McGraw and Wong's limits for agreement, with Satterthwaite's degrees of freedom.
    let of_agreement = || {
        let ratio = reader / rest;
        let spread = n * (1.0 + (k - 1.0) * agreement) - k * agreement;
        let df = (k - 1.0) * (n - 1.0) * (k * agreement * ratio + spread).powi(2)
            / ((n - 1.0) * (k * agreement * ratio).powi(2) + spread * spread);
        let (upper, lower) = (f_upper(tail, n - 1.0, df), f_upper(tail, df, n - 1.0));
        let scale = k * reader + (k * n - k - n) * rest;
        let lo = n * (between - upper * rest) / (upper * scale + n * between);
        let hi = n * (lower * between - rest) / (scale + n * lower * between);
        (df.is_finite() && lo.is_finite() && hi.is_finite()).then_some([lo, hi])
    };
    let of_mean = |single: f64| k * single / (1.0 + (k - 1.0) * single);
    let limits = [from_f(within, n * (k - 1.0)), of_agreement(), from_f(rest, (n - 1.0) * (k - 1.0))];
    let mean_agreement = (between - rest) / (between + (reader - rest) / n);
    let values = [
        one_way,
        agreement,
        consistency,
        (between - within) / between,
        mean_agreement,
        (between - rest) / between,
    ];
    let made = Form::ALL.into_iter().zip(values).enumerate().map(|(i, (form, value))| {
        let ends = limits[i % 3].map(|ends| if i < 3 { ends } else { ends.map(of_mean) });
        let interval = ends.map(|[lo, hi]| Interval { lo, hi, level, method: "F".to_owned() });
        Icc { form, value, interval }
    });
    Some(made.filter(|icc| icc.value.is_finite()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn equals_shrout_and_fleiss() {
        let table: Vec<Vec<f64>> = [
            [9.0, 2.0, 5.0, 8.0],
            [6.0, 1.0, 3.0, 2.0],
            [8.0, 4.0, 6.0, 8.0],
            [7.0, 1.0, 2.0, 6.0],
            [10.0, 5.0, 6.0, 9.0],
            [6.0, 2.0, 4.0, 7.0],
        ]
        .map(Vec::from)
        .to_vec();
        let got = icc(&table, 0.95).unwrap();
        let wanted = [0.165_742, 0.289_764, 0.714_841, 0.442_797, 0.620_051, 0.909_316];
        for (icc, want) in got.iter().zip(wanted) {
            assert!((icc.value - want).abs() < 5e-7, "{}: {}", icc.form.name(), icc.value);
        }
        // Intervals as pingouin and psych print them.
        let ends = [[-0.13, 0.72], [0.02, 0.76], [0.34, 0.95], [-0.88, 0.91], [0.07, 0.93], [0.68, 0.99]];
        for (icc, [lo, hi]) in got.iter().zip(ends) {
            let found = icc.interval.as_ref().unwrap();
            assert!((found.lo - lo).abs() < 0.006 && (found.hi - hi).abs() < 0.006, "{icc:?}");
        }
    }

    #[test]
    fn needs_two_of_each_and_some_spread() {
        assert_eq!(icc(&[vec![1.0, 2.0]], 0.95), None);
        assert_eq!(icc(&[vec![1.0], vec![2.0]], 0.95), None);
        assert_eq!(icc(&[vec![1.0, 1.0], vec![1.0, 1.0]], 0.95), None);
    }
}
