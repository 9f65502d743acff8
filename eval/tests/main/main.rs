//! How a finished run is judged: rules, harnesses, metrics and statistics, held against what others compute.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod annotated;
mod bertscore;
mod comparison;
mod denials;
mod detection;
mod golden_choice;
mod golden_vqa;
mod grounding;
mod medvision;
mod meteor;
mod odd_replies;
mod profiles;
mod published;
mod radfact;
mod readings;
mod scored_runs;
mod segmentation;
mod stats;
mod strict;
mod text_metrics;
mod word_tokenize;

use loupe_core::sample::Outcome;
use loupe_core::{DatasetInfo, Prediction, Record, Reply, Sample};
use loupe_run::{ImportSource, ReplyLine, SampleLine, import};
use std::collections::BTreeMap;
use std::path::Path;

/// A reply of a single pass.
fn single(id: &str, reply: Reply) -> Prediction {
    Prediction { id: id.to_owned(), outcome: Outcome::Reply(reply), record: Record::Single }
}

/// A run of samples with a reply each.
fn imported(dir: &Path, dataset: DatasetInfo, items: impl Iterator<Item = (Sample, String)>) {
    let source = ImportSource {
        model: "fake".into(),
        dataset,
        rollouts: 1,
        box_dialect: "none".into(),
        file_sha256: String::new(),
        settings: BTreeMap::new(),
        data_root: None,
        invocation: Default::default(),
    };
    let (samples, replies): (Vec<Sample>, Vec<String>) = items.unzip();
    let reply = |(item, reply): (usize, String)| {
        let prediction = single(&item.to_string(), Reply::from_text(reply));
        ReplyLine { item, rollout: 0, prediction, pictures: Vec::new(), prompt: Vec::new() }
    };
    let line = |(row, sample)| SampleLine { row, sample: Some(sample), error: None };
    let mut samples = samples.into_iter().enumerate().map(line);
    let mut replies = replies.into_iter().enumerate().map(reply);
    import(dir, source, &mut samples, &mut replies).unwrap();
}
