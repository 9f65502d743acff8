//! What is asked of an analysis.

use crate::error::StudyError;
use serde::Serialize;

/// What is to be compared, and how surely.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Options {
    /// Name of the arm that others are compared with; the first of the file where none is given.
    pub baseline: Option<String>,
    /// Code of the reader that is a model: compared with the others and not counted among them.
    pub model: Option<String>,
    /// Non-inferiority margin of the model, above 0, in units of the figure.
    pub margin: Option<f64>,
    /// Ratings at or above it are positive decisions, where the file has no decision.
    pub threshold: Option<f64>,
    /// Confidence level.
    pub level: f64,
    /// Resamples of a bootstrap.
    pub resamples: usize,
    /// Its seed.
    pub seed: u32,
    /// The difference that a study to be planned is to find.
    pub difference: Option<f64>,
    /// The power that it is to have.
    pub power: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            baseline: None,
            model: None,
            margin: None,
            threshold: None,
            level: 0.95,
            resamples: 2000,
            seed: 1,
            difference: None,
            power: 0.8,
        }
    }
}

impl Options {
    /// Are all values in their range?
    pub(super) fn check(&self) -> Result<(), StudyError> {
        let share = |name: &str, value: f64| {
            (value > 0.0 && value < 1.0).then_some(()).ok_or_else(|| {
                StudyError::Option(format!("{name} is {value}, it has to lie between 0 and 1"))
            })
        };
        share("the confidence level", self.level)?;
        share("the power", self.power)?;
        for (name, value) in [("the margin", self.margin), ("the difference", self.difference)] {
            if value.is_some_and(|v| !v.is_finite() || v <= 0.0) {
                return Err(StudyError::Option(format!("{name} has to be above 0")));
            }
        }
        Ok(())
    }
}
