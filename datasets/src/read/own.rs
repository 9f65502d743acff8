//! The documented format of loupe's own for anybody's set (docs/reference/datasets.md): one question a row.

use super::files::{Root, Split};
use super::options::{chosen, letters_of, option_columns, options};
use super::row::{PICTURES, Row, Rows, python_list, sample};
use super::values::{answer_words, corners, numbers, whole, words};
use crate::listed::Listed;
use loupe_core::media::WindowChoice;
use loupe_core::words::did_you_mean;
use loupe_core::{
    Choice, DataError, Labelled, MeasureUnit, Measurement, MediaRef, MediaSource, Plane, Point2, Sample,
    SliceAt, Source, Target, View, Window,
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
pub(crate) const IMAGE_FIELDS: &[&str] = &["path", "slice", "plane", "frame", "window"];

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
            kept.push(row.and_then(|row| root.sample(&row, |row| sample_of(root, row))));
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
    let choices = choices(root, row)?;
    let target = target(root, row, &choices, media.len())?;
    let is_letter = |answer: &String| matches!(answer.as_bytes(), [b'A'..=b'J']);
    if choices.is_empty() && matches!(&target, Target::Text(all) if all.iter().all(is_letter)) {
        root.remark(row, "its answer is a letter and it has no choices: it is scored as an open question");
    }
    let group = row.get("group").or_else(|| media.first().map(|m| m.name.clone())).unwrap_or_default();
    let mut tags: BTreeMap<String, String> = row
        .fields
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("tag:")?.to_owned(), words(value)?)))
        .collect();
    match structured(row, "tags")? {
        None => {}
        Some(Value::Object(map)) => {
            if let Some((name, _)) = map.iter().find(|(_, v)| v.is_array() || v.is_object()) {
                return Err(row.error(format!("the tag {name:?} is not a single value")));
            }
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
pub(crate) fn structured(row: &Row, name: &str) -> Result<Option<Value>, DataError> {
    match row.fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim_start().starts_with(['[', '{']) => super::json::parse(text)
            .map(Some)
            .map_err(|e| row.error(format!("{name:?} begins like JSON but is not: {e}"))),
        Some(value) => Ok(Some(value.clone())),
    }
}

/// A field as a list: JSON, or text with `|` between the elements.
pub(crate) fn elements(row: &Row, name: &str) -> Result<Vec<Value>, DataError> {
    Ok(match structured(row, name)? {
        None => Vec::new(),
        Some(Value::Array(list)) => list,
        Some(Value::String(text)) => text.split('|').map(|p| Value::String(p.trim().to_owned())).collect(),
        Some(one) => vec![one],
    })
}

fn media(root: &Root, row: &Row) -> Result<Vec<MediaRef>, DataError> {
    let filled =
        |name: &&&str| row.fields.get(**name).is_some_and(|value| !is_blank(value) || value.is_array());
    if let (Some(empty), None) =
        (PICTURES.iter().find(|name| row.fields.contains_key(**name)), PICTURES.iter().find(filled))
    {
        return Err(row.error(format!(
            "{empty:?} is empty; a question without a picture has an empty list there ([]), or no such field"
        )));
    }
    let list = |name: &str| match row.fields.get(name) {
        Some(Value::String(text)) if text.trim().is_empty() => Ok(Vec::new()),
        _ => elements(row, name),
    };
    let (one, several) = (list("image")?, list("images")?);
    if !one.is_empty() && !several.is_empty() {
        return Err(row.error("\"image\" and \"images\" are both given; write all of them into one"));
    }
    let list = [one, several].concat();
    let common = view(row, &Value::Object(row.fields.clone()))?;
    list.iter().map(|value| image(root, row, value, &common)).collect()
}

pub(crate) fn image(root: &Root, row: &Row, value: &Value, common: &View) -> Result<MediaRef, DataError> {
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
    Ok(View { frame, slice, plane, window, layer: None })
}

fn index(row: &Row, name: &str, value: &Value) -> Result<usize, DataError> {
    words(value)
        .and_then(|text| whole(&text))
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
        whole(&text).map(SliceAt::Index)
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
            json if json.starts_with('{') => {
                serde_json::from_str(json).ok().as_ref().and_then(centre_and_width)
            }
            words => named(words),
        },
        other => centre_and_width(other),
    };
    chosen.ok_or_else(|| row.error(FORMS))
}

fn named(text: &str) -> Option<WindowChoice> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    if let Some((centre, width)) = text.split_once('/') {
        return linear(number(centre)?, number(width)?);
    }
    if let Some(index) = text.strip_prefix("stored:") {
        return whole(index).map(WindowChoice::Stored);
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

fn centre_and_width(value: &Value) -> Option<WindowChoice> {
    let number = |name: &str| value.get(name).and_then(Value::as_f64);
    linear(number("centre").or_else(|| number("center"))?, number("width")?)
}

fn linear(centre: f64, width: f64) -> Option<WindowChoice> {
    let window = Window::linear(centre, width);
    window.has_width().then_some(WindowChoice::Numbers(window))
}

fn choices(root: &Root, row: &Row) -> Result<Vec<Choice>, DataError> {
    if let Some(Value::String(text)) = row.fields.get("choices")
        && text.contains('\'')
        && let Some(listed) = python_list(text)
    {
        // A list as Python prints it, which tables of pandas hold.
        return options(root, row, listed);
    }
    if let Some(Value::Object(map)) = structured(row, "choices")? {
        let one = |(letter, text): (&String, &Value)| match (letter.chars().next(), letter.chars().count()) {
            (Some(letter), 1) if letter.is_ascii_alphabetic() => {
                Ok((letter.to_ascii_uppercase(), words(text)))
            }
            _ => {
                Err(row.error("\"choices\" as an object needs one letter for each choice; a list needs none"))
            }
        };
        let columns: Vec<(char, Option<String>)> = map.iter().map(one).collect::<Result<_, DataError>>()?;
        let count = columns.len();
        return with_words(row, count, option_columns(root, row, columns));
    }
    let listed: Vec<Option<String>> = elements(row, "choices")?.iter().map(words).collect();
    if !listed.is_empty() {
        return with_words(row, listed.len(), options(root, row, listed)?);
    }
    let columns = row.fields.iter().filter(|(name, _)| is_choice_column(name));
    let columns = columns.filter_map(|(name, text)| Some((name.chars().next()?, words(text))));
    Ok(option_columns(root, row, columns))
}

/// Refuses options of which none has words: the question would be an open one without a word said.
fn with_words(row: &Row, count: usize, choices: Vec<Choice>) -> Result<Vec<Choice>, DataError> {
    if count > 0 && choices.is_empty() {
        return Err(
            row.error(format!("none of the {count} choices has words; an open question has no \"choices\""))
        );
    }
    Ok(choices)
}

/// Nothing in it: an empty text, list or object. An empty list of places says that nothing is there, which
/// is a reference; an empty answer says nothing.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.iter().all(is_blank),
        Value::Object(map) => map.values().all(is_blank),
        _ => false,
    }
}

fn target(root: &Root, row: &Row, choices: &[Choice], images: usize) -> Result<Target, DataError> {
    let said = |name: &&str| match row.fields.get(*name) {
        None | Some(Value::Null) => false,
        Some(value) if matches!(*name, "answer" | "report") => !is_blank(value),
        Some(_) => true,
    };
    let all = ["answer", "boxes", "points", "count", "measurements", "report", "masks"];
    let given: Vec<&str> = all.into_iter().filter(said).collect();
    let kind = match given.as_slice() {
        [] => return Ok(Target::Unknown),
        [one] => *one,
        several => {
            return Err(row.error(format!("one reference a row, but there are {}", several.join(" and "))));
        }
    };
    match kind {
        "answer" => answer(row, choices),
        "boxes" => Ok(Target::Boxes(marks(row, ("boxes", "box"), images, corners)?)),
        "points" => {
            let point = |[x, y]: [f64; 2]| Ok(Point2::<Source>::new(x, y));
            Ok(Target::Points(marks(row, ("points", "point"), images, point)?))
        }
        "count" => Ok(row.number("count")?.map_or(Target::Unknown, Target::Count)),
        "measurements" => measurements(row),
        "report" => match structured(row, "report")? {
            Some(Value::Object(sections)) => Ok(Target::Report(
                sections.iter().filter_map(|(name, text)| Some((name.clone(), words(text)?))).collect(),
            )),
            Some(Value::String(text)) => {
                Ok(Target::Report(BTreeMap::from([("report".to_owned(), text.trim().to_owned())])))
            }
            _ => Err(row.error("\"report\" is neither text nor an object of section names and texts")),
        },
        _ => masks(root, row, images),
    }
}

/// The letter where choices are offered, otherwise the accepted wordings. True and false are yes and no.
fn answer(row: &Row, choices: &[Choice]) -> Result<Target, DataError> {
    let given = structured(row, "answer")?;
    if !choices.is_empty() {
        let said: Vec<String> = match &given {
            Some(Value::Array(list)) => list.iter().filter_map(words).collect(),
            other => other.as_ref().and_then(words).into_iter().collect(),
        };
        // Options that are called true and false, or yes and no.
        let spoken = given.as_ref().filter(|v| v.is_boolean()).and_then(answer_words);
        let one = match &said[..] {
            [one] => chosen(row, choices, one),
            _ => Err(row.error("an entry of \"answer\" is none of the choices; with choices each is a letter, the words of a choice, or its number from 0")),
        };
        return one
            .or_else(|error| spoken.map_or(Err(error), |spoken| chosen(row, choices, &spoken)))
            .or_else(|error| letters_of(choices, &said).ok_or(error));
    }
    let accepted: Vec<String> = match given {
        Some(Value::Array(list)) => list.iter().filter_map(answer_words).collect(),
        other => other.as_ref().and_then(answer_words).into_iter().collect(),
    };
    if accepted.is_empty() {
        Err(row.error("\"answer\" holds no words, number or list of these"))
    } else {
        Ok(Target::Text(accepted))
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

/// `[[numbers], …]` or `[{"label", "box" or "point": [numbers], "image", "reader"}, …]`; `field` and
/// `inner` are the names, `images` how many the row has.
fn marks<const N: usize, T>(
    row: &Row,
    (field, inner): (&str, &str),
    images: usize,
    make: impl Fn([f64; N]) -> Result<T, String>,
) -> Result<Vec<Labelled<T>>, DataError> {
    let mark = |(at, value): (usize, &Value)| {
        let place = numbers(value.get(inner).unwrap_or(value)).and_then(&make);
        let place =
            place.map_err(|problem| row.error(format!("{inner} {} of {field:?}: {problem}", at + 1)))?;
        labelled(row, value, images, place)
    };
    match structured(row, field)? {
        Some(Value::Array(list)) => list.iter().enumerate().map(mark).collect(),
        _ => Err(row.error(format!("{field:?} needs a list of {N} numbers each, in pixels of the image"))),
    }
}

/// A mark with the facts beside it.
fn labelled<T>(row: &Row, value: &Value, images: usize, at: T) -> Result<Labelled<T>, DataError> {
    let picture = value.get("image").filter(|v| !v.is_null()).map_or(Ok(0), |v| index(row, "image", v))?;
    if picture > 0 && picture >= images {
        return Err(
            row.error(format!("a mark lies in image {picture}, counted from 0, but there are {images}"))
        );
    }
    let label = value.get("label").and_then(words).unwrap_or_default();
    Ok(Labelled { picture, label, at, reader: value.get("reader").and_then(words) })
}

/// `["mask.png", …]` or `[{"label", "path", "image"}, …]`.
fn masks(root: &Root, row: &Row, images: usize) -> Result<Target, DataError> {
    let mask = |value: Value| {
        let path = value.get("path").unwrap_or(&value);
        let path =
            path.as_str().filter(|p| !p.trim().is_empty()).ok_or_else(|| row.error("a mask has no path"))?;
        labelled(row, &value, images, root.image(row, ".", path)?)
    };
    Ok(Target::Masks(elements(row, "masks")?.into_iter().map(mask).collect::<Result<_, DataError>>()?))
}
