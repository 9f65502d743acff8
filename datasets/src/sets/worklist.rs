//! Studies to report on: a worklist of one's own as JSON lines, JSON or a table (docs/guides/report-batches.md).

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::{Root, Row, Split, own, report, the_only, words};
use loupe_core::study::{StudyImage, age_band};
use loupe_core::words::did_you_mean;
use loupe_core::{DataError, MediaRef, Sample, Spot, Study, Target};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "worklist",
    title: "Studies to report on: images with views, priors, indication, technique, reference",
    citation: "docs/guides/report-batches.md",
    licence: "yours",
    splits: &["all"],
    layout: "FILE.jsonl, FILE.json, FILE.csv or FILE.tsv (or a folder with one such file), one study a row: study_id, images, \
             prior_images, indication, technique, comparison, prior_report, age_band, sex, reference; image paths are relative \
             to its folder and stay inside it",
    group_by: "patient, or the study",
    metric: "by section",
    languages: &[],
    open,
    ..SetEntry::BLANK
};

/// Fields that a row may have; facts of one's own go under `tag:…`.
const FIELDS: &[&str] = &[
    "study_id",
    "images",
    "views",
    "prior_images",
    "prior_views",
    "indication",
    "technique",
    "comparison",
    "prior_report",
    "age",
    "age_band",
    "sex",
    "reference",
    "findings",
    "impression",
    "patient",
    "language",
];

/// What an image of a study may say beside what every image may.
const IMAGE_FIELDS: &[&str] = &["view", "order"];

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let file = the_only(root, &[".jsonl", ".ndjson", ".json", ".csv", ".tsv"], "FILE.jsonl")?;
    let rows = root.rows(&[&file])?;
    let mut places: HashMap<String, Vec<Spot>> = HashMap::new();
    for row in rows.iter().flatten() {
        if let Some(id) = row.get("study_id") {
            places.entry(id).or_default().push(row.at());
        }
    }
    let named_once = |row: &Row| {
        let places = row.get("study_id").and_then(|id| places.get(&id));
        match places.and_then(|all| all.iter().find(|place| **place != row.at())) {
            // Which of them is the study, or whether each has a part of its images, nobody can tell.
            Some(other) => Err(row.error(format!(
                "its study_id is that of {other} too; a study is one row, with all of its images"
            ))),
            None => Ok(()),
        }
    };
    let made = |row: &Row| named_once(row).and_then(|()| study(root, row)).map_err(|e| of_study(e, row));
    Ok(root.listed(split, root.samples(rows, made)))
}

/// The same problem with the id of its study, where that is one to be read.
fn of_study(error: DataError, row: &Row) -> DataError {
    match (error, text(row, "study_id").ok().flatten()) {
        (DataError::Row { file, at, problem }, Some(id)) if id.len() <= 64 => {
            DataError::Row { file, at, problem: format!("study {id:?}: {problem}") }
        }
        (error, _) => error,
    }
}

fn study(root: &Root, row: &Row) -> Result<Sample, DataError> {
    for name in row.fields.keys() {
        if !FIELDS.contains(&name.as_str()) && !name.starts_with("tag:") {
            if row.fields.len() == 1 && name.contains([';', '\t']) {
                return Err(row.error(
                    "its columns are not told apart: commas stand between them in a .csv file, tabs in a .tsv file",
                ));
            }
            let near = did_you_mean(name, FIELDS.iter().copied());
            return Err(
                row.error(format!("unknown field {name:?}{near} (facts of your own go under \"tag:NAME\")"))
            );
        }
    }
    let id = text(row, "study_id")?.ok_or_else(|| row.error("\"study_id\" is missing or empty"))?;
    let (mut media, mut images) = listed_images(root, row, ["images", "views"], false)?;
    if media.is_empty() {
        return Err(row.error("\"images\" names no image"));
    }
    let (priors, prior_images) = listed_images(root, row, ["prior_images", "prior_views"], true)?;
    media.extend(priors);
    images.extend(prior_images);
    let band = match (text(row, "age_band")?, text(row, "age")?) {
        (Some(band), None) => Some(band),
        (None, Some(age)) => match age.parse::<f64>() {
            Ok(years) if (0.0..150.0).contains(&years) => Some(age_band(years as u32)),
            _ => return Err(row.error("\"age\" is no number of years")),
        },
        (Some(_), Some(_)) => return Err(row.error("\"age\" and \"age_band\" are both given; write one")),
        (None, None) => None,
    };
    let study = Study {
        images,
        indication: text(row, "indication")?,
        technique: text(row, "technique")?,
        comparison: text(row, "comparison")?,
        prior_report: text(row, "prior_report")?,
        age_band: band,
        sex: text(row, "sex")?,
    };
    // A list or an object is kept as its JSON.
    let said = |value: &Value| match value {
        Value::Array(_) | Value::Object(_) => Some(value.to_string()),
        one => words(one),
    };
    let tags = row
        .fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("tag:")?.to_owned(), said(value)?)));
    let mut sample = Sample {
        media,
        target: reference(root, row)?,
        tags: tags.collect(),
        language: text(row, "language")?.unwrap_or_else(|| "en".to_owned()),
        ..report::written(id.clone(), text(row, "patient")?.unwrap_or(id), row, ["findings", "impression"])
    };
    study.tag(&mut sample);
    Ok(sample)
}

/// A field that holds words: nothing where it is empty or null.
fn text(row: &Row, name: &str) -> Result<Option<String>, DataError> {
    match row.fields.get(name) {
        Some(Value::Array(_) | Value::Object(_)) => Err(row.error(format!("{name:?} is no text"))),
        other => Ok(other.and_then(words)),
    }
}

/// Images of one field with their views, in the order that they ask for.
fn listed_images(
    root: &Root,
    row: &Row,
    [images, views]: [&str; 2],
    prior: bool,
) -> Result<(Vec<MediaRef>, Vec<StudyImage>), DataError> {
    let mut named = own::elements(row, images)?;
    // An empty cell.
    if named.iter().all(|value| value.is_string() && words(value).is_none()) {
        named.clear();
    }
    if let Some(at) = named.iter().position(|value| !value.is_object() && words(value).is_none()) {
        return Err(row.error(format!("image {} of {images:?} has no name", at + 1)));
    }
    let beside: Vec<Option<String>> = own::elements(row, views)?.iter().map(words).collect();
    if !beside.is_empty() && beside.len() != named.len() {
        return Err(row.error(format!(
            "{} {views} for {} {images}; one for each, empty where unknown",
            beside.len(),
            named.len()
        )));
    }
    let mut all = Vec::new();
    for (at, value) in named.iter().enumerate() {
        let field = |name: &str| value.get(name).filter(|v| !v.is_null());
        let order = match field("order") {
            None => at as f64,
            Some(order) => order.as_f64().ok_or_else(|| row.error("\"order\" of an image is no number"))?,
        };
        if field("view").is_some_and(|view| view.is_array() || view.is_object()) {
            return Err(row.error("\"view\" of an image is no text"));
        }
        let view = field("view").and_then(words).or_else(|| beside.get(at).cloned().flatten());
        let media = match value {
            Value::Object(fields) => {
                let known = || own::IMAGE_FIELDS.iter().chain(IMAGE_FIELDS);
                if let Some(odd) = fields.keys().find(|name| !known().any(|known| known == name)) {
                    let near = did_you_mean(odd, known().copied());
                    let all = known().copied().collect::<Vec<_>>().join(", ");
                    return Err(row.error(format!("an image has no field {odd:?}{near}; it has {all}")));
                }
                let mut plain = fields.clone();
                plain.retain(|name, _| !IMAGE_FIELDS.contains(&name.as_str()));
                own::image(root, row, &Value::Object(plain), &Default::default())?
            }
            other => own::image(root, row, other, &Default::default())?,
        };
        all.push((order, media, StudyImage { view, prior }));
    }
    // Stable, so that images of equal order stay as they were named.
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(all.into_iter().map(|(_, media, image)| (media, image)).unzip())
}

/// The reference: an object of sections, a text, or the columns `findings` and `impression`.
fn reference(root: &Root, row: &Row) -> Result<Target, DataError> {
    let mut columns = BTreeMap::new();
    for name in ["findings", "impression"] {
        columns.extend(text(row, name)?.map(|text| (name.to_owned(), text)));
    }
    let given = own::structured(row, "reference")?;
    if given.is_some() && !columns.is_empty() {
        return Err(row.error("\"reference\" and columns of its sections are both given; write one"));
    }
    let sections = match given {
        None => columns,
        Some(Value::Object(mut sections)) => {
            if sections.remove("boxes").is_some() {
                root.remark(row, "boxes of a reference are not read: reports are compared by their words");
            }
            let mut read = BTreeMap::new();
            for (name, text) in &sections {
                match text {
                    Value::Null | Value::String(_) => {
                        read.extend(words(text).map(|text| (name.clone(), text)));
                    }
                    _ => return Err(row.error(format!("the section {name:?} of \"reference\" is no text"))),
                }
            }
            read
        }
        Some(text @ Value::String(_)) => {
            words(&text).map(|text| ("report".to_owned(), text)).into_iter().collect()
        }
        Some(_) => {
            return Err(row.error("\"reference\" is neither text nor an object of section names and texts"));
        }
    };
    Ok(if sections.is_empty() { Target::Unknown } else { Target::Report(sections) })
}
