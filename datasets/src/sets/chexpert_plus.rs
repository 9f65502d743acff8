//! CheXpert Plus (Chambon et al. 2024): chest X-ray images with the sections of their reports.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::{Root, Row, Split, report};
use loupe_core::{DataError, Sample};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "chexpert-plus",
    title: "CheXpert Plus: chest X-ray reports",
    citation: "Chambon et al., arXiv:2405.19538, 2024",
    licence: "Stanford University Dataset Research Use Agreement",
    splits: &["test", "valid", "train"],
    layout: "test: test.json [{id, image, findings, impression}] and images/; valid and train: \
             df_chexpert_plus_240401.csv and PNG/",
    group_by: "patient",
    metric: "RadGraph F1, BLEU, ROUGE-L, CIDEr",
    open,
    ..SetEntry::BLANK
};

const COLUMNS: &[&str] = &[
    "path_to_image",
    "frontal_lateral",
    "ap_pa",
    "deid_patient_id",
    "section_findings",
    "section_impression",
    "sex",
    "split",
];

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    if split.name == "test" {
        return report::medevalkit(root, split, &root.pick(&["test.json"])?);
    }
    let folder = root.folder(&["PNG", "images"]);
    // The table is large and holds every report twice; only what is used is kept.
    let rows = root.table_columns("df_chexpert_plus_240401.csv", b',', |name| COLUMNS.contains(&name))?;
    let of_split = |row: &Row| row.get("split").as_ref() == Some(&split.name);
    let kept = rows.into_iter().filter(|row| row.as_ref().map_or(true, of_split));
    Ok(root.listed(split, root.samples(kept.collect(), |row| image(root, &folder, row))))
}

fn image(root: &Root, folder: &str, row: &Row) -> Result<Sample, DataError> {
    let path = row.need("path_to_image")?;
    // The table names JPEG files, the download has PNG.
    let png = path.strip_suffix(".jpg").map_or_else(|| path.clone(), |stem| format!("{stem}.png"));
    let file = if root.has(&format!("{folder}/{path}")) { &path } else { &png };
    let patient = row.get("deid_patient_id").unwrap_or_else(|| path.clone());
    let sections = ["section_findings", "section_impression"];
    Ok(Sample {
        media: vec![root.image(row, folder, file)?],
        tags: row.tags(&[("frontal_lateral", "view"), ("ap_pa", "projection"), ("sex", "sex")]),
        ..report::written(row.place(), patient, row, sections)
    })
}
