//! Encoders as a seam: of texts token by token, and of pictures and texts into one space.

use crate::model::{ModelError, ModelInfo};
use crate::picture::Picture;
use crate::saliency::{Bottleneck, Saliency};

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

/// What the logits of a picture with some texts say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairReading {
    /// Each by itself: its logistic function is the probability that the text describes the picture (SigLIP, trained
    /// on pairs that do or do not belong together).
    Each,
    /// All together: their softmax is the probability that a text, and none of the others, belongs to the picture (CLIP,
    /// trained to find the text of a picture among others).
    Among,
}

/// How the vectors of a picture and a text become a logit: `scale · cosine + bias`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairLogit {
    /// Multiplies the cosine.
    pub scale: f64,
    /// Is added.
    pub bias: f64,
    /// What the logits say.
    pub reading: PairReading,
}

/// The cosine of two vectors of length 1.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

impl PairLogit {
    /// The logit of two vectors of length 1.
    pub fn of(self, picture: &[f32], text: &[f32]) -> f64 {
        self.scale * cosine(picture, text) + self.bias
    }

    /// Probabilities of the logits of one picture with some texts.
    pub fn probabilities(self, logits: &[f64]) -> Vec<f64> {
        match self.reading {
            PairReading::Each => logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect(),
            PairReading::Among => softmax(logits),
        }
    }
}

/// Numbers above 0 that add up to 1, each as many times another as the exponential of their difference says.
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let raised: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let sum: f64 = raised.iter().sum();
    raised.into_iter().map(|value| value / sum).collect()
}

/// The answer of a family that shows no place of a text in a picture.
pub fn no_saliency(family: &str) -> ModelError {
    let problem = format!(
        "{family} shows no place of a text in a picture; that is computed for towers of one grid, such as CLIP's and \
         BiomedCLIP's"
    );
    ModelError::Setting { setting: "saliency", problem }
}

/// A model that gives pictures and texts vectors of length 1 in one space, near each other where a text describes a
/// picture. What else is in a call changes nothing about a vector.
pub trait PairEncoder: Send {
    /// What it is.
    fn info(&self) -> &ModelInfo;

    /// Values of a vector.
    fn width(&self) -> usize;

    /// How two vectors are compared.
    fn logit(&self) -> PairLogit;

    /// The vector of a picture.
    ///
    /// # Errors
    /// When the picture cannot be prepared or the computation fails.
    fn picture(&mut self, picture: &Picture) -> Result<Vec<f32>, ModelError>;

    /// The vector of a text.
    ///
    /// # Errors
    /// When the text has more tokens than the model reads, cannot be tokenised, or the computation fails.
    fn text(&mut self, text: &str) -> Result<Vec<f32>, ModelError>;

    /// Where in a picture lies what it has in common with a text.
    ///
    /// # Errors
    /// As [`PairEncoder::picture`] and [`PairEncoder::text`]; also when the family has no such attribution, or none with
    /// these settings.
    fn saliency(&mut self, _: &Picture, _: &str, _: &Bottleneck) -> Result<Saliency, ModelError> {
        Err(no_saliency(&self.info().family))
    }
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn logits_are_read_each_or_among_the_others() {
        let each = PairLogit { scale: 2.0, bias: -1.0, reading: PairReading::Each };
        assert!((each.of(&[0.6, 0.8], &[1.0, 0.0]) - 0.2).abs() < 1e-6);
        assert_eq!(each.probabilities(&[0.0]), [0.5]);
        let among = PairLogit { reading: PairReading::Among, ..each };
        let found = among.probabilities(&[1000.0, 1000.0 - 3f64.ln()]);
        assert!((found[0] - 0.75).abs() < 1e-12 && (found[1] - 0.25).abs() < 1e-12);
        assert!(among.probabilities(&[]).is_empty());
    }
}
