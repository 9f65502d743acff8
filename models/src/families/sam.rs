//! SAM as its authors and `transformers` run it.

use crate::checkpoint::Checkpoint;
use crate::error::LoadError;
use crate::family::{Clues, Family, Loader};
use crate::networks::sam::pipeline::InputPipeline;
use crate::networks::sam::segmenter::{Sam, SamSettings};
use crate::options::LoadOptions;
use crate::processors::sam::Padded;
use serde_json::Value;

/// The table entry.
pub const FAMILY: Family = Family {
    name: "sam",
    paper: "Segment Anything, arXiv 2304.02643",
    examples: &["facebook/sam-vit-base", "facebook/sam-vit-large", "facebook/sam-vit-huge"],
    layouts: "Hugging Face folders, and the original names, as published (.pth, .pt) and as safetensors",
    licence: "Apache-2.0",
    parity: "transformers 5.23: embeddings 1e-5, mask logits 5e-5",
    input: INPUT,
    architectures: &["SamModel"],
    claims: is_vit_sam,
    box_dialect: None,
    load: Loader::Segments(|checkpoint, options| Ok(Box::new(load(checkpoint, options)?))),
};

pub(super) const INPUT: &str = "longest side to the input's size (bilinear, antialiased), ImageNet mean and \
                                 deviation, zeros right and below; three candidates for a single point, else one \
                                 mask; logits bilinear to the input, cropped, bilinear to the picture, above 0";

/// The network of SAM, whatever the pipeline.
pub(super) fn is_vit_sam(clues: &Clues<'_>) -> bool {
    clues.is(&["SamModel"], "sam")
        || (clues.no_config() && clues.has_tensor("image_encoder.blocks.0.attn.qkv"))
}

/// Loads a checkpoint in the Hugging Face layout, or one with `model.safetensors` in the original
/// names and no config.json, with the pipeline of this family.
///
/// # Errors
/// When a file or tensor is missing, unexpected or wrongly shaped.
pub fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Sam, LoadError> {
    let pipeline = |config: &Value, side| {
        Ok(Box::new(Padded::read(checkpoint, options, config, side)?) as Box<dyn InputPipeline>)
    };
    Sam::load(checkpoint, options, &SamSettings { family: FAMILY.name, tiny_vit: None, pipeline: &pipeline })
}
