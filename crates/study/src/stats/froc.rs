//! Marks and lesions: FROC curves, the weighted AFROC figure, and the area under the ROC of the highest rating.
//!
//! A mark that localises a lesion is a lesion localisation (LL), any other a non-lesion localisation (NL). What was not
//! marked has the rating −∞ (Chakraborty 2017).

use super::estimate::{ErrorMethod, Estimate, Unit};
use super::roc::wins;
use serde::Serialize;

/// Marks on a case without disease: the highest rating, −∞ without marks.
pub type NegativeCase = f64;

/// Marks on a case with disease.
#[derive(Debug, Clone, PartialEq)]
pub struct PositiveCase {
    /// Each lesion: its weight (all add to 1) and the highest rating of the marks on it, −∞ without.
    pub lesions: Vec<(f64, f64)>,
    /// Ratings of the marks that are on no lesion.
    pub elsewhere: Vec<f64>,
}

impl PositiveCase {
    fn highest(&self) -> f64 {
        let all = self.lesions.iter().map(|(_, rating)| *rating).chain(self.elsewhere.iter().copied());
        all.fold(f64::NEG_INFINITY, f64::max)
    }
}

/// Weighted AFROC: mean over pairs of a case without and one with disease of Σ weight·ψ(highest NL, LL), ψ as for
/// an ROC (RJafroc's `wAFROC`; NL marks on cases with disease do not count).
pub fn wafroc(negative: &[Unit<NegativeCase>], positive: &[Unit<PositiveCase>]) -> Option<Estimate> {
    Estimate::two_sample(negative, positive, ErrorMethod::Jackknife, |highest, case| {
        case.lesions.iter().map(|(weight, rating)| weight * wins(*highest, *rating)).sum()
    })
}

/// Area under the ROC when each case has the rating of its highest mark, wherever that is (RJafroc's `HrAuc`).
pub fn highest_rating_area(
    negative: &[Unit<NegativeCase>],
    positive: &[Unit<PositiveCase>],
) -> Option<Estimate> {
    Estimate::two_sample(negative, positive, ErrorMethod::Jackknife, |highest, case| {
        wins(*highest, case.highest())
    })
}

/// A point of an FROC curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FrocPoint {
    /// Non-lesion localisations a case, over all cases.
    pub nl_per_case: f64,
    /// Share of lesions localised.
    pub ll_fraction: f64,
}

/// The empirical FROC curve from the ratings of all NL marks, the highest rating of each lesion and the number of cases: one
/// point for each rating, highest first, begun at the origin.
pub fn curve(elsewhere: &[f64], lesions: &[f64], cases: usize) -> Vec<FrocPoint> {
    let mut marks: Vec<(f64, bool)> = elsewhere.iter().map(|r| (*r, false)).collect();
    marks.extend(lesions.iter().filter(|r| r.is_finite()).map(|r| (*r, true)));
    marks.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut nl, mut ll) = (0.0, 0.0);
    let mut points = vec![FrocPoint { nl_per_case: 0.0, ll_fraction: 0.0 }];
    for tied in marks.chunk_by(|a, b| a.0 == b.0) {
        let hits = tied.iter().filter(|(_, hit)| *hit).count() as f64;
        ll += hits;
        nl += tied.len() as f64 - hits;
        points.push(FrocPoint {
            nl_per_case: nl / cases.max(1) as f64,
            ll_fraction: ll / lesions.len().max(1) as f64,
        });
    }
    points
}

/// False marks a case at which the LUNA16 challenge reads the sensitivity.
pub const OPERATING_POINTS: [f64; 7] = [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0];

/// Highest share of lesions localised with at most that many false marks a case.
pub fn sensitivity_at(curve: &[FrocPoint], nl_per_case: f64) -> f64 {
    curve.iter().filter(|p| p.nl_per_case <= nl_per_case).map(|p| p.ll_fraction).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NONE: f64 = f64::NEG_INFINITY;

    fn case(unit: usize, lesions: &[(f64, f64)], elsewhere: &[f64]) -> Unit<PositiveCase> {
        Unit { unit, value: PositiveCase { lesions: lesions.to_vec(), elsewhere: elsewhere.to_vec() } }
    }

    fn study() -> (Vec<Unit<NegativeCase>>, Vec<Unit<PositiveCase>>) {
        let negative = [NONE, 2.0, 4.0].into_iter().enumerate().map(|(unit, value)| Unit { unit, value });
        let positive = [
            case(3, &[(0.5, 3.0), (0.5, NONE)], &[5.0]),
            case(4, &[(1.0, 4.0)], &[]),
            case(5, &[(0.25, NONE), (0.75, NONE)], &[]),
        ];
        (negative.collect(), positive.to_vec())
    }

    #[test]
    fn figures_are_those_counted_by_hand() {
        let (negative, positive) = study();
        // Lesions of case 3: 0.5·(1 + 1 + 0) + 0.5·(½ + 0 + 0); case 4: 1 + 1 + ½; case 5: ½ for the unmarked negative.
        let want = (0.5 * 2.0 + 0.5 * 0.5 + 2.5 + 0.5) / 9.0;
        assert!((wafroc(&negative, &positive).unwrap().value - want).abs() < 1e-12);
        // Highest ratings 5, 4 and none.
        let want = (3.0 + 2.5 + 0.5) / 9.0;
        assert!((highest_rating_area(&negative, &positive).unwrap().value - want).abs() < 1e-12);
    }

    #[test]
    fn the_curve_counts_lesions_and_false_marks() {
        let points = curve(&[2.0, 4.0, 5.0], &[3.0, NONE, 4.0, NONE, NONE], 6);
        let pairs: Vec<(f64, f64)> = points.iter().map(|p| (p.nl_per_case * 6.0, p.ll_fraction)).collect();
        assert_eq!(pairs, [(0.0, 0.0), (1.0, 0.0), (2.0, 0.2), (2.0, 0.4), (3.0, 0.4)]);
        assert_eq!(sensitivity_at(&points, 0.25), 0.0);
        assert_eq!(sensitivity_at(&points, 0.5), 0.4);
    }
}
