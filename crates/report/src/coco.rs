//! COCO detection results: one entry a box, `[x, y, width, height]` in pixels of the source image.

use loupe_core::{Box2, Source};
use serde::{Deserialize, Serialize};

/// A detection as `pycocotools`' `loadRes` reads it; `image` and `label` are extra keys it ignores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Number of the image.
    pub image_id: u64,
    /// Number of the label.
    pub category_id: u64,
    /// `[x, y, width, height]`, continuous pixel edges from the top left.
    pub bbox: [f64; 4],
    /// Confidence, 1 when the model gives none.
    pub score: f64,
    /// The dataset's own name for the image.
    pub image: String,
    /// The label's name.
    pub label: String,
}

/// A found box before numbering.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The dataset's or user's name for the image.
    pub image: String,
    /// The model's label, or what was asked for.
    pub label: String,
    /// Where, in source pixels.
    pub region: Box2<Source>,
    /// Confidence, when the model gives one.
    pub score: Option<f64>,
}

/// Numbers images and labels in order of first appearance, from 1.
pub fn detections(findings: &[Finding]) -> Vec<Detection> {
    let (mut images, mut labels): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let number = |seen: &mut Vec<&str>, name: &str| seen.iter().position(|n| *n == name);
    let mut out = Vec::with_capacity(findings.len());
    for f in findings {
        let image = number(&mut images, &f.image).unwrap_or_else(|| {
            images.push(&f.image);
            images.len() - 1
        });
        let label = number(&mut labels, &f.label).unwrap_or_else(|| {
            labels.push(&f.label);
            labels.len() - 1
        });
        out.push(Detection {
            image_id: image as u64 + 1,
            category_id: label as u64 + 1,
            bbox: f.region.xywh(),
            score: f.score.unwrap_or(1.0),
            image: f.image.clone(),
            label: f.label.clone(),
        });
    }
    out
}
