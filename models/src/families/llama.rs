//! Llama 2, 3 and relatives.

use super::text_only::{INPUT, Kind, LAYOUTS, NO_TEMPLATE, PARITY, Windows, load, settings};
use crate::family::{Family, Loader};
use crate::networks::decoder::BlockSpec;

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
    load: Loader::Answers(|checkpoint, options| {
        load(checkpoint, options, &FAMILY, NO_TEMPLATE, |root| {
            let block = BlockSpec::LLAMA;
            settings(root, Kind { block, eps: 1e-6, head_dim: None, windows: Windows::None })
        })
    }),
};
