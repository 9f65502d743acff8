//! Statistics for evaluation: intervals, clustered errors, paired comparisons, power, rollouts, calibration.
//!
//! Every formula names its source; goldens are held to 1e-9.

pub mod agreement;
pub mod bootstrap;
pub mod calibration;
pub mod cluster;
pub mod interval;
pub mod multiple;
pub mod numpy_rng;
pub mod paired;
pub mod power;
pub mod rollouts;
pub mod special;

pub use cluster::Clusters;
pub use interval::Interval;

/// Arithmetic mean; `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Variance with the divisor n − 1; `None` below two values.
pub fn variance(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    (values.len() > 1)
        .then(|| values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (values.len() - 1) as f64)
}
