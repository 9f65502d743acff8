//! Metrics as a seam.

use crate::sample::{Prediction, Sample, Score};

/// Scores one prediction at a time.
pub trait Metric: Send + Sync {
    /// Name in tables.
    fn name(&self) -> &'static str;

    /// Is more better?
    fn higher_is_better(&self) -> bool {
        true
    }

    /// The verdict.
    fn score(&self, sample: &Sample, prediction: &Prediction) -> Score;
}
