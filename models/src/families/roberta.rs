//! RoBERTa and DistilRoBERTa: BERT with byte-level tokens, and positions that count from behind the
//! padding token's id.

use crate::family::{Family, Loader};
use crate::networks::bert::{BertDialect, Encoder, Names};

/// The table entry.
pub const FAMILY: Family = Family {
    name: "roberta",
    paper: "RoBERTa, arXiv 1907.11692; DistilRoBERTa, arXiv 1910.01108",
    examples: &[
        "roberta-base",
        "roberta-large",
        "roberta-large-mnli",
        "distilroberta-base",
        "princeton-nlp/sup-simcse-roberta-base",
        "princeton-nlp/sup-simcse-roberta-large",
    ],
    layouts: "Hugging Face folders",
    licence: "MIT",
    parity: "transformers: ids equal, every layer 1e-5; scores of bert_score 0.3.13",
    input: "texts with a space before the first word, of at most the number of positions, later tokens cut",
    architectures: &[],
    claims: |clues| clues.is_type("roberta"),
    box_dialect: None,
    load: Loader::Encodes {
        load: |checkpoint, options| Ok(Box::new(Encoder::load(checkpoint, options, &DIALECT)?)),
        bert_score_layers: &[10, 17, 19, 5, 10, 16],
    },
};

const DIALECT: BertDialect =
    BertDialect { family: "roberta", names: Names::BERT, after_padding: true, space_before: true };
