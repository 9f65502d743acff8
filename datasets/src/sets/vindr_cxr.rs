//! VinDr-CXR (Nguyen et al. 2022) and the VinBigData challenge: chest X-rays with boxes by several
//! readers.
//!
//! Numbers are pixel coordinates of the DICOM image. Every reader's boxes are kept with the reader's
//! name: agreement is the caller's business. `:consensus` keeps one box where readers agree.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::regions::{self, Annotated, Region};
use crate::read::values::corners;
use crate::read::{Root, Row, Split};
use loupe_core::{Box2, DataError, Source};
use std::collections::{BTreeMap, HashMap};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "vindr-cxr",
    title: "VinDr-CXR and VinBigData: chest X-ray findings by several readers",
    citation: "Nguyen et al., Scientific Data 9:429, 2022",
    licence: "PhysioNet Credentialed Health Data 1.5.0; Kaggle competition rules",
    splits: &["test", "train"],
    options: &[
        ("image", "one question an image for all labels together"),
        ("consensus", "only boxes on which a majority of the image's readers agree (IoU ≥ 0.4), averaged"),
    ],
    layout: "annotations/annotations_test.csv, annotations/annotations_train.csv (or train.csv of VinBigData) with \
             image_id, class_name, x_min, y_min, x_max, y_max and rad_id; test/ and train/ with <image_id>.dicom, \
             .dcm, .png or .jpg",
    metric: "mAP at IoU 0.4",
    open,
    ..SetEntry::BLANK
};

/// IoU from which two readers are said to mark the same finding: the challenge's own threshold.
const SAME_IOU: f64 = 0.4;

struct Image {
    first: Row,
    readers: Vec<String>,
    boxes: Vec<Region>,
}

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let name = &split.name;
    let file = root.pick(&[
        &format!("annotations/annotations_{name}.csv"),
        &format!("{name}.csv"),
        &format!("annotations_{name}.csv"),
    ])?;
    let mut order: Vec<Result<String, DataError>> = Vec::new();
    let mut images: HashMap<String, Image> = HashMap::new();
    for row in root.table_rows(&file, b',')? {
        if let Err(error) = row.and_then(|row| add(&mut order, &mut images, row)) {
            order.push(Err(error));
        }
    }
    let folder = root.folder(&[name, &format!("{name}_images"), "images"]);
    let annotated = order.into_iter().map(|id| {
        let id = id?;
        let Image { first, readers, boxes } =
            images.remove(&id).ok_or_else(|| root.read_error(&file, "an image is listed twice"))?;
        let boxes = if split.has("consensus") { consensus(boxes, readers.len()) } else { boxes };
        let tags = BTreeMap::from([("n_readers".to_owned(), readers.len().to_string())]);
        Ok(Annotated { media: image(root, &first, &folder, &id)?, group: id.clone(), id, boxes, tags })
    });
    let annotated = annotated.collect();
    Ok(regions::listed(root, split, annotated))
}

fn image(root: &Root, row: &Row, folder: &str, id: &str) -> Result<loupe_core::MediaRef, DataError> {
    let endings = ["dicom", "dcm", "png", "jpg"];
    let ending = endings.iter().find(|e| root.has(&format!("{folder}/{id}.{e}"))).unwrap_or(&"dicom");
    root.image(row, folder, &format!("{id}.{ending}"))
}

fn add(
    order: &mut Vec<Result<String, DataError>>,
    images: &mut HashMap<String, Image>,
    row: Row,
) -> Result<(), DataError> {
    let id = row.need("image_id")?;
    let label = row.need("class_name")?;
    let reader = row.any(&["rad_id", "rad_ID"]);
    let at = place(&row);
    let image = images.entry(id.clone()).or_insert_with(|| {
        order.push(Ok(id));
        Image { first: row, readers: Vec::new(), boxes: Vec::new() }
    });
    let name = reader.clone().unwrap_or_default();
    if !image.readers.contains(&name) {
        image.readers.push(name);
    }
    // "No finding" rows have no numbers (VinDr) or the box 0 0 1 1 (some copies of VinBigData).
    if !label.eq_ignore_ascii_case("no finding") {
        image.boxes.push(Region { label, reader, at });
    }
    Ok(())
}

fn place(row: &Row) -> Result<Box2<Source>, DataError> {
    let edge = |name: &str| {
        row.number(name)?
            .ok_or_else(|| row.error(format!("the finding has no {name}, so that its place is unknown")))
    };
    let edges = [edge("x_min")?, edge("y_min")?, edge("x_max")?, edge("y_max")?];
    corners(edges).map_err(|problem| row.error(problem))
}

/// A box that was read.
struct Read {
    label: String,
    reader: Option<String>,
    at: Box2<Source>,
}

/// Boxes of one label that overlap, from more than half of the readers, as their mean. Those that cannot be read
/// stay as they are.
fn consensus(boxes: Vec<Region>, readers: usize) -> Vec<Region> {
    let mut groups: Vec<Vec<Read>> = Vec::new();
    let mut unread = Vec::new();
    for Region { label, reader, at } in boxes {
        let b = match at {
            Ok(at) => Read { label, reader, at },
            Err(error) => {
                unread.push(Region { label, reader, at: Err(error) });
                continue;
            }
        };
        let same = |group: &&mut Vec<Read>| {
            group.iter().all(|g| g.label == b.label && g.reader != b.reader && g.at.iou(b.at) >= SAME_IOU)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(b),
            None => groups.push(vec![b]),
        }
    }
    let agreed = groups.into_iter().filter(|group| 2 * group.len() > readers);
    agreed
        .filter_map(|group| {
            let mean = |edge: fn(&Box2<Source>) -> f64| {
                group.iter().map(|g| edge(&g.at)).sum::<f64>() / group.len() as f64
            };
            let at = Box2::new(mean(|b| b.x0), mean(|b| b.y0), mean(|b| b.x1), mean(|b| b.y1));
            Some(Region::new(group.first()?.label.clone(), Ok(at)))
        })
        .chain(unread)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consensus_needs_a_majority_and_overlap() {
        let mark = |label: &str, x0: f64, reader: &str| Region {
            label: label.to_owned(),
            at: Ok(Box2::new(x0, 0.0, x0 + 10.0, 10.0)),
            reader: Some(reader.to_owned()),
        };
        let boxes = || {
            vec![
                mark("nodule", 0.0, "R1"),
                mark("nodule", 2.0, "R2"),
                mark("nodule", 50.0, "R1"),
                mark("mass", 0.0, "R3"),
            ]
        };
        let agreed = consensus(boxes(), 3);
        assert_eq!(agreed.len(), 1);
        assert_eq!(
            agreed.first().and_then(|b| Some(b.at.as_ref().ok()?.xyxy())),
            Some([1.0, 0.0, 11.0, 10.0])
        );
        assert!(consensus(boxes(), 4).is_empty());
    }
}
