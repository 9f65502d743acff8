//! What a family gives the engine: the engine does tokens, prefixes, batches and generation.

use crate::error::computation;
use crate::layers::is_finite;
use crate::networks::decoder::Decoder;
use candle_core::Tensor;
use loupe_core::{ModelError, Picture};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A part of what stands for a picture in the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Span {
    /// Words around features, tokenised with the text beside them; special tokens in them are special.
    Words(String),
    /// Tokens whose embeddings are features of the picture. A prompt is never cut within them.
    Features {
        /// How many.
        tokens: usize,
    },
}

/// A picture as a family shows it to its network. The engine reads no more of it than this.
pub(crate) trait PromptPicture: Send {
    /// What stands for the picture in the prompt, in order.
    fn spans(&self) -> &[Span];

    /// Width and height that the family's box dialect measures in, in pixels.
    fn frame(&self) -> [usize; 2];

    /// Of the pixels and of everything else that decides the features.
    fn digest(&self) -> [u8; 32];

    /// Tokens that are features.
    fn features(&self) -> usize {
        let tokens = |span: &Span| if let Span::Features { tokens } = span { *tokens } else { 0 };
        self.spans().iter().map(tokens).sum()
    }

    /// Frames, rows and columns of patches, where the family has such a grid; for dumps.
    fn grid(&self) -> Option<[usize; 3]> {
        None
    }
}

/// A picture as words and features in turn.
pub(crate) struct SpannedPicture {
    pub(crate) spans: Vec<Span>,
    pub(crate) frame: [usize; 2],
    pub(crate) digest: [u8; 32],
}

impl PromptPicture for SpannedPicture {
    fn spans(&self) -> &[Span] {
        &self.spans
    }

    fn frame(&self) -> [usize; 2] {
        self.frame
    }

    fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

/// What [`ModelError::NotFinite`] calls what towers make of pictures.
pub(crate) const VISION_FEATURES: &str = "vision features";

/// What a network makes of a picture.
#[derive(Debug, Clone)]
pub(crate) struct Features {
    /// Embeddings of the tokens of all its feature spans, one after the other: (tokens, hidden).
    pub(crate) rows: Tensor,
    /// What is added to the same tokens after the first layers of the decoder, a tensor of the same shape a
    /// layer; empty for most families.
    pub(crate) deep: Vec<Tensor>,
}

impl Features {
    /// Bytes that they take.
    pub(crate) fn bytes(&self) -> u64 {
        let size = |t: &Tensor| (t.elem_count() * t.dtype().size_in_bytes()) as u64;
        size(&self.rows) + self.deep.iter().map(size).sum::<u64>()
    }

    /// Itself, when every number is finite: whatever the decoder makes of others looks like a reply.
    pub(crate) fn finite(self) -> Result<Self, ModelError> {
        for part in [&self.rows].into_iter().chain(&self.deep) {
            if !is_finite(part).map_err(|e| ModelError::Compute(computation(&e)))? {
                return Err(ModelError::NotFinite(VISION_FEATURES));
            }
        }
        Ok(self)
    }
}

/// Digest of a picture's pixels and of everything else that decides its features.
pub(crate) fn digest(picture: &Picture, settings: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(picture.content_key());
    hash.update(settings);
    hash.finalize().into()
}

/// How a family makes text.
pub(crate) enum Network<'a> {
    /// One stack of layers over prompt and reply.
    Decoder(&'a Decoder),
}

/// A family's network and its way with pictures.
pub(crate) trait Architecture: Send {
    /// A picture as the family shows it.
    type Picture: PromptPicture;

    /// What makes the text.
    fn network(&self) -> Network<'_>;

    /// Resolved settings of network and picture processor: everything but weights that decides replies, for the
    /// record of a run.
    fn settings(&self) -> Value;

    /// What the chat template writes where a picture stands; the picture's spans take its place.
    fn mark(&self) -> &str;

    /// The token that counts as standing under features, for dumps and the repetition penalty.
    fn feature_token(&self) -> u32;

    /// True when the words between pictures are tokenised one run at a time, each as a text of its own.
    fn words_apart(&self) -> bool {
        false
    }

    /// Where a prompt begins with the tokens that the tokenizer puts before texts: the one that stands for them where it
    /// puts none. So do processors of `transformers` whose templates leave them out.
    fn begin(&self) -> Option<&str> {
        None
    }

    /// True when the family can show elongated pictures in crops too.
    fn crops(&self) -> bool {
        false
    }

    /// What the chat template can print beside the special tokens, by its name.
    fn template_values(&self) -> &[(&str, &str)] {
        &[]
    }

    /// True when the slices of a volume are shown otherwise than so many pictures.
    fn takes_volumes(&self) -> bool {
        false
    }

    /// How `picture` enters the prompt, or why it cannot.
    fn show(&self, picture: &Picture) -> Result<Self::Picture, String>;

    /// The same for all pictures of a prompt, where they depend on each other; `volume` where they are the slices of one
    /// volume, in order.
    fn show_all(&self, pictures: &[Arc<Picture>], _volume: bool) -> Vec<Result<Self::Picture, String>> {
        pictures.iter().map(|picture| self.show(picture)).collect()
    }

    /// What the network reads of a picture: (patches, values).
    fn patches(&self, picture: &Picture, shown: &Self::Picture) -> Result<Tensor, String>;

    /// Features of one picture.
    fn encode(&self, patches: &Tensor, shown: &Self::Picture) -> candle_core::Result<Features>;

    /// About how many bytes [`Architecture::encode`] takes while it computes.
    fn encode_bytes(&self, shown: &Self::Picture) -> u64;

    /// Positions of the tokens of feature span `span` (counted among all spans) of a picture when the next
    /// free position is `next`, and the next free position after it. One after the other, unless the family has
    /// positions along rows and columns.
    fn positions(&self, shown: &Self::Picture, span: usize, next: u32) -> (Vec<[u32; 3]>, u32) {
        let tokens = match shown.spans().get(span) {
            Some(Span::Features { tokens }) => *tokens as u32,
            _ => 0,
        };
        ((next..next + tokens).map(|p| [p; 3]).collect(), next + tokens)
    }
}
