//! BERT and its clinical and scientific relatives.

use crate::family::{Family, Loader};
use crate::networks::bert::{BertDialect, Encoder, Names};

/// The table entry.
pub const FAMILY: Family = Family {
    name: "bert",
    paper: "BERT, arXiv 1810.04805",
    examples: &[
        "bert-base-uncased",
        "bert-large-uncased",
        "bert-base-multilingual-cased",
        "bert-base-chinese",
        "allenai/scibert_scivocab_uncased",
        "allenai/scibert_scivocab_cased",
    ],
    layouts: "Hugging Face folders",
    licence: "Apache-2.0",
    parity: "transformers: ids equal, every layer 1e-5; scores of bert_score 0.3.13",
    input: "texts of at most the number of positions, later tokens cut",
    architectures: &[],
    claims: |clues| clues.is_type("bert"),
    box_dialect: None,
    load: Loader::Encodes {
        load: |checkpoint, options| Ok(Box::new(Encoder::load(checkpoint, options, &DIALECT)?)),
        bert_score_layers: &[9, 18, 9, 8, 8, 9],
    },
};

const DIALECT: BertDialect =
    BertDialect { family: "bert", names: Names::BERT, after_padding: false, space_before: false };
