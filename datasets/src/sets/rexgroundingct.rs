//! ReXGroundingCT (Baharoon et al. 2025): findings of chest CT reports in free text with their masks in the volume.
//!
//! A row is a finding of a scan; its mask is the layer of its number in the scan's file of masks, whose first axis counts the findings. The
//! volumes are those of CT-RATE, voxel by voxel. Masks of the test split are withheld: its findings are asked and not scored.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{Root, Row, Split, sample};
use loupe_core::{DataError, Labelled, Sample, Target};
use serde_json::Value;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "rexgroundingct",
    title: "ReXGroundingCT: findings of chest CT reports with their masks",
    citation: "Baharoon et al., arXiv:2507.22030, 2025",
    licence: "CC-BY-NC-SA-4.0, access by agreement; volumes under that of CT-RATE",
    splits: &["val", "test", "train"],
    options: &[("challenge", "rows of MICCAI_challenge_dataset.json (val, test)")],
    layout: "dataset.json with train, val and test (or MICCAI_challenge_dataset.json), segmentations/NAME.nii.gz; the volumes of CT-RATE as \
             images/NAME.nii.gz or dataset/train_fixed/train_1/train_1_a/train_1_a_1.nii.gz (dataset/ may be left out)",
    group_by: "patient",
    metric: "Dice",
    known: &[
        Known { split: "train", rows: 7687 },
        Known { split: "val", rows: 115 },
        Known { split: "val:challenge", rows: 381 },
        Known { split: "test:challenge", rows: 582 },
    ],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let name = if split.has("challenge") { "MICCAI_challenge_dataset.json" } else { "dataset.json" };
    let file = root.pick(&[name])?;
    let Some(Value::Array(scans)) = root.json(&file)?.get_mut(&split.name).map(Value::take) else {
        return Err(root.read_error(&file, &format!("expected an object with the list {:?}", split.name)));
    };
    let mut samples = Vec::new();
    for row in Row::all(&file, scans) {
        match row.and_then(|row| findings(root, split, &row)) {
            Ok(of_scan) => samples.extend(of_scan),
            Err(error) => samples.push(Err(error)),
        }
    }
    Ok(root.listed(split, samples))
}

/// A sample for each finding of a scan, in the order of their numbers.
fn findings(root: &Root, split: &Split, row: &Row) -> Result<Vec<Result<Sample, DataError>>, DataError> {
    let name = row.need("name")?;
    let Some(Value::Object(texts)) = row.fields.get("findings") else {
        return Err(row.error("\"findings\" is no object of texts by number"));
    };
    let scan = name.strip_suffix(".nii.gz").unwrap_or(&name).to_owned();
    let volume = root.image(row, ".", &place(root, &name, &scan))?;
    let masks = format!("segmentations/{name}");
    let withheld = split.name == "test" && !root.has(&masks);
    // PATIENT of SPLIT_PATIENT_SCAN_RECONSTRUCTION, as CT-RATE names its files.
    let patient = scan.splitn(3, '_').take(2).collect::<Vec<_>>().join("_");
    let one = |(number, text): (&String, &Value)| -> Result<(usize, Sample), DataError> {
        let wrong = || row.error(format!("the finding {number:?} of \"findings\" is no text with a number"));
        let layer: usize = number.parse().map_err(|_| wrong())?;
        let text = text.as_str().map(str::trim).filter(|text| !text.is_empty()).ok_or_else(wrong)?;
        let target = if withheld {
            Target::Unknown
        } else {
            let mut at = root.image(row, ".", &masks)?;
            at.view.layer = Some(layer);
            Target::Masks(vec![Labelled { picture: 0, label: text.to_owned(), at, reader: None }])
        };
        let mut tags = row.tags(&[]);
        tags.insert("modality".to_owned(), "CT".to_owned());
        tags.insert("finding".to_owned(), number.clone());
        let category = row.fields.get("categories").and_then(|all| all.get(number)).and_then(Value::as_str);
        tags.extend(category.map(|category| ("category".to_owned(), category.to_owned())));
        let question = format!("Outline this finding: {text}");
        let media = vec![volume.clone()];
        Ok((
            layer,
            Sample {
                media,
                question,
                target,
                group: patient.clone(),
                tags,
                ..sample(format!("{scan}:{number}"))
            },
        ))
    };
    let mut all = texts.iter().map(one).collect::<Vec<_>>();
    all.sort_by_key(|found| found.as_ref().map_or(usize::MAX, |(layer, _)| *layer));
    Ok(all.into_iter().map(|found| found.map(|(_, sample)| sample)).collect())
}

/// Where the volume lies: beside the masks, or as CT-RATE has it.
fn place(root: &Root, name: &str, scan: &str) -> String {
    let parts: Vec<&str> = scan.split('_').collect();
    let mut places = vec![format!("images/{name}"), format!("images_fixed/{name}")];
    if let [of, patient, study, _] = parts.as_slice() {
        let within = format!("{of}_fixed/{of}_{patient}/{of}_{patient}_{study}/{name}");
        places.extend([format!("dataset/{within}"), within]);
    }
    let there = places.iter().position(|place| root.has(place)).unwrap_or(0);
    places.swap_remove(there)
}
