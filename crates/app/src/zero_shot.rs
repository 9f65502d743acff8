//! How vectors of images and texts become labels, without a model: ensembles of prompts (CLIP, arXiv 2103.00020,
//! section 3.1.4) and descriptors of findings (Xplainer, arXiv 2303.13391).

use crate::error::{AppError, InStep};
use loupe_core::encoder::{cosine, softmax};
use loupe_core::{PairLogit, files};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// Divides cosines before their softmax in Xplainer's own code.
const TEMPERATURE: f64 = 0.5;

/// Texts of every label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelTexts {
    /// The label.
    pub label: String,
    /// Its prompts, or its descriptors.
    pub texts: Vec<String>,
}

impl LabelTexts {
    /// Every label in every template, in whose place `{}` stands; the labels themselves without templates.
    ///
    /// # Errors
    /// When there is no label, one is named twice, or a template has no place.
    pub fn of(labels: &[String], templates: &[String]) -> Result<Vec<Self>, AppError> {
        if let Some(odd) = templates.iter().find(|template| !template.contains("{}")) {
            return Err(AppError::input(format!("the template {odd:?} has no {{}} where the label goes")));
        }
        let texts = |label: &String| match templates {
            [] => vec![label.clone()],
            some => some.iter().map(|template| template.replace("{}", label)).collect(),
        };
        let made = labels.iter().map(|label| Self { label: label.clone(), texts: texts(label) }).collect();
        checked(made)
    }

    /// Reads a JSON object of labels with a list of texts each, in the order of the file.
    ///
    /// # Errors
    /// When the file cannot be read or is something else.
    pub fn read(file: &Path) -> Result<Vec<Self>, AppError> {
        let name = file.display().to_string();
        let text = files::read_text_at_most(file, files::SETTINGS_BYTES)
            .step(|| format!("{name} could not be read"))?;
        let value: Value =
            serde_json::from_str(&text).map_err(|e| AppError::input(format!("{name} is not JSON: {e}")))?;
        let form = || {
            let form = r#"{"label": ["a text", "another"], …}"#;
            AppError::input(format!("{name}: an object of labels with lists of texts is needed, {form}"))
        };
        let labels = value.as_object().ok_or_else(form)?.iter().map(|(label, texts)| {
            let texts = texts.as_array().ok_or_else(form)?.iter();
            let texts = texts.map(|text| text.as_str().map(str::to_owned).ok_or_else(form));
            Ok(Self { label: label.clone(), texts: texts.collect::<Result<_, AppError>>()? })
        });
        checked(labels.collect::<Result<_, AppError>>()?)
    }
}

/// Refuses what would make scores of nothing, or two of one label.
fn checked(labels: Vec<LabelTexts>) -> Result<Vec<LabelTexts>, AppError> {
    if labels.is_empty() {
        return Err(AppError::input("there are no labels"));
    }
    for (n, one) in labels.iter().enumerate() {
        if one.texts.is_empty() || one.texts.iter().any(|text| text.trim().is_empty()) {
            return Err(AppError::input(format!("the label {:?} has no text, or an empty one", one.label)));
        }
        if labels[..n].iter().any(|other| other.label == one.label) {
            return Err(AppError::input(format!("the label {:?} is there twice", one.label)));
        }
    }
    Ok(labels)
}

/// A text behind a label's score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// The prompt, or the descriptor.
    pub text: String,
    /// Cosine of its vector and the image's; of a descriptor, of the sentence that it is there.
    pub cosine: f64,
    /// Cosine of the sentence that a descriptor is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absent_cosine: Option<f64>,
    /// Probability that a descriptor is there, against that it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

/// How well a label fits an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelScore {
    /// The label.
    pub label: String,
    /// The scaled cosine of the image and the mean of the prompts; none of descriptors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logit: Option<f64>,
    /// Of prompts: as the encoder reads its logits, each label by itself or among the others. Of descriptors: the
    /// geometric mean of their probabilities.
    pub probability: f64,
    /// Of descriptors: the geometric mean of the probabilities that they are not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absent_probability: Option<f64>,
    /// Of descriptors: is it likelier that they are there?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
    /// What the score was made of.
    pub evidence: Vec<Evidence>,
}

/// The mean of vectors of length 1, of length 1; none when they cancel out.
pub fn mean_direction(vectors: &[Vec<f32>]) -> Option<Vec<f32>> {
    let width = vectors.first()?.len();
    let sum: Vec<f64> =
        (0..width).map(|n| vectors.iter().filter_map(|v| v.get(n)).map(|v| f64::from(*v)).sum()).collect();
    let length = sum.iter().map(|v| v * v).sum::<f64>().sqrt();
    (length > 1e-9).then(|| sum.into_iter().map(|v| (v / length) as f32).collect())
}

/// A label with the vectors of its prompts and of their ensemble.
pub struct Ensemble {
    /// The label and its prompts.
    pub of: LabelTexts,
    /// A vector a prompt.
    pub prompts: Vec<Vec<f32>>,
    /// Their mean direction.
    pub whole: Vec<f32>,
}

/// Scores of an image by ensembles of prompts.
pub fn by_ensembles(image: &[f32], labels: &[Ensemble], logit: PairLogit) -> Vec<LabelScore> {
    let logits: Vec<f64> = labels.iter().map(|label| logit.of(image, &label.whole)).collect();
    let probabilities = logit.probabilities(&logits);
    let score = |((label, logit), probability): ((&Ensemble, f64), f64)| {
        let texts = label.of.texts.iter().zip(&label.prompts);
        let evidence = texts.map(|(text, vector)| Evidence {
            text: text.clone(),
            cosine: cosine(image, vector),
            absent_cosine: None,
            probability: None,
        });
        LabelScore {
            label: label.of.label.clone(),
            logit: Some(logit),
            probability,
            absent_probability: None,
            present: None,
            evidence: evidence.collect(),
        }
    };
    labels.iter().zip(logits).zip(probabilities).map(score).collect()
}

/// A label's descriptors with the vectors of the sentences that they are there and that they are not.
pub struct Described {
    /// The label and its descriptors.
    pub of: LabelTexts,
    /// Two vectors a descriptor.
    pub sentences: Vec<[Vec<f32>; 2]>,
}

/// Both sentences of a descriptor, in the words of Xplainer's own code.
pub fn sentences(label: &str, descriptor: &str) -> [String; 2] {
    ["There are", "There are no"].map(|begin| format!("{begin} {descriptor} indicating {label}"))
}

/// Scores of an image by descriptors: each is there or not by the softmax of its two cosines over 0.5, and a label has
/// the geometric mean of its descriptors.
pub fn by_descriptors(image: &[f32], labels: &[Described]) -> Vec<LabelScore> {
    let score = |label: &Described| {
        let (mut there, mut absent, mut evidence) = (0.0, 0.0, Vec::new());
        for (text, [positive, negative]) in label.of.texts.iter().zip(&label.sentences) {
            let cosines = [cosine(image, positive), cosine(image, negative)];
            let both = softmax(&cosines.map(|c| c / TEMPERATURE));
            if let [yes, no] = both[..] {
                there += yes.ln();
                absent += no.ln();
                evidence.push(Evidence {
                    text: text.clone(),
                    cosine: cosines[0],
                    absent_cosine: Some(cosines[1]),
                    probability: Some(yes),
                });
            }
        }
        let count = evidence.len().max(1) as f64;
        let [probability, absence] = [there, absent].map(|sum| (sum / count).exp());
        LabelScore {
            label: label.of.label.clone(),
            logit: None,
            probability,
            absent_probability: Some(absence),
            present: Some(probability > absence),
            evidence,
        }
    };
    labels.iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use loupe_core::PairReading;

    fn texts(label: &str, texts: &[&str]) -> LabelTexts {
        LabelTexts { label: label.into(), texts: texts.iter().map(|t| (*t).to_owned()).collect() }
    }

    #[test]
    fn an_ensemble_is_the_mean_direction_of_its_prompts() {
        let ensemble = |label: &str, prompts: Vec<Vec<f32>>| Ensemble {
            of: texts(label, &["one", "two"][..prompts.len()]),
            whole: mean_direction(&prompts).unwrap(),
            prompts,
        };
        let labels =
            [ensemble("a", vec![vec![1.0, 0.0], vec![0.0, 1.0]]), ensemble("b", vec![vec![-1.0, 0.0]])];
        let logit = PairLogit { scale: 2.0, bias: 0.0, reading: PairReading::Among };
        let scores = by_ensembles(&[1.0, 0.0], &labels, logit);
        // Cosines √½ and −1; a softmax over the labels.
        let high = 2.0 * 0.5f64.sqrt();
        assert!((scores[0].logit.unwrap() - high).abs() < 1e-6);
        assert!((scores[0].probability - 1.0 / (1.0 + (-2.0 - high).exp())).abs() < 1e-6);
        assert_eq!(scores[0].evidence.iter().map(|e| e.cosine).collect::<Vec<_>>(), [1.0, 0.0]);
        assert_eq!(mean_direction(&[vec![1.0, 0.0], vec![-1.0, 0.0]]), None);
    }

    #[test]
    fn descriptors_are_weighed_against_their_absence() {
        let label = Described {
            of: texts("edema", &["lines", "haze"]),
            sentences: vec![[vec![1.0, 0.0], vec![0.0, 1.0]], [vec![0.0, 1.0], vec![1.0, 0.0]]],
        };
        let score = by_descriptors(&[1.0, 0.0], std::slice::from_ref(&label)).remove(0);
        let yes = 1.0 / (1.0 + (-2.0f64).exp());
        assert!((score.evidence[0].probability.unwrap() - yes).abs() < 1e-12);
        assert!((score.evidence[1].probability.unwrap() - (1.0 - yes)).abs() < 1e-12);
        let mean = (yes * (1.0 - yes)).sqrt();
        assert!((score.probability - mean).abs() < 1e-12);
        assert_eq!(score.present, Some(false));
        assert_eq!(sentences("edema", "haze")[1], "There are no haze indicating edema");
    }

    #[test]
    fn templates_and_labels_are_checked() {
        let of = |labels: &[&str], templates: &[&str]| {
            let own = |all: &[&str]| all.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
            LabelTexts::of(&own(labels), &own(templates)).map_err(|e| e.to_string())
        };
        assert_eq!(of(&["edema"], &[]).unwrap(), [texts("edema", &["edema"])]);
        assert_eq!(of(&["edema"], &["a {} b", "{}"]).unwrap(), [texts("edema", &["a edema b", "edema"])]);
        assert!(of(&["edema"], &["no place"]).unwrap_err().contains("no place"));
        assert!(of(&["a", "a"], &[]).unwrap_err().contains("twice"));
        assert!(of(&[], &[]).is_err() && of(&[" "], &[]).is_err());
    }
}
