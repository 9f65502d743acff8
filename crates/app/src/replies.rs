//! Replies that another tool has written, as a run folder that every command can read.

use crate::error::{AppError, InStep};
use crate::listener::Listener;
use loupe_core::{Dataset, MediaLoader};
use loupe_datasets::replies::{JoinedReply, JoinedSample, join};
use loupe_run::{ImportSource, Invocation, ReplyLine, SampleLine, Setting};
use std::collections::BTreeMap;
use std::path::PathBuf;

pub use loupe_datasets::replies::{ColumnOptions, ColumnPair, JoinOptions, PairBy, PlaceOptions};

/// Which replies, and where their run goes.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The file, and how it is matched with questions.
    pub join: JoinOptions,
    /// What made the replies, for tables; the file's name when not given.
    pub model: Option<String>,
    /// Folder of the run; named after the file and its columns under `runs` when not given.
    pub output: Option<PathBuf>,
    /// Who asks, for the record.
    pub invocation: Invocation,
}

/// A run folder made of imported replies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedRun {
    /// The folder.
    pub dir: PathBuf,
    /// Rows of the file that could not be used.
    pub unusable: usize,
}

/// Writes the run folder. `dataset` has the questions where the file does not, `loader` tells the sizes of its
/// pictures where boxes and points are read.
///
/// # Errors
/// When the file cannot be read or does not belong to the dataset, or the folder holds another run.
pub fn import(
    options: &ImportOptions,
    dataset: Option<&dyn Dataset>,
    loader: &dyn MediaLoader,
    listener: &dyn Listener,
) -> Result<ImportedRun, AppError> {
    let joined = join(&options.join, dataset, loader)?;
    joined.notes.iter().for_each(|note| listener.say(note));
    let dir = options.output.clone().unwrap_or_else(|| PathBuf::from("runs").join(&joined.folder));
    let given = |value| Setting { value, given: true };
    let source = ImportSource {
        model: options.model.clone().unwrap_or_else(|| joined.name.clone()),
        dataset: joined.dataset.clone(),
        rollouts: joined.rollouts,
        box_dialect: joined.box_dialect.clone(),
        file_sha256: joined.file_sha256.clone(),
        settings: BTreeMap::from([
            ("replies_sha256".to_owned(), given(joined.file_sha256.clone().into())),
            ("replies_read_as".to_owned(), given(joined.read_as.clone())),
        ]),
        data_root: dataset.and_then(Dataset::root).and_then(|root| std::path::absolute(root).ok()),
        invocation: options.invocation.clone(),
    };
    let mut replies = joined.replies();
    loupe_run::import(
        &dir,
        source,
        &mut joined.samples().map(sample_line),
        &mut replies.by_ref().map(reply_line),
    )
    .step(|| format!("the replies could not be put into {}", dir.display()))?;
    joined.warnings(&replies).iter().for_each(|warning| listener.say(warning));
    Ok(ImportedRun { dir, unusable: joined.problems.len() })
}

fn sample_line(JoinedSample { row, sample }: JoinedSample) -> SampleLine {
    match sample {
        Ok(sample) => SampleLine { row, sample: Some(sample), error: None },
        Err(error) => SampleLine { row, sample: None, error: Some(error.to_string()) },
    }
}

fn reply_line(reply: JoinedReply) -> ReplyLine {
    let JoinedReply { item, rollout, prediction, pictures } = reply;
    ReplyLine { item, rollout, prediction, pictures, prompt: Vec::new() }
}
