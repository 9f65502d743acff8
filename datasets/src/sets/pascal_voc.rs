//! Pascal VOC annotations: one XML file an image.
//!
//! The VOC development kit counts pixels from 1 and includes both edges, so the box 1 1 10 10 covers
//! the first ten columns and rows: `(0, 0, 10, 10)` in continuous edges, as Detectron2 reads it.
//! Labelling tools that write the same format mean continuous edges; `:edges` takes the numbers so.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::regions::{self, Annotated, Region};
use crate::read::values::{corners, whole};
use crate::read::xml::Element;
use crate::read::{Root, Row, Split};
use loupe_core::{Box2, DataError};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "pascal-voc",
    title: "Pascal VOC: boxes in XML files",
    citation: "Everingham et al., IJCV 88:303, 2010",
    licence: "that of the set",
    splits: &["all", "test", "val", "train", "trainval"],
    options: &[
        ("image", "one question an image for all labels together"),
        ("edges", "numbers are continuous edges (LabelImg), not pixels counted from 1"),
    ],
    layout: "annotations/ (or Annotations/) with NAME.xml, images/ (or JPEGImages/) with the files they name; \
             ImageSets/Main/SPLIT.txt for splits",
    metric: "mAP",
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let folder = root.folder(&["annotations", "Annotations", "."]);
    let mut files = root.list(&folder, &[".xml"])?;
    if files.is_empty() {
        return Err(root.missing("annotations/NAME.xml"));
    }
    if split.name != "all" {
        let listed = root.text(&format!("ImageSets/Main/{}.txt", split.name))?;
        let names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
        files.retain(|file| names.contains(&stem(file)));
    }
    let images = root.folder(&["images", "JPEGImages", "Images", "."]);
    let annotated = files.iter().map(|file| annotated(root, split, &images, file)).collect();
    Ok(regions::listed(root, split, annotated))
}

fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn annotated(root: &Root, split: &Split, images: &str, file: &str) -> Result<Annotated, DataError> {
    let document = Element::parse(&root.text(file)?).map_err(|problem| root.read_error(file, problem))?;
    let row = Row::new(&file.into(), 0, Value::Object(Map::new()))?;
    let image = document.words("filename").map_or_else(|| format!("{}.jpg", stem(file)), str::to_owned);
    let mut boxes = Vec::new();
    let mut zero_extent = 0usize;
    for object in document.children.iter().filter(|c| c.name == "object") {
        let label = object.words("name").ok_or_else(|| row.error("an object has no name"))?;
        let bounds = object.child("bndbox").ok_or_else(|| row.error("an object has no bndbox"))?;
        let edge = |name: &str| {
            let number = bounds.words(name).and_then(|t| t.parse::<f64>().ok()).filter(|n| n.is_finite());
            number.ok_or_else(|| row.error(format!("a bndbox has no number {name}")))
        };
        let [x0, y0, x1, y1] = [edge("xmin")?, edge("ymin")?, edge("xmax")?, edge("ymax")?];
        zero_extent += usize::from(x0 == x1 || y0 == y1);
        let first = if split.has("edges") { 0.0 } else { 1.0 };
        let at = corners([x0, y0, x1, y1]).map(|_| Box2::new(x0 - first, y0 - first, x1, y1));
        boxes.push(Region::new(label, at.map_err(|problem| row.error(problem))));
    }
    let mut media = root.image(&row, images, &image)?;
    let side = |name: &str| document.child("size")?.words(name).and_then(whole).filter(|side| *side > 0);
    media.stated_size = side("width").zip(side("height")).map(|(width, height)| [width, height]);
    let mut tags = BTreeMap::new();
    if zero_extent > 0 {
        // Marks of no extent in one direction; a pixel wide when counted as pixels.
        tags.insert("zero_extent_boxes".to_owned(), zero_extent.to_string());
    }
    Ok(Annotated { id: stem(file).to_owned(), media, group: image, boxes, tags })
}
