//! Why replies and questions could not be put side by side.

use loupe_core::DataError;
use loupe_core::registry::UnknownName;
use std::fmt;
use thiserror::Error;

/// Why replies and questions could not be put side by side. The names of options are those of
/// `loupe score`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// No reply per sample was asked for.
    #[error("--rollouts must be at least 1")]
    NoRollouts,
    /// The columns do not say which one is the reply.
    #[error("{0}")]
    NoReplyColumn(String),
    /// The file has no column of a name that was given.
    #[error("the file has no column {column:?}; there are {known}")]
    NoColumn {
        /// What was asked for.
        column: String,
        /// The columns there are.
        known: String,
    },
    /// The file of replies is at fault.
    #[error("the replies could not be read")]
    Replies(#[source] DataError),
    /// The file of references is at fault.
    #[error("the references could not be read")]
    References(#[source] DataError),
    /// There is nothing in the file.
    #[error("{file} holds no replies")]
    Empty {
        /// The file as it was named.
        file: String,
    },
    /// File and set differ in length, so that rows cannot be matched by position.
    #[error("the file has {rows} rows and the set {set}; they do not match by position")]
    Length {
        /// Rows of the file.
        rows: usize,
        /// Samples of the set.
        set: usize,
    },
    /// A way of pairing without a second side.
    #[error("rows are paired with the set of --data or with --references, and neither is given")]
    NothingToPair,
    /// Nothing tells which row belongs to which question.
    #[error(
        "no column of the file is an id of its rows{odd}; name it with --id-column, pair rows by the words of their questions with --by-question, or by position with --in-order ({columns})"
    )]
    NoId {
        /// What is odd about the columns that could be.
        odd: String,
        /// How the columns were read.
        columns: String,
    },
    /// No row was found to be that of an item.
    #[error(
        "none of the {rows} rows of the file is that of an item by its {by}; compare the questions of both sides"
    )]
    NoPair {
        /// What they were paired by.
        by: &'static str,
        /// Rows of the file.
        rows: usize,
    },
    /// Rows stand beside other questions than they answer.
    #[error("{0}")]
    Differ(Box<Difference>),
    /// Replies without anything to judge them by.
    #[error(
        "there is no reference to judge the replies by ({columns}); name its column with --gold-column, a file of references with --references, or the set with --data"
    )]
    NoReference {
        /// How the columns were read.
        columns: String,
    },
    /// File and set have no id in common.
    #[error(
        "no id of the file is one of the set's (such as {theirs:?} there and {ours:?} here); name the column with --id-column, pair rows by the words of their questions with --by-question, or by position with --in-order ({columns})"
    )]
    NoSharedId {
        /// An id of the file.
        theirs: String,
        /// An id of the set.
        ours: String,
        /// How the columns were read.
        columns: String,
    },
    /// No dialect of that name.
    #[error(transparent)]
    UnknownDialect(#[from] UnknownName),
    /// Places without anything to compare them with.
    #[error(
        "boxes and points need references: a set with --data, or the dialect of the file's own with --reference-dialect"
    )]
    NoReferences,
    /// A size that the dialect needs is not to be had: that of the picture as the model saw it.
    #[error(
        "the dialect {dialect} counts pixels after the model's own resizing; name the columns of that size with --input-size-columns"
    )]
    InputSize {
        /// The dialect.
        dialect: &'static str,
    },
    /// A size that the dialect needs is not to be had: that of the picture.
    #[error(
        "the dialect {dialect} needs the size of each picture; give the set with --data or name the columns with --size-columns"
    )]
    Size {
        /// The dialect.
        dialect: &'static str,
    },
}

/// Rows of a file whose question or reference is not that of the item they were paired with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// How many rows.
    pub count: usize,
    /// Of how many that have an item.
    pub rows: usize,
    /// The first of them: where it stands, and its id.
    pub place: String,
    /// `question` or `reference`.
    pub what: &'static str,
    /// What the row says, shortened.
    pub theirs: String,
    /// What the item says, shortened.
    pub ours: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, rows, place, what, theirs, ours } = self;
        write!(
            f,
            "{count} of {rows} rows have another question or reference than the item they are paired with; the first is {place}, whose {what} is {theirs:?} in the file and {ours:?} here. Pair them by the words of their questions with --by-question, or, where only the wording differs, by their ids alone with --ids-only"
        )
    }
}
