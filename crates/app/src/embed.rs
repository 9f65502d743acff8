//! Images and texts as vectors in one space, and how well each text describes each image.

use crate::error::{AppError, InStep};
use crate::open::{ImageOptions, ModelOptions, reference};
use loupe_core::{MediaLoader, ModelInfo, PairLogit, View};
use loupe_models::{Checkpoint, load_pair_encoder};
use serde::Serialize;

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
    /// Its logistic function: the probability, as SigLIP was trained, that the text describes the image.
    pub probability: f64,
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
        options.model.must_be_here("an encoder of images and texts")?;
        let Some(dir) = &options.model.folder else {
            return Err(AppError::input(
                "an encoder of images and texts is needed: --model DIR, a folder such as MedSigLIP's",
            ));
        };
        let mut encoder = load_pair_encoder(&Checkpoint::directory(dir), &options.model.load)
            .step(|| format!("the encoder in {} could not be loaded", dir.display()))?;
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
        for (text, words) in &texts {
            let logit = logit.of(&picture, words);
            out.push(Match { image, text: *text, logit, probability: 1.0 / (1.0 + (-logit).exp()) });
        }
    }
    out
}
