//! Sets of samples as a seam.

use crate::sample::Sample;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use thiserror::Error;

/// Facts about an opened dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetInfo {
    /// Name as in `loupe list datasets`.
    pub name: String,
    /// Split that was opened.
    pub split: String,
    /// What `group` means: `image`, `patient`, `video`.
    pub group_by: String,
    /// SHA-256 over the annotation files, in hexadecimal.
    pub fingerprint: String,
    /// Where the set is described.
    pub citation: String,
    /// Rows that the publishers state for this split, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_rows: Option<usize>,
}

/// Where something stands in a file, counted from 1 as editors count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spot {
    /// Line of a text file.
    Line(usize),
    /// Element of a list, or row of a table that has no lines.
    Row(usize),
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(n) => write!(f, "line {n}"),
            Self::Row(n) => write!(f, "row {n}"),
        }
    }
}

/// Why a dataset or one of its rows cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder of the documented layout is missing.
    #[error("{set}: {file} is missing; expected layout: {layout}")]
    Missing {
        /// Name of the dataset.
        set: &'static str,
        /// File name within the dataset folder.
        file: String,
        /// Layout in words.
        layout: &'static str,
    },
    /// A file could not be read.
    #[error("{file}: {problem}")]
    Read {
        /// File name within the dataset folder.
        file: String,
        /// What went wrong.
        problem: String,
    },
    /// A row breaks the format.
    #[error("{file}, {at}: {problem}")]
    Row {
        /// File name within the dataset folder.
        file: String,
        /// Where in the file.
        at: Spot,
        /// What is wrong.
        problem: String,
    },
    /// No dataset of that name.
    #[error("no dataset is called {name:?}{}", .suggestion.as_ref().map(|s| format!("; did you mean {s:?}?")).unwrap_or_default())]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest known name.
        suggestion: Option<String>,
    },
    /// The set has no such split.
    #[error("{set} has no split {split:?}; it has {known}")]
    Split {
        /// Name of the dataset.
        set: &'static str,
        /// What was asked for.
        split: String,
        /// Splits known.
        known: String,
    },
}

/// A set of samples; reading one never decodes pixels.
pub trait Dataset: Send + Sync {
    /// Facts about the set.
    fn info(&self) -> &DatasetInfo;

    /// The folder in which the set's files lie, where there is one.
    fn root(&self) -> Option<&Path> {
        None
    }

    /// Number of samples.
    fn len(&self) -> usize;

    /// True when there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sample `index`, from 0.
    fn get(&self, index: usize) -> Result<Sample, DataError>;
}
