//! Which replies, what their columns mean, and how they are matched with questions.

use super::pairing::PairBy;
use super::places::PlaceOptions;
use std::path::PathBuf;

/// Columns by name; what is not given is guessed from the names there are (see `Mapping::guess`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnOptions {
    /// Of the reply; `a.b` goes into nested objects, `a.0` into lists.
    pub reply: Option<String>,
    /// Of the id.
    pub id: Option<String>,
    /// Of the reference answer.
    pub gold: Option<String>,
    /// Of the question.
    pub question: Option<String>,
    /// Of the options.
    pub choices: Option<String>,
    /// Of what rows share: image, patient, video.
    pub group: Option<String>,
    /// Columns to keep as tags, as (tag, column).
    pub tags: Vec<(String, String)>,
    /// Where the rows lie inside a JSON object.
    pub rows: Option<String>,
    /// Letters on offer where the file has no options, such as `ABCD`.
    pub letters: String,
}

/// Which replies, and how they are matched with questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinOptions {
    /// The file of replies.
    pub replies: PathBuf,
    /// References in a file of their own.
    pub references: Option<PathBuf>,
    /// What the columns of the replies mean.
    pub columns: ColumnOptions,
    /// The dataset as its user named it, for the record; `None` where the file holds the questions itself.
    pub data: Option<String>,
    /// How rows and questions are put side by side.
    pub pair_by: PairBy,
    /// Do not compare the questions and references that both sides have.
    pub ids_only: bool,
    /// Can replies be judged without any reference (by annotations)?
    pub unreferenced: bool,
    /// Replies per sample: so many rows have the same id.
    pub rollouts: usize,
    /// Boxes and points in the replies.
    pub places: PlaceOptions,
}

impl JoinOptions {
    /// One reply a sample, matched by id, without places.
    pub fn new(replies: impl Into<PathBuf>) -> Self {
        Self {
            replies: replies.into(),
            references: None,
            columns: ColumnOptions::default(),
            data: None,
            pair_by: PairBy::Id,
            ids_only: false,
            unreferenced: false,
            rollouts: 1,
            places: PlaceOptions::default(),
        }
    }
}
