//! MedMultiPoints (Gautam et al. 2025): points, boxes and counts on endoscopy and microscopy.
//!
//! The instruction files ask one task a row and give the reference as fenced JSON; for the tasks that
//! ask for two things the places are the reference and the count a tag. Numbers are pixels.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::values::{corners, numbers};
use crate::read::{Root, Row, Split, sample, words};
use loupe_core::{DataError, Labelled, Point2, Sample, Target};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "medmultipoints",
    title: "MedMultiPoints: pointing, boxes and counting",
    citation: "Gautam et al., arXiv:2505.16647, 2025",
    licence: "CC-BY-4.0",
    splits: &["test", "train"],
    layout: "instruction_dataset/multi-task-test.jsonl, multi-task-train.jsonl; MedMultiPoints-images/<sha256>.png or .jpg",
    metric: "mAP, point distance and count error",
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let name = format!("multi-task-{}.jsonl", split.name);
    let rows = root.rows(&[&format!("instruction_dataset/{name}"), &name])?;
    Ok(root.listed(split, root.samples(rows, |row| sample_of(root, row))))
}

fn sample_of(root: &Root, row: &Row) -> Result<Sample, DataError> {
    let messages = row.list("messages");
    let field = |at: usize, name: &str| messages.get(at).and_then(|m| m.get(name)).and_then(words);
    let question = field(0, "content").ok_or_else(|| row.error("the first message has no content"))?;
    let reply = row.get("labels").or_else(|| field(1, "content"));
    let reference =
        reply.as_deref().and_then(fenced).ok_or_else(|| row.error("the reference is not JSON in a fence"))?;
    let image = row.list("images").first().and_then(|i| i.get("path").and_then(words).or_else(|| words(i)));
    let image = image.ok_or_else(|| row.error("the row names no image"))?;
    let (target, count) = target(row, &reference)?;
    let mut tags = BTreeMap::new();
    let kind = match &target {
        Target::Boxes(_) => "bounding",
        Target::Points(_) => "pointing",
        _ => "counting",
    };
    tags.insert("task".to_owned(), field(0, "task").unwrap_or_else(|| kind.to_owned()));
    tags.extend(field(0, "source").map(|source| ("source".to_owned(), source)));
    tags.extend(count.map(|count| ("count".to_owned(), count.to_string())));
    tags.extend(label(&reference).map(|label| ("label".to_owned(), label)));
    let file = image.rsplit('/').next().unwrap_or(&image).to_owned();
    Ok(Sample {
        media: vec![root.image(row, &root.folder(&["MedMultiPoints-images", "images"]), &file)?],
        question: question.trim_start_matches("<image>").trim().to_owned(),
        target,
        group: file,
        tags,
        ..sample(row.place())
    })
}

/// The JSON between code fences, whatever the case of their language.
fn fenced(text: &str) -> Option<Value> {
    let inside = text.split_once("```")?.1.split_once("```")?.0;
    let json = if inside.get(..4).is_some_and(|l| l.eq_ignore_ascii_case("json")) {
        inside.get(4..)?
    } else {
        inside
    };
    serde_json::from_str(json).ok()
}

fn label(reference: &Value) -> Option<String> {
    let first = reference.as_array().and_then(|list| list.first()).unwrap_or(reference);
    first.get("label").and_then(words)
}

/// The places, or the count when there are none, and the count where both were asked for.
fn target(row: &Row, reference: &Value) -> Result<(Target, Option<f64>), DataError> {
    let count = reference.get("counts").or_else(|| reference.get("count")).and_then(Value::as_f64);
    let name = label(reference).unwrap_or_default();
    // Either one object with lists, or a list of objects with one place each.
    let places = |field: &str| -> Option<Vec<(String, &Value)>> {
        let of = |o: &'_ Value| o.get("label").and_then(words).unwrap_or_default();
        match reference {
            Value::Array(list) if list.iter().any(|o| o.get(field).is_some()) => {
                Some(list.iter().map(|o| (of(o), o.get(field).unwrap_or(&Value::Null))).collect())
            }
            other => match other.get(field)? {
                Value::Array(list) => Some(list.iter().map(|v| (name.clone(), v)).collect()),
                odd => Some(vec![(name.clone(), odd)]),
            },
        }
    };
    if let Some(list) = places("bbox_2d") {
        let boxes = list.into_iter().map(|(label, v)| {
            let at = numbers(v).and_then(corners).map_err(|p| row.error(format!("\"bbox_2d\": {p}")))?;
            Ok(Labelled { picture: 0, label, at, reader: None })
        });
        return Ok((Target::Boxes(boxes.collect::<Result<_, DataError>>()?), count));
    }
    if let Some(list) = places("point_2d") {
        let points = list.into_iter().map(|(label, v)| {
            let [x, y] = numbers(v).map_err(|p| row.error(format!("\"point_2d\": {p}")))?;
            Ok(Labelled { picture: 0, label, at: Point2::new(x, y), reader: None })
        });
        return Ok((Target::Points(points.collect::<Result<_, DataError>>()?), count));
    }
    match (count, reference) {
        (Some(count), _) => Ok((Target::Count(count), None)),
        // An empty list is the reference of pointing or boxing where there is nothing.
        (None, Value::Array(list)) if list.is_empty() => Ok((Target::Boxes(Vec::new()), None)),
        _ => Err(row.error("the reference has neither counts, point_2d nor bbox_2d")),
    }
}
