//! Qwen2.5-VL and its medical fine-tunes: Qwen2-VL with a tower of RMSNorm, gated MLPs and attention within
//! windows. Boxes are in pixels of the resized picture.

use super::qwen_vl::{Described, VitShape, load};
use super::qwen2_vl::{TEMPLATE, text_model};
use crate::checkpoint::fields::Fields;
use crate::error::LoadError;
use crate::family::{Family, Loader};
use crate::layers::activation::Activation;
use crate::networks::qwen_vit::{Tower, VitConfig};

const ARCHITECTURES: &[&str] = &["Qwen2_5_VLForConditionalGeneration"];

/// The table entry.
pub const FAMILY: Family = Family {
    name: "qwen2.5-vl",
    paper: "Qwen2.5-VL Technical Report, arXiv 2502.13923",
    examples: &[
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "lingshu-medical-mllm/Lingshu-7B",
        "UCSC-VLAA/MedVLThinker-7B",
    ],
    layouts: "Hugging Face folders of transformers 4.4x, 4.5x and 5, in one file or in shards; GGUF with its mmproj",
    licence: "Apache-2.0 (7B, 32B); Qwen's own for 3B and 72B; fine-tunes add theirs",
    parity: "transformers 5.23, 4 shapes: ids, grids, positions and 8-bit pixels equal; features 1e-5, logits 5e-5, 32 greedy tokens equal",
    input: "both sides to multiples of 28 pixels within bounds on their product, aspect kept; CLIP's mean and \
            deviation; a token for every 28 × 28 pixels",
    architectures: ARCHITECTURES,
    claims: |clues| clues.is(ARCHITECTURES, "qwen2_5_vl"),
    box_dialect: Some("qwen2.5-vl"),
    load: Loader::Answers(|checkpoint, options| {
        load(checkpoint, options, &Described { family: &FAMILY, template: TEMPLATE, text: text_model, tower })
    }),
};

/// The tower as `Qwen2_5_VLVisionConfig` reads it.
pub(super) fn tower(v: &Fields<'_>, text_width: usize) -> Result<VitConfig, LoadError> {
    let shape = VitShape::read(v, v.positive_or("hidden_size", 3584)?, Activation::Silu, [14, 32])?;
    let window = v.usize_or("window_size", 112)?;
    if window < shape.merge * shape.patch {
        return Err(v.bad("window_size", format!("{window} is smaller than a merged patch")));
    }
    let full = v.sizes("fullatt_block_indexes")?.unwrap_or_else(|| vec![7, 15, 23, 31]);
    let intermediate = v.positive_or("intermediate_size", 3420)?;
    shape.into_config(v, Tower::Qwen25 { window, full }, intermediate, ("out_hidden_size", text_width))
}
