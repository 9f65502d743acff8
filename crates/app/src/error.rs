//! Why a command could not do its work.

use loupe_core::picture::PictureError;
use loupe_core::registry::UnknownName;
use loupe_core::{DataError, MediaError, ModelError, ResampleError, Retry, SegmentError};
use loupe_datasets::replies::JoinError;
use loupe_eval::compare::CompareError;
use loupe_eval::llm_judge::{AskError, CacheError};
use loupe_eval::metrics::bertscore::{BaselineError, BertScoreError};
use loupe_eval::metrics::punkt::PunktError;
use loupe_eval::metrics::wordnet::WordNetError;
use loupe_models::LoadError;
use loupe_phantom::PhantomError;
use loupe_report::exports::ExportError;
use loupe_report::{EncodeError, PageError};
use loupe_rethink::RethinkError;
use loupe_run::templates::UnknownTemplate;
use loupe_run::{RunError, ShardError};
use loupe_study::StudyError;
use thiserror::Error;

/// Why a command could not do its work. What goes wrong with one item of many is not an error but on record as
/// that item.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AppError {
    /// What was given cannot be used, alone or together; says what to give instead.
    #[error("{0}")]
    Input(String),
    /// Nothing was found for a phrase.
    #[error("the model that grounds found no box for {phrase:?}; it said {said:?}")]
    NotFound {
        /// What was looked for.
        phrase: String,
        /// The reply.
        said: String,
    },
    /// What this build leaves out.
    #[error("{what} needs the cargo feature `{feature}`, which this build does not have")]
    Feature {
        /// What was asked for.
        what: &'static str,
        /// The feature it needs.
        feature: &'static str,
    },
    /// A step of the work, with its reason as the source.
    #[error("{step}")]
    Step {
        /// What could not be done, in words.
        step: String,
        /// Why it could not be done.
        #[source]
        reason: Box<AppError>,
    },
    /// A checkpoint.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Something that no table has.
    #[error(transparent)]
    Unknown(#[from] UnknownName),
    /// Another tool's replies.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// A dataset.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An image.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// Pixels that make no picture.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A picture that could not be resized.
    #[error(transparent)]
    Resample(#[from] ResampleError),
    /// A model's reply.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A segmenter's mask.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// A protocol or strategy.
    #[error(transparent)]
    Rethink(#[from] RethinkError),
    /// A prompt template.
    #[error(transparent)]
    Template(#[from] UnknownTemplate),
    /// A run folder.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A part of a run that is none.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// Two runs that cannot be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// WordNet's files.
    #[error(transparent)]
    WordNet(#[from] WordNetError),
    /// A Punkt model.
    #[error(transparent)]
    Punkt(#[from] PunktError),
    /// A baseline of BERTScore.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    /// BERTScore.
    #[error(transparent)]
    BertScore(#[from] BertScoreError),
    /// A judge.
    #[error(transparent)]
    Judge(#[from] AskError),
    /// The file that keeps a judge's replies.
    #[error(transparent)]
    JudgeCache(#[from] CacheError),
    /// The phantoms could not be made or written.
    #[error(transparent)]
    Phantom(#[from] PhantomError),
    /// A report page.
    #[error(transparent)]
    Page(#[from] PageError),
    /// Findings that could not be written in a format of other tools.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A reader study.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// A picture that could not be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The environment.
    #[error(transparent)]
    Environment(#[from] std::env::VarError),
}

impl AppError {
    /// What was given cannot be used.
    pub(crate) fn input(words: impl Into<String>) -> Self {
        Self::Input(words.into())
    }

    /// The reason at the bottom of the steps.
    pub fn reason(&self) -> &Self {
        match self {
            Self::Step { reason, .. } => reason.reason(),
            other => other,
        }
    }

    /// May the same command do its work another time, when memory is free, another process is done, or a server is back?
    pub fn may_pass(&self) -> bool {
        match self.reason() {
            Self::Run(RunError::Busy { .. }) => true,
            Self::Run(RunError::Unreachable { passes, .. }) => *passes,
            // A key that is refused or a model that is not there waits for somebody.
            Self::Model(error) => matches!(error.retry(), Retry::May | Retry::Away),
            Self::Rethink(RethinkError::NoReply { failure, .. }) => failure.retry == Retry::Away,
            // Of a device whose memory others hold.
            Self::Load(LoadError::Compute(_)) => true,
            _ => false,
        }
    }

    /// The error and its reasons in one line.
    pub fn in_one_line(&self) -> String {
        let mut words = self.to_string();
        let mut at: &dyn std::error::Error = self;
        while let Some(reason) = at.source() {
            words += &format!(": {reason}");
            at = reason;
        }
        words
    }
}

/// Says in which step something failed.
pub(crate) trait InStep<T> {
    /// The same, with what could not be done in words.
    fn step(self, words: impl FnOnce() -> String) -> Result<T, AppError>;
}

impl<T, E: Into<AppError>> InStep<T> for Result<T, E> {
    fn step(self, words: impl FnOnce() -> String) -> Result<T, AppError> {
        self.map_err(|e| AppError::Step { step: words(), reason: Box::new(e.into()) })
    }
}
