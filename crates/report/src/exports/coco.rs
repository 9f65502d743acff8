//! COCO's formats: detection results, one entry a box, `[x, y, width, height]` in pixels of the source
//! image; and files of masks.

use crate::exports::exporter::{ExportError, ExportImage, Exporter, ImageFinding};
use crate::outline::{outlines, signed_area_px};
use loupe_core::mask::Rle;
use loupe_core::{Finding, Mask};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A detection as `pycocotools`' `loadRes` reads it; `image` and `label` are extra keys it ignores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Number of the image in the list of those that were looked at, from 1: it does not depend on what was found.
    pub image_id: u64,
    /// Number of the label.
    pub category_id: u64,
    /// `[x, y, width, height]`, continuous pixel edges from the top left.
    pub bbox: [f64; 4],
    /// Confidence; left out when the model gives none, because none is invented. `loadRes` reads such entries,
    /// `COCOeval` sorts by score and needs one from somewhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The dataset's own name for the image.
    pub image: String,
    /// The label's name.
    pub label: String,
}

/// COCO's two files.
pub static EXPORTERS: &[Exporter] = &[
    Exporter {
        name: "coco-detections",
        about: "boxes with scores, as pycocotools' loadRes reads them",
        write: |images, findings| Ok(serde_json::to_vec_pretty(&detections(images, findings))?),
    },
    Exporter {
        name: "coco-masks",
        about: "masks as run lengths and polygons, an annotation file of COCO",
        write: |images, findings| Ok(serde_json::to_vec(&masks(images, findings)?)?),
    },
];

/// The label of what nobody named.
const UNNAMED: &str = "finding";

fn label(finding: &Finding) -> &str {
    finding.label.as_deref().unwrap_or(UNNAMED)
}

/// Names in order of first appearance.
#[derive(Default)]
struct Names<'a>(Vec<&'a str>);

impl<'a> Names<'a> {
    /// Those of the images that were looked at.
    fn of(images: &[ExportImage<'a>]) -> Self {
        let mut names = Self::default();
        for image in images {
            names.number(image.name);
        }
        names
    }

    /// The number of `name`, from 1.
    fn number(&mut self, name: &'a str) -> u64 {
        let at = self.0.iter().position(|n| *n == name).unwrap_or_else(|| {
            self.0.push(name);
            self.0.len() - 1
        });
        at as u64 + 1
    }
}

/// The boxes among the findings. Images have their number in `images`, from 1, and those that are not there the next
/// ones; labels are numbered in order of first appearance.
pub fn detections(images: &[ExportImage<'_>], findings: &[ImageFinding<'_>]) -> Vec<Detection> {
    let (mut images, mut labels) = (Names::of(images), Names::default());
    let mut all = Vec::with_capacity(findings.len());
    for &ImageFinding { image, finding } in findings {
        let Some(region) = finding.source_box() else { continue };
        let label = label(finding);
        all.push(Detection {
            image_id: images.number(image),
            category_id: labels.number(label),
            bbox: region.xywh(),
            score: finding.score,
            image: image.to_owned(),
            label: label.to_owned(),
        });
    }
    all
}

/// The masks among the findings as a COCO file: `images` (all that were looked at, numbered as in the list, from 1),
/// `categories` and `annotations`, in pixels of the source image. `segmentation` is the exact run-length
/// encoding, uncompressed as `pycocotools` takes it; `polygons` beside it are the outer outlines along pixel
/// edges (holes cannot be said in COCO's polygons).
///
/// # Errors
/// [`ExportError::Mask`] with the number of the finding, from 0.
pub fn masks(looked_at: &[ExportImage<'_>], findings: &[ImageFinding<'_>]) -> Result<Value, ExportError> {
    let (mut names, mut labels) = (Names::default(), Names::default());
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    let image_entry = |id: u64, name: &str, [width, height]: [usize; 2]| json!({ "id": id, "file_name": name, "width": width, "height": height });
    for image in looked_at {
        let id = names.number(image.name);
        if id > images.len() as u64 {
            images.push(image_entry(id, image.name, image.size));
        }
    }
    for (n, &ImageFinding { image: name, finding }) in findings.iter().enumerate() {
        let Some(mask) = finding.as_mask() else { continue };
        let mask = mask.to_mask().and_then(|m| m.in_source(&finding.origin)).ok_or(ExportError::Mask(n))?;
        let image = names.number(name);
        if image > images.len() as u64 {
            images.push(image_entry(image, name, [mask.width(), mask.height()]));
        }
        let mut annotation = json!({
            "id": annotations.len() + 1,
            "image_id": image,
            "category_id": labels.number(label(finding)),
            "bbox": mask.bounding_box().map_or([0.0; 4], |b| b.xywh()),
            "area": mask.area_px(),
            "iscrowd": 0,
            "segmentation": Rle::of(&mask),
            "polygons": polygons(&mask),
        });
        if let (Some(score), Some(entry)) = (finding.score, annotation.as_object_mut()) {
            entry.insert("score".to_owned(), score.into());
        }
        annotations.push(annotation);
    }
    let labels = labels.0.iter().enumerate().map(|(n, name)| json!({ "id": n + 1, "name": name }));
    Ok(json!({
        "images": images,
        "categories": labels.collect::<Vec<_>>(),
        "annotations": annotations,
    }))
}

/// Outer outlines, `x, y, x, y …`.
fn polygons(mask: &Mask) -> Vec<Vec<f64>> {
    let outer = outlines(mask).into_iter().filter(|o| signed_area_px(o) > 0.0);
    outer.map(|o| o.into_iter().flatten().collect()).collect()
}
