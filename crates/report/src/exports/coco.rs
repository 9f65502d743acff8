//! COCO's formats: detection results, one entry a box, `[x, y, width, height]` in pixels of the source
//! image; and files of masks.

use crate::exports::exporter::{
    Export, ExportError, ExportFile, ExportImage, Exported, Exporter, ImageFinding, Scope,
};
use crate::exports::picture_files::{picture_files, picture_name};
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

/// COCO's files.
pub static EXPORTERS: &[Exporter] = &[
    Exporter {
        name: "coco",
        about: "boxes and masks as COCO, with pictures, detections for loadRes, and the set's own boxes",
        scope: Scope::Everything,
        write,
    },
    Exporter {
        name: "coco-detections",
        about: "boxes with scores, as pycocotools' loadRes reads them",
        scope: Scope::Everything,
        write: |export| {
            let found = detections(export.images, export.findings);
            let mut out = Exported::file("detections.json", serde_json::to_vec_pretty(&found)?);
            out.notes.extend(without_scores(&found));
            Ok(out)
        },
    },
    Exporter {
        name: "coco-masks",
        about: "masks as run lengths and polygons, an annotation file of COCO",
        scope: Scope::Everything,
        write: |export| {
            Ok(Exported::file("masks.json", serde_json::to_vec(&masks(export.images, export.findings)?)?))
        },
    },
];

/// `findings.json` (what was found) and `references.json` (what the set says, where it does) as annotation files over the same images and
/// categories, `detections.json` for `loadRes` over either, and the pictures.
fn write(export: &Export<'_>) -> Result<Exported, ExportError> {
    let mut notes = Vec::new();
    let pictures = picture_files(export, &mut notes)?;
    let mut labels = Names::default();
    let findings = annotations(export, export.findings, &mut labels)?;
    let found = annotated_detections(export, &mut labels);
    notes.extend(without_scores(&found));
    let references = annotations(export, export.references, &mut labels)?;
    let points = export.findings.iter().filter(|f| f.finding.as_point().is_some()).count();
    if points > 0 {
        notes.push(format!("{points} points are left out: COCO has none"));
    }
    // Both files list every category, so that their numbers mean the same.
    let image = |(n, image): (usize, &ExportImage<'_>)| {
        let [width, height] = image.size;
        json!({ "id": n + 1, "file_name": picture_name(n, image), "width": width, "height": height, "name": image.name })
    };
    let images: Vec<Value> = export.images.iter().enumerate().map(image).collect();
    let category = |(n, name): (usize, &&str)| json!({ "id": n + 1, "name": name });
    let categories: Vec<Value> = labels.0.iter().enumerate().map(category).collect();
    let document = |annotations: Vec<Value>| {
        serde_json::to_vec_pretty(&json!({
            "info": { "description": "findings exported by loupe" },
            "images": images,
            "categories": categories,
            "annotations": annotations,
        }))
    };
    let file = |name: &str, bytes| ExportFile { name: name.to_owned(), bytes };
    let mut files = vec![
        file("findings.json", document(findings)?),
        file("detections.json", serde_json::to_vec_pretty(&found)?),
    ];
    if !export.references.is_empty() {
        files.push(file("references.json", document(references)?));
    }
    files.extend(pictures);
    Ok(Exported { files, notes })
}

/// What is said of boxes without a score.
fn without_scores(found: &[Detection]) -> Option<String> {
    let without = found.iter().filter(|d| d.score.is_none()).count();
    (without > 0).then(|| {
        format!(
            "{without} of {} detections have no score, because the model gave none; COCOeval needs scores to sort by, \
             and none is made up",
            found.len()
        )
    })
}

/// The detections under the numbers that the annotation files use.
fn annotated_detections<'a>(export: &Export<'a>, labels: &mut Names<'a>) -> Vec<Detection> {
    let mut found = detections(export.images, export.findings);
    let boxes = export.findings.iter().filter(|f| f.finding.source_box().is_some());
    for (detection, of) in found.iter_mut().zip(boxes) {
        detection.category_id = labels.number(label(of.finding));
        detection.image_id = export.image_of(of).map_or(detection.image_id, |(n, _)| n as u64 + 1);
    }
    found
}

/// Boxes and masks as annotations.
fn annotations<'a>(
    export: &Export<'a>,
    findings: &[ImageFinding<'a>],
    labels: &mut Names<'a>,
) -> Result<Vec<Value>, ExportError> {
    let mut all: Vec<Value> = Vec::new();
    for (n, of) in findings.iter().enumerate() {
        let Some((image, _)) = export.image_of(of) else { continue };
        let finding = of.finding;
        let (bbox, area, segmentation) = if let Some(b) = finding.source_box() {
            let corners = [b.x0, b.y0, b.x1, b.y0, b.x1, b.y1, b.x0, b.y1];
            (b.xywh(), b.area(), json!([corners]))
        } else if let Some(rle) = finding.as_mask() {
            let mask =
                rle.to_mask().and_then(|m| m.in_source(&finding.origin)).ok_or(ExportError::Mask(n))?;
            (mask.bounding_box().map_or([0.0; 4], |b| b.xywh()), mask.area_px() as f64, json!(Rle::of(&mask)))
        } else {
            continue;
        };
        let mut annotation = json!({
            "id": all.len() + 1,
            "image_id": image + 1,
            "category_id": labels.number(label(finding)),
            "bbox": bbox,
            "area": area,
            "iscrowd": 0,
            "segmentation": segmentation,
        });
        if let Some(score) = finding.score {
            annotation["score"] = json!(score);
        }
        all.push(annotation);
    }
    Ok(all)
}

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
