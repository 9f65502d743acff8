//! Images to labels with an encoder of images and texts that was trained on none of them (zero-shot).

use crate::embed::open_encoder;
use crate::error::{AppError, InStep};
use crate::open::{ImageOptions, ModelOptions, reference};
use crate::zero_shot::{
    Described, Ensemble, LabelScore, LabelTexts, by_descriptors, by_ensembles, mean_direction, sentences,
};
use loupe_core::{MediaLoader, ModelInfo, PairEncoder, View};
use serde::Serialize;
use std::path::PathBuf;

/// What the labels are, and what is said for them.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// Labels in templates; as they are without templates.
    Labels {
        /// The labels.
        labels: Vec<String>,
        /// Texts with `{}` where the label goes.
        templates: Vec<String>,
    },
    /// A JSON file of labels with a list of prompts each.
    Prompts(PathBuf),
    /// A JSON file of labels with a list of descriptors each.
    Descriptors(PathBuf),
}

/// What to classify, and with what.
#[derive(Debug, Clone)]
pub struct ClassifyOptions {
    /// Files or folders of images.
    pub images: Vec<String>,
    /// Which part of each, and how it becomes grey levels.
    pub view: View,
    /// How images are read.
    pub reading: ImageOptions,
    /// The labels.
    pub wanted: Wanted,
    /// The encoder; it needs a folder.
    pub model: ModelOptions,
}

/// An image with the score of every label, or why there are none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Classified {
    /// The image as it was named.
    pub image: String,
    /// The likeliest label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likeliest: Option<String>,
    /// In the order in which the labels were given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<LabelScore>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Images with their labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Classification {
    /// What made it.
    pub model: ModelInfo,
    /// `ensembles` of prompts, or `descriptors`.
    pub method: &'static str,
    /// The labels with their texts.
    pub labels: Vec<LabelTexts>,
    /// In the order in which they were named.
    pub images: Vec<Classified>,
}

/// Labels with their vectors.
enum Scorer {
    Ensembles(Vec<Ensemble>),
    Descriptors(Vec<Described>),
}

impl Classification {
    /// Classifies all images; what fails is on record as such, and the others go on.
    ///
    /// # Errors
    /// When the labels cannot be read, the encoder cannot be loaded, or it cannot read a text: a label without one of
    /// its texts would be another label.
    pub fn of(options: &ClassifyOptions) -> Result<Self, AppError> {
        let (labels, described) = match &options.wanted {
            Wanted::Labels { labels, templates } => (LabelTexts::of(labels, templates)?, false),
            Wanted::Prompts(file) => (LabelTexts::read(file)?, false),
            Wanted::Descriptors(file) => (LabelTexts::read(file)?, true),
        };
        let mut encoder = open_encoder(&options.model)?;
        let scorer = Scorer::new(encoder.as_mut(), &labels, described)?;
        let logit = encoder.logit();
        let loader = options.reading.loader();
        let mut score = |name: &String| -> Result<Vec<LabelScore>, AppError> {
            let picture = loader.load(&reference(name.as_ref(), options.view.clone())?)?;
            let vector = encoder.picture(&picture)?;
            Ok(match &scorer {
                Scorer::Ensembles(labels) => by_ensembles(&vector, labels, logit),
                Scorer::Descriptors(labels) => by_descriptors(&vector, labels),
            })
        };
        let images = options.images.iter().map(|name| match score(name) {
            Ok(labels) => {
                let best = labels.iter().max_by(|a, b| a.probability.total_cmp(&b.probability));
                let likeliest = best.map(|best| best.label.clone());
                Classified { image: name.clone(), likeliest, labels, error: None }
            }
            Err(error) => Classified {
                image: name.clone(),
                likeliest: None,
                labels: Vec::new(),
                error: Some(error.in_one_line()),
            },
        });
        let images = images.collect();
        let method = if described { "descriptors" } else { "ensembles" };
        Ok(Self { model: encoder.info().clone(), method, labels, images })
    }
}

impl Scorer {
    fn new(encoder: &mut dyn PairEncoder, labels: &[LabelTexts], described: bool) -> Result<Self, AppError> {
        let mut vector = |text: &str| -> Result<Vec<f32>, AppError> {
            encoder.text(text).step(|| format!("the text {text:?} has no vector"))
        };
        if described {
            let sentences = |of: &LabelTexts| {
                let both = of.texts.iter().map(|text| {
                    let [there, absent] = sentences(&of.label, text);
                    Ok([vector(&there)?, vector(&absent)?])
                });
                Ok(Described { of: of.clone(), sentences: both.collect::<Result<_, AppError>>()? })
            };
            return Ok(Self::Descriptors(labels.iter().map(sentences).collect::<Result<_, AppError>>()?));
        }
        let ensemble = |of: &LabelTexts| {
            let prompts = of.texts.iter().map(|text| vector(text)).collect::<Result<Vec<_>, AppError>>()?;
            let whole = mean_direction(&prompts).ok_or_else(|| {
                AppError::input(format!(
                    "the prompts of {:?} cancel out: their mean has no direction",
                    of.label
                ))
            })?;
            Ok(Ensemble { of: of.clone(), prompts, whole })
        };
        Ok(Self::Ensembles(labels.iter().map(ensemble).collect::<Result<_, AppError>>()?))
    }
}
