//! Qwen2 and 2.5 without eyes: Llama with biased queries, keys and values.

use super::qwen2_vl::TEMPLATE;
use super::text_only::{INPUT, LAYOUTS_GGUF, PARITY, QWEN2, load, settings};
use crate::family::{Family, Loader};

const ARCHITECTURES: &[&str] = &["Qwen2ForCausalLM"];

/// The table entry.
pub const FAMILY: Family = Family {
    name: "qwen2",
    paper: "Qwen2.5 Technical Report, arXiv 2412.15115",
    examples: &["Qwen/Qwen2.5-7B-Instruct"],
    layouts: LAYOUTS_GGUF,
    licence: "Apache-2.0 for most sizes",
    parity: PARITY,
    input: INPUT,
    architectures: ARCHITECTURES,
    claims: |clues| clues.is(ARCHITECTURES, "qwen2"),
    box_dialect: None,
    load: Loader::Words(|checkpoint, options| {
        load(checkpoint, options, &FAMILY, TEMPLATE, |root| settings(root, QWEN2))
    }),
};
