//! COCO annotation files: images, categories and annotations with boxes and segmentations.

use super::files::Root;
use super::row::{Row, words};
use loupe_core::mask::{Mask, Rle};
use loupe_core::{DataError, MediaRef};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// A file with everything looked up by image.
pub(crate) struct Coco {
    pub(crate) images: Vec<Result<Image, DataError>>,
}

/// An image and what is marked in it.
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) media: MediaRef,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) marks: Vec<Mark>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// An annotation.
pub(crate) struct Mark {
    pub(crate) label: String,
    /// `[x, y, width, height]` in pixels.
    pub(crate) xywh: Option<[f64; 4]>,
    pub(crate) segmentation: Value,
    pub(crate) crowd: bool,
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

/// Reads the file.
pub(crate) fn read(root: &Root, split: &str) -> Result<Coco, DataError> {
    let file = file(root, split)?;
    let mut document = root.json(&file)?;
    let mut list = |name: &str| match document.get_mut(name).map(Value::take) {
        Some(Value::Array(list)) => Ok(Row::all(&file, list)),
        _ => Err(root.read_error(&file, format!("expected an object with the list {name:?}"))),
    };
    let (images, annotations, categories) = (list("images")?, list("annotations")?, list("categories")?);
    let mut names = HashMap::new();
    for row in categories {
        let row = row?;
        names.insert(row.need("id")?, row.need("name")?);
    }
    let mut errors = Vec::new();
    let mut by_image: HashMap<String, Vec<Mark>> = HashMap::new();
    for row in annotations {
        match row.and_then(|row| Ok((row.need("image_id")?, mark(&row, &names)?))) {
            Ok((image, mark)) => by_image.entry(image).or_default().push(mark),
            Err(error) => errors.push(error),
        }
    }
    let beside = file.rsplit_once('/').map_or(".", |(folder, _)| folder);
    let folders = [&format!("images/{split}"), split, "images", beside];
    let folder = root.folder(&folders.map(|f| f as &str));
    let mut all: Vec<Result<Image, DataError>> =
        images.into_iter().map(|row| image(root, &folder, &row?, &mut by_image)).collect();
    all.extend(errors.into_iter().map(Err));
    Ok(Coco { images: all })
}

fn image(
    root: &Root,
    folder: &str,
    row: &Row,
    by_image: &mut HashMap<String, Vec<Mark>>,
) -> Result<Image, DataError> {
    let id = row.need("id")?;
    let size = |name: &str| row.get(name).and_then(|t| t.parse().ok()).unwrap_or(0);
    Ok(Image {
        media: root.image(row, folder, &row.need("file_name")?)?,
        width: size("width"),
        height: size("height"),
        marks: by_image.remove(&id).unwrap_or_default(),
        tags: row.tags(&[("modality", "modality"), ("patient_id", "patient")]),
        id,
    })
}

fn mark(row: &Row, names: &HashMap<String, String>) -> Result<Mark, DataError> {
    let category = row.need("category_id")?;
    let label = names.get(&category).cloned();
    let numbers: Vec<f64> = row.list("bbox").into_iter().filter_map(Value::as_f64).collect();
    Ok(Mark {
        label: label.ok_or_else(|| row.error("category_id is that of no category"))?,
        xywh: numbers.try_into().ok(),
        segmentation: row.fields.get("segmentation").cloned().unwrap_or(Value::Null),
        crowd: row.fields.get("iscrowd").and_then(words).is_some_and(|c| c == "1" || c == "true"),
    })
}

/// The mask of a segmentation: polygons, run lengths as numbers, or as COCO's compressed text.
/// Polygons are filled as `rleFrPoly` of the COCO API fills them, so areas agree with pycocotools.
pub(crate) fn mask(segmentation: &Value, width: usize, height: usize) -> Option<Mask> {
    let pixels = width.checked_mul(height).filter(|p| (1..=Rle::MAX_PIXELS).contains(p))?;
    match segmentation {
        Value::Array(polygons) => {
            let mut bits = vec![false; pixels];
            for polygon in polygons {
                let numbers: Vec<f64> = polygon.as_array()?.iter().filter_map(Value::as_f64).collect();
                fill(&numbers, width, height, &mut bits)?;
            }
            Mask::new(width, height, bits)
        }
        Value::Object(rle) => {
            let size: Vec<u64> = rle.get("size")?.as_array()?.iter().filter_map(Value::as_u64).collect();
            if size != [height as u64, width as u64] {
                return None;
            }
            let counts = match rle.get("counts")? {
                Value::Array(counts) => counts
                    .iter()
                    .map(|c| c.as_u64().and_then(|c| c.try_into().ok()))
                    .collect::<Option<_>>()?,
                Value::String(text) => decompress(text)?,
                _ => return None,
            };
            Rle { size: [height, width], counts }.to_mask()
        }
        _ => None,
    }
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
    if polygon.len() < 6 || polygon.iter().any(|v| !v.is_finite() || v.abs() > 1e6) {
        return (polygon.len() < 6).then_some(());
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
