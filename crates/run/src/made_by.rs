//! run.json: what made a run, and what of it must not change.

use crate::error::RunError;
use crate::plan::{Selection, Setting};
use crate::probes::ProbeSetting;
use crate::session::Session;
use crate::shard::{ShardRecord, WholeSamples};
use loupe_core::{DatasetInfo, DecodeLimits, GenerationLimits, ModelInfo, Provenance};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Layout version written by this code.
pub(crate) const FORMAT: u32 = 2;
/// Layouts that can be read, scored and compared.
pub(crate) const READABLE: std::ops::RangeInclusive<u32> = 1..=FORMAT;

/// What made a run. What decides its replies must be the same on resume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MadeBy {
    /// Version of the folder's layout.
    pub format: u32,
    /// Version of loupe.
    pub loupe: String,
    /// The set and its fingerprint.
    pub dataset: DatasetInfo,
    /// Which of its samples.
    pub selection: Selection,
    /// How many that is.
    pub n: usize,
    /// SHA-256 over the samples (questions, references, choices, groups, tags and image names, not where they lie).
    pub samples_sha256: String,
    /// The model, its weights, number type, device and resampling.
    pub model: ModelInfo,
    /// Strategy over the model; `null` for a single pass.
    pub strategy: Value,
    /// The prompt template with its words.
    pub prompt: Value,
    /// Bounds and choices of generation.
    pub limits: GenerationLimits,
    /// Replies per sample.
    pub rollouts: usize,
    /// Further arguments, each given or default.
    pub settings: BTreeMap<String, Setting>,
    /// How large a file of images might be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_limits: Option<DecodeLimits>,
    /// What a reader of the results should know, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Which part of a run the folder holds, where it does not hold a whole one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardRecord>,
    /// Folder of the set when the run was made or resumed; samples.jsonl names images from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_root: Option<PathBuf>,
    /// The commands that worked on the run, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<Session>,
}

impl MadeBy {
    /// What was done to the pictures that the run asked with; nothing where they were those of the set.
    pub fn probe(&self) -> Option<ProbeSetting> {
        self.settings.get(ProbeSetting::NAME)?.value.as_str()?.parse().ok()
    }

    /// Fields in which the runs differ, with both values. Who made them when, and what is on record beside what
    /// decides replies, does not count.
    pub fn differences(&self, other: &Self) -> Vec<(String, String, String)> {
        let value = |made_by: &Self| {
            let mut made_by = made_by.clone();
            (made_by.data_root, made_by.sessions, made_by.notes) = (None, Vec::new(), Vec::new());
            made_by.image_limits = None;
            if let Provenance::Checkpoint(checkpoint) = &mut made_by.model.from {
                checkpoint.notes = Vec::new();
                checkpoint.files_sha256 = BTreeMap::new();
                // What was used of them stands in `limits`.
                if let Some(generation) = &mut checkpoint.generation {
                    generation.beams = None;
                    (generation.repetition_penalty, generation.not_used) = (1.0, BTreeMap::new());
                }
            }
            // Through text, so that numbers went the same way on both sides.
            let text = serde_json::to_string(&made_by).unwrap_or_default();
            let mut document = serde_json::from_str(&text).unwrap_or(Value::Null);
            // Giving the default by name makes no other run.
            let settings = document.get_mut("settings").and_then(Value::as_object_mut);
            for setting in settings.into_iter().flat_map(|all| all.values_mut()) {
                *setting = setting.get("value").cloned().unwrap_or_default();
            }
            document
        };
        let mut found = Vec::new();
        differences("", &value(self), &value(other), &mut found);
        found
    }

    /// Refuses samples that are not those of the run in `dir`.
    pub(crate) fn holds(&self, dir: &Path, samples: &WholeSamples) -> Result<(), RunError> {
        // The first layout counted them in another way.
        if self.format != FORMAT || self.samples_sha256 == samples.samples_sha256 {
            return Ok(());
        }
        let [was, is] = [&self.samples_sha256, &samples.samples_sha256].map(|s| s.chars().take(12).collect());
        Err(RunError::OtherSamples { folder: dir.into(), was, is })
    }

    /// Refuses to mix two runs, naming what differs; the samples are compared one by one elsewhere. With `extend`
    /// the set may have grown and more of it may be asked.
    pub(crate) fn same(&self, now: &Self, extend: bool) -> Result<(), RunError> {
        let plain = |made_by: &Self| {
            let mut made_by = made_by.settled();
            // What the set's files hold is compared sample by sample.
            made_by.dataset.fingerprint = String::new();
            if let Some(part) = &mut made_by.shard {
                part.whole = WholeSamples::default();
            }
            if extend {
                made_by.selection = Selection::default();
            }
            made_by
        };
        let mut found = plain(self).differences(&plain(now)).into_iter();
        let Some((field, was, now)) = found.next() else { return Ok(()) };
        let others: Vec<String> =
            found.map(|(field, was, now)| format!("{field} ({was}, now {now})")).collect();
        let more = match others.len() {
            0 => String::new(),
            n => format!("; so do {}{}", others[..n.min(5)].join(", "), if n > 5 { " …" } else { "" }),
        };
        Err(RunError::Differs { field, was, now, more })
    }

    /// What decides replies, without what each session and each machine may have in its own way: what a folder is
    /// called, which of several cards computes, how many of the samples are here.
    fn settled(&self) -> Self {
        let mut made_by = self.clone();
        (made_by.n, made_by.samples_sha256) = (0, String::new());
        made_by.model.name = String::new();
        made_by.dataset.citation = String::new();
        match &mut made_by.model.from {
            Provenance::Checkpoint(checkpoint) => {
                let kind = checkpoint.device.split(':').next().unwrap_or_default().to_owned();
                checkpoint.device = kind;
                // Tokens that are right either way.
                checkpoint.prompt_lookup = 0;
            }
            // A server moves from one machine to another; what it is stands beside its address.
            Provenance::Served { url, .. } => url.clear(),
            Provenance::Imported { .. } => {}
        }
        made_by
    }

    /// What the parts of one run must have in common: everything that decides replies, and the samples of all parts. Which part it is, its
    /// own number of samples, folders, machines, sessions and notes are each part's own.
    pub(crate) fn common(&self) -> Self {
        let mut made_by = self.settled();
        if let Some(part) = &mut made_by.shard {
            part.shard.index = 0;
        }
        made_by
    }
}

/// Paths of the fields in which two documents differ, with both values in short.
pub(crate) fn differences(path: &str, was: &Value, now: &Value, found: &mut Vec<(String, String, String)>) {
    if was == now {
        return;
    }
    // Against nothing too, field by field: what an object has is longer than a line.
    let none = serde_json::Map::new();
    let fields = match (was, now) {
        (Value::Object(a), Value::Object(b)) => Some((a, b)),
        (Value::Object(a), Value::Null) if !a.is_empty() => Some((a, &none)),
        (Value::Null, Value::Object(b)) if !b.is_empty() => Some((&none, b)),
        _ => None,
    };
    if let Some((a, b)) = fields {
        let before = found.len();
        for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            differences(&path, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), found);
        }
        // An object without values is still another thing than nothing.
        if found.len() > before || !(was.is_null() || now.is_null()) {
            return;
        }
    }
    let short = |v: &Value| {
        let text = v.to_string();
        if text.chars().count() > 80 {
            format!("{}…", text.chars().take(80).collect::<String>())
        } else {
            text
        }
    };
    found.push((path.to_owned(), short(was), short(now)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_against_nothing_differs_field_by_field() {
        let found = |was: Value, now: Value| {
            let mut found = Vec::new();
            differences("strategy", &was, &now, &mut found);
            found.into_iter().map(|(field, was, now)| format!("{field}: {was}, {now}")).collect::<Vec<_>>()
        };
        let strategy = json!({"name": "loupe", "settings": {"samples": 5, "protocol": null}});
        let expected = ["strategy.name: null, \"loupe\"", "strategy.settings.samples: null, 5"];
        assert_eq!(found(Value::Null, strategy.clone()), expected);
        assert_eq!(found(strategy.clone(), strategy), Vec::<String>::new());
        assert_eq!(found(Value::Null, json!({})), ["strategy: null, {}"]);
        assert_eq!(found(json!({"a": null}), Value::Null), ["strategy: {\"a\":null}, null"]);
        assert_eq!(found(json!({"a": null}), json!({})), Vec::<String>::new(), "as ever");
    }
}
