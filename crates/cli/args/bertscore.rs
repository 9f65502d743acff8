//! The text encoder of BERTScore and how its vectors are compared.

use loupe_app::open::DeviceChoice;
use loupe_app::similarity::{BertScoreOptions, Idf};
use std::path::PathBuf;

/// The encoder and how its vectors are compared.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "BERTScore")]
pub(crate) struct BertScoreArgs {
    /// Folder of the text encoder (BERT, RoBERTa, DistilRoBERTa, DistilBERT) for the metrics
    /// bertscore_p, bertscore_r and bertscore_f1.
    #[arg(long, value_name = "DIR")]
    text_encoder: Option<PathBuf>,

    /// Device of the encoder: `cpu`, `cuda` or `cuda:N`.
    #[arg(long, value_name = "DEVICE", default_value = "cpu", requires = "text_encoder")]
    text_encoder_device: DeviceChoice,

    /// Layer whose vectors are compared, 0 being the embeddings. Not needed when the folder has the name
    /// of a checkpoint that the package bert_score knows.
    #[arg(long, value_name = "N", requires = "text_encoder")]
    bertscore_layer: Option<usize>,

    /// Texts that decide how much a rare token counts (idf).
    #[arg(long, value_enum, default_value_t, requires = "text_encoder")]
    bertscore_idf: IdfName,

    /// Baseline to rescale with: a file in the package's format (`LAYER,P,R,F`).
    #[arg(long, value_name = "FILE", requires = "text_encoder")]
    bertscore_baseline: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum IdfName {
    /// Every token weighs the same.
    #[default]
    None,
    /// The references (the package's `idf=True`).
    References,
    /// The replies (MultiMedEval).
    Replies,
}

impl BertScoreArgs {
    /// As a plain option; nothing without an encoder.
    pub(crate) fn options(&self) -> Option<BertScoreOptions> {
        Some(BertScoreOptions {
            encoder: self.text_encoder.clone()?,
            device: self.text_encoder_device,
            layer: self.bertscore_layer,
            idf: match self.bertscore_idf {
                IdfName::None => Idf::None,
                IdfName::References => Idf::References,
                IdfName::Replies => Idf::Replies,
            },
            baseline: self.bertscore_baseline.clone(),
        })
    }
}
