//! BERTScore through a text encoder on this machine.

use crate::pick::device;
use crate::printer::Printer;
use anyhow::{Context, Result, bail};
use loupe_eval::metrics::Texts;
use loupe_eval::metrics::bertscore::{Baseline, BertScores, Idf, Settings};
use loupe_eval::run::RunFolder;
use loupe_models::encoders::default_layer;
use loupe_models::{Checkpoint, DeviceChoice, LoadOptions, load_encoder};
use std::path::{Path, PathBuf};

/// The encoder and how its vectors are compared.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "BERTScore")]
pub(crate) struct BertScoreArgs {
    /// Folder of the text encoder (BERT, RoBERTa, DistilRoBERTa, DistilBERT) for the metrics
    /// bertscore_p, bertscore_r and bertscore_f1.
    #[arg(long, value_name = "DIR")]
    text_encoder: Option<PathBuf>,

    /// Where it computes: `cpu`, `cuda` or `cuda:N`.
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = device, requires = "text_encoder")]
    text_encoder_device: DeviceChoice,

    /// Its layer, 0 being the embeddings; what the package bert_score takes where the folder has the
    /// name of a checkpoint it knows.
    #[arg(long, value_name = "N", requires = "text_encoder")]
    bertscore_layer: Option<usize>,

    /// Which texts say how rare a token is.
    #[arg(long, value_enum, default_value_t, requires = "text_encoder")]
    bertscore_idf: IdfName,

    /// What the layer gives for unrelated texts, to rescale with: a file in the package's format
    /// (`LAYER,P,R,F`).
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
    /// The folder of the encoder, or what to give.
    pub(crate) fn need(&self) -> Result<&Path> {
        let Some(folder) = &self.text_encoder else {
            bail!(
                "BERTScore needs a text encoder: name the folder of its checkpoint (config.json, model.safetensors, tokenizer.json) with --text-encoder"
            );
        };
        Ok(folder)
    }

    /// Compares every reply of the run with its references.
    pub(crate) fn of_run(&self, dir: &Path, texts: Texts, out: &Printer) -> Result<BertScores> {
        let folder = self.need()?;
        let checkpoint = Checkpoint::directory(folder);
        let options = LoadOptions { device: self.text_encoder_device, ..LoadOptions::default() };
        let mut encoder = load_encoder(&checkpoint, &options)
            .with_context(|| format!("the text encoder in {} could not be loaded", folder.display()))?;
        let layers = encoder.layers();
        let layer = match self.bertscore_layer.or_else(|| default_layer(&encoder.info().name)) {
            Some(layer) if layer <= layers => layer,
            Some(layer) => bail!("layer {layer} was asked for, but the text encoder has {layers}"),
            None => bail!(
                "the package has no layer for an encoder called {:?}; name one of 0 to {layers} with --bertscore-layer",
                encoder.info().name
            ),
        };
        let baseline = match &self.bertscore_baseline {
            Some(file) => Some(Baseline::read(file, layer).with_context(|| format!("{}", file.display()))?),
            None => None,
        };
        let idf = match self.bertscore_idf {
            IdfName::None => Idf::None,
            IdfName::References => Idf::References,
            IdfName::Replies => Idf::Replies,
        };
        let bar = out.bar(0);
        let run = RunFolder::open(dir)?;
        let settings = Settings { layer, idf, baseline, texts };
        let scores = BertScores::of_run(&run, encoder.as_mut(), &settings, &|pairs| {
            bar.set_message(format!("BERTScore of {pairs} different pairs"));
        })?;
        bar.finish_and_clear();
        Ok(scores)
    }
}
