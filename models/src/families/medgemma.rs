//! MedGemma 1 and 1.5: Gemma 3 (`gemma3.rs`) trained on medical pictures and texts. Where something is, it is asked
//! about the picture padded to a square.

use super::gemma3::{INPUT, is_member, load};
use crate::family::{Family, Loader};

/// The table entry.
pub const FAMILY: Family = Family {
    name: "medgemma",
    paper: "MedGemma Technical Report, arXiv 2507.05201",
    examples: &["google/medgemma-1.5-4b-it", "google/medgemma-4b-it", "google/medgemma-27b-it"],
    layouts: "as `gemma3`",
    licence: "Health AI Developer Foundations terms of use",
    parity: "as `gemma3`, on tiny checkpoints; with published weights not measured",
    input: INPUT,
    architectures: &["Gemma3ForConditionalGeneration"],
    claims: |clues| is_member(clues) && clues.is_called("medgemma"),
    box_dialect: Some("medgemma"),
    load: Loader::Answers(|checkpoint, options| load(checkpoint, options, &FAMILY)),
};
