//! Images and texts as vectors in one space, and how well each text describes each image.

use crate::error::{AppError, InStep};
use crate::npy::npy;
use crate::open::{ImageOptions, ModelOptions, reference};
use loupe_core::files::write_whole;
use loupe_core::{MediaLoader, ModelInfo, PairEncoder, PairLogit, View};
use loupe_datasets::{VectorRow, write_vectors};
use loupe_models::{Checkpoint, load_pair_encoder};
use serde::Serialize;
use serde_json::json;
use std::io::Write as _;
use std::path::Path;

/// What to embed, and with what.
#[derive(Debug, Clone, Default)]
pub struct EmbedOptions {
    /// Files or folders of images.
    pub images: Vec<String>,
    /// Which part of each, and how it becomes grey levels.
    pub view: View,
    /// How images are read.
    pub reading: ImageOptions,
    /// Texts, as they are compared with each image.
    pub texts: Vec<String>,
    /// The encoder; it needs a folder.
    pub model: ModelOptions,
}

/// An image or a text with its vector, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Embedding {
    /// The image as it was named, or the text.
    pub of: String,
    /// Of length 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Embedding {
    fn new(of: &str, made: Result<Vec<f32>, AppError>) -> Self {
        let of = of.to_owned();
        match made {
            Ok(vector) => Self { of, vector: Some(vector), error: None },
            Err(error) => Self { of, vector: None, error: Some(error.in_one_line()) },
        }
    }
}

/// How well a text describes an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Match {
    /// Number of the image, from 0.
    pub image: usize,
    /// Number of the text, from 0.
    pub text: usize,
    /// The scaled cosine of their vectors.
    pub logit: f64,
    /// What the encoder was trained to read of it: for SigLIP the probability that the text describes the image, for
    /// CLIP that this text of all belongs to it.
    pub probability: f64,
}

/// The images that a text describes best.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Nearest {
    /// Number of the text, from 0.
    pub text: usize,
    /// Numbers of images, from 0, the nearest first; among equally near ones the first.
    pub images: Vec<usize>,
}

/// The encoder in the folder of the options.
pub(crate) fn open_encoder(model: &ModelOptions) -> Result<Box<dyn PairEncoder>, AppError> {
    model.must_be_here("an encoder of images and texts")?;
    let Some(dir) = &model.folder else {
        return Err(AppError::input(
            "an encoder of images and texts is needed: --model DIR, a folder such as MedSigLIP's or BiomedCLIP's",
        ));
    };
    load_pair_encoder(&Checkpoint::directory(dir), &model.load)
        .step(|| format!("the encoder in {} could not be loaded", dir.display()))
}

/// Vectors of images and texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Embeddings {
    /// What made them.
    pub model: ModelInfo,
    /// In the order in which they were named.
    pub images: Vec<Embedding>,
    /// In the order in which they were named.
    pub texts: Vec<Embedding>,
    /// Every image with every text, where both have vectors.
    pub matches: Vec<Match>,
}

impl Embeddings {
    /// Embeds all; what fails is on record as such, and the others go on.
    ///
    /// # Errors
    /// When the encoder cannot be loaded.
    pub fn of(options: &EmbedOptions) -> Result<Self, AppError> {
        let mut encoder = open_encoder(&options.model)?;
        let loader = options.reading.loader();
        let mut image = |name: &String| -> Result<Vec<f32>, AppError> {
            let picture = loader.load(&reference(name.as_ref(), options.view.clone())?)?;
            Ok(encoder.picture(&picture)?)
        };
        let images: Vec<Embedding> = options.images.iter().map(|i| Embedding::new(i, image(i))).collect();
        let text = |text: &String| Embedding::new(text, encoder.text(text).map_err(AppError::from));
        let texts: Vec<Embedding> = options.texts.iter().map(text).collect();
        let matches = matches(&images, &texts, encoder.logit());
        Ok(Self { model: encoder.info().clone(), images, texts, matches })
    }

    /// For every text with a vector, the `count` images nearest to it.
    pub fn nearest(&self, count: usize) -> Vec<Nearest> {
        let texts = (0..self.texts.len()).filter(|n| self.matches.iter().any(|m| m.text == *n));
        let of = |text: usize| {
            let mut found: Vec<&Match> = self.matches.iter().filter(|m| m.text == text).collect();
            found.sort_by(|a, b| b.logit.total_cmp(&a.logit).then(a.image.cmp(&b.image)));
            Nearest { text, images: found.iter().take(count).map(|m| m.image).collect() }
        };
        texts.map(of).collect()
    }

    /// Writes the vectors, images before texts, one a row: a bare array for numpy (`.npy`, with what the rows are in a
    /// `.json` of the same name), or a table with the columns kind, of and vector (`.parquet`).
    ///
    /// # Errors
    /// When the name ends otherwise or the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), AppError> {
        let rows = |kind: &'static str, all: &'_ [Embedding]| -> Vec<VectorRow> {
            let row = |e: &Embedding| Some(VectorRow { kind, of: e.of.clone(), vector: e.vector.clone()? });
            all.iter().filter_map(row).collect()
        };
        let mut all = rows("image", &self.images);
        all.extend(rows("text", &self.texts));
        let failed = || format!("{} could not be written", file.display());
        match file.extension().and_then(|e| e.to_str()) {
            Some("npy") => {
                let width = all.first().map_or(0, |row| row.vector.len());
                let array = npy([all.len(), width], all.iter().flat_map(|row| row.vector.iter().copied()));
                write_whole(file, |out| out.write_all(&array)).step(failed)?;
                let rows: Vec<_> = all.iter().map(|row| json!({ "kind": row.kind, "of": row.of })).collect();
                let named = json!({ "model": self.model.name, "rows": rows }).to_string();
                write_whole(&file.with_extension("json"), |out| writeln!(out, "{named}")).step(failed)
            }
            Some("parquet") => write_vectors(file, &all).step(failed),
            _ => Err(AppError::input(format!("{} should end in .npy or .parquet", file.display()))),
        }
    }

    /// What went wrong, with what it was about.
    pub fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.images.iter().chain(&self.texts);
        all.filter_map(|e| Some((e.of.as_str(), e.error.as_deref()?)))
    }
}

fn matches(images: &[Embedding], texts: &[Embedding], logit: PairLogit) -> Vec<Match> {
    let with_vectors = |all: &[Embedding]| -> Vec<(usize, Vec<f32>)> {
        all.iter().enumerate().filter_map(|(n, e)| Some((n, e.vector.clone()?))).collect()
    };
    let texts = with_vectors(texts);
    let mut out = Vec::new();
    for (image, picture) in with_vectors(images) {
        let logits: Vec<f64> = texts.iter().map(|(_, words)| logit.of(&picture, words)).collect();
        let probabilities = logit.probabilities(&logits);
        for ((text, _), (logit, probability)) in texts.iter().zip(logits.iter().zip(probabilities)) {
            out.push(Match { image, text: *text, logit: *logit, probability });
        }
    }
    out
}
