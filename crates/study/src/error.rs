//! Why a study could not be analysed.

use thiserror::Error;

/// Why a file of readings could not be used, or its results not be written. Nothing that stands in a cell is repeated.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StudyError {
    /// A line of the file.
    #[error("line {line}: {what}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong, and what to write instead.
        what: String,
    },
    /// The file as a whole.
    #[error("{0}")]
    File(String),
    /// An option that does not fit the file.
    #[error("{0}")]
    Option(String),
    /// A `study.toml` that cannot be used.
    #[error("study.toml: {0}")]
    Design(String),
    /// A page that could not be made.
    #[error(transparent)]
    Page(#[from] loupe_report::PageError),
    /// A page that would tell what has to be hidden.
    #[error("{0}")]
    Blinding(String),
    /// A file of answers that is not taken.
    #[error("{file}: {what}")]
    Answers {
        /// Its name.
        file: String,
        /// Why.
        what: String,
    },
    /// CSV that cannot be split into cells.
    #[error("the file is no CSV that can be read: {0}")]
    Csv(#[from] csv::Error),
    /// Reading or writing.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// JSON that could not be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl StudyError {
    pub(crate) fn design(what: impl Into<String>) -> Self {
        Self::Design(what.into())
    }

    pub(crate) fn line(line: u64, what: impl Into<String>) -> Self {
        Self::Line { line, what: what.into() }
    }
}
