//! Qwen2.5-VL and its medical fine-tunes.

use super::Family;
use crate::qwen::model;

/// The table entry.
pub static FAMILY: Family = Family {
    name: "qwen2.5-vl",
    architectures: &["Qwen2_5_VLForConditionalGeneration"],
    model_type: "qwen2_5_vl",
    paper: "Qwen2.5-VL Technical Report, arXiv 2502.13923",
    examples: &[
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "lingshu-medical-mllm/Lingshu-7B",
        "UCSC-VLAA/MedVLThinker-7B",
    ],
    box_dialect: "qwen2.5-vl",
    load: |checkpoint, options| model::load(checkpoint, options, &FAMILY, true),
};
