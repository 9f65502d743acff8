//! MedVision (Yao et al. 2025): boxes, tumour sizes, angles and distances on slices of NIfTI volumes.
//!
//! Rows are those of the Hugging Face configurations (`…_BoxSize_…`, `…_TumorLesionSize_…`,
//! `…_BiometricsFromLandmarks_…`), saved as parquet, JSON lines or JSON. Slices are those of the array
//! as nibabel indexes it, the first remaining axis downwards. `bounding_boxes` has row before column and
//! counts from the top; its model-facing dialect (shares of the picture, origin in the lower left
//! corner) is the protocol's business, not the set's. Sizes are two lengths (major axis, minor axis),
//! angles and distances one number; millimetres or degrees.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::regions::labelled;
use crate::read::{ParquetSet, Root, Row, Split, sample, values, words};
use loupe_core::{
    Box2, DataError, Labelled, MeasureUnit, Measurement, Plane, Sample, SliceAt, Source, Target,
};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "medvision",
    title: "MedVision: detection and measurement on volume slices",
    citation: "Yao et al., arXiv:2511.18676, 2025",
    licence: "CC-BY-4.0 for the annotations; each image set has its own",
    splits: &["test", "train"],
    layout: "test-*.parquet, test.jsonl or test.json with image_file, slice_dim, slice_idx, label (or label_name) \
             and bounding_boxes or biometric_profile; image_file is relative to the folder",
    group_by: "volume",
    metric: "IoU; MAE and MRE for measurements",
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let name = &split.name;
    let rows = match ParquetSet::find(root, name)? {
        Some(set) => set.rows(&[])?,
        None => root.rows(&[&format!("{name}.jsonl"), &format!("{name}.json")])?,
    };
    Ok(root.listed(split, root.samples(rows, |row| sample_of(root, row))))
}

fn sample_of(root: &Root, row: &Row) -> Result<Sample, DataError> {
    let file = row.need("image_file")?;
    let mut media = root.image(row, ".", &file)?;
    let whole = |name: &str| {
        let number = row.number(name)?.filter(|n| *n >= 0.0 && n.fract() == 0.0);
        number.map(|n| n as usize).ok_or_else(|| row.error(format!("{name:?} is not a whole number from 0")))
    };
    media.view.plane = match whole("slice_dim")? {
        0 => Plane::AcrossI,
        1 => Plane::AcrossJ,
        2 => Plane::AcrossK,
        _ => return Err(row.error("\"slice_dim\" is none of 0, 1, 2")),
    };
    let slice = whole("slice_idx")?;
    media.view.slice = Some(SliceAt::Index(slice));
    let label = row.any(&["label_name", "label"]).unwrap_or_default();
    let mut tags = row.tags(&[("taskID", "task_id"), ("dataset_name", "dataset"), ("taskType", "task")]);
    tags.insert("label".to_owned(), label.clone());
    let (question, target) = if let Some(boxes) = row.fields.get("bounding_boxes").filter(|b| !b.is_null()) {
        let found = boxes_of(row, boxes, &label)?;
        tags.entry("task".to_owned()).or_insert_with(|| "detection".to_owned());
        (format!("Draw a box around the {label}."), Target::Boxes(found))
    } else if let Some(profile) = row.fields.get("biometric_profile").filter(|p| !p.is_null()) {
        measurement(row, profile, &label, &mut tags)?
    } else {
        return Err(row.error("neither bounding_boxes nor biometric_profile is there"));
    };
    let id = row.get("id").unwrap_or_else(|| row.place());
    Ok(Sample { media: vec![media], question, target, group: file, tags, ..sample(id) })
}

fn boxes_of(row: &Row, boxes: &Value, label: &str) -> Result<Vec<Labelled<Box2<Source>>>, DataError> {
    let corners = |name: &str| -> Result<Vec<[f64; 2]>, DataError> {
        let bad = || row.error(format!("bounding_boxes has no list of number pairs {name}"));
        let list = boxes.get(name).and_then(Value::as_array).ok_or_else(bad)?;
        list.iter()
            .map(|pair| match pair.as_array().map(Vec::as_slice) {
                Some([a, b]) => Ok([a.as_f64().ok_or_else(bad)?, b.as_f64().ok_or_else(bad)?]),
                _ => Err(bad()),
            })
            .collect()
    };
    let (low, high) = (corners("min_coords")?, corners("max_coords")?);
    if low.len() != high.len() {
        return Err(row.error("bounding_boxes has different numbers of min_coords and max_coords"));
    }
    let pairs = low.into_iter().zip(high);
    let at = |([y0, x0], [y1, x1]): ([f64; 2], [f64; 2])| {
        let at = values::corners([x0, y0, x1, y1]).map_err(|problem| row.error(problem))?;
        Ok(labelled(label, at))
    };
    pairs.map(at).collect()
}

/// A size, an angle or a distance; the unit is a tag too, for subgroups.
fn measurement(
    row: &Row,
    profile: &Value,
    label: &str,
    tags: &mut BTreeMap<String, String>,
) -> Result<(String, Target), DataError> {
    // Single values are written as lists of one in the tumour files.
    let first = |name: &str| {
        let value = profile.get(name)?;
        Some(value.as_array().and_then(|list| list.first()).unwrap_or(value))
    };
    let number = |name: &str| first(name).and_then(Value::as_f64);
    let unit = match first("metric_unit").and_then(words) {
        Some(word) => MeasureUnit::from_word(&word)
            .ok_or_else(|| row.error("\"metric_unit\" is neither mm nor degrees"))?,
        None => MeasureUnit::Mm,
    };
    tags.insert("unit".to_owned(), unit.word().to_owned());
    let of = |name: &str, value: f64| Measurement { name: name.to_owned(), value, unit };
    if let (Some(major), Some(minor)) = (number("metric_value_major_axis"), number("metric_value_minor_axis"))
    {
        tags.entry("task".to_owned()).or_insert_with(|| "size".to_owned());
        let question = format!(
            "Estimate the major and minor axis of the ellipse around the {label}, in {}: two numbers, the major first.",
            unit.word()
        );
        let target = Target::Measurements(vec![of("major axis", major), of("minor axis", minor)]);
        return Ok((question, target));
    }
    let value = number("metric_value").ok_or_else(|| row.error("biometric_profile has no metric_value"))?;
    let kind = first("metric_type").and_then(words).unwrap_or_else(|| "distance".to_owned());
    let name = first("metric_key").and_then(words).unwrap_or_default();
    tags.entry("task".to_owned()).or_insert_with(|| kind.clone());
    let question = format!("Estimate the {kind} {name} in {}: one number.", unit.word());
    Ok((question, Target::Measurements(vec![of(&name, value)])))
}
