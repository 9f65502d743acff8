//! SA-Med2D-20M (Ye et al. 2023) and the SAM-Med2D demonstration data: a mask file for each object.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::masks::{self, Masked, stem};
use crate::read::{Root, Row, Split, words};
use loupe_core::{DataError, MediaRef};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "sa-med2d",
    title: "SA-Med2D-20M: a mask for each object of a slice",
    citation: "Ye et al., arXiv:2311.11969, 2023; Cheng et al., arXiv:2308.16184, 2023",
    licence: "CC-BY-NC-SA-4.0 (SA-Med2D-20M); Apache-2.0 (demonstration data)",
    splits: &["test", "train", "all"],
    layout: "label2image_test.json {mask: image}, image2label_train.json {image: [masks]}, or SAMed2D_v1.json for all; \
             images/ and masks/",
    metric: "Dice",
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let file = root.pick(match split.name.as_str() {
        "test" => &["label2image_test.json"],
        "train" => &["image2label_train.json"],
        _ => &["SAMed2D_v1.json", "image2label.json"],
    })?;
    let Value::Object(entries) = root.json(&file)? else {
        return Err(root.read_error(&file, "expected an object of image and mask names"));
    };
    let name: Arc<str> = file.as_str().into();
    // Either {mask: image} or {image: [masks]}; masks are gathered by image, in the file's order.
    let mut order: Vec<String> = Vec::new();
    let mut by_image: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut bad = Vec::new();
    for (index, (key, value)) in entries.into_iter().enumerate() {
        let (image, masks) = match &value {
            Value::String(image) => (image.clone(), vec![key]),
            Value::Array(masks) if masks.iter().all(|mask| words(mask).is_some()) => {
                (key, masks.iter().filter_map(words).collect())
            }
            _ => {
                let row = Row::new(&name, index, Value::Object(Map::new()))?;
                bad.push(Err(row.error("expected the name of an image or a list of masks")));
                continue;
            }
        };
        if !by_image.contains_key(&image) {
            order.push(image.clone());
        }
        by_image.entry(image).or_default().extend(masks);
    }
    let mut images: Vec<Result<Masked, DataError>> = order
        .iter()
        .enumerate()
        .map(|(index, image)| {
            let row = Row::new(&name, index, Value::Object(Map::new()))?;
            masked(root, &row, image, by_image.get(image).map_or(&[], Vec::as_slice))
        })
        .collect();
    images.extend(bad);
    Ok(masks::listed(root, split, images))
}

fn masked(root: &Root, row: &Row, image: &str, masks: &[String]) -> Result<Masked, DataError> {
    let id = stem(image).to_owned();
    let mut labelled = Vec::new();
    for mask in masks {
        labelled.push((label_of(&id, stem(mask)), file(root, row, mask)?));
    }
    // SA-Med2D-20M: modality_part--set--case--direction_slice.
    let mut tags = BTreeMap::new();
    let mut group = image.to_owned();
    let parts: Vec<&str> = id.split("--").collect();
    if let [modality, set, case, ..] = parts.as_slice() {
        tags.insert("modality".to_owned(), modality.split('_').next().unwrap_or(modality).to_owned());
        tags.insert("dataset".to_owned(), (*set).to_owned());
        group = format!("{set}--{case}");
    }
    Ok(Masked { media: file(root, row, image)?, id, group, masks: labelled, tags })
}

/// The demonstration files name paths from the folder above.
fn file(root: &Root, row: &Row, name: &str) -> Result<MediaRef, DataError> {
    let below = name.split_once('/').map_or(name, |(_, below)| below);
    let inside = if name.starts_with("images/") || name.starts_with("masks/") { name } else { below };
    root.image(row, ".", inside)
}

/// Masks are called like their image, then `_<label>_<instance>` (demonstration) or
/// `--<class>_<instance>` (SA-Med2D-20M).
fn label_of(image: &str, mask: &str) -> String {
    let rest = mask.strip_prefix(image).unwrap_or(mask).trim_start_matches(['_', '-']);
    match rest.rsplit_once('_') {
        Some((label, instance)) if instance.bytes().all(|b| b.is_ascii_digit()) => label.to_owned(),
        _ => rest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::label_of;

    #[test]
    fn labels_of_both_namings() {
        assert_eq!(label_of("s0619_32", "s0619_32_hip_right_001"), "hip_right");
        let image = "ct_00--AbdomenCT1K--Case_00298--z_0234";
        assert_eq!(label_of(image, &format!("{image}--0001_000")), "0001");
    }
}
