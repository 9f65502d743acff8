//! One model against a panel of readers who read the same cases (Hillis, Obuchowski and Berbaum 2011; Chakraborty 2017,
//! chapter 22): readers are a sample, the model is as it is.

use super::estimate::Estimate;
use super::obuchowski_rockette::around;
use loupe_eval::stats::special::{t_cdf, t_two_sided};
use loupe_eval::stats::{Interval, mean, variance};
use serde::Serialize;

/// The model's figure less the readers' mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelVsReaders {
    /// Figure of the model.
    pub model: f64,
    /// Mean figure of the readers.
    pub readers: f64,
    /// Number of readers.
    pub n_readers: usize,
    /// Model − readers.
    pub difference: f64,
    /// Its standard error.
    pub se: f64,
    /// Degrees of freedom; none when all readers differ alike from the model.
    pub df: Option<f64>,
    /// Two-sided interval of the difference.
    pub interval: Interval,
    /// Two-sided p of no difference.
    pub p: f64,
    /// The test of non-inferiority, where a margin was given.
    pub non_inferiority: Option<NonInferiority>,
    /// What has to be said of the estimates.
    pub notes: Vec<String>,
}

/// H₀: the model is worse than the mean reader by the margin or more.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NonInferiority {
    /// The margin, above 0, in units of the figure.
    pub margin: f64,
    /// Student's t of difference + margin.
    pub t: f64,
    /// One-sided p.
    pub p: f64,
    /// Does the lower end of the two-sided interval lie above −margin? At 95 % this is a one-sided test at 2.5 %.
    pub shown: bool,
}

/// Compares a model with readers; with d the differences, SE² = (var(d) + max(J·Cov2, 0))/J and
/// df = (J − 1)·(J·SE²/var(d))². `None` below two readers or when cases are not shared.
pub fn model_vs_readers(
    model: &Estimate,
    readers: &[&Estimate],
    margin: Option<f64>,
    level: f64,
) -> Option<ModelVsReaders> {
    let cases: Vec<usize> = model.units().collect();
    if readers.len() < 2 || readers.iter().any(|r| !r.units().eq(cases.iter().copied())) {
        return None;
    }
    let j = readers.len() as f64;
    let differences: Vec<Estimate> = readers.iter().map(|reader| model.minus(reader)).collect();
    let values: Vec<f64> = differences.iter().map(|d| d.value).collect();
    let (difference, ms) = (mean(&values)?, variance(&values)?);
    let pairs: Vec<f64> = differences
        .iter()
        .enumerate()
        .flat_map(|(k, a)| differences[k + 1..].iter().map(move |b| a.covariance(b)))
        .collect();
    let cov2 = mean(&pairs)?;
    let spread = ms + (j * cov2).max(0.0);
    let se = (spread / j).sqrt();
    let df = (ms > 0.0).then(|| (j - 1.0) * (spread / ms).powi(2));
    let freedom = df.unwrap_or(f64::INFINITY);
    let interval = around(difference, se, df, level);
    let mut notes = Vec::new();
    if cov2 < 0.0 {
        notes.push(format!(
            "the covariance of differences is negative ({cov2:.3e}) and was set to 0; the degrees of freedom are at their floor"
        ));
    }
    if readers.len() < 3 {
        notes.push("two readers are too few to speak of readers like these".to_owned());
    }
    let non_inferiority = margin.map(|margin| {
        let t = (difference + margin) / se;
        NonInferiority { margin, t, p: 1.0 - t_cdf(t, freedom), shown: interval.lo > -margin }
    });
    Some(ModelVsReaders {
        model: model.value,
        readers: model.value - difference,
        n_readers: readers.len(),
        difference,
        se,
        df,
        p: if se > 0.0 { t_two_sided(difference / se, freedom) } else { f64::from(difference == 0.0) },
        interval,
        non_inferiority,
        notes,
    })
}
