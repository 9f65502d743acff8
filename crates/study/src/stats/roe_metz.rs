//! Simulated reader studies, for which it is known what is true: the model of Roe and Metz (1997).
//!
//! A rating is μₜ·truth + R + C + τR + τC + RC + ε, normal effects of reader, case, test by reader, test by case, reader by
//! case and error; effects of readers are drawn anew for cases with and without disease.

use super::design::{Design, DesignError};
use super::estimate::{ErrorMethod, Estimate, Unit};
use super::obuchowski_rockette::{Inference, analyse};
use super::roc;
use loupe_eval::stats::numpy_rng::NumpyRng;

/// Variances of the effects, and how far cases with disease lie above those without.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoeMetz {
    /// Distance of the means.
    pub separation: f64,
    /// Readers.
    pub reader: f64,
    /// Tests by readers.
    pub test_reader: f64,
    /// Cases.
    pub case: f64,
    /// Tests by cases.
    pub test_case: f64,
    /// Readers by cases.
    pub reader_case: f64,
    /// What is left.
    pub error: f64,
}

/// High correlation of ratings by cases, little variance of readers, mean AUC 0.855 (Hillis 2018, table 2: “HL”).
pub const HIGH_CASES_LOW_READERS: RoeMetz = RoeMetz {
    separation: 1.5,
    reader: 0.0082,
    test_reader: 0.0082,
    case: 0.3,
    test_case: 0.3,
    reader_case: 0.2,
    error: 0.2,
};

/// Low correlation by cases, little variance of readers (“LL”).
pub const LOW_CASES_LOW_READERS: RoeMetz =
    RoeMetz { case: 0.1, test_case: 0.1, error: 0.6, ..HIGH_CASES_LOW_READERS };

/// High correlation by cases, much variance of readers (“HH”).
pub const HIGH_CASES_HIGH_READERS: RoeMetz =
    RoeMetz { reader: 0.0447, test_reader: 0.0447, ..HIGH_CASES_LOW_READERS };

/// Low correlation by cases, much variance of readers (“LH”).
pub const LOW_CASES_HIGH_READERS: RoeMetz =
    RoeMetz { reader: 0.0447, test_reader: 0.0447, ..LOW_CASES_LOW_READERS };

/// Normal deviates (Box and Muller 1958).
#[derive(Debug, Clone)]
pub struct Normals(NumpyRng);

impl Normals {
    /// Deviates of a seed.
    pub fn new(seed: u32) -> Self {
        Self(NumpyRng::new(seed))
    }

    /// One of that variance.
    pub fn draw(&mut self, variance: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.0.unit()).ln()).sqrt();
        variance.sqrt() * radius * (2.0 * std::f64::consts::PI * self.0.unit()).cos()
    }
}

/// Ratings of two tests by a number of readers.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// By test and reader: ratings of the cases without and with disease.
    pub ratings: [Vec<[Vec<f64>; 2]>; 2],
}

impl RoeMetz {
    /// A fully crossed study without a difference between its two tests.
    pub fn simulate(
        &self,
        readers: usize,
        negative: usize,
        positive: usize,
        normals: &mut Normals,
    ) -> Simulated {
        let mut ratings: [Vec<[Vec<f64>; 2]>; 2] = Default::default();
        for of_test in &mut ratings {
            of_test.resize(readers, Default::default());
        }
        for (truth, n) in [negative, positive].into_iter().enumerate() {
            let case: Vec<f64> = (0..n).map(|_| normals.draw(self.case)).collect();
            let test_case: Vec<Vec<f64>> =
                (0..2).map(|_| (0..n).map(|_| normals.draw(self.test_case)).collect()).collect();
            for reader in 0..readers {
                let of_reader = normals.draw(self.reader);
                let reader_case: Vec<f64> = (0..n).map(|_| normals.draw(self.reader_case)).collect();
                for (test, of_test) in ratings.iter_mut().enumerate() {
                    let level = self.separation * truth as f64 + of_reader + normals.draw(self.test_reader);
                    let rating = |c: usize| {
                        level + case[c] + test_case[test][c] + reader_case[c] + normals.draw(self.error)
                    };
                    of_test[reader][truth] = (0..n).map(rating).collect();
                }
            }
        }
        Simulated { ratings }
    }

    /// Share of `studies` simulated studies without a difference in which p of AUC falls below `alpha`. Each reader reads `size` cases
    /// without and with disease in each test; where readers are nested in tests, each test has `readers` of them.
    ///
    /// # Errors
    /// Below two readers, and where the groups of a split plot are not of one size.
    pub fn type_one_error(
        &self,
        studies: usize,
        (readers, size): (usize, [usize; 2]),
        design: Design,
        inference: Inference,
        alpha: f64,
        seed: u32,
    ) -> Result<f64, DesignError> {
        let mut normals = Normals::new(seed);
        let (groups, tests) = match design {
            Design::FullyCrossed => (1, 1),
            Design::SplitPlot { groups } => (groups, 1),
            Design::CasesNestedInTests => (2, 1),
            Design::ReadersNestedInTests => (1, 2),
        };
        let [negative, positive] = size.map(|n| n * groups);
        let mut found = 0.0;
        for _ in 0..studies {
            let study = self.simulate(readers * tests, negative, positive, &mut normals);
            let analysis = analyse(&study.areas(design), 0.95)?;
            found += f64::from(analysis.result(inference).is_some_and(|result| result.p < alpha));
        }
        Ok(found / studies as f64)
    }
}

impl Simulated {
    /// Areas under the ROC curves by test and reader, of the readings that the design has: groups of readers and of cases take turns.
    pub fn areas(&self, design: Design) -> Vec<Vec<Option<Estimate>>> {
        let reads = |test: usize, reader: usize, case: usize| match design {
            Design::FullyCrossed => true,
            Design::SplitPlot { groups } => case % groups == reader % groups,
            Design::CasesNestedInTests => case % 2 == test,
            Design::ReadersNestedInTests => reader % 2 == test,
        };
        let area = |test: usize, reader: usize, [negative, positive]: &[Vec<f64>; 2]| {
            let units = |from: usize, values: &[f64]| -> Vec<Unit<f64>> {
                let all = values.iter().enumerate().filter(|(case, _)| reads(test, reader, *case));
                all.map(|(case, &value)| Unit { unit: from + case, value }).collect()
            };
            roc::area(&units(0, negative), &units(negative.len(), positive), ErrorMethod::DeLong)
        };
        let of = |(test, readers): (usize, &Vec<[Vec<f64>; 2]>)| {
            readers.iter().enumerate().map(|(reader, ratings)| area(test, reader, ratings)).collect()
        };
        self.ratings.iter().enumerate().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// 600 studies of a fixed seed: the error of a share is 0.9 %.
    #[test]
    fn five_readers_err_as_often_as_the_level_says() {
        let random = Inference::RandomReadersRandomCases;
        let share = HIGH_CASES_LOW_READERS
            .type_one_error(600, (5, [40, 40]), Design::FullyCrossed, random, 0.05, 1)
            .unwrap();
        assert!((0.03..=0.07).contains(&share), "{share}");
    }

    #[test]
    fn designs_are_those_that_are_asked_for() {
        let study = LOW_CASES_HIGH_READERS.simulate(4, 8, 8, &mut Normals::new(3));
        for design in [
            Design::FullyCrossed,
            Design::SplitPlot { groups: 2 },
            Design::CasesNestedInTests,
            Design::ReadersNestedInTests,
        ] {
            assert_eq!(analyse(&study.areas(design), 0.95).unwrap().design, design);
        }
    }

    #[test]
    fn a_seed_is_a_study() {
        let draw = |seed| LOW_CASES_HIGH_READERS.simulate(3, 4, 5, &mut Normals::new(seed));
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_eq!(draw(7).ratings[1][2][1].len(), 5);
    }
}
