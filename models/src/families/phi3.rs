//! Phi-3 and Phi-4: Llama with queries, keys and values as one matrix, and gate and up as one. Those for
//! long contexts (`longrope`) read prompts up to the length of their first training, 4096 tokens: beyond it they take other
//! factors for all that came before.

use super::text_only::{Absent, INPUT, Kind, LAYOUTS, NO_TEMPLATE, PARITY, Windows, load, settings};
use crate::family::{Family, Loader};
use crate::networks::decoder::BlockSpec;

const ARCHITECTURES: &[&str] = &["Phi3ForCausalLM"];

/// The table entry.
pub const FAMILY: Family = Family {
    name: "phi3",
    paper: "Phi-3 Technical Report, arXiv 2404.14219",
    examples: &["microsoft/Phi-3-mini-4k-instruct", "microsoft/Phi-3.5-mini-instruct", "microsoft/phi-4"],
    layouts: LAYOUTS,
    licence: "MIT",
    parity: PARITY,
    input: INPUT,
    architectures: ARCHITECTURES,
    claims: |clues| clues.is(ARCHITECTURES, "phi3"),
    box_dialect: None,
    load: Loader::Words(|checkpoint, options| {
        load(checkpoint, options, &FAMILY, NO_TEMPLATE, |root| {
            let block = BlockSpec { stacked: true, ..BlockSpec::LLAMA };
            let absent =
                Absent { hidden: 3072, intermediate: 8192, vocab: 32_064, context: 4096, ..Absent::LLAMA };
            settings(root, Kind { block, eps: 1e-5, head_dim: None, windows: Windows::All(None), absent })
        })
    }),
};
