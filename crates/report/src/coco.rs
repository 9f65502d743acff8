//! COCO's formats: detection results, one entry a box, `[x, y, width, height]` in pixels of the source
//! image; and files of masks.

use crate::outline::{outlines, signed_area_px};
use loupe_core::mask::Rle;
use loupe_core::{Box2, Mask, Source};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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

/// A mask before numbering.
#[derive(Debug, Clone)]
pub struct Outlined<'a> {
    /// The dataset's or user's name for the image.
    pub image: &'a str,
    /// What it is.
    pub label: &'a str,
    /// In source pixels.
    pub mask: &'a Mask,
    /// The model's estimate of its quality.
    pub score: Option<f64>,
}

/// A COCO file of masks: `images`, `categories` and `annotations`, numbered in order of first
/// appearance from 1. `segmentation` is the exact run-length encoding, uncompressed as `pycocotools`
/// takes it; `polygons` beside it are the outer outlines along pixel edges (holes cannot be said in
/// COCO's polygons).
pub fn masks(all: &[Outlined<'_>]) -> Value {
    let (mut images, mut labels): (Vec<&Outlined<'_>>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut annotations = Vec::with_capacity(all.len());
    for (n, one) in all.iter().enumerate() {
        let image = images.iter().position(|i| i.image == one.image).unwrap_or_else(|| {
            images.push(one);
            images.len() - 1
        });
        let label = labels.iter().position(|l| *l == one.label).unwrap_or_else(|| {
            labels.push(one.label);
            labels.len() - 1
        });
        let polygons: Vec<Vec<f64>> = outlines(one.mask)
            .into_iter()
            .filter(|o| signed_area_px(o) > 0.0)
            .map(|o| o.into_iter().flatten().collect())
            .collect();
        annotations.push(json!({
            "id": n + 1,
            "image_id": image + 1,
            "category_id": label + 1,
            "bbox": one.mask.bounding_box().map_or([0.0; 4], |b| b.xywh()),
            "area": one.mask.area_px(),
            "iscrowd": 0,
            "score": one.score,
            "segmentation": Rle::of(one.mask),
            "polygons": polygons,
        }));
    }
    let images = images.iter().enumerate().map(|(n, i)| {
        json!({ "id": n + 1, "file_name": i.image, "width": i.mask.width(), "height": i.mask.height() })
    });
    let labels = labels.iter().enumerate().map(|(n, l)| json!({ "id": n + 1, "name": l }));
    json!({
        "images": images.collect::<Vec<_>>(),
        "categories": labels.collect::<Vec<_>>(),
        "annotations": annotations,
    })
}
