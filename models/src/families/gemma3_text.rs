//! Gemma 3 without eyes: the text model of `gemma3.rs` alone, as MedGemma 27B for texts.

use super::gemma3::{TEMPLATE, text_model};
use super::text_only::{INPUT, load};
use crate::family::{Family, Loader};

const ARCHITECTURES: &[&str] = &["Gemma3ForCausalLM"];

/// The table entry.
pub const FAMILY: Family = Family {
    name: "gemma3-text",
    paper: "Gemma 3 Technical Report, arXiv 2503.19786",
    examples: &["google/medgemma-27b-text-it", "google/gemma-3-1b-it"],
    layouts: "Hugging Face folders of transformers 4.5x and 5; GGUF",
    licence: "Gemma terms of use; Health AI Developer Foundations terms of use for MedGemma",
    parity: "transformers 5.24: ids equal, logits 5e-5, 32 greedy tokens equal",
    input: INPUT,
    architectures: ARCHITECTURES,
    claims: |clues| clues.is(ARCHITECTURES, "gemma3_text"),
    box_dialect: None,
    load: Loader::Words(|checkpoint, options| {
        load(checkpoint, options, &FAMILY, TEMPLATE, |root| {
            text_model(root, root.bool_or("tie_word_embeddings", true)?)
        })
    }),
};
