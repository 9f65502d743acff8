//! Errors of counts.

use super::entry::Entry;

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::typed("count_mae", "mean absolute error over answers that hold a number", "count", false),
    Entry::typed("count_mse", "mean squared error over answers that hold a number", "count squared", false),
    Entry::typed(
        "count_mae_zero",
        "an answer without a number counts as 0 (PointDetectCount)",
        "count",
        false,
    ),
    Entry::typed(
        "count_mse_zero",
        "an answer without a number counts as 0 (PointDetectCount)",
        "count squared",
        false,
    ),
];

/// Mean absolute and mean squared error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CountError {
    /// Pairs that went in.
    pub n: usize,
    /// Pairs without a number, left out.
    pub unread: usize,
    /// Mean absolute error.
    pub mae: f64,
    /// Mean squared error.
    pub mse: f64,
}

/// Errors over `(wanted, given)`; `None` when no answer holds a number. With `unread_as_zero`, an
/// answer without a number is the answer 0.
pub fn errors(pairs: &[(f64, Option<f64>)], unread_as_zero: bool) -> Option<CountError> {
    let read: Vec<f64> = pairs
        .iter()
        .filter_map(|(wanted, given)| Some(given.or(unread_as_zero.then_some(0.0))? - wanted))
        .filter(|d| d.is_finite())
        .collect();
    let n = read.len();
    (n > 0).then(|| CountError {
        n,
        unread: pairs.len() - n,
        mae: read.iter().map(|d| d.abs()).sum::<f64>() / n as f64,
        mse: read.iter().map(|d| d * d).sum::<f64>() / n as f64,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::errors;

    #[test]
    fn an_unread_count_is_left_out_or_zero_by_name() {
        let pairs = [(3.0, Some(5.0)), (4.0, None)];
        let left_out = errors(&pairs, false).unwrap();
        assert_eq!((left_out.n, left_out.unread, left_out.mae, left_out.mse), (1, 1, 2.0, 4.0));
        assert_eq!(errors(&pairs, true).unwrap().mse, 10.0);
        assert!(errors(&[(1.0, None)], false).is_none());
    }
}
