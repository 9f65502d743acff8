//! Many readers, many cases: the analysis of variance of Obuchowski and Rockette (1995) with the degrees of freedom of
//! Hillis (2007), for random or fixed readers and random or fixed cases.
//!
//! θ̂ᵢⱼ = μ + τᵢ + Rⱼ + (τR)ᵢⱼ + εᵢⱼ, where errors of the same reader with different tests have the covariance Cov1, those of
//! different readers with the same test Cov2, and with different tests Cov3. With d = Cov2 − Cov3 the
//! denominator of F for random readers and cases is MS(TR) + max(c·d, 0), c = J for J readers who share their cases. Where
//! groups of r readers have cases of their own, errors of different groups share nothing, and equating
//! expectations gives c = (r − 1)J/(J − 1) (r = J: the crossed design; r = 1: none), as Obuchowski, Gallas and Hillis (2012)
//! and Hillis (2014) find for split-plot designs.

use super::design::{Cells, Design, DesignError, design};
use super::estimate::Estimate;
use loupe_eval::stats::Interval;
use loupe_eval::stats::special::{f_sf, t_quantile, t_two_sided};
use serde::Serialize;

/// What the result is to hold for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Inference {
    /// For readers and cases like these.
    RandomReadersRandomCases,
    /// For these readers, and cases like these.
    FixedReadersRandomCases,
    /// For readers like these, and these cases.
    RandomReadersFixedCases,
}

/// Mean squares and covariances.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Components {
    /// Tests.
    pub tests: usize,
    /// Readers of a test.
    pub readers: usize,
    /// Readers who share their cases.
    pub readers_sharing: usize,
    /// Are readers nested in tests?
    pub nested_readers: bool,
    /// Mean square of tests.
    pub ms_test: f64,
    /// Mean square of tests by readers, or of readers within tests where these are nested.
    pub ms_test_reader: f64,
    /// Variance of an error.
    pub variance: f64,
    /// Covariance of the errors of one reader with two tests.
    pub cov1: f64,
    /// Of two readers with one test.
    pub cov2: f64,
    /// Of two readers with two tests.
    pub cov3: f64,
    /// Estimated variance of tests by readers, negative values kept.
    pub variance_test_reader: f64,
}

/// Mean of a test over its readers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestMean {
    /// Number of the test.
    pub test: usize,
    /// Its mean.
    pub value: f64,
    /// Standard error, and its degrees of freedom (none: infinite).
    pub se: f64,
    /// Degrees of freedom.
    pub df: Option<f64>,
    /// Interval.
    pub interval: Interval,
}

/// Difference of two tests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Number of the first test.
    pub first: usize,
    /// Number of the second.
    pub second: usize,
    /// First − second.
    pub value: f64,
    /// Its standard error.
    pub se: f64,
    /// Degrees of freedom (none: infinite).
    pub df: Option<f64>,
    /// Student's t, or z.
    pub t: f64,
    /// Two-sided p.
    pub p: f64,
    /// Interval.
    pub interval: Interval,
}

/// A test of whether all tests are alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overall {
    /// What it holds for.
    pub inference: Inference,
    /// F (with fixed readers χ² by its degrees of freedom).
    pub f: f64,
    /// Degrees of freedom of the numerator.
    pub df1: f64,
    /// Of the denominator (none: infinite).
    pub df2: Option<f64>,
    /// p.
    pub p: f64,
    /// Each test.
    pub means: Vec<TestMean>,
    /// Each pair of tests.
    pub differences: Vec<Difference>,
    /// What a reader has to know: negative estimates that were set to 0, degrees of freedom at their floor.
    pub notes: Vec<String>,
}

/// The analysis of a study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Analysis {
    /// Its design.
    pub design: Design,
    /// Figures of each test (outer) and reader (inner).
    pub values: Vec<Vec<Option<f64>>>,
    /// Mean squares and covariances.
    pub components: Components,
    /// Result for each inference that the design allows.
    pub results: Vec<Overall>,
    /// Difference of the first two tests for each reader, whose error is over cases alone (crossed designs).
    pub by_reader: Vec<Difference>,
}

impl Analysis {
    /// The result for that inference.
    pub fn result(&self, inference: Inference) -> Option<&Overall> {
        self.results.iter().find(|r| r.inference == inference)
    }
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut n) = (0.0, 0_u32);
    for value in values {
        sum += value;
        n += 1;
    }
    if n == 0 { 0.0 } else { sum / f64::from(n) }
}

fn square_deviations(values: impl IntoIterator<Item = f64> + Clone) -> f64 {
    let centre = mean(values.clone());
    values.into_iter().map(|v| (v - centre) * (v - centre)).sum()
}

/// The figures with their numbers.
struct Figures<'a> {
    cells: Vec<(usize, usize, &'a Estimate)>,
    tests: usize,
    readers: usize,
    design: Design,
}

impl Figures<'_> {
    /// Mean covariance of pairs of cells of which `pick` (same test, same reader) is true.
    fn covariance(&self, pick: impl Fn(bool, bool) -> bool) -> f64 {
        let mut found = Vec::new();
        for (i, (t, r, a)) in self.cells.iter().enumerate() {
            for (u, s, b) in &self.cells[i + 1..] {
                let within = r == s
                    || matches!(self.design, Design::CasesNestedInTests)
                    || a.units().next() == b.units().next();
                if within && pick(t == u, r == s) {
                    found.push(a.covariance(b));
                }
            }
        }
        mean(found)
    }

    fn of_test(&self, test: usize) -> Vec<&Estimate> {
        self.cells.iter().filter(|(t, ..)| *t == test).map(|(.., e)| *e).collect()
    }

    fn components(&self) -> Components {
        let nested_readers = self.design == Design::ReadersNestedInTests;
        let per_test = if nested_readers { self.readers / self.tests } else { self.readers };
        let (i, j) = (self.tests as f64, per_test as f64);
        let values = |test: usize| self.of_test(test).into_iter().map(|e| e.value).collect::<Vec<f64>>();
        let means: Vec<f64> = (0..self.tests).map(|t| mean(values(t))).collect();
        let ms_test = j * square_deviations(means.iter().copied()) / (i - 1.0);
        let ms_test_reader = if nested_readers {
            (0..self.tests).map(|t| square_deviations(values(t))).sum::<f64>() / (i * (j - 1.0))
        } else {
            let grand = mean(means.iter().copied());
            let of_reader: Vec<f64> = (0..self.readers)
                .map(|r| mean(self.cells.iter().filter(|(_, s, _)| *s == r).map(|(.., e)| e.value)))
                .collect();
            let rest =
                self.cells.iter().map(|(t, r, e)| (e.value - means[*t] - of_reader[*r] + grand).powi(2));
            rest.sum::<f64>() / ((i - 1.0) * (j - 1.0))
        };
        let variance = mean(self.cells.iter().map(|(.., e)| e.variance()));
        let cov1 = self.covariance(|test, reader| !test && reader);
        let cov2 = self.covariance(|test, reader| test && !reader);
        let cov3 = self.covariance(|test, reader| !test && !reader);
        let readers_sharing = match self.design {
            Design::SplitPlot { groups } => self.readers / groups,
            _ => per_test,
        };
        // Pairs of readers of different groups have covariances of 0.
        let (r, d) = (readers_sharing as f64, cov2 - cov3);
        let pairs = if nested_readers { cov2 } else { (r - 1.0) / (j - 1.0) * d };
        let own = if nested_readers { variance } else { variance - cov1 };
        Components {
            tests: self.tests,
            readers: per_test,
            readers_sharing,
            nested_readers,
            ms_test,
            ms_test_reader,
            variance,
            cov1,
            cov2,
            cov3,
            variance_test_reader: ms_test_reader - own + pairs,
        }
    }
}

/// The mean of one test over its readers, from their figures alone: the standard error has readers' mean square and J
/// times the mean covariance of two readers, 0 for readers who share no case (Hillis 2007, “single-test” interval).
/// `None` below two readers.
pub fn single_test(test: usize, own: &[&Estimate], inference: Inference, level: f64) -> Option<TestMean> {
    if own.len() < 2 {
        return None;
    }
    let j = own.len() as f64;
    let values = own.iter().map(|e| e.value);
    let ms = square_deviations(values.clone()) / (j - 1.0);
    let pairs = own.iter().enumerate().flat_map(|(k, a)| own[k + 1..].iter().map(move |b| a.covariance(b)));
    let cov2 = mean(pairs).max(0.0);
    let (spread, df) = match inference {
        Inference::RandomReadersRandomCases => {
            let spread = ms + j * cov2;
            (spread, (ms > 0.0).then(|| (j - 1.0) * (spread / ms).powi(2)))
        }
        Inference::FixedReadersRandomCases => {
            (mean(own.iter().map(|e| e.variance())) + (j - 1.0) * cov2, None)
        }
        Inference::RandomReadersFixedCases => (ms, Some(j - 1.0)),
    };
    let (value, se) = (mean(values), (spread / j).sqrt());
    Some(TestMean { test, value, se, df, interval: around(value, se, df, level) })
}

/// `value` with its interval by Student's t, or by the normal distribution without degrees of freedom.
pub(crate) fn around(value: f64, se: f64, df: Option<f64>, level: f64) -> Interval {
    let half = t_quantile(0.5 + level / 2.0, df.unwrap_or(f64::INFINITY)) * se;
    let method = if df.is_some() { "t" } else { "normal" };
    Interval { lo: value - half, hi: value + half, level, method: method.to_owned() }
}

impl Components {
    /// How often Cov2 − Cov3 is added to MS(TR).
    fn inflation(&self) -> f64 {
        let (r, j) = (self.readers_sharing as f64, self.readers as f64);
        (r - 1.0) * j / (j - 1.0)
    }

    /// Denominator of F and its degrees of freedom for the inference.
    pub fn denominator(&self, inference: Inference) -> (f64, Option<f64>) {
        let (i, j) = (self.tests as f64, self.readers as f64);
        let d = (self.cov2 - self.cov3).max(0.0);
        let ms_df = if self.nested_readers { i * (j - 1.0) } else { (i - 1.0) * (j - 1.0) };
        match inference {
            Inference::RandomReadersRandomCases => {
                let denominator = self.ms_test_reader + (self.inflation() * d).max(0.0);
                let df = ms_df * (denominator / self.ms_test_reader).powi(2);
                (denominator, df.is_finite().then_some(df))
            }
            Inference::FixedReadersRandomCases => {
                (self.variance - self.cov1 + (self.readers_sharing as f64 - 1.0) * d, None)
            }
            Inference::RandomReadersFixedCases => (self.ms_test_reader, Some(ms_df)),
        }
    }

    /// F = MS(T)/denominator with its degrees of freedom and p.
    pub fn overall(&self, inference: Inference) -> (f64, f64, Option<f64>, f64) {
        let (denominator, df2) = self.denominator(inference);
        let (f, df1) = (self.ms_test / denominator, self.tests as f64 - 1.0);
        let p = if f.is_nan() { 1.0 } else { f_sf(f, df1, df2.unwrap_or(f64::INFINITY)) };
        (f, df1, df2, p)
    }

    /// The difference `value` of two tests; its variance is 2·denominator/J.
    pub fn difference(&self, value: f64, inference: Inference, level: f64) -> Difference {
        let (denominator, df) = self.denominator(inference);
        let se = (2.0 * denominator.max(0.0) / self.readers as f64).sqrt();
        contrast((0, 1), value, se, df, level)
    }

    /// What has to be said of the estimates.
    fn notes(&self, inference: Inference) -> Vec<String> {
        let mut notes = Vec::new();
        let d = self.cov2 - self.cov3;
        if d < 0.0 && self.readers_sharing > 1 {
            notes.push(format!("Cov2 − Cov3 is negative ({d:.3e}) and was set to 0"));
        }
        if inference == Inference::RandomReadersRandomCases {
            if self.variance_test_reader < 0.0 {
                notes.push(format!(
                    "the estimated variance of tests by readers is negative ({:.3e}); the denominator of F does not use it",
                    self.variance_test_reader
                ));
            }
            if d <= 0.0 || self.readers_sharing == 1 {
                notes.push("the degrees of freedom are at their floor, those of MS(TR)".to_owned());
            }
        }
        if inference != Inference::FixedReadersRandomCases && self.ms_test_reader <= 0.0 {
            notes.push("all readers differ alike between the tests: MS(TR) is 0".to_owned());
        }
        notes
    }
}

fn contrast(tests: (usize, usize), value: f64, se: f64, df: Option<f64>, level: f64) -> Difference {
    let t = if se > 0.0 { value / se } else { 0.0 };
    let p = match (se > 0.0, value == 0.0) {
        (true, _) => t_two_sided(t, df.unwrap_or(f64::INFINITY)),
        (false, true) => 1.0,
        (false, false) => 0.0,
    };
    let (first, second) = tests;
    Difference { first, second, value, se, df, t, p, interval: around(value, se, df, level) }
}

/// Analyses the figures of every test (outer) and reader (inner).
///
/// # Errors
/// Below two tests or readers and for designs that are not balanced; see [`design`].
pub fn analyse(cells: &Cells, level: f64) -> Result<Analysis, DesignError> {
    let found = design(cells)?;
    let all = cells.iter().enumerate().flat_map(|(t, row)| {
        row.iter().enumerate().filter_map(move |(r, cell)| Some((t, r, cell.as_ref()?)))
    });
    let figures =
        Figures { cells: all.collect(), tests: cells.len(), readers: cells[0].len(), design: found };
    let components = figures.components();
    let mut inferences = vec![Inference::RandomReadersRandomCases, Inference::FixedReadersRandomCases];
    inferences.push(Inference::RandomReadersFixedCases);
    // Readers of one test cannot be the same as those of another; these cases are not those of another.
    match found {
        Design::ReadersNestedInTests => inferences.retain(|i| *i != Inference::FixedReadersRandomCases),
        Design::CasesNestedInTests => inferences.retain(|i| *i != Inference::RandomReadersFixedCases),
        _ => {}
    }
    let results = inferences.into_iter().map(|inference| {
        let (f, df1, df2, p) = components.overall(inference);
        let means: Vec<TestMean> = (0..figures.tests)
            .filter_map(|t| single_test(t, &figures.of_test(t), inference, level))
            .collect();
        let mut differences = Vec::new();
        for a in 0..figures.tests {
            for b in a + 1..figures.tests {
                let made = components.difference(means[a].value - means[b].value, inference, level);
                differences.push(Difference { first: a, second: b, ..made });
            }
        }
        Overall { inference, f, df1, df2, p, means, differences, notes: components.notes(inference) }
    });
    let by_reader = (0..figures.readers).filter_map(|r| {
        let (a, b) = (cells[0][r].as_ref()?, cells[1][r].as_ref()?);
        let difference = a.minus(b);
        Some(contrast((0, 1), difference.value, difference.variance().max(0.0).sqrt(), None, level))
    });
    Ok(Analysis {
        design: found,
        values: cells.iter().map(|row| row.iter().map(|c| c.as_ref().map(|c| c.value)).collect()).collect(),
        results: results.collect(),
        by_reader: by_reader.collect(),
        components,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Components published for the Van Dyke study (2 tests, 5 readers, 114 cases) in the documents of MRMCaov.
    fn van_dyke() -> Components {
        Components {
            tests: 2,
            readers: 5,
            readers_sharing: 5,
            nested_readers: false,
            ms_test: 0.004_796_171,
            ms_test_reader: 0.000_551_030_6,
            variance: 7.921_325e-4,
            cov1: 3.420_090e-4,
            cov2: 3.395_265e-4,
            cov3: 2.358_497e-4,
            variance_test_reader: 0.0,
        }
    }

    #[track_caller]
    fn near(got: f64, want: f64, digits: f64) {
        assert!((got / want - 1.0).abs() < digits, "got {got}, want {want}");
    }

    #[test]
    fn equals_the_published_analysis_of_van_dyke() {
        let c = van_dyke();
        let (f, df1, df2, p) = c.overall(Inference::RandomReadersRandomCases);
        assert_eq!(df1, 1.0);
        // The published covariances have seven digits.
        near(f, 4.484_854, 1e-6);
        near(df2.unwrap(), 15.066_11, 1e-6);
        near(p, 0.051_233_03, 2e-6);
        let d = c.difference(0.897_037_0 - 0.940_837_4, Inference::RandomReadersRandomCases, 0.95);
        near(d.value, -0.043_800_32, 5e-6);
        near(d.se, 0.020_682_5, 5e-6);
        near(d.interval.lo, -0.087_867_196_0, 5e-6);
        assert!((d.interval.hi - 0.000_266_551_9).abs() < 5e-7);
        near(d.p, p, 1e-5);
    }
}
