//! Shards joined to a run, and the run scored.

use crate::error::{AppError, InStep};
use crate::listener::Listener;
use crate::score::{Scorer, same_set};
use loupe_core::{Dataset, MediaLoader};
use loupe_eval::ScoredRun;
use std::path::{Path, PathBuf};

pub use loupe_run::Merged;

/// Joins the shards in `parts` to the run in `to` and scores it, as `evaluate` does with a run that was made in one piece. `dataset` gives the
/// pictures of the page where they lie inside its files.
///
/// # Errors
/// When the parts make no run, or it cannot be written or scored.
pub fn merge_and_score(
    parts: &[PathBuf],
    to: &Path,
    scorer: &Scorer<'_>,
    dataset: Option<&dyn Dataset>,
    loader: &dyn MediaLoader,
    listener: &dyn Listener,
) -> Result<(Merged, ScoredRun), AppError> {
    let merged = loupe_run::merge(parts, to).step(|| "the shards could not be merged".to_owned())?;
    if let Some(set) = dataset {
        same_set(to, set)?;
    }
    let run = scorer.score(to, dataset, loader, listener)?;
    Ok((merged, run))
}
