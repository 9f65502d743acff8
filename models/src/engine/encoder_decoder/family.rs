//! What a family of encoder–decoders gives the engine.

use crate::chat::tokens::Tokens;
use crate::engine::architecture::{Features, SpannedPicture};
use crate::networks::bart::Bart;
use candle_core::Tensor;
use loupe_core::{Ask, ModelError, Picture};
use serde_json::Value;

/// An ask as the encoder reads it: the features of one picture, then words.
pub(crate) struct ReadPrompt {
    /// Number of the picture in the ask.
    pub(crate) picture: usize,
    pub(crate) words: Vec<u32>,
    /// Are places in the reply boxes? Where they are something else (polygons, corners of lines of text), the reply
    /// keeps them in its words and points at nothing.
    pub(crate) says_boxes: bool,
}

/// A network of two stacks and its way with pictures and words.
pub(crate) trait EncoderDecoder: Send {
    /// What reads and writes.
    fn network(&self) -> &Bart;

    /// Resolved settings of network and picture processor, for the record of a run.
    fn settings(&self) -> Value;

    /// The token that counts as standing under features, for dumps.
    fn feature_token(&self) -> u32;

    /// What is read of an ask.
    fn prompt(&self, ask: &Ask, tokens: &Tokens) -> Result<ReadPrompt, ModelError>;

    /// How `picture` enters the prompt, or why it cannot.
    fn show(&self, picture: &Picture) -> Result<SpannedPicture, String>;

    /// Pixel values of a picture, as its tower reads them.
    fn pixels(&self, picture: &Picture) -> Result<Tensor, String>;

    /// Features of one picture.
    fn encode(&self, pixels: &Tensor) -> candle_core::Result<Features>;

    /// About how many bytes [`EncoderDecoder::encode`] takes while it computes.
    fn encode_bytes(&self) -> u64;
}
