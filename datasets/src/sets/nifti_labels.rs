//! NIfTI volumes with label maps: the nnU-Net layout, and TotalSegmentator's file for each structure.
//!
//! A sample is a volume and a label; its mask is the label map, and the tag `value` says which of its
//! numbers is meant (files for a single structure have none: what is not 0 is the structure).

use crate::digest::text_sha256;
use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::masks::{self, Masked, stem};
use crate::read::{Root, Row, Split, words};
use loupe_core::{DataError, Sample};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "nifti-labels",
    title: "NIfTI volumes with label maps (nnU-Net, TotalSegmentator)",
    citation: "Isensee et al., Nature Methods 18:203, 2021; Wasserthal et al., Radiology AI 5:e230024, 2023",
    licence: "that of the set",
    splits: &["train", "test", "all"],
    layout: "nnU-Net: imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz (Ts for test), dataset.json with labels; \
             TotalSegmentator: CASE/ct.nii.gz, CASE/segmentations/STRUCTURE.nii.gz (split all)",
    group_by: "volume",
    metric: "Dice, HD95 and NSD",
    open,
    ..SetEntry::BLANK
};

const VOLUMES: &[&str] = &[".nii", ".nii.gz"];

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    match split.name.as_str() {
        "train" => nnunet(root, split, "Tr"),
        "test" => nnunet(root, split, "Ts"),
        _ => structures(root, split),
    }
}

fn nnunet(root: &Root, split: &Split, part: &str) -> Result<Listed, DataError> {
    let (images, labels) = (format!("images{part}"), format!("labels{part}"));
    let names = label_names(root)?;
    let mut samples: Vec<Result<Sample, DataError>> = Vec::new();
    for map in root.list(&labels, VOLUMES)? {
        let case = stem(&map).to_owned();
        let row = Row::new(&map.as_str().into(), 0, Value::Object(Map::new()))?;
        let ending = if map.ends_with(".gz") { "nii.gz" } else { "nii" };
        // Channels are numbered; sets of one channel often leave the number out.
        let numbered = format!("{images}/{case}_0000.{ending}");
        let image = if root.has(&numbered) { numbered } else { format!("{images}/{case}.{ending}") };
        let media = root.image(&row, ".", &image)?;
        root.note(&map, text_sha256(&case));
        for (value, label) in &names {
            let tags = BTreeMap::from([("value".to_owned(), value.to_string())]);
            let masked = Masked {
                id: case.clone(),
                media: media.clone(),
                group: case.clone(),
                masks: vec![(label.clone(), root.image(&row, ".", &map)?)],
                tags,
            };
            samples.extend(masks::by_label(masked).into_iter().map(Ok));
        }
    }
    if samples.is_empty() {
        return Err(root.missing(format!("{labels}/CASE.nii.gz")));
    }
    Ok(root.listed(split, samples))
}

/// Labels of dataset.json in either direction (`{"0": "background"}` of the first version,
/// `{"background": 0}` of the second), without the background. A label of several numbers (regions)
/// is left out: it is a union of others.
fn label_names(root: &Root) -> Result<Vec<(u64, String)>, DataError> {
    let file = root.pick(&["dataset.json"])?;
    let document = root.json(&file)?;
    let Some(Value::Object(labels)) = document.get("labels") else {
        return Err(root.read_error(&file, "expected an object with \"labels\""));
    };
    let mut names: Vec<(u64, String)> = labels
        .iter()
        .filter_map(|(key, value)| match (key.parse(), value.as_u64()) {
            (Ok(number), _) => Some((number, words(value)?)),
            (Err(_), Some(number)) => Some((number, key.clone())),
            _ => None,
        })
        .filter(|(number, name)| *number != 0 && name != "ignore")
        .collect();
    names.sort();
    Ok(names)
}

fn structures(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let mut images = Vec::new();
    for case in root.list(".", &[""])? {
        let masks = root.list(&format!("{case}/segmentations"), VOLUMES).unwrap_or_default();
        if masks.is_empty() {
            continue;
        }
        let row = Row::new(&case.as_str().into(), 0, Value::Object(Map::new()))?;
        let volumes = ["ct.nii.gz", "mri.nii.gz", "ct.nii", "mri.nii"].map(|name| format!("{case}/{name}"));
        let volume = volumes.iter().find(|v| root.has(v)).unwrap_or(&volumes[0]);
        let mut labelled = Vec::new();
        for mask in &masks {
            root.note(mask, String::new());
            labelled.push((stem(mask).to_owned(), root.image(&row, ".", mask)?));
        }
        images.push(Ok(Masked {
            media: root.image(&row, ".", volume)?,
            group: case.clone(),
            id: case,
            masks: labelled,
            tags: BTreeMap::new(),
        }));
    }
    if images.is_empty() {
        Err(root.missing("CASE/segmentations/STRUCTURE.nii.gz"))
    } else {
        Ok(masks::listed(root, split, images))
    }
}
