//! Every set is read from a small sample in its documented layout, written here or by the script
//! beside the fixtures; real files are read where `LOUPE_TEST_DATA` names their folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod absent;
mod every_set;
mod features;
mod grounding;
mod join;
mod manifest_mutants;
mod multiple_choice;
mod other_tools;
mod own_format;
mod pairs;
#[cfg(feature = "parquet")]
mod parquet_files;
mod real_data;
mod replies;
mod reports;
mod segmentation;
mod short_answers;
mod text_sets;
mod volumes;
mod worklists;
#[cfg(feature = "parquet")]
mod write_parquet;

use loupe_core::{DataError, Dataset, MediaSource, Sample, Target};
use loupe_datasets::{CheckReport, Look};
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A check that takes every picture to have 1000 × 1000 pixels.
fn check(name: &str, dir: &Path) -> Result<CheckReport, DataError> {
    loupe_datasets::check(name, dir, None, &mut |_: &loupe_core::MediaRef| {
        Ok(Look { size: [1000, 1000], turned: false })
    })
}

fn open(name: &str, dir: &Path, split: &str) -> Box<dyn Dataset> {
    loupe_datasets::open(name, dir, Some(split)).unwrap_or_else(|e| panic!("{name} {split}: {e}"))
}

fn rows(set: &dyn Dataset) -> Vec<Result<Sample, DataError>> {
    (0..set.len()).map(|i| set.get(i)).collect()
}

/// All samples of a split, none of which may be in error.
fn samples(name: &str, dir: &Path, split: &str) -> Vec<Sample> {
    let set = open(name, dir, split);
    let all: Vec<Sample> = rows(set.as_ref())
        .into_iter()
        .map(|row| row.unwrap_or_else(|e| panic!("{name} {split}: {e}")))
        .collect();
    let ids: std::collections::HashSet<&str> = all.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids.len(), all.len(), "{name} {split}: every sample has an id of its own");
    for sample in &all {
        assert!(!sample.group.is_empty() && !sample.question.is_empty() && !sample.id.is_empty());
        let letters: std::collections::HashSet<char> = sample.choices.iter().map(|c| c.letter).collect();
        assert_eq!(letters.len(), sample.choices.len());
        if let Target::Choice(letter) = sample.target {
            assert!(letters.contains(&letter), "{name} {split}: {}", sample.id);
        }
    }
    all
}

/// Image paths of a sample relative to the folder.
fn images(dir: &Path, sample: &Sample) -> Vec<String> {
    let path = |source: &MediaSource| match source {
        MediaSource::File(p) | MediaSource::Folder(p) => {
            p.strip_prefix(dir).unwrap().to_string_lossy().into_owned()
        }
        MediaSource::Bytes(bytes) => format!("{} bytes", bytes.len()),
    };
    sample.media.iter().map(|m| path(&m.source)).collect()
}

fn text(answers: &[&str]) -> Target {
    Target::Text(answers.iter().map(|a| (*a).to_owned()).collect())
}
