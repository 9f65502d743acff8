//! BERT and its clinical and scientific relatives.

use super::EncoderFamily;
use crate::encoder::Names;

/// The table entry.
pub static FAMILY: EncoderFamily = EncoderFamily {
    name: "bert",
    paper: "BERT, arXiv 1810.04805",
    examples: &[
        ("bert-base-uncased", 9),
        ("bert-large-uncased", 18),
        ("bert-base-multilingual-cased", 9),
        ("bert-base-chinese", 8),
        ("allenai/scibert_scivocab_uncased", 8),
        ("allenai/scibert_scivocab_cased", 9),
    ],
    names: Names::BERT,
    after_padding: false,
    space_before: false,
};
