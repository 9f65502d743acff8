//! An ask on its way to a reply.

use crate::engine::architecture::{PromptPicture, SpannedPicture};
use crate::engine::generate::beams::BeamSearch;
use crate::engine::generate::row::Row;
use crate::engine::options::Options;
use crate::networks::bart::Writing;
use loupe_core::model::AskId;
use loupe_core::{GenerationLimits, Picture, Timing};
use std::sync::Arc;

/// How a reply is found.
pub(super) enum Course {
    /// Token by token.
    One(Box<Row>),
    /// Among several sequences.
    Beams(Box<BeamSearch>),
    /// It is one of some options.
    Options(Options),
}

/// An ask on its way to a reply.
pub(super) struct Job {
    pub(super) id: AskId,
    /// The picture that is read, and its number in the ask.
    pub(super) picture: Arc<Picture>,
    pub(super) number: usize,
    pub(super) shown: SpannedPicture,
    pub(super) words: Vec<u32>,
    pub(super) says_boxes: bool,
    pub(super) limits: GenerationLimits,
    pub(super) course: Course,
    /// Once the prompt is read.
    pub(super) writing: Option<Writing>,
    /// The tokens that are computed next, one a row.
    pub(super) next: Vec<u32>,
    /// Bytes that it takes from when its prompt is read to its reply.
    pub(super) bytes: u64,
    /// Bytes that reading its prompt takes beside those.
    pub(super) read_bytes: u64,
    pub(super) timing: Timing,
    /// Logits of the first token of the reply, for dumps.
    pub(super) logits: Vec<f32>,
}

impl Job {
    /// Tokens that are features.
    pub(super) fn features(&self) -> usize {
        self.shown.features()
    }

    /// Tokens of the prompt.
    pub(super) fn prompt_tokens(&self) -> usize {
        self.features() + self.words.len()
    }
}
