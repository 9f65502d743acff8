//! Qwen2-VL and its medical fine-tunes.

use super::Family;
use crate::qwen::model;

/// The table entry.
pub static FAMILY: Family = Family {
    name: "qwen2-vl",
    architectures: &["Qwen2VLForConditionalGeneration"],
    model_type: "qwen2_vl",
    paper: "Qwen2-VL, arXiv 2409.12191",
    examples: &["Qwen/Qwen2-VL-2B-Instruct", "yuxianglai117/Med-R1"],
    box_dialect: "qwen2-vl",
    load: |checkpoint, options| model::load(checkpoint, options, &FAMILY, false),
};
