//! Qwen3 without eyes: queries and keys normalised by head.

use super::qwen2_vl::TEMPLATE;
use super::text_only::{INPUT, LAYOUTS_GGUF, PARITY, QWEN3, load, settings};
use crate::family::{Family, Loader};

const ARCHITECTURES: &[&str] = &["Qwen3ForCausalLM"];

/// The table entry.
pub const FAMILY: Family = Family {
    name: "qwen3",
    paper: "Qwen3 Technical Report, arXiv 2505.09388",
    examples: &["Qwen/Qwen3-8B"],
    layouts: LAYOUTS_GGUF,
    licence: "Apache-2.0",
    parity: PARITY,
    input: INPUT,
    architectures: ARCHITECTURES,
    claims: |clues| clues.is(ARCHITECTURES, "qwen3"),
    box_dialect: None,
    load: Loader::Words(|checkpoint, options| {
        load(checkpoint, options, &FAMILY, TEMPLATE, |root| settings(root, QWEN3))
    }),
};
