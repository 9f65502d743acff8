//! AG-KD and K2Sight: Florence-2 (`florence2.rs`) trained to find abnormalities that the prompt describes. Pictures are
//! put into a square of 512 pixels before they are prepared, and boxes are measured in it.

use super::florence2::{is_member, load};
use crate::family::{Family, Loader};

/// Pixels of a side of the square.
const SIDE: usize = 512;

/// The table entry.
pub const FAMILY: Family = Family {
    name: "ag-kd",
    paper: "AG-KD, arXiv 2503.03278; K2Sight, arXiv 2508.04572",
    examples: &["RioJune/AG-KD"],
    layouts: "as `florence2`",
    licence: "as the model card says; Florence-2's own is MIT",
    parity: "as `florence2`; the letterbox of albumentations with OpenCV 5.0: 8-bit pixels equal",
    input: "longest side to 512 pixels (OpenCV's INTER_LINEAR), centred on black, then as `florence2`; boxes are measured \
            across the 512 × 512; asked for with `target means definition`",
    architectures: &["Florence2ForConditionalGeneration"],
    claims: |clues| is_member(clues) && (clues.is_called("agkd") || clues.is_called("k2sight")),
    box_dialect: Some("ag-kd"),
    load: Loader::Answers(|checkpoint, options| load(checkpoint, options, &FAMILY, Some(SIDE))),
};
