//! SAM 2 and 2.1 as `transformers` runs them.

use crate::checkpoint::Checkpoint;
use crate::error::LoadError;
use crate::family::{Clues, Family, Loader};
use crate::networks::sam2::segmenter::Sam2;
use crate::options::LoadOptions;
use crate::processors::sam2::Squashed;

/// The table entry.
pub const FAMILY: Family = Family {
    name: "sam2",
    paper: "SAM 2, arXiv 2408.00714",
    examples: &["facebook/sam2.1-hiera-tiny", "facebook/sam2.1-hiera-small", "facebook/sam2.1-hiera-large"],
    layouts: "Hugging Face folders, and the original names, as published (.pth, .pt) and as safetensors",
    licence: "Apache-2.0",
    parity: "transformers 5.23: embeddings 1e-5, mask logits 5e-5; memory step by step 5e-5",
    input: "squashed to the square input (bilinear, antialiased), ImageNet mean and deviation; logits bilinear to \
             the picture, above 0",
    architectures: &["Sam2VideoModel", "Sam2Model"],
    claims,
    box_dialect: None,
    load: Loader::Segments(|checkpoint, options| Ok(Box::new(load(checkpoint, options)?))),
};

/// The marks that all checkpoints of the architecture show.
pub(super) fn claims(clues: &Clues<'_>) -> bool {
    clues.is(&["Sam2VideoModel"], "sam2_video")
        || clues.is(&["Sam2Model"], "sam2")
        || clues.has_tensor("sam_mask_decoder.")
}

/// Loads a checkpoint in the Hugging Face layout, or `model.safetensors` in the names of the `sam2`
/// repository, whose released sizes need no config.json.
///
/// # Errors
/// When a file or tensor is missing, unexpected or wrongly shaped.
pub fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Sam2, LoadError> {
    Sam2::load(checkpoint, options, FAMILY.name, 1024, &|config, side| {
        Ok(Box::new(Squashed::read(checkpoint, options, config, side)?))
    })
}
