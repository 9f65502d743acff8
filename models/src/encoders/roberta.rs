//! RoBERTa and DistilRoBERTa: BERT with byte-level tokens, and positions that count from behind the
//! padding token's id.

use super::EncoderFamily;
use crate::encoder::Names;

/// The table entry.
pub static FAMILY: EncoderFamily = EncoderFamily {
    name: "roberta",
    paper: "RoBERTa, arXiv 1907.11692; DistilRoBERTa, arXiv 1910.01108",
    examples: &[
        ("roberta-base", 10),
        ("roberta-large", 17),
        ("roberta-large-mnli", 19),
        ("distilroberta-base", 5),
        ("princeton-nlp/sup-simcse-roberta-base", 10),
        ("princeton-nlp/sup-simcse-roberta-large", 16),
    ],
    names: Names::BERT,
    after_padding: true,
    space_before: true,
};
