//! Why a checkpoint cannot be loaded.

use thiserror::Error;

/// Why a checkpoint cannot be loaded. Every message names the file, field or tensor.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file of the checkpoint is not there.
    #[error("{file} is missing in the checkpoint {folder}; a Hugging Face checkpoint folder has {expected}")]
    MissingFile {
        /// File that was looked for.
        file: String,
        /// The folder, as the user gave it.
        folder: String,
        /// What such a folder contains.
        expected: &'static str,
    },
    /// A file cannot be read.
    #[error("{file}: {problem}")]
    File {
        /// File within the checkpoint.
        file: String,
        /// What went wrong.
        problem: String,
    },
    /// A setting is missing or makes no sense.
    #[error("{file}, field {field}: {problem}")]
    Field {
        /// File within the checkpoint.
        file: &'static str,
        /// Path of the field, joined by dots.
        field: String,
        /// What is wrong.
        problem: String,
    },
    /// Nobody here speaks this architecture.
    #[error("the checkpoint is a {found:?}, which is not supported{}; supported: {known}", .suggestion.as_ref().map(|s| format!(" (did you mean {s:?}?)")).unwrap_or_default())]
    UnknownFamily {
        /// `architectures[0]` or `model_type` of config.json.
        found: String,
        /// The nearest known name.
        suggestion: Option<String>,
        /// All known names.
        known: String,
    },
    /// The family does something else than what was asked for.
    #[error("{family} {kind}")]
    Kind {
        /// Family.
        family: &'static str,
        /// What it does.
        kind: &'static str,
    },
    /// The checkpoint lacks tensors that the architecture needs.
    #[error("tensor {name:?} is missing; config.json does not describe these weights, or a shard is missing")]
    MissingTensor {
        /// Name in the architecture.
        name: String,
    },
    /// The checkpoint holds tensors that the architecture does not have.
    #[error("{count} tensors of the checkpoint are not used by this architecture, first {first:?}")]
    UnexpectedTensor {
        /// Name of the first one, as in the file.
        first: String,
        /// How many.
        count: usize,
    },
    /// A tensor has the wrong shape.
    #[error("tensor {name:?} has shape {found:?}, the configuration asks for {expected:?}")]
    Shape {
        /// Name as in the file.
        name: String,
        /// Shape in the file.
        found: Vec<usize>,
        /// Shape that follows from config.json.
        expected: Vec<usize>,
    },
    /// A tensor has a number type that is not supported.
    #[error("tensor {name:?} has type {dtype}; f32, f16 and bf16 are supported")]
    TensorType {
        /// Name as in the file.
        name: String,
        /// Type in the file.
        dtype: String,
    },
    /// Two tensors of the files mean the same weight.
    #[error("tensors {first:?} and {second:?} are the same weight of the architecture")]
    TwiceTheSame {
        /// One name.
        first: String,
        /// The other.
        second: String,
    },
    /// The device is not there or cannot be used.
    #[error("device {device}: {problem}")]
    Device {
        /// As asked for.
        device: String,
        /// What is wrong.
        problem: String,
    },
    /// The tensor library failed.
    #[error("the computation failed while loading: {0}")]
    Compute(String),
}

impl From<candle_core::Error> for LoadError {
    fn from(error: candle_core::Error) -> Self {
        Self::Compute(error.to_string())
    }
}

/// The nearest of `known` to `found`, when it is near enough to be a slip.
pub(crate) fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let found = found.to_lowercase();
    let scored = known.into_iter().map(|k| (edits(&found, &k.to_lowercase()), k));
    let (distance, name) = scored.min_by_key(|(d, _)| *d)?;
    (distance <= 2 + found.len() / 6).then(|| name.to_owned())
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, cb) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(ca != *cb)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row.last().copied().unwrap_or_default()
}
