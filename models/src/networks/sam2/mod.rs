//! Segment Anything 2 (Ravi et al. 2024, arXiv 2408.00714): the Hiera image encoder with its feature
//! pyramid, and the memory that carries an object from frame to frame, as `transformers`'
//! `Sam2Model` and `Sam2VideoModel` define them. Prompt encoder and mask decoder are SAM's.
//!
//! Shapes: `C` is the decoder's width, `M` the memory's, `G` the side of the coarsest grid
//! (`image_size / 16`).

pub(crate) mod config;
mod hiera;
pub(crate) mod infer;
mod memory_attention;
mod memory_encoder;
mod names;
mod neck;
mod network;
mod resample;
pub(crate) mod segmenter;
#[cfg(test)]
mod tests;
mod tracker;
pub(crate) mod volume;
