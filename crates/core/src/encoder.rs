//! Text encoders as a seam.

use crate::model::{ModelError, ModelInfo};

/// Tokens of a text with what a text encoder makes of them.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedText {
    /// Token ids, the tokens that frame the text included.
    pub ids: Vec<u32>,
    /// Contextual vectors of the layer asked for, one token after the other: `ids.len()` × width values.
    pub vectors: Vec<f32>,
}

/// A model that gives every token of a text a vector that depends on the tokens around it.
///
/// Texts are taken as parts of running text: a vocabulary that marks beginnings of words by the space
/// before them (byte-level ones) gets that space before the first word. Texts that are too long for the
/// model are cut at their end.
pub trait TextEncoder: Send {
    /// What it is.
    fn info(&self) -> &ModelInfo;

    /// Number of the last layer. Layer 0 is what enters the first one.
    fn layers(&self) -> usize;

    /// The two tokens that frame every text, first and last.
    fn frame(&self) -> [u32; 2];

    /// Token ids of a text, framed and cut.
    ///
    /// # Errors
    /// When the tokenizer cannot read the text.
    fn tokens(&self, text: &str) -> Result<Vec<u32>, ModelError>;

    /// Tokens and vectors after `layer` layers: one result a text, in order. What else is in the batch
    /// changes nothing.
    ///
    /// # Errors
    /// When there is no such layer, a text cannot be tokenised, or the computation fails.
    fn encode(&mut self, texts: &[&str], layer: usize) -> Result<Vec<EncodedText>, ModelError>;
}
