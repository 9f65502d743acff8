//! Segment Anything (Kirillov et al. 2023, arXiv 2304.02643): image encoder, prompt encoder and mask
//! decoder as `transformers`' `SamModel` defines them.
//!
//! Shapes: `B` pictures, `N` prompts on one picture, `C` the decoder's width, `G` the side of the
//! embedding grid (`image_size / patch_size`).

pub(crate) mod config;
pub(crate) mod decoder;
pub(crate) mod encoder;
pub(crate) mod infer;
pub(crate) mod names;
pub(crate) mod pipeline;
pub(crate) mod prompt;
pub(crate) mod segmenter;
mod tiny_vit;
mod upconv;
pub(crate) mod upsample;
