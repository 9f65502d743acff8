//! Text models without pictures: judges, second opinions, sets of questions in words.

use super::architecture::{Architecture, Features, Network, PromptPicture, Span};
use crate::networks::decoder::Decoder;
use candle_core::Tensor;
use loupe_core::Picture;
use serde_json::{Value, json};

/// A decoder that reads words alone.
pub(crate) struct WordsOnly(pub(crate) Decoder);

/// There is none.
pub(crate) enum NoPicture {}

impl PromptPicture for NoPicture {
    fn spans(&self) -> &[Span] {
        match *self {}
    }

    fn frame(&self) -> [usize; 2] {
        match *self {}
    }

    fn digest(&self) -> [u8; 32] {
        match *self {}
    }
}

impl Architecture for WordsOnly {
    type Picture = NoPicture;

    fn network(&self) -> Network<'_> {
        Network::Decoder(&self.0)
    }

    fn settings(&self) -> Value {
        json!({ "text": self.0.config.settings() })
    }

    /// A noncharacter, which no template writes.
    fn mark(&self) -> &str {
        "\u{FFFFE}"
    }

    fn feature_token(&self) -> u32 {
        u32::MAX
    }

    fn show(&self, _: &Picture) -> Result<NoPicture, String> {
        Err("this model reads words alone; ask without pictures, or a model that sees".to_owned())
    }

    fn patches(&self, _: &Picture, shown: &NoPicture) -> Result<Tensor, String> {
        match *shown {}
    }

    fn encode(&self, _: &Tensor, shown: &NoPicture) -> candle_core::Result<Features> {
        match *shown {}
    }

    fn encode_bytes(&self, shown: &NoPicture) -> u64 {
        match *shown {}
    }

    fn positions(&self, shown: &NoPicture, _: usize, _: u32) -> (Vec<[u32; 3]>, u32) {
        match *shown {}
    }
}
