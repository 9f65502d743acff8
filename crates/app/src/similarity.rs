//! BERTScore through a text encoder on this machine.

use crate::error::{AppError, InStep};
use crate::listener::Listener;
use loupe_eval::metrics::Texts;
use loupe_eval::metrics::bertscore::{Baseline, BertScores, Settings};
use loupe_models::families::bert_score_layer;
use loupe_models::{Checkpoint, DeviceChoice, LoadOptions, load_encoder};
use loupe_run::RunFolder;
use std::path::{Path, PathBuf};

pub use loupe_eval::metrics::bertscore::Idf;

/// The encoder and how its vectors are compared.
#[derive(Debug, Clone)]
pub struct BertScoreOptions {
    /// Folder of the text encoder.
    pub encoder: PathBuf,
    /// Where it computes.
    pub device: DeviceChoice,
    /// Its layer, 0 being the embeddings; what the package bert_score takes when not given.
    pub layer: Option<usize>,
    /// Which texts say how rare a token is.
    pub idf: Idf,
    /// What the layer gives for unrelated texts, in the package's format.
    pub baseline: Option<PathBuf>,
}

impl BertScoreOptions {
    /// Compares every reply of the run with its references.
    pub(crate) fn of_run(
        &self,
        dir: &Path,
        texts: Texts,
        listener: &dyn Listener,
    ) -> Result<BertScores, AppError> {
        let folder = &self.encoder;
        let options = LoadOptions { device: self.device, ..LoadOptions::default() };
        let mut encoder = load_encoder(&Checkpoint::directory(folder), &options)
            .step(|| format!("the text encoder in {} could not be loaded", folder.display()))?;
        let layers = encoder.layers();
        let layer = match self.layer.or_else(|| bert_score_layer(&encoder.info().name)) {
            Some(layer) if layer <= layers => layer,
            Some(layer) => {
                return Err(AppError::input(format!(
                    "layer {layer} was asked for, but the text encoder has {layers}"
                )));
            }
            None => {
                return Err(AppError::input(format!(
                    "the package has no layer for an encoder called {:?}; name one of 0 to {layers} with --bertscore-layer",
                    encoder.info().name
                )));
            }
        };
        let baseline = match &self.baseline {
            Some(file) => Some(Baseline::read(file, layer).step(|| format!("{}", file.display()))?),
            None => None,
        };
        listener.begin(0);
        let run = RunFolder::open(dir)?;
        let settings = Settings { layer, idf: self.idf, baseline, texts };
        let scores = BertScores::of_run(&run, encoder.as_mut(), &settings, &|pairs| {
            listener.note(&format!("BERTScore of {pairs} different pairs"));
        })?;
        listener.end();
        Ok(scores)
    }
}
