//! COCO annotation files: images, categories and annotations with boxes and segmentations.

use super::files::Root;
use super::row::Row;
use super::values::{kind, numbers, whole, words, xywh};
use loupe_core::mask::Rle;
use loupe_core::{Box2, DataError, Mask, MediaRef, Source, Spot};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A file with everything looked up by image.
pub(crate) struct Coco {
    pub(crate) images: Vec<Result<Image, DataError>>,
}

/// An image and what is marked in it.
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) media: MediaRef,
    /// Width and height, where the file states them.
    pub(crate) size: Option<[usize; 2]>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// An annotation of a known label.
pub(crate) struct Mark {
    pub(crate) label: String,
    /// In pixels, or why it cannot be read.
    pub(crate) region: Result<Box2<Source>, DataError>,
    pub(crate) segmentation: Value,
    pub(crate) crowd: bool,
    row: Row,
}

impl Mark {
    /// An error at the annotation.
    pub(crate) fn error(&self, problem: impl Into<String>) -> DataError {
        self.row.error(problem)
    }
}

/// The annotation file of a split: `instances_SPLIT.json`, `SPLIT.json` and the like, or the one that
/// the user named.
pub(crate) fn file(root: &Root, split: &str) -> Result<String, DataError> {
    let named = |name: &str| [format!("annotations/{name}.json"), format!("{name}.json")];
    let mut names: Vec<String> = Vec::new();
    for name in [
        format!("instances_{split}"),
        split.to_owned(),
        format!("{split}_annotations"),
        format!("{split}/_annotations.coco"),
    ] {
        names.extend(named(&name));
    }
    if split == "all" {
        names.extend(named("annotations"));
        names.extend(named("instances"));
        names.push("_annotations.coco.json".to_owned());
    }
    root.pick(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Reads the file. An annotation that cannot be read is not the absence of a finding: where its label is known
/// the questions about that label fail, otherwise the image does. An annotation of no image is an error of
/// its own.
pub(crate) fn read(root: &Root, split: &str) -> Result<Coco, DataError> {
    let file = file(root, split)?;
    let mut document = root.json(&file)?;
    let mut list = |name: &str| match document.get_mut(name).map(Value::take) {
        Some(Value::Array(list)) => Ok(Row::all(&format!("{file}, {name}"), list)),
        _ => Err(root.read_error(&file, format!("expected an object with the list {name:?}"))),
    };
    let (images, annotations, categories) = (list("images")?, list("annotations")?, list("categories")?);
    let mut names = HashMap::new();
    for row in categories {
        let row = row?;
        names.insert(row.need("id")?, row.need("name")?);
    }
    let mut errors = Vec::new();
    let mut by_image: HashMap<String, Vec<Result<Mark, DataError>>> = HashMap::new();
    for row in annotations {
        match row.and_then(|row| Ok((row.need("image_id")?, row))) {
            Ok((image, row)) => by_image.entry(image).or_default().push(mark(row, &names)),
            Err(error) => errors.push(error),
        }
    }
    let beside = file.rsplit_once('/').map_or(".", |(folder, _)| folder);
    let folders = [&format!("images/{split}"), split, "images", beside];
    let folder = root.folder(&folders.map(|f| f as &str));
    let mut seen = HashSet::new();
    let mut all: Vec<Result<Image, DataError>> = Vec::new();
    for row in images {
        all.push(row.and_then(|row| {
            let id = row.need("id")?;
            if !seen.insert(id.clone()) {
                return Err(row.error(format!("the image id {id} is that of an earlier image too")));
            }
            let marks = by_image.remove(&id).unwrap_or_default();
            image(root, &folder, &row, id, marks.into_iter().collect::<Result<_, DataError>>()?)
        }));
    }
    let mut strangers: Vec<DataError> = Vec::new();
    for (id, marks) in by_image {
        let of_no_image = |mark: &Mark| mark.error(format!("image_id {id} is that of no image"));
        strangers
            .extend(marks.into_iter().map(|mark| mark.map_or_else(|error| error, |mark| of_no_image(&mark))));
    }
    // The order of a hash map is none.
    strangers.sort_by_key(|error| match error {
        DataError::Row { at, .. } => *at,
        _ => Spot::Row(0),
    });
    all.extend(errors.into_iter().chain(strangers).map(Err));
    Ok(Coco { images: all })
}

fn image(root: &Root, folder: &str, row: &Row, id: String, marks: Vec<Mark>) -> Result<Image, DataError> {
    let side = |name: &str| match row.fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match words(value).as_deref().and_then(whole) {
            Some(side) => Ok(Some(side).filter(|side| *side > 0)),
            None => Err(row.error(format!("{name:?} is not a whole number"))),
        },
    };
    let size = side("width")?.zip(side("height")?).map(|(width, height)| [width, height]);
    let mut media = root.image(row, folder, &row.need("file_name")?)?;
    media.stated_size = size;
    Ok(Image {
        media,
        size,
        marks,
        tags: row.tags(&[("modality", "modality"), ("patient_id", "patient")]),
        id,
    })
}

fn mark(row: Row, names: &HashMap<String, String>) -> Result<Mark, DataError> {
    let category = row.need("category_id")?;
    let label = names.get(&category).cloned();
    let label = label.ok_or_else(|| row.error("category_id is that of no category"))?;
    let given = row.fields.get("bbox").unwrap_or(&Value::Null);
    let region = numbers(given).and_then(xywh).map_err(|problem| row.error(format!("\"bbox\": {problem}")));
    Ok(Mark {
        label,
        region,
        segmentation: row.fields.get("segmentation").cloned().unwrap_or(Value::Null),
        crowd: row.fields.get("iscrowd").and_then(words).is_some_and(|c| c == "1" || c == "true"),
        row,
    })
}

/// The mask of a segmentation: polygons, run lengths as numbers, or as COCO's compressed text.
/// Polygons are filled as `rleFrPoly` of the COCO API fills them, so areas agree with pycocotools. What is
/// wrong is said in words.
pub(crate) fn mask(segmentation: &Value, [width, height]: [usize; 2]) -> Result<Mask, String> {
    let misfit = || "the segmentation does not fit the image's width and height".to_owned();
    let pixels =
        width.checked_mul(height).filter(|p| (1..=Rle::MAX_PIXELS).contains(p)).ok_or_else(misfit)?;
    match segmentation {
        Value::Array(polygons) => {
            let mut bits = vec![false; pixels];
            for (at, polygon) in polygons.iter().enumerate() {
                let list = polygon
                    .as_array()
                    .ok_or_else(|| format!("polygon {} of the segmentation is {}", at + 1, kind(polygon)))?;
                let number = |value: &Value| {
                    value.as_f64().filter(|n| n.is_finite()).ok_or_else(|| {
                        format!("polygon {} of the segmentation holds {}", at + 1, kind(value))
                    })
                };
                let numbers = list.iter().map(number).collect::<Result<Vec<f64>, String>>()?;
                if numbers.len() < 6 || numbers.len() % 2 != 0 {
                    return Err(format!(
                        "polygon {} of the segmentation has {} numbers",
                        at + 1,
                        numbers.len()
                    ));
                }
                fill(&numbers, width, height, &mut bits).ok_or_else(misfit)?;
            }
            if polygons.is_empty() {
                return Err("the segmentation is empty".to_owned());
            }
            Mask::new(width, height, bits).ok_or_else(misfit)
        }
        Value::Object(rle) => run_lengths(rle, [width, height]).ok_or_else(misfit),
        other => Err(format!("\"segmentation\" is {}", kind(other))),
    }
}

fn run_lengths(rle: &Map<String, Value>, [width, height]: [usize; 2]) -> Option<Mask> {
    let size: Vec<u64> = rle.get("size")?.as_array()?.iter().map(Value::as_u64).collect::<Option<_>>()?;
    if size != [height as u64, width as u64] {
        return None;
    }
    let counts = match rle.get("counts")? {
        Value::Array(counts) => {
            counts.iter().map(|c| c.as_u64().and_then(|c| c.try_into().ok())).collect::<Option<_>>()?
        }
        Value::String(text) => decompress(text)?,
        _ => return None,
    };
    Rle { size: [height, width], counts }.to_mask()
}

/// COCO's text form of run lengths (`rleFrString`): base-32 digits from `'0'`, the sixth bit says that
/// more follow, from the third run on the difference to the run before the last.
fn decompress(text: &str) -> Option<Vec<u32>> {
    let mut counts: Vec<i64> = Vec::new();
    let mut bytes = text.bytes();
    while let Some(mut byte) = bytes.next() {
        let (mut value, mut shift) = (0i64, 0u32);
        loop {
            let digit = i64::from(byte.checked_sub(48)?);
            if digit > 63 || shift > 35 {
                return None;
            }
            value |= (digit & 31) << shift;
            shift += 5;
            if digit & 32 == 0 {
                if digit & 16 != 0 {
                    value |= -1 << shift;
                }
                break;
            }
            byte = bytes.next()?;
        }
        if counts.len() > 2 {
            value += counts.get(counts.len() - 2)?;
        }
        counts.push(value);
    }
    counts.into_iter().map(|c| u32::try_from(c).ok()).collect()
}

/// Fills one polygon `x0, y0, x1, y1, …` after `rleFrPoly`: the outline is walked at five times the
/// resolution, its crossings of the columns' centres are rounded to rows, and each column is filled
/// between them by even and odd.
fn fill(polygon: &[f64], width: usize, height: usize, bits: &mut [bool]) -> Option<()> {
    const SCALE: f64 = 5.0;
    if polygon.iter().any(|v| !v.is_finite() || v.abs() > 1e6) {
        return None;
    }
    let scaled: Vec<i64> = polygon.iter().map(|v| (SCALE * v + 0.5) as i64).collect();
    let corners: Vec<(i64, i64)> =
        scaled.chunks_exact(2).filter_map(|p| Some((*p.first()?, *p.last()?))).collect();
    let mut outline: Vec<(i64, i64)> = Vec::new();
    for (from, to) in corners.iter().zip(corners.iter().cycle().skip(1)) {
        walk(*from, *to, &mut outline);
    }
    // Where the outline changes column, the row of the crossing, as an index down the columns.
    let mut crossings: Vec<usize> = Vec::new();
    for (before, after) in outline.iter().zip(outline.iter().skip(1)) {
        if before.0 == after.0 {
            continue;
        }
        let column = if after.0 < before.0 { after.0 } else { after.0 - 1 } as f64;
        let column = (column + 0.5) / SCALE - 0.5;
        if column.floor() != column || column < 0.0 || column > width as f64 - 1.0 {
            continue;
        }
        let row = if after.1 < before.1 { after.1 } else { before.1 } as f64;
        let row = ((row + 0.5) / SCALE - 0.5).clamp(0.0, height as f64).ceil();
        crossings.push(column as usize * height + row as usize);
    }
    crossings.sort_unstable();
    for pair in crossings.chunks_exact(2) {
        if let [from, to] = pair {
            for at in *from..*to {
                let (x, y) = (at / height, at % height);
                if let Some(bit) = bits.get_mut(y * width + x) {
                    *bit = true;
                }
            }
        }
    }
    Some(())
}

/// The points of a straight line, one a step of its longer direction.
fn walk(from: (i64, i64), to: (i64, i64), outline: &mut Vec<(i64, i64)>) {
    let (mut start, mut end) = (from, to);
    let (dx, dy) = ((end.0 - start.0).abs(), (end.1 - start.1).abs());
    let flip = (dx >= dy && start.0 > end.0) || (dx < dy && start.1 > end.1);
    if flip {
        std::mem::swap(&mut start, &mut end);
    }
    let longest = dx.max(dy);
    let slope = match longest {
        0 => 0.0,
        _ if dx >= dy => (end.1 - start.1) as f64 / dx as f64,
        _ => (end.0 - start.0) as f64 / dy as f64,
    };
    for step in 0..=longest {
        let t = if flip { longest - step } else { step };
        let along = |begin: i64| (begin as f64 + slope * t as f64 + 0.5) as i64;
        outline.push(if dx >= dy { (start.0 + t, along(start.1)) } else { (along(start.0), start.1 + t) });
    }
}

/// A mask as the bytes of a PGM image (255 inside), which every image reader takes.
pub(crate) fn pgm(mask: &Mask) -> Vec<u8> {
    let mut bytes = format!("P5\n{} {}\n255\n", mask.width(), mask.height()).into_bytes();
    bytes.extend(mask.bits().iter().map(|&bit| if bit { 255u8 } else { 0 }));
    bytes
}
