//! The place of a phrase as an encoder of pictures and texts shows it: what of the picture bears on the phrase becomes a
//! map, and boxes go around what stands out of it (MedCLIP-SAMv2, arXiv 2409.19483).

use crate::error::AppError;
use crate::files;
use crate::npy::npy;
use loupe_core::{Bottleneck, Box2, Given, ModelInfo, PairEncoder, Picture, SaliencyMap};
use loupe_report::{Drawing, draw};
use serde::Serialize;
use std::path::Path;

/// How a map is made and what is taken of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SaliencyOptions {
    /// How what bears on the phrase is found.
    pub bottleneck: Bottleneck,
    /// What is above this value of the map (0 to 1) stands out; without it what parts the map into two clusters best.
    pub threshold: Option<f64>,
    /// So many parts that stand out at most, the largest ones, each an object of its own.
    pub parts: usize,
}

impl Default for SaliencyOptions {
    fn default() -> Self {
        Self { bottleneck: Bottleneck::default(), threshold: None, parts: 1 }
    }
}

/// What became of a phrase, for the document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SaliencyEntry {
    /// The phrase.
    pub phrase: String,
    /// The encoder.
    pub model: ModelInfo,
    /// How its map was made.
    pub bottleneck: Bottleneck,
    /// What was above this value stood out.
    pub threshold: f64,
    /// Was the threshold given?
    pub threshold_given: bool,
    /// `[x0, y0, x1, y1]` of what the encoder saw, in source pixels.
    pub seen_xyxy: [f64; 4],
    /// The parts that stood out, the largest first.
    pub parts: Vec<SalientEntry>,
}

/// A part that stood out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SalientEntry {
    /// `[x0, y0, x1, y1]` around it in source pixels.
    pub box_xyxy: [f64; 4],
    /// Its share of the map's pixels.
    pub share: f64,
}

/// A phrase with its map.
pub(super) struct Salient {
    pub(super) entry: SaliencyEntry,
    pub(super) boxes: Vec<Box2<Given>>,
    map: SaliencyMap,
}

impl Salient {
    pub(super) fn of(
        encoder: &mut dyn PairEncoder,
        how: SaliencyOptions,
        picture: &Picture,
        phrase: &str,
    ) -> Result<Self, AppError> {
        if how.threshold.is_some_and(|t| !(0.0..1.0).contains(&t)) {
            return Err(AppError::input("the threshold of a saliency map has to be 0 or more and below 1"));
        }
        let found = encoder.saliency(picture, phrase, &how.bottleneck)?;
        let Some(map) = found.map() else {
            return Err(AppError::input(format!(
                "the saliency map of {phrase:?} is the same everywhere: nothing stands out"
            )));
        };
        let threshold = how.threshold.unwrap_or_else(|| map.threshold());
        let parts = map.parts(threshold, how.parts, [picture.width(), picture.height()]);
        if parts.is_empty() {
            return Err(AppError::input(format!(
                "nothing of the image is above {threshold:.3} in the saliency map of {phrase:?}"
            )));
        }
        let in_source = |region: Box2<Given>| picture.origin.source_from_self.boxed(region).xyxy();
        let pixels = (map.side * map.side).max(1) as f64;
        let entry = SaliencyEntry {
            phrase: phrase.to_owned(),
            model: encoder.info().clone(),
            bottleneck: how.bottleneck,
            threshold,
            threshold_given: how.threshold.is_some(),
            seen_xyxy: in_source(map.seen),
            parts: parts
                .iter()
                .map(|p| SalientEntry { box_xyxy: in_source(p.region), share: p.area as f64 / pixels })
                .collect(),
        };
        Ok(Self { entry, boxes: parts.into_iter().map(|p| p.region).collect(), map })
    }

    /// What has to be said of it.
    pub(super) fn note(&self, picture: &Picture) -> Option<String> {
        let [x0, y0, x1, y1] = self.map.seen.xyxy();
        let whole = picture.bounds();
        let (seen, whole) = (
            (x1.min(whole.width()) - x0.max(0.0), y1.min(whole.height()) - y0.max(0.0)),
            (whole.width(), whole.height()),
        );
        (seen.0 < whole.0 - 0.5 || seen.1 < whole.1 - 0.5).then(|| {
            format!(
                "the encoder saw the middle of the picture, {:.0} × {:.0} of {:.0} × {:.0} pixels; nothing is found outside",
                seen.0, seen.1, whole.0, whole.1
            )
        })
    }

    /// Writes the map over the picture (`saliency-01.png`) and as numbers (`saliency-01.npy`, one a pixel of the
    /// picture, NaN where nothing was seen).
    pub(super) fn write(&self, dir: &Path, number: usize, picture: &Picture) -> Result<(), AppError> {
        let (width, height) = (picture.width(), picture.height());
        let centre = |n: usize| [(n % width) as f64 + 0.5, (n / width) as f64 + 0.5];
        let value = |n: usize| {
            let [x, y] = centre(n);
            self.map.at(x, y).unwrap_or(f32::NAN)
        };
        let values: Vec<f32> = (0..width * height).map(value).collect();
        let array = npy([height, width], values.iter().copied());
        files::write(&dir.join(format!("saliency-{number:02}.npy")), &array)?;
        let drawn = draw(picture, &[Drawing::Heat(values)])?;
        files::write(&dir.join(format!("saliency-{number:02}.png")), &loupe_report::png(&drawn)?)
    }
}
