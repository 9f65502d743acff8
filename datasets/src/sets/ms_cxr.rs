//! MS-CXR (Boecking et al. 2022): phrases of chest X-ray reports with boxes on images of MIMIC-CXR-JPG.
//!
//! A row is one box; a phrase with several has several rows. Boxes are `x, y, w, h` in pixels of the image, whose size is stated. Version 1.1.0 has a column
//! `split`, earlier ones have none.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::regions::{self, Annotated, Region};
use crate::read::{Root, Row, Split, values};
use loupe_core::DataError;
use std::collections::BTreeMap;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "ms-cxr",
    title: "MS-CXR: phrases of reports with their boxes",
    citation: "Boecking et al., ECCV 2022, arXiv:2204.09817",
    licence: "PhysioNet credentialed",
    splits: &["test", "val", "train", "all"],
    options: regions::OPTIONS,
    layout: "MS_CXR_Local_Alignment_v1.1.0.csv (or v1.0.0, split all only) with dicom_id, label_text, path, x, y, w, h, image_width, image_height; \
             files/pNN/pSUBJECT/sSTUDY/DICOM.jpg of MIMIC-CXR-JPG",
    group_by: "patient",
    metric: "mIoU and Acc@0.5",
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let names = ["MS_CXR_Local_Alignment_v1.1.0.csv", "MS_CXR_Local_Alignment_v1.0.0.csv"];
    let mut images: Vec<(String, Result<Annotated, DataError>)> = Vec::new();
    for row in root.rows(&names)? {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                images.push((String::new(), Err(error)));
                continue;
            }
        };
        if split.name != "all" {
            let of = row
                .get("split")
                .ok_or_else(|| row.error("there is no \"split\"; --split all reads every row"));
            match of {
                Ok(name) if name != split.name => continue,
                Ok(_) => {}
                Err(error) => {
                    images.push((String::new(), Err(error)));
                    continue;
                }
            }
        }
        match one(root, &row) {
            Ok(image) => match images.iter_mut().find(|(id, there)| *id == image.id && there.is_ok()) {
                Some((_, Ok(there))) => there.boxes.extend(image.boxes),
                _ => images.push((image.id.clone(), Ok(image))),
            },
            Err(error) => images.push((String::new(), Err(error))),
        }
    }
    Ok(regions::listed(root, split, images.into_iter().map(|(_, image)| image).collect()))
}

/// The image of a row with its one box.
fn one(root: &Root, row: &Row) -> Result<Annotated, DataError> {
    let id = row.need("dicom_id")?;
    let path = row.need("path")?;
    let mut media = root.image(row, ".", &path)?;
    let whole = |name: &str| -> Result<Option<usize>, DataError> {
        Ok(row.number(name)?.filter(|n| *n >= 1.0 && n.fract() == 0.0).map(|n| n as usize))
    };
    if let (Some(width), Some(height)) = (whole("image_width")?, whole("image_height")?) {
        media.stated_size = Some([width, height]);
    }
    let at = ["x", "y", "w", "h"]
        .map(|name| row.number(name)?.ok_or_else(|| row.error(format!("{name:?} is missing"))));
    let at = match at {
        [Ok(x), Ok(y), Ok(w), Ok(h)] => values::xywh([x, y, w, h]).map_err(|problem| row.error(problem)),
        [a, b, c, d] => {
            Err([a, b, c, d].into_iter().find_map(Result::err).unwrap_or_else(|| row.error("no box")))
        }
    };
    // pNN/pSUBJECT/sSTUDY
    let patient = path.split('/').find(|part| part.len() > 3 && part.starts_with('p'));
    let group = patient.map_or_else(|| id.clone(), str::to_owned);
    let region = Region::new(row.need("label_text")?, at);
    Ok(Annotated { media, group, boxes: vec![region], tags: BTreeMap::new(), id })
}
