//! Llama 2, 3 and relatives.

use super::text_only::{INPUT, LAYOUTS, LLAMA, NO_TEMPLATE, PARITY, load, settings};
use crate::family::{Family, Loader};

const ARCHITECTURES: &[&str] = &["LlamaForCausalLM"];

/// The table entry.
pub const FAMILY: Family = Family {
    name: "llama",
    paper: "The Llama 3 Herd of Models, arXiv 2407.21783",
    examples: &["meta-llama/Llama-3.1-8B-Instruct"],
    layouts: LAYOUTS,
    licence: "Llama community licences",
    parity: PARITY,
    input: INPUT,
    architectures: ARCHITECTURES,
    claims: |clues| clues.is(ARCHITECTURES, "llama"),
    box_dialect: None,
    load: Loader::Words(|checkpoint, options| {
        load(checkpoint, options, &FAMILY, NO_TEMPLATE, |root| settings(root, LLAMA))
    }),
};
