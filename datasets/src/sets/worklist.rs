//! Studies to report on: a worklist of one's own as JSON lines, JSON or a table (docs/guides/report-batches.md).

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::{Root, Row, Split, own, report, the_only, words};
use loupe_core::study::{StudyImage, age_band};
use loupe_core::words::did_you_mean;
use loupe_core::{DataError, MediaRef, Sample, Study, Target};
use serde_json::Value;
use std::collections::BTreeMap;

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
    Ok(root.listed(split, root.samples(rows, |row| study(root, row))))
}

fn study(root: &Root, row: &Row) -> Result<Sample, DataError> {
    for name in row.fields.keys() {
        if !FIELDS.contains(&name.as_str()) && !name.starts_with("tag:") {
            let near = did_you_mean(name, FIELDS.iter().copied());
            return Err(
                row.error(format!("unknown field {name:?}{near} (facts of your own go under \"tag:NAME\")"))
            );
        }
    }
    let id = row.need("study_id")?;
    let (mut media, mut images) = listed_images(root, row, ["images", "views"], false)?;
    if media.is_empty() {
        return Err(row.error("\"images\" names no image"));
    }
    let (priors, prior_images) = listed_images(root, row, ["prior_images", "prior_views"], true)?;
    media.extend(priors);
    images.extend(prior_images);
    let band = match (row.get("age_band"), row.get("age")) {
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
        indication: row.get("indication"),
        technique: row.get("technique"),
        comparison: row.get("comparison"),
        prior_report: row.get("prior_report"),
        age_band: band,
        sex: row.get("sex"),
    };
    let tags = row
        .fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("tag:")?.to_owned(), words(value)?)));
    let mut sample = Sample {
        media,
        target: reference(root, row)?,
        tags: tags.collect(),
        language: row.get("language").unwrap_or_else(|| "en".to_owned()),
        ..report::written(id.clone(), row.get("patient").unwrap_or(id), row, ["findings", "impression"])
    };
    study.tag(&mut sample);
    Ok(sample)
}

/// Images of one field with their views, in the order that they ask for.
fn listed_images(
    root: &Root,
    row: &Row,
    [images, views]: [&str; 2],
    prior: bool,
) -> Result<(Vec<MediaRef>, Vec<StudyImage>), DataError> {
    let named = own::elements(row, images)?;
    let named: Vec<Value> =
        named.into_iter().filter(|value| words(value).is_some() || value.is_object()).collect();
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
        let view = field("view").and_then(words).or_else(|| beside.get(at).cloned().flatten());
        let media = match value {
            Value::Object(fields) => {
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
    let columns: BTreeMap<String, String> = ["findings", "impression"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), row.get(name)?)))
        .collect();
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
