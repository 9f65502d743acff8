//! The documented format of loupe's own for anybody's set (docs/reference/datasets.md): one question a row.

use super::files::{Root, Split};
use super::row::{Row, Rows, chosen, lettered, sample, words};
use crate::listed::Listed;
use loupe_core::media::WindowChoice;
use loupe_core::words::did_you_mean;
use loupe_core::{
    Box2, Choice, DataError, Labelled, MeasureUnit, Measurement, MediaRef, MediaSource, Plane, Point2,
    Sample, SliceAt, Source, Target, View, Window,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Fields that a row may have; anything else is taken for a typing error, save `tag:…` and the
/// choice columns `A`–`Z` of delimited files.
const FIELDS: &[&str] = &[
    "id",
    "question",
    "image",
    "images",
    "slice",
    "plane",
    "frame",
    "window",
    "choices",
    "answer",
    "boxes",
    "points",
    "count",
    "measurements",
    "report",
    "masks",
    "group",
    "language",
    "split",
    "tags",
];

/// Fields of an image given as an object.
const IMAGE_FIELDS: &[&str] = &["path", "slice", "plane", "frame", "window"];

/// The opened set: the rows of the split asked for, or all of them.
pub(crate) fn listed(root: &Root, split: &Split, set: &'static str, rows: Rows) -> Result<Listed, DataError> {
    let mut known = BTreeSet::new();
    let mut kept = Vec::new();
    for row in rows {
        let of_row = row.as_ref().ok().and_then(|r| r.get("split"));
        let wanted = split.name == "all" || of_row.as_ref() == Some(&split.name);
        known.extend(of_row);
        // A row that cannot be read belongs to no split and is reported in every one.
        if wanted || row.is_err() {
            kept.push(row.and_then(|row| sample_of(root, &row)));
        }
    }
    if split.name != "all" && !known.contains(&split.name) {
        let named: Vec<String> = std::iter::once("all".to_owned()).chain(known).collect();
        return Err(DataError::Split { set, split: split.full(), known: named.join(", ") });
    }
    Ok(root.listed(split, kept))
}

fn sample_of(root: &Root, row: &Row) -> Result<Sample, DataError> {
    for name in row.fields.keys() {
        if !FIELDS.contains(&name.as_str()) && !name.starts_with("tag:") && !is_choice_column(name) {
            let near = did_you_mean(name, FIELDS.iter().copied());
            return Err(row.error(format!("unknown field {name:?}{near} (facts of your own go under tags)")));
        }
    }
    let media = media(root, row)?;
    let choices = choices(row)?;
    let target = target(root, row, &choices)?;
    let group = row.get("group").or_else(|| media.first().map(|m| m.name.clone())).unwrap_or_default();
    let mut tags: BTreeMap<String, String> = row
        .fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("tag:")?.to_owned(), words(value)?)))
        .collect();
    match structured(row, "tags")? {
        None => {}
        Some(Value::Object(map)) => {
            tags.extend(map.iter().filter_map(|(name, value)| Some((name.clone(), words(value)?))));
        }
        Some(_) => return Err(row.error("\"tags\" is not an object of names and values")),
    }
    Ok(Sample {
        media,
        question: row.need("question")?,
        choices,
        target,
        group,
        tags,
        language: row.get("language").unwrap_or_else(|| "en".to_owned()),
        ..sample(row.get("id").unwrap_or_else(|| row.place()))
    })
}

fn is_choice_column(name: &str) -> bool {
    name.len() == 1 && name.starts_with(|c: char| c.is_ascii_uppercase())
}

/// A field as JSON: a delimited file holds it as text that begins with `[` or `{`.
fn structured(row: &Row, name: &str) -> Result<Option<Value>, DataError> {
    match row.fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim_start().starts_with(['[', '{']) => serde_json::from_str(text)
            .map(Some)
            .map_err(|e| row.error(format!("{name:?} begins like JSON but is not: {e}"))),
        Some(value) => Ok(Some(value.clone())),
    }
}

/// A field as a list: JSON, or text with `|` between the elements.
fn elements(row: &Row, name: &str) -> Result<Vec<Value>, DataError> {
    Ok(match structured(row, name)? {
        None => Vec::new(),
        Some(Value::Array(list)) => list,
        Some(Value::String(text)) => text.split('|').map(|p| Value::String(p.trim().to_owned())).collect(),
        Some(one) => vec![one],
    })
}

fn media(root: &Root, row: &Row) -> Result<Vec<MediaRef>, DataError> {
    let mut list = elements(row, "image")?;
    list.extend(elements(row, "images")?);
    let common = view(row, &Value::Object(row.fields.clone()))?;
    list.iter().map(|value| image(root, row, value, &common)).collect()
}

fn image(root: &Root, row: &Row, value: &Value, common: &View) -> Result<MediaRef, DataError> {
    let (path, view) = match value {
        Value::Object(fields) => {
            if let Some(odd) = fields.keys().find(|k| !IMAGE_FIELDS.contains(&k.as_str())) {
                let known = IMAGE_FIELDS.join(", ");
                return Err(row.error(format!("an image has no field {odd:?}; it has {known}")));
            }
            (fields.get("path").and_then(words), view(row, value)?)
        }
        other => (words(other), common.clone()),
    };
    let path = path.ok_or_else(|| row.error("an image has no path"))?;
    let mut media = root.image(row, ".", &path)?;
    media.view = view;
    if let MediaSource::File(path) = &media.source
        && path.is_dir()
    {
        media.source = MediaSource::Folder(path.clone());
    }
    Ok(media)
}

fn view(row: &Row, fields: &Value) -> Result<View, DataError> {
    let field = |name: &str| fields.get(name).filter(|v| !v.is_null());
    let frame = field("frame").map(|v| index(row, "frame", v)).transpose()?;
    let slice = field("slice").map(|v| slice(row, v)).transpose()?;
    let plane = match field("plane").and_then(words).as_deref() {
        None | Some("upright") => Plane::Upright,
        Some("stored") => Plane::Stored,
        Some("axial") => Plane::Axial,
        Some("coronal") => Plane::Coronal,
        Some("sagittal") => Plane::Sagittal,
        Some(_) => return Err(row.error("\"plane\" is none of upright, stored, axial, coronal, sagittal")),
    };
    let window = field("window").map(|v| window(row, v)).transpose()?;
    Ok(View { frame, slice, plane, window })
}

fn index(row: &Row, name: &str, value: &Value) -> Result<usize, DataError> {
    words(value)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| row.error(format!("{name:?} is not a whole number from 0")))
}

/// `40` counts slices from 0, `50%` is a share of the way through, `-12.5mm` a position.
fn slice(row: &Row, value: &Value) -> Result<SliceAt, DataError> {
    let text = words(value).unwrap_or_default();
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    let at = if let Some(percent) = text.strip_suffix('%') {
        number(percent).filter(|p| (0.0..=100.0).contains(p)).map(|p| SliceAt::Share(p / 100.0))
    } else if let Some(mm) = text.strip_suffix("mm") {
        number(mm).map(SliceAt::Mm)
    } else {
        text.parse().ok().map(SliceAt::Index)
    };
    at.ok_or_else(|| {
        row.error("\"slice\" is neither a number from 0, nor a share like 50%, nor a position like -12.5mm")
    })
}

/// As on the command line: a preset's name, `full`, `stored:1`, `median`, `p1-p99` or `40/400` (centre and
/// width); or an object with `centre` and `width`.
fn window(row: &Row, value: &Value) -> Result<WindowChoice, DataError> {
    const FORMS: &str = "\"window\" is neither a preset, nor full, stored:1, median, p1-p99, 40/400 (centre/width), \
                         nor {\"centre\": 40, \"width\": 400}";
    let chosen = match value {
        Value::String(text) => match text.trim() {
            json if json.starts_with('{') => serde_json::from_str(json).ok().as_ref().and_then(numbers),
            words => named(words),
        },
        other => numbers(other),
    };
    chosen.ok_or_else(|| row.error(FORMS))
}

fn named(text: &str) -> Option<WindowChoice> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    if let Some((centre, width)) = text.split_once('/') {
        return linear(number(centre)?, number(width)?);
    }
    if let Some(index) = text.strip_prefix("stored:") {
        return index.trim().parse().ok().map(WindowChoice::Stored);
    }
    if text == "median" {
        return Some(WindowChoice::Median(0));
    }
    if let Some(index) = text.strip_prefix("median:") {
        return index.trim().parse().ok().map(WindowChoice::Median);
    }
    if let Some((low, high)) = text.strip_prefix('p').and_then(|rest| rest.split_once("-p")) {
        let (low, high) = (number(low)?, number(high)?);
        return (0.0 <= low && low < high && high <= 100.0).then_some(WindowChoice::Percentiles(low, high));
    }
    let full = text == "full";
    (!text.is_empty())
        .then(|| if full { WindowChoice::FullRange } else { WindowChoice::Preset(text.to_owned()) })
}

fn numbers(value: &Value) -> Option<WindowChoice> {
    let number = |name: &str| value.get(name).and_then(Value::as_f64);
    linear(number("centre").or_else(|| number("center"))?, number("width")?)
}

fn linear(centre: f64, width: f64) -> Option<WindowChoice> {
    let window = Window::linear(centre, width);
    window.has_width().then_some(WindowChoice::Numbers(window))
}

fn choices(row: &Row) -> Result<Vec<Choice>, DataError> {
    if let Some(Value::Object(map)) = structured(row, "choices")? {
        return map
            .iter()
            .map(|(letter, text)| match (letter.chars().next(), letter.chars().count(), words(text)) {
                (Some(letter), 1, Some(text)) => Ok(Choice { letter, text }),
                _ => Err(row.error("\"choices\" as an object needs one letter for each choice")),
            })
            .collect();
    }
    let listed: Vec<String> = elements(row, "choices")?.iter().filter_map(words).collect();
    if !listed.is_empty() {
        return Ok(lettered(listed));
    }
    let columns = row.fields.iter().filter(|(name, _)| is_choice_column(name));
    Ok(columns
        .filter_map(|(name, text)| Some(Choice { letter: name.chars().next()?, text: words(text)? }))
        .collect())
}

fn target(root: &Root, row: &Row, choices: &[Choice]) -> Result<Target, DataError> {
    let given: Vec<&str> = ["answer", "boxes", "points", "count", "measurements", "report", "masks"]
        .into_iter()
        .filter(|name| row.fields.get(*name).is_some_and(|v| !v.is_null()))
        .collect();
    let kind = match given.as_slice() {
        [] => return Ok(Target::Unknown),
        [one] => *one,
        several => {
            return Err(row.error(format!("one reference a row, but there are {}", several.join(" and "))));
        }
    };
    match kind {
        "answer" if !choices.is_empty() => chosen(row, choices, &row.need("answer")?),
        "answer" => {
            let accepted: Vec<String> = match structured(row, "answer")? {
                Some(Value::Array(list)) => list.iter().filter_map(words).collect(),
                _ => vec![row.need("answer")?],
            };
            if accepted.is_empty() {
                Err(row.error("\"answer\" is empty"))
            } else {
                Ok(Target::Text(accepted))
            }
        }
        "boxes" => Ok(Target::Boxes(marks(row, "boxes", "box", |[x0, y0, x1, y1]: [f64; 4]| {
            Box2::<Source>::new(x0, y0, x1, y1)
        })?)),
        "points" => {
            Ok(Target::Points(marks(row, "points", "point", |[x, y]: [f64; 2]| Point2::<Source>::new(x, y))?))
        }
        "count" => Ok(row.number("count")?.map_or(Target::Unknown, Target::Count)),
        "measurements" => measurements(row),
        "report" => match structured(row, "report")? {
            Some(Value::Object(sections)) => Ok(Target::Report(
                sections.iter().filter_map(|(name, text)| Some((name.clone(), words(text)?))).collect(),
            )),
            _ => Ok(Target::Report(BTreeMap::from([("report".to_owned(), row.need("report")?)]))),
        },
        _ => masks(root, row),
    }
}

/// `[{"name", "value", "unit": "mm" or "degrees"}, …]`.
fn measurements(row: &Row) -> Result<Target, DataError> {
    let bad = || row.error("a measurement needs a \"value\" and a \"unit\", mm or degrees");
    let one = |value: Value| {
        let unit = value.get("unit").and_then(words).and_then(|w| MeasureUnit::from_word(&w));
        Ok(Measurement {
            name: value.get("name").and_then(words).unwrap_or_default(),
            value: value.get("value").and_then(Value::as_f64).ok_or_else(bad)?,
            unit: unit.ok_or_else(bad)?,
        })
    };
    let all: Vec<Measurement> =
        elements(row, "measurements")?.into_iter().map(one).collect::<Result<_, DataError>>()?;
    if all.is_empty() { Err(bad()) } else { Ok(Target::Measurements(all)) }
}

/// `[[numbers], …]` or `[{"label", "box" or "point": [numbers], "image", "reader"}, …]`.
fn marks<const N: usize, T>(
    row: &Row,
    field: &str,
    inner: &str,
    make: impl Fn([f64; N]) -> T,
) -> Result<Vec<Labelled<T>>, DataError> {
    let bad = || row.error(format!("{field:?} needs {N} numbers each, in pixels of the image"));
    let mark = |value: &Value| {
        let at = value.get(inner).unwrap_or(value);
        let numbers: Vec<f64> = at.as_array().ok_or_else(bad)?.iter().filter_map(Value::as_f64).collect();
        Ok(Labelled {
            picture: value.get("image").map_or(Ok(0), |v| index(row, "image", v))?,
            label: value.get("label").and_then(words).unwrap_or_default(),
            at: make(numbers.try_into().map_err(|_| bad())?),
            reader: value.get("reader").and_then(words),
        })
    };
    match structured(row, field)? {
        Some(Value::Array(list)) => list.iter().map(mark).collect(),
        _ => Err(bad()),
    }
}

/// `["mask.png", …]` or `[{"label", "path", "image"}, …]`.
fn masks(root: &Root, row: &Row) -> Result<Target, DataError> {
    let mask = |value: Value| {
        let path = value.get("path").and_then(words).or_else(|| words(&value));
        let path = path.ok_or_else(|| row.error("a mask has no path"))?;
        Ok(Labelled {
            picture: value.get("image").map_or(Ok(0), |v| index(row, "image", v))?,
            label: value.get("label").and_then(words).unwrap_or_default(),
            at: root.image(row, ".", &path)?,
            reader: value.get("reader").and_then(words),
        })
    };
    Ok(Target::Masks(elements(row, "masks")?.into_iter().map(mask).collect::<Result<_, DataError>>()?))
}
