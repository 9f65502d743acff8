//! MobileSAM: SAM's decoder behind a TinyViT, with SAM's recipe.

use super::sam::padded;
use super::{SegmenterFamily, SegmenterLoader};
use crate::checkpoint::Checkpoint;
use crate::image_processor::ProcessorFile;
use crate::sam::{Family, Sam};
use crate::{LoadError, LoadOptions};
use serde_json::Value;

/// The table entry.
pub static FAMILY: SegmenterFamily = SegmenterFamily {
    name: "mobile-sam",
    paper: "Faster Segment Anything (MobileSAM), arXiv 2306.14289; TinyViT, arXiv 2207.10666",
    examples: &["ChaoningZhang/MobileSAM mobile_sam"],
    recipe: super::sam::RECIPE,
    claims: |clues| clues.no_config() && clues.has_tensor("image_encoder.patch_embed.seq.0.c."),
    load: SegmenterLoader::Picture(|checkpoint, options| Ok(Box::new(load(checkpoint, options)?))),
};

/// Loads `model.safetensors` in the original names. The input has 1024 pixels a side, or what
/// `size.longest_edge` of a preprocessor_config.json says.
///
/// # Errors
/// When a tensor is missing, unexpected or wrongly shaped.
pub fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Sam, LoadError> {
    let file = ProcessorFile::read(checkpoint, &Value::Null)?;
    let side = match file.fields().object("size") {
        Some(size) => size.positive("longest_edge")?,
        None => 1024,
    };
    let recipe = |config: &Value, side| padded(checkpoint, options, config, side);
    Sam::load(checkpoint, options, &Family { name: FAMILY.name, tiny_vit: Some(side), recipe: &recipe })
}
