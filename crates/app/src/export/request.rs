//! What is exported, and what came of it.

use crate::open::{DataOptions, ImageOptions};
use loupe_preprocess::masks::MaskOptions;
use loupe_report::exports::ExportOptions;
use serde::Serialize;
use std::path::PathBuf;

/// What is exported, and how.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// A run folder, the output folder of `loupe segment`, or a file of masks.
    pub input: PathBuf,
    /// The format by its name.
    pub to: String,
    /// Folder of the files; of a table the file. A table without one is returned as text.
    pub output: Option<PathBuf>,
    /// The image or series that masks lie on.
    pub source: Option<PathBuf>,
    /// How masks are put on it.
    pub masks: MaskOptions,
    /// The set of a run, needed where its pictures lie inside its files or have moved.
    pub data: Option<DataOptions>,
    /// How images are read.
    pub images: ImageOptions,
    /// What the format leaves open.
    pub options: ExportOptions,
}

/// What was written.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ExportDocument {
    /// The format.
    pub format: String,
    /// The files, from where they were asked for on.
    pub files: Vec<PathBuf>,
    /// Rows of a table, or findings that the format was given.
    pub rows: usize,
    /// What is not in the files and why, and what else has to be said.
    pub notes: Vec<String>,
    /// A table that no file was named for.
    #[serde(skip)]
    pub text: Option<String>,
}
