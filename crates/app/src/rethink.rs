//! A second look: which protocol or strategy, and who helps.

use crate::error::AppError;
use crate::open::ModelOptions;
use loupe_core::Resampler;
use loupe_preprocess::resampler::PillowResampler;
use std::path::PathBuf;

pub use loupe_rethink::{Budget, RethinkSetup, Settings};

/// Enlarges what a second look cuts out.
pub(crate) const RESAMPLER: &dyn Resampler = &PillowResampler;

/// Which protocol or strategy answers, and what it needs beside the model.
#[derive(Debug, Clone, Default)]
pub struct RethinkOptions {
    /// Protocol or strategy (`loupe list protocols`), or both joined, as in `self-consistency+deepeyes`.
    pub name: String,
    /// Choices of strategies.
    pub settings: Settings,
    /// Bounds of a conversation.
    pub budget: Budget,
    /// Checkpoint folder or address of a second model, for `second-opinion`.
    pub second_model: Option<PathBuf>,
    /// Checkpoint folder of a segmenter, for the action `segment`.
    pub segmenter: Option<PathBuf>,
}

impl RethinkOptions {
    /// Loads what it needs beside the model; these run as `model` does. Names are checked before any weights
    /// are read.
    ///
    /// # Errors
    /// When nothing has that name, its second model is missing or not wanted, or a checkpoint cannot be loaded.
    pub fn open(&self, model: &ModelOptions) -> Result<RethinkSetup, AppError> {
        let (strategy, _) = loupe_rethink::named(&self.name)?;
        match (strategy.second_model, &self.second_model) {
            (true, None) => {
                return Err(AppError::input(format!(
                    "{} needs a second model; name its folder with --second-model",
                    strategy.name
                )));
            }
            (false, Some(_)) => {
                return Err(AppError::input(format!(
                    "{} asks one model only; --second-model is for second-opinion",
                    self.name
                )));
            }
            _ => {}
        }
        if !self.settings.temperature.is_finite() || self.settings.temperature <= 0.0 {
            return Err(AppError::input("--pass-temperature must be above 0, or all passes say the same"));
        }
        let helper = |folder: &Option<PathBuf>| folder.clone().map(|dir| model.of(Some(dir)));
        Ok(RethinkSetup {
            name: self.name.clone(),
            settings: self.settings.clone(),
            budget: self.budget.clone(),
            second: helper(&self.second_model).map(|m| m.open()).transpose()?,
            segmenter: helper(&self.segmenter).map(|m| m.open_segmenter(None)).transpose()?,
        })
    }
}
