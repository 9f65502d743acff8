//! Scoring profiles by name.

use crate::error::AppError;
use loupe_core::words::did_you_mean;
use loupe_eval::Profile;
use loupe_eval::profiles::{AsProfile, HarnessProfile, PROFILES};
use loupe_eval::strict::Strict;

/// Rules by their short name or the full one of the list (`compat:NAME@COMMIT`).
pub(crate) fn rules(name: &str) -> Option<&'static dyn HarnessProfile> {
    let short = name.strip_prefix("compat:").unwrap_or(name).split('@').next().unwrap_or(name);
    PROFILES.get(short).copied()
}

/// The profile of that name, where it asks no language model.
///
/// # Errors
/// When nothing has that name, or its harness asks a language model.
pub fn profile(name: &str) -> Result<Box<dyn Profile>, AppError> {
    if name == Strict.name() {
        return Ok(Box::new(Strict));
    }
    match rules(name) {
        Some(rules) if rules.rubric().is_some() => Err(AppError::input(format!(
            "the profile {name} asks a language model; `loupe score` does with --judge"
        ))),
        Some(rules) => Ok(Box::new(AsProfile::new(rules))),
        None => Err(unknown(name)),
    }
}

/// Says that no profile has that name, and which was meant.
pub(crate) fn unknown(name: &str) -> AppError {
    let short = name.strip_prefix("compat:").unwrap_or(name).split('@').next().unwrap_or(name);
    let meant = did_you_mean(short, PROFILES.names().chain([Strict.name()]));
    AppError::input(format!("no profile is called {name:?}{meant} (`loupe list profiles` names them all)"))
}
