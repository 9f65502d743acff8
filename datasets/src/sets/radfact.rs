//! Grounded radiology reports as RadFact reads them (Bannur et al. 2024): sentences, each with or
//! without boxes, in shares of the image's width and height.
//!
//! Where a row names its image's size, boxes are in pixels; otherwise the image is taken to be one
//! pixel by one, and the tag `box_unit` says so. The file's model output is kept in a tag.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::regions::labelled;
use crate::read::values::corners;
use crate::read::{Root, Row, Split, sample, words};
use loupe_core::{DataError, Sample, Target};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "radfact",
    title: "RadFact: grounded reports and findings",
    citation: "Bannur et al., arXiv:2406.04449, 2024",
    licence: "that of the reports; examples under Microsoft's MIT licence",
    splits: &["grounded", "findings"],
    layout: "grounded_reporting_examples.json with example_id, target [{text, boxes}] and optionally image, \
             image_width, image_height; findings_generation_examples.csv with example_id, target",
    group_by: "study",
    metric: "RadFact logical and grounding precision and recall",
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let find = |name: &str| root.pick(&[name, &format!("examples/{name}")]);
    let samples = if split.name == "findings" {
        let rows = root.table_rows(&find("findings_generation_examples.csv")?, b',')?;
        root.samples(rows, findings)
    } else {
        let rows = root.json_rows(&find("grounded_reporting_examples.json")?)?;
        root.samples(rows, |row| grounded(root, row))
    };
    Ok(root.listed(split, samples))
}

const QUESTION: &str = "Describe the findings of this chest X-ray";

fn findings(row: &Row) -> Result<Sample, DataError> {
    let id = row.need("example_id")?;
    Ok(Sample {
        question: format!("{QUESTION}."),
        target: Target::Report(BTreeMap::from([("findings".to_owned(), row.need("target")?)])),
        group: id.clone(),
        tags: row.tags(&[("prediction", "prediction")]),
        ..sample(id)
    })
}

fn grounded(root: &Root, row: &Row) -> Result<Sample, DataError> {
    let id = row.need("example_id")?;
    let size = [row.number("image_width")?, row.number("image_height")?];
    let ([width, height], unit) = match size {
        [Some(width), Some(height)] => ([width, height], "pixel"),
        _ => ([1.0, 1.0], "share"),
    };
    let mut boxes = Vec::new();
    for sentence in row.list("target") {
        let text = sentence.get("text").and_then(words).ok_or_else(|| row.error("a sentence has no text"))?;
        let listed = match sentence.get("boxes") {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(list)) => list.as_slice(),
            Some(_) => return Err(row.error("\"boxes\" of a sentence is no list")),
        };
        for b in listed {
            let edge = |name: &str| {
                b.get(name)
                    .and_then(Value::as_f64)
                    .ok_or_else(|| row.error(format!("a box has no number {name}")))
            };
            let [x0, y0, x1, y1] = [edge("x_min")?, edge("y_min")?, edge("x_max")?, edge("y_max")?];
            let at = corners([x0 * width, y0 * height, x1 * width, y1 * height]);
            let at = at.map_err(|problem| row.error(problem))?;
            boxes.push(labelled(text.clone(), at));
        }
    }
    let mut tags = BTreeMap::from([("box_unit".to_owned(), unit.to_owned())]);
    for (field, tag) in [("target", "sentences"), ("prediction", "prediction")] {
        if let Some(list) = row.fields.get(field) {
            tags.insert(tag.to_owned(), list.to_string());
        }
    }
    let mut media = Vec::new();
    if let Some(image) = row.get("image") {
        let mut image = root.image(row, &root.folder(&["images"]), &image)?;
        image.stated_size = (unit == "pixel").then_some([width as usize, height as usize]);
        media.push(image);
    }
    Ok(Sample {
        media,
        question: format!("{QUESTION}, sentence by sentence, with a box for each finding that has a place."),
        target: Target::Boxes(boxes),
        group: id.clone(),
        tags,
        ..sample(id)
    })
}
