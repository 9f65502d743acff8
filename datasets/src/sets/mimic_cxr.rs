//! MIMIC-CXR (Johnson et al. 2019): chest X-ray studies with reports.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::{Root, Row, Split, report};
use loupe_core::{DataError, MediaRef, Sample};
use std::collections::{BTreeMap, HashMap};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "mimic-cxr",
    title: "MIMIC-CXR: chest X-ray reports",
    citation: "Johnson et al., Scientific Data 6:317, 2019",
    licence: "PhysioNet Credentialed Health Data 1.5.0",
    splits: &["test", "validate", "train"],
    layout: "test.json [{id, image, findings, impression}] and images/; or mimic_cxr_sectioned.csv and \
             mimic-cxr-2.0.0-split.csv with files/pNN/pSUBJECT/sSTUDY/DICOM.jpg (or .dcm)",
    group_by: "patient",
    metric: "RadGraph F1, BLEU, ROUGE-L, CIDEr",
    open,
    ..SetEntry::BLANK
};

struct Study {
    subject: String,
    first: Row,
    images: Vec<MediaRef>,
}

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let json = format!("{}.json", split.name);
    if root.only.is_some() || root.has(&json) {
        return report::medevalkit(root, split, &root.pick(&[&json])?);
    }
    let mut reports = HashMap::new();
    let mut samples = Vec::new();
    for row in root.table_rows("mimic_cxr_sectioned.csv", b',')? {
        match row {
            Ok(row) => {
                if let Some(study) = row.any(&["study", "study_id"]) {
                    reports.insert(study.trim_start_matches('s').to_owned(), row);
                }
            }
            Err(error) => samples.push(Err(error)),
        }
    }
    let folder = root.folder(&["files", "physionet.org/files/mimic-cxr-jpg/2.0.0/files"]);
    let mut studies: BTreeMap<String, Study> = BTreeMap::new();
    for row in root.table_rows("mimic-cxr-2.0.0-split.csv", b',')? {
        match row {
            Ok(row) if row.get("split").as_ref() == Some(&split.name) => {
                if let Err(error) = add(root, &folder, &mut studies, row) {
                    samples.push(Err(error));
                }
            }
            Ok(_) => {}
            Err(error) => samples.push(Err(error)),
        }
    }
    for (id, study) in studies {
        let row = reports.get(&id).unwrap_or(&study.first);
        let sections = report::written(id.clone(), study.subject, row, ["findings", "impression"]);
        samples.push(Ok(Sample { media: study.images, ..sections }));
    }
    Ok(root.listed(split, samples))
}

fn add(root: &Root, folder: &str, studies: &mut BTreeMap<String, Study>, row: Row) -> Result<(), DataError> {
    let (subject, study, image) = (row.need("subject_id")?, row.need("study_id")?, row.need("dicom_id")?);
    let group = subject.get(..2).unwrap_or(&subject);
    let stem = format!("p{group}/p{subject}/s{study}/{image}");
    let jpeg = format!("{stem}.jpg");
    let file = if root.has(&format!("{folder}/{stem}.dcm")) { format!("{stem}.dcm") } else { jpeg };
    let media = root.image(&row, folder, &file)?;
    let entry = studies.entry(study).or_insert_with(|| Study { subject, first: row, images: Vec::new() });
    entry.images.push(media);
    Ok(())
}
