//! Few-shot examples: questions of another split with their answers, shown before each question.

use crate::error::RunError;
use crate::own_template::reference;
use crate::rows::{rank, sample};
use loupe_core::{Dataset, MediaLoader, Picture, Sample};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where examples come from, for the record: it decides replies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExampleRecord {
    /// The set.
    pub set: String,
    /// Its split.
    pub split: String,
    /// SHA-256 over its annotation files.
    pub fingerprint: String,
    /// Seed of the draw.
    pub seed: u64,
    /// The samples, in the order in which they are shown.
    pub ids: Vec<String>,
}

/// Examples with their pictures, the same before every question.
#[derive(Debug, Clone, Default)]
pub struct Examples {
    /// What they are.
    pub record: ExampleRecord,
    /// Each with its pictures.
    pub shown: Vec<Example>,
}

/// A question that is answered before the one that is asked.
#[derive(Debug, Clone)]
pub struct Example {
    /// The question and its reference.
    pub sample: Sample,
    /// Its pictures.
    pub pictures: Vec<Arc<Picture>>,
}

impl Examples {
    /// Draws `n` samples of `from` that have an answer in words and whose pictures can be read. Samples of a group in `asked` are left out:
    /// a question must not be answered by an example about the same picture or patient.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn draw(
        from: &dyn Dataset,
        n: usize,
        seed: u64,
        asked: &BTreeSet<String>,
        loader: &dyn MediaLoader,
    ) -> Result<Self, RunError> {
        let usable = |row: usize| {
            let sample = sample(from, row).ok()?;
            let fits = reference(&sample).is_some() && !asked.contains(&sample.group);
            fits.then(|| (rank(seed, &sample.id), row))
        };
        let mut ranked: Vec<_> = (0..from.len()).filter_map(usable).collect();
        ranked.sort_unstable();
        let load = |row: usize| -> Option<Example> {
            let sample = sample(from, row).ok()?;
            let pictures =
                sample.media.iter().map(|m| loader.load(m).ok().map(Arc::new)).collect::<Option<_>>()?;
            Some(Example { sample, pictures })
        };
        let shown: Vec<Example> = ranked.iter().filter_map(|(_, row)| load(*row)).take(n).collect();
        let info = from.info();
        if shown.len() < n {
            let problem = format!(
                "{} ({}) has {} samples that can be shown as examples, {n} are asked for",
                info.name,
                info.split,
                shown.len()
            );
            return Err(RunError::Setting { setting: "examples", problem });
        }
        let record = ExampleRecord {
            set: info.name.clone(),
            split: info.split.clone(),
            fingerprint: info.fingerprint.clone(),
            seed,
            ids: shown.iter().map(|example| example.sample.id.clone()).collect(),
        };
        Ok(Self { record, shown })
    }
}
