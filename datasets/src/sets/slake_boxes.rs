//! The organ and lesion boxes of SLAKE.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::regions::{self, Annotated, Region};
use crate::read::{Root, Row, Split, values};
use loupe_core::DataError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "slake-boxes",
    title: "SLAKE: boxes of organs and findings",
    citation: "Liu et al., ISBI 2021, arXiv:2102.09542",
    licence: "CC-BY-4.0",
    splits: &["all", "test", "validate", "train"],
    options: regions::OPTIONS,
    layout: "imgs/xmlabN/detection.json beside source.jpg, or detection_all.json for all images; \
             test.json, validate.json, train.json for the splits",
    metric: "mAP and Acc@0.5",
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let folder = root.folder(&["imgs", "images"]);
    let images = if root.has("detection_all.json") || root.only.is_some() {
        let file = root.pick(&["detection_all.json"])?;
        let Value::Object(all) = root.json(&file)? else {
            return Err(root.read_error(&file, "expected an object with an entry for each image"));
        };
        let file: Arc<str> = file.into();
        let entries = all.into_iter().enumerate();
        entries.map(|(index, (image, boxes))| (image, annotation(&file, index, boxes))).collect()
    } else {
        in_folders(root, &folder)?
    };
    let wanted = wanted(root, split)?;
    let kept = images.into_iter().filter(|(image, _)| wanted.as_ref().is_none_or(|w| w.contains(image)));
    let annotated = kept.map(|(image, row)| annotated(root, &folder, &image, &row?)).collect();
    Ok(regions::listed(root, split, annotated))
}

/// A file's list of `{label: [x, y, w, h]}` as a row.
fn annotation(file: &Arc<str>, index: usize, boxes: Value) -> Result<Row, DataError> {
    Row::new(file, index, Value::Object(Map::from_iter([("boxes".to_owned(), boxes)])))
}

/// Images by name with the row that holds their boxes.
type Images = Vec<(String, Result<Row, DataError>)>;

fn in_folders(root: &Root, folder: &str) -> Result<Images, DataError> {
    let mut images = Vec::new();
    for path in root.list(folder, &[""])? {
        let file = format!("{path}/detection.json");
        if root.has(&file) {
            let image = path.rsplit('/').next().unwrap_or(&path).to_owned();
            let row = root.json(&file).and_then(|boxes| annotation(&file.as_str().into(), 0, boxes));
            images.push((image, row));
        }
    }
    if images.is_empty() { Err(root.missing("detection.json of the images")) } else { Ok(images) }
}

/// The images that the questions of the split are about; nothing for all of them.
fn wanted(root: &Root, split: &Split) -> Result<Option<Vec<String>>, DataError> {
    if split.name == "all" {
        return Ok(None);
    }
    let rows = root.json_rows(&root.pick(&[&format!("{}.json", split.name)])?)?;
    let names = rows.iter().flatten().filter_map(|row| row.get("img_name"));
    Ok(Some(names.filter_map(|name| name.split('/').next().map(str::to_owned)).collect()))
}

fn annotated(root: &Root, folder: &str, image: &str, row: &Row) -> Result<Annotated, DataError> {
    let bad = || row.error("expected a list of {label: [x, y, width, height]} in pixels");
    let mut boxes = Vec::new();
    for entry in row.list("boxes") {
        for (label, numbers) in entry.as_object().ok_or_else(bad)? {
            let at = values::numbers(numbers).and_then(values::xywh);
            let at =
                at.map_err(|problem| row.error(format!("[x, y, width, height] of {label:?}: {problem}")));
            boxes.push(Region::new(label.clone(), at));
        }
    }
    let name = format!("{image}/source.jpg");
    Ok(Annotated {
        id: image.to_owned(),
        media: root.image(row, folder, &name)?,
        group: name,
        boxes,
        tags: BTreeMap::new(),
    })
}
