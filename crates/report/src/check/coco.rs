//! COCO files: numbers that lead somewhere, boxes within their images, pictures that are there, scores that were given.

use super::report::CheckReport;
use loupe_core::MediaError;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Continuous edges may miss the image's by rounding.
const SLACK_PX: f64 = 1e-6;

pub(super) fn check(bytes: &[u8], folder: Option<&Path>) -> Result<CheckReport, MediaError> {
    let malformed =
        |problem: String| MediaError::Malformed { format: "JSON", field: "document".to_owned(), problem };
    let document: Value = serde_json::from_slice(bytes).map_err(|e| malformed(e.to_string()))?;
    match &document {
        Value::Array(found) if found.iter().all(|d| d.get("bbox").is_some()) => {
            let mut report = CheckReport::of("COCO detections");
            report.looked_at = found.len();
            for (n, detection) in (1..).zip(found) {
                bbox(n, detection, None, &mut report);
            }
            scores(found, &mut report);
            Ok(report)
        }
        Value::Object(all) if all.contains_key("annotations") => Ok(annotations(&document, folder)),
        _ => {
            Err(malformed("neither COCO annotations nor detections; other JSON is not known here".to_owned()))
        }
    }
}

fn list<'a>(document: &'a Value, name: &str) -> &'a [Value] {
    document[name].as_array().map_or(&[], Vec::as_slice)
}

fn annotations(document: &Value, folder: Option<&Path>) -> CheckReport {
    let mut report = CheckReport::of("COCO annotations");
    let mut images: BTreeMap<i64, [f64; 2]> = BTreeMap::new();
    let mut missing = 0;
    for image in list(document, "images") {
        let size = [image["width"].as_f64().unwrap_or(0.0), image["height"].as_f64().unwrap_or(0.0)];
        let Some(id) = image["id"].as_i64() else {
            report.error("an image has no id");
            continue;
        };
        if images.insert(id, size).is_some() {
            report.error(format!("two images have the id {id}"));
        }
        if let (Some(folder), Some(file)) = (folder, image["file_name"].as_str()) {
            // A name that leads out of the folder is not followed.
            let inside = Path::new(file).components().all(|c| matches!(c, std::path::Component::Normal(_)));
            missing += usize::from(!inside || !folder.join(file).is_file());
        }
    }
    if missing > 0 {
        report.error(format!("{missing} of {} pictures are not beside the file", images.len()));
    }
    let categories: BTreeSet<i64> =
        list(document, "categories").iter().filter_map(|c| c["id"].as_i64()).collect();
    let mut ids = BTreeSet::new();
    let all = list(document, "annotations");
    report.looked_at = all.len();
    for (n, annotation) in (1..).zip(all) {
        if !annotation["id"].as_i64().is_some_and(|id| ids.insert(id)) {
            report.error(format!("annotation {n} has no id of its own"));
        }
        if !annotation["category_id"].as_i64().is_some_and(|id| categories.contains(&id)) {
            report.error(format!("annotation {n} is of a category that is not described"));
        }
        let image = annotation["image_id"].as_i64().and_then(|id| images.get(&id));
        if image.is_none() {
            report.error(format!("annotation {n} is on an image that is not described"));
        }
        bbox(n, annotation, image.copied(), &mut report);
    }
    scores(all, &mut report);
    report
}

/// A box with an area, within its image where that is known.
fn bbox(n: usize, of: &Value, image: Option<[f64; 2]>, report: &mut CheckReport) {
    let numbers: Option<Vec<f64>> = of["bbox"].as_array().and_then(|b| b.iter().map(Value::as_f64).collect());
    let Some([x, y, width, height]) = numbers.as_deref() else {
        report.error(format!("box {n} is not four numbers"));
        return;
    };
    if !(*width > 0.0 && *height > 0.0) {
        report.error(format!("box {n} has no area"));
    }
    if let Some([w, h]) = image {
        let outside =
            *x < -SLACK_PX || *y < -SLACK_PX || x + width > w + SLACK_PX || y + height > h + SLACK_PX;
        if outside {
            report.error(format!("box {n} lies outside its image of {w} × {h} pixels"));
        }
    }
}

/// Scores that no model gives: all the same, or only for some.
fn scores(all: &[Value], report: &mut CheckReport) {
    let given: Vec<f64> = all.iter().filter_map(|d| d["score"].as_f64()).collect();
    if given.is_empty() {
        return;
    }
    if given.len() < all.len() {
        report.warning(format!("{} of {} have a score, the others none", given.len(), all.len()));
    }
    if given.len() > 1 && given.windows(2).all(|w| w[0] == w[1]) {
        report.warning(format!("all {} scores are {}: were they given by a model?", given.len(), given[0]));
    }
    if given.iter().any(|s| !(0.0..=1.0).contains(s)) {
        report.warning("scores lie outside 0 to 1");
    }
}
