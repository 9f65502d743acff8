//! DistilBERT: BERT without token types, under names of its own.

use crate::family::{Family, Loader};
use crate::networks::bert::{BertDialect, Encoder, Names};

/// The table entry.
pub const FAMILY: Family = Family {
    name: "distilbert",
    paper: "DistilBERT, arXiv 1910.01108",
    examples: &[
        "distilbert-base-uncased",
        "distilbert-base-uncased-distilled-squad",
        "distilbert-base-multilingual-cased",
    ],
    layouts: "Hugging Face folders",
    licence: "Apache-2.0",
    parity: "transformers: ids equal, every layer 1e-5; scores of bert_score 0.3.13",
    input: "texts of at most the number of positions, later tokens cut",
    architectures: &[],
    claims: |clues| clues.is_type("distilbert"),
    box_dialect: None,
    load: Loader::Encodes {
        load: |checkpoint, options| Ok(Box::new(Encoder::load(checkpoint, options, &DIALECT)?)),
        bert_score_layers: &[5, 4, 5],
    },
};

const DIALECT: BertDialect = BertDialect {
    family: "distilbert",
    names: Names {
        width: "dim",
        layers: "n_layers",
        heads: "n_heads",
        wide: "hidden_dim",
        activation: "activation",
        token_types: None,
        tensors: &[
            ("transformer.layer.", "encoder.layer."),
            (".attention.q_lin.", ".attention.self.query."),
            (".attention.k_lin.", ".attention.self.key."),
            (".attention.v_lin.", ".attention.self.value."),
            (".attention.out_lin.", ".attention.output.dense."),
            (".sa_layer_norm.", ".attention.output.LayerNorm."),
            (".ffn.lin1.", ".intermediate.dense."),
            (".ffn.lin2.", ".output.dense."),
            (".output_layer_norm.", ".output.LayerNorm."),
        ],
    },
    after_padding: false,
    space_before: false,
};
