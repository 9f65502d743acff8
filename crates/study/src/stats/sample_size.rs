//! How many readers and cases a study needs, from the components of a pilot study (Hillis, Obuchowski and Berbaum 2011).

use super::obuchowski_rockette::{Components, Inference};
use loupe_eval::stats::special::{f_upper, noncentral_f_sf};
use serde::Serialize;

/// Components of a pilot with two tests that its readers and cases crossed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pilot {
    /// Cases of the pilot.
    pub cases: f64,
    /// Variance of tests by readers; negative estimates count as 0.
    pub variance_test_reader: f64,
    /// Variance of an error.
    pub variance: f64,
    /// Covariances as in [`Components`].
    pub cov1: f64,
    /// Of two readers with one test.
    pub cov2: f64,
    /// Of two readers with two tests.
    pub cov3: f64,
}

impl Pilot {
    /// The components of an analysis of `cases` cases.
    pub fn of(components: &Components, cases: usize) -> Self {
        Self {
            cases: cases as f64,
            variance_test_reader: components.variance_test_reader,
            variance: components.variance,
            cov1: components.cov1,
            cov2: components.cov2,
            cov3: components.cov3,
        }
    }

    /// Power to find a true difference of two tests with `readers` readers and `cases` cases in the pilot's mix, at the
    /// two-sided level `alpha`. Covariances shrink in proportion to the cases.
    pub fn power(
        &self,
        difference: f64,
        readers: usize,
        cases: usize,
        inference: Inference,
        alpha: f64,
    ) -> f64 {
        let j = readers as f64;
        let ratio = self.cases / cases as f64;
        let d = (self.cov2 - self.cov3).max(0.0);
        let of_readers = self.variance_test_reader.max(0.0);
        let own = self.variance - self.cov1;
        let mean_square = of_readers + ratio * (own - d);
        let (denominator, df2) = match inference {
            Inference::RandomReadersRandomCases => {
                let denominator = of_readers + ratio * (own + (j - 1.0) * d);
                (denominator, (j - 1.0) * (denominator / mean_square).powi(2))
            }
            Inference::FixedReadersRandomCases => (ratio * (own + (j - 1.0) * d), f64::INFINITY),
            Inference::RandomReadersFixedCases => (mean_square, j - 1.0),
        };
        if denominator <= 0.0 || df2 <= 0.0 {
            return if difference == 0.0 { alpha } else { 1.0 };
        }
        let noncentrality = j * difference * difference / (2.0 * denominator);
        noncentral_f_sf(f_upper(alpha, 1.0, df2), 1.0, df2, noncentrality)
    }

    /// Fewest cases that reach `power` with `readers` readers; `None` when not even `most` cases do.
    pub fn cases_needed(
        &self,
        difference: f64,
        readers: usize,
        power: f64,
        inference: Inference,
        alpha: f64,
        most: usize,
    ) -> Option<usize> {
        let enough = |cases: usize| self.power(difference, readers, cases, inference, alpha) >= power;
        if readers < 2 || !enough(most) {
            return None;
        }
        // Power grows with the cases.
        let (mut too_few, mut reached) = (1, most);
        while reached - too_few > 1 {
            let middle = too_few + (reached - too_few) / 2;
            if enough(middle) { reached = middle } else { too_few = middle }
        }
        Some(reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Jackknife components of the Van Dyke study, as the Iowa program OR-DBM prints them.
    const VAN_DYKE: Pilot = Pilot {
        cases: 114.0,
        variance_test_reader: 0.000_200_40,
        variance: 0.000_802_29,
        cov1: 0.000_346_61,
        cov2: 0.000_344_07,
        cov3: 0.000_239_03,
    };
    const DIFFERENCE: f64 = 0.043_800_322;

    #[test]
    fn equals_rjafroc() {
        let power = |cases, inference| VAN_DYKE.power(DIFFERENCE, 10, cases, inference, 0.05);
        // The components are printed to five digits.
        assert!((power(165, Inference::RandomReadersRandomCases) - 0.805_419_95).abs() < 2e-5);
        assert!((power(131, Inference::FixedReadersRandomCases) - 0.800_918_13).abs() < 2e-5);
        assert!((power(53, Inference::RandomReadersFixedCases) - 0.804_966_63).abs() < 2e-5);
    }

    #[test]
    fn the_cases_needed_are_the_fewest() {
        let needed = VAN_DYKE
            .cases_needed(DIFFERENCE, 10, 0.8, Inference::RandomReadersRandomCases, 0.05, 100_000)
            .unwrap_or(0);
        let power = |cases| VAN_DYKE.power(DIFFERENCE, 10, cases, Inference::RandomReadersRandomCases, 0.05);
        assert!(power(needed) >= 0.8 && power(needed - 1) < 0.8, "{needed}");
        let hopeless =
            VAN_DYKE.cases_needed(0.01, 2, 0.8, Inference::RandomReadersRandomCases, 0.05, 100_000);
        assert_eq!(hopeless, None);
    }

    #[test]
    fn no_difference_is_found_as_often_as_the_level_says() {
        let got = VAN_DYKE.power(0.0, 8, 200, Inference::RandomReadersRandomCases, 0.05);
        assert!((got - 0.05).abs() < 1e-10, "{got}");
    }
}
