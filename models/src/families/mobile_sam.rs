//! MobileSAM: SAM's decoder behind a TinyViT, with SAM's pipeline.

use crate::checkpoint::Checkpoint;
use crate::checkpoint::processor_file::ProcessorFile;
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::networks::sam::pipeline::InputPipeline;
use crate::networks::sam::segmenter::{Sam, SamSettings};
use crate::options::LoadOptions;
use crate::processors::sam::Padded;
use serde_json::Value;

/// The table entry.
pub const FAMILY: Family = Family {
    name: "mobile-sam",
    paper: "Faster Segment Anything (MobileSAM), arXiv 2306.14289; TinyViT, arXiv 2207.10666",
    examples: &["ChaoningZhang/MobileSAM mobile_sam"],
    layouts: "the original names, as published (.pt) and as safetensors",
    licence: "Apache-2.0",
    parity: "transformers 5.23, its own parts restated from its repository: embeddings 1e-5, mask logits 5e-5",
    input: super::sam::INPUT,
    architectures: &[],
    claims: |clues| clues.no_config() && clues.shape(STEM).is_some_and(|s| s.ends_with(&[3, 3])),
    box_dialect: None,
    load: Loader::Segments(|checkpoint, options| Ok(Box::new(load(checkpoint, options)?))),
};

/// The first convolution of TinyViT, whose kernel tells its relatives apart.
pub(super) const STEM: &str = "image_encoder.patch_embed.seq.0.c.weight";

/// The side of the input, which no tensor tells: what `size.longest_edge` of a preprocessor_config.json says.
pub(super) fn side(checkpoint: &Checkpoint, default: usize) -> Result<usize, LoadError> {
    let file = ProcessorFile::read(checkpoint, &Value::Null)?;
    file.fields().object("size")?.map_or(Ok(default), |size| size.positive("longest_edge"))
}

/// Loads `model.safetensors` in the original names. The input has 1024 pixels a side, or what
/// `size.longest_edge` of a preprocessor_config.json says.
///
/// # Errors
/// When a tensor is missing, unexpected or wrongly shaped.
pub fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Sam, LoadError> {
    let side = side(checkpoint, 1024)?;
    let pipeline = |config: &Value, side| {
        Ok(Box::new(Padded::read(checkpoint, options, config, side)?) as Box<dyn InputPipeline>)
    };
    Sam::load(
        checkpoint,
        options,
        &SamSettings { family: FAMILY.name, tiny_vit: Some(side), pipeline: &pipeline },
    )
}
