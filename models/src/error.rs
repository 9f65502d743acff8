//! Why a checkpoint cannot be loaded.

use loupe_core::registry::UnknownName;
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
    /// Nothing lies where the checkpoint should be.
    #[error("there is no {path}{advice}")]
    NothingThere {
        /// The path, as the user gave it.
        path: String,
        /// What to do where it may be the name of a model on the hub, or nothing.
        advice: String,
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
    /// No family or dialect has this name.
    #[error(transparent)]
    UnknownName(#[from] UnknownName),
    /// No family supports this architecture.
    #[error("no family supports {found}; supported: {known}{did_you_mean}")]
    Unclaimed {
        /// `architectures[0]` or `model_type` of config.json, or what is missing there.
        found: String,
        /// The names of all families.
        known: String,
        /// `; did you mean …?` with the nearest name, or nothing.
        did_you_mean: String,
    },
    /// The family does something else than what was asked for.
    #[error("{family} {task}")]
    Task {
        /// Name of the family.
        family: &'static str,
        /// What it does.
        task: &'static str,
    },
    /// The family cannot show pictures in the way asked for.
    #[error("{family} does not show images in crops; leave out --pan-and-scan")]
    NoCrops {
        /// Name of the family.
        family: &'static str,
    },
    /// The checkpoint lacks tensors that the architecture needs.
    #[error("tensor {name:?} is missing; config.json does not describe these weights, or a shard is missing")]
    MissingTensor {
        /// Name in the architecture.
        name: String,
    },
    /// The checkpoint holds tensors that the architecture does not have.
    #[error(
        "{count} tensors of the checkpoint are not used by this architecture: {names}{}", if .count > &5 { " …" } else { "" }
    )]
    UnexpectedTensor {
        /// Names of the first five, as in the files.
        names: String,
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
    #[error(
        "tensor {name:?} has type {dtype}; f32, f16 and bf16 are supported, and in GGUF files q8_0, q4_0, q4_k and q6_k"
    )]
    TensorType {
        /// Name as in the file.
        name: String,
        /// Type in the file.
        dtype: String,
    },
    /// A tensor holds a value that is not a number, or infinite.
    #[error(
        "tensor {name:?} holds values that are not finite; the file is damaged, or was written by a training run that failed"
    )]
    NotFinite {
        /// Name as in the file.
        name: String,
    },
    /// Two tensors of the files mean the same weight.
    #[error("tensors {first:?} and {second:?} are the same weight of the architecture")]
    TwiceTheSame {
        /// One name.
        first: String,
        /// The other.
        second: String,
    },
    /// An option does not go with this family or checkpoint.
    #[error("{option}: {problem}")]
    Option {
        /// The option of the command line.
        option: &'static str,
        /// What is wrong.
        problem: String,
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
        Self::Compute(computation(&error))
    }
}

/// What the tensor library says of an error, in one line: without the trace of its own calls, which helps nobody
/// who uses a checkpoint.
pub(crate) fn computation(error: &candle_core::Error) -> String {
    use candle_core::Error;
    match error {
        Error::WithBacktrace { inner, .. } | Error::Context { inner, .. } => computation(inner),
        Error::WithPath { inner, .. } => computation(inner),
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}
