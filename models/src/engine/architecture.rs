//! What a family gives the engine: the engine does tokens, prefixes, batches and generation.

use crate::networks::decoder::Decoder;
use candle_core::Tensor;
use loupe_core::Picture;

/// A picture in the prompt of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Frames, rows and columns of patches.
    pub(crate) grid: [usize; 3],
    /// Tokens that stand for it.
    pub(crate) tokens: usize,
    /// Width and height that the family's box dialect measures in, in pixels.
    pub(crate) resized: [usize; 2],
}

/// A family's network and its way with pictures.
pub(crate) trait Architecture: Send {
    /// The text model.
    fn decoder(&self) -> &Decoder;

    /// The token that stands for a picture in the chat template; repeated once a picture token.
    fn picture_token(&self) -> u32;

    /// How `picture` enters the prompt, or why it cannot.
    fn show(&self, picture: &Picture) -> Result<Shown, String>;

    /// Bytes of everything but the pixels that decides the features of a picture.
    fn fingerprint(&self) -> Vec<u8>;

    /// What the network reads of a picture: (patches, values).
    fn patches(&self, picture: &Picture, shown: &Shown) -> Result<Tensor, String>;

    /// Features (tokens, hidden) of one picture.
    fn encode(&self, patches: &Tensor, shown: &Shown) -> candle_core::Result<Tensor>;

    /// Positions of a picture's tokens when the next free position is `next`, and the next free
    /// position after it.
    fn positions(&self, shown: &Shown, next: u32) -> (Vec<[u32; 3]>, u32);
}
