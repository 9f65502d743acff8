//! What is to be run.

use crate::prompts::Recipe;
use loupe_core::Limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which samples of the dataset take part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Only the first so many (after `ids`).
    pub limit: Option<usize>,
    /// Only these, in dataset order; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
}

/// An argument of the command for the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Its value.
    pub value: serde_json::Value,
    /// Was it given, or is it the default?
    pub given: bool,
}

/// What is to be run; everything here except `batch`, `decode_threads` and `retry_failed` goes into
/// run.json and must be the same on resume.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How samples become prompts.
    pub recipe: &'static Recipe,
    /// Bounds and choices of generation.
    pub limits: Limits,
    /// Which samples.
    pub selection: Selection,
    /// Replies per sample; with random sampling, rollout `k` uses `seed + k`.
    pub rollouts: usize,
    /// Further arguments for the record.
    pub settings: BTreeMap<String, Setting>,
    /// Asks handed to the model at once. Does not change results.
    pub batch: usize,
    /// Threads that decode images ahead of the model.
    pub decode_threads: usize,
    /// On resume, ask the items that failed once more.
    pub retry_failed: bool,
}

impl Plan {
    /// One greedy reply to every sample with this recipe, eight asks at a time.
    pub fn new(recipe: &'static Recipe) -> Self {
        Self {
            recipe,
            limits: Limits::default(),
            selection: Selection::default(),
            rollouts: 1,
            settings: BTreeMap::new(),
            batch: 8,
            decode_threads: 1,
            retry_failed: false,
        }
    }
}
