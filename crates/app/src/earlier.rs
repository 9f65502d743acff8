//! What a run was scored by before: profiles and metrics stay when it is scored again, computed anew from the
//! replies.

use crate::error::{AppError, InStep};
use crate::judge::from_cache;
use crate::listener::Listener;
use crate::profiles::profile;
use loupe_core::files::{SETTINGS_BYTES, read_text_at_most};
use loupe_eval::metrics::{Compute, METRICS, TextCorpusMetric, TextMetric, Texts};
use loupe_eval::{Profile, Summary};
use loupe_run::{RunError, RunFolder};
use std::path::Path;

const SUMMARY: &str = "summary.json";

/// Profiles and metrics of an earlier scoring that were not asked for again.
#[derive(Default)]
pub(crate) struct Earlier {
    /// Names of all profiles in their order, those asked for again included.
    pub(crate) order: Vec<String>,
    /// Those that were not asked for.
    pub(crate) profiles: Vec<Box<dyn Profile>>,
    /// Metrics of single replies.
    pub(crate) single: Vec<TextMetric>,
    /// Metrics of the whole set.
    pub(crate) whole: Vec<TextCorpusMetric>,
}

impl Earlier {
    /// Reads summary.json of the run in `dir`, if there is one. `asked` are names of profiles and metrics of this
    /// time. What cannot be computed again without more options is said, never dropped in silence.
    ///
    /// # Errors
    /// When the judge's cache cannot be read.
    pub(crate) fn read(
        dir: &Path,
        asked: &[&str],
        texts: Texts,
        listener: &dyn Listener,
    ) -> Result<Self, AppError> {
        let mut out = Self::default();
        if !dir.join(SUMMARY).is_file() {
            return Ok(out);
        }
        let Ok(summary) = read_summary(dir) else {
            listener
                .say("summary.json cannot be read: profiles and metrics of earlier scorings are not kept");
            return Ok(out);
        };
        let mut left: Vec<&str> = Vec::new();
        for earlier in &summary.profiles {
            out.order.push(earlier.name.clone());
            if asked.contains(&earlier.name.as_str()) {
                continue;
            }
            let found = match profile(&earlier.name) {
                Ok(rules) if rules.name() == earlier.name => Some(rules),
                _ => from_cache(dir, &earlier.name)?,
            };
            match found {
                Some(rules) => out.profiles.push(rules),
                None => left.push(&earlier.name),
            }
        }
        for earlier in summary.metrics.iter().map(|m| m.name.as_str()).filter(|name| !asked.contains(name)) {
            match METRICS.by_name(earlier) {
                Ok(entry) if matches!(entry.compute, Compute::Text(_) | Compute::Corpus(_)) => {
                    out.single.extend(entry.as_metric(texts));
                    out.whole.extend(entry.as_corpus_metric(texts));
                }
                _ => left.push(earlier),
            }
        }
        if !left.is_empty() {
            listener.say(&format!(
                "scored before and left out now, because more is needed to compute it again (a judge, an encoder, annotations, a profile's earlier version): {}",
                left.join(", ")
            ));
        }
        Ok(out)
    }
}

/// The summary of the run in `dir` that was scored before.
///
/// # Errors
/// When it was not, its file is damaged, or it is a shard.
pub fn read_summary(dir: &Path) -> Result<Summary, AppError> {
    let folder = RunFolder::open(dir);
    if let Err(shard @ RunError::Shard { .. }) = folder {
        return Err(shard.into());
    }
    let path = dir.join(SUMMARY);
    let text = read_text_at_most(&path, SETTINGS_BYTES)
        .step(|| format!("{} has no summary; score it with `loupe score`", dir.display()))?;
    if folder.is_ok_and(|folder| !folder.is_as_written(&text)) {
        return Err(AppError::input(format!(
            "{} is not as it was written: its checksum is gone or another; `loupe score` makes it again",
            path.display()
        )));
    }
    serde_json::from_str(&text).step(|| format!("{}", path.display()))
}
