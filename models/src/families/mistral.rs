//! Mistral 7B and relatives: Llama, whose first version looks back over a window.

use super::text_only::{INPUT, LAYOUTS, MISTRAL, NO_TEMPLATE, PARITY, load, settings};
use crate::family::{Family, Loader};

const ARCHITECTURES: &[&str] = &["MistralForCausalLM"];

/// The table entry.
pub const FAMILY: Family = Family {
    name: "mistral",
    paper: "Mistral 7B, arXiv 2310.06825",
    examples: &["mistralai/Mistral-7B-Instruct-v0.3"],
    layouts: LAYOUTS,
    licence: "Apache-2.0 (7B)",
    parity: PARITY,
    input: INPUT,
    architectures: ARCHITECTURES,
    claims: |clues| clues.is(ARCHITECTURES, "mistral"),
    box_dialect: None,
    load: Loader::Words(|checkpoint, options| {
        load(checkpoint, options, &FAMILY, NO_TEMPLATE, |root| settings(root, MISTRAL))
    }),
};
