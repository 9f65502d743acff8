//! A folder of images and a folder of masks.
//!
//! A mask belongs to the image with the same name, with or without `_mask`, `_seg`, `_label` or
//! `_segmentation` at its end; folders inside the folder of masks are labels.

use crate::digest::text_sha256;
use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::masks::{self, Masked, stem};
use crate::read::{Root, Row, Split};
use loupe_core::DataError;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "masks",
    title: "A folder of images and a folder of masks",
    citation: "docs/reference/datasets.md",
    licence: "that of the set",
    splits: &["all", "test", "val", "train"],
    layout: "images/NAME.png with masks/NAME.png (or NAME_mask.png, or masks/LABEL/NAME.png); SPLIT/ before both for \
             splits; white is the object",
    metric: "Dice",
    open,
    ..SetEntry::BLANK
};

const IMAGES: &[&str] = &[".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm"];

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let before = if split.name == "all" { String::new() } else { format!("{}/", split.name) };
    let folder = |names: [&str; 4]| {
        let all = names.map(|name| format!("{before}{name}"));
        let found = all.iter().find(|name| root.has(name)).cloned();
        found.ok_or_else(|| root.missing(all.first().cloned().unwrap_or_default()))
    };
    let images = folder(["images", "image", "imgs", "img"])?;
    let masks = folder(["masks", "mask", "labels", "label"])?;
    let mut by_image: HashMap<String, Vec<(String, String)>> = HashMap::new();
    let mut add = |file: String, label: &str| {
        by_image.entry(image_of(stem(&file)).to_owned()).or_default().push((label.to_owned(), file));
    };
    for file in root.list(&masks, IMAGES)? {
        add(file, "object");
    }
    for label in root.list(&masks, &[""])? {
        for file in root.list(&label, IMAGES).unwrap_or_default() {
            add(file, label.rsplit('/').next().unwrap_or(&label));
        }
    }
    let files = root.list(&images, IMAGES)?;
    let masked = files.iter().map(|file| {
        let row = Row::new(&file.as_str().into(), 0, Value::Object(Map::new()))?;
        let found = by_image.get(stem(file)).or_else(|| by_image.get(image_of(stem(file))));
        let mut masks = Vec::new();
        for (label, mask) in found.ok_or_else(|| row.error("the image has no mask"))? {
            masks.push((label.clone(), root.image(&row, ".", mask)?));
        }
        root.note(file, text_sha256(&masks.len().to_string()));
        Ok(Masked {
            id: stem(file).to_owned(),
            media: root.image(&row, ".", file)?,
            group: stem(file).to_owned(),
            masks,
            tags: BTreeMap::new(),
        })
    });
    let masked = masked.collect();
    Ok(masks::listed(root, split, masked))
}

/// A mask's name without what marks it as one.
fn image_of(name: &str) -> &str {
    ["_mask", "_seg", "_label", "_segmentation", "_gt"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name)
}
