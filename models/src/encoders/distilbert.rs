//! DistilBERT: BERT without token types, under names of its own.

use super::EncoderFamily;
use crate::encoder::Names;

/// The table entry.
pub static FAMILY: EncoderFamily = EncoderFamily {
    name: "distilbert",
    paper: "DistilBERT, arXiv 1910.01108",
    examples: &[
        ("distilbert-base-uncased", 5),
        ("distilbert-base-uncased-distilled-squad", 4),
        ("distilbert-base-multilingual-cased", 5),
    ],
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
