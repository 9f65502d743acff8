//! IU X-ray (Demner-Fushman et al. 2016): chest X-ray studies with reports.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{Root, Row, Split, report};
use loupe_core::{DataError, MediaRef, Sample};
use std::collections::HashMap;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "iu-xray",
    title: "IU X-ray (Open-i): chest X-ray reports",
    citation: "Demner-Fushman et al., JAMIA 23:304, 2016",
    licence: "public (Open-i, National Library of Medicine)",
    splits: &["test", "all"],
    layout: "test: test.json [{id, image, findings, impression}] and images/; all: indiana_reports.csv, \
             indiana_projections.csv and images_normalized/ or images/",
    group_by: "study",
    metric: "RadGraph F1, BLEU, ROUGE-L, CIDEr",
    known: &[Known { split: "test", rows: 296 }],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    if split.name == "test" {
        return report::medevalkit(root, split, &root.pick(&["test.json"])?);
    }
    let folder = root.folder(&["images/images_normalized", "images_normalized", "images"]);
    let mut images: HashMap<String, Vec<(String, MediaRef)>> = HashMap::new();
    let mut samples = Vec::new();
    let view = |row: &Row| {
        let media = root.image(row, &folder, &row.need("filename")?)?;
        Ok((row.need("uid")?, (row.get("projection").unwrap_or_default(), media)))
    };
    for row in root.table_rows("indiana_projections.csv", b',')? {
        match row.and_then(|row| view(&row)) {
            Ok((study, view)) => images.entry(study).or_default().push(view),
            Err(error) => samples.push(Err(error)),
        }
    }
    for views in images.values_mut() {
        // The frontal view first, as reports describe it.
        views.sort_by_key(|(view, _)| view != "Frontal");
    }
    let study = |row: &Row| -> Result<Sample, DataError> {
        let id = row.need("uid")?;
        let views = images.get(&id).into_iter().flatten();
        if views.clone().next().is_none() {
            return Err(row.error("indiana_projections.csv names no image of this study"));
        }
        Ok(Sample {
            media: views.map(|(_, media)| media.clone()).collect(),
            tags: row.tags(&[("MeSH", "mesh"), ("Problems", "problems"), ("indication", "indication")]),
            ..report::written(id.clone(), id, row, ["findings", "impression"])
        })
    };
    let rows = root.table_rows("indiana_reports.csv", b',')?;
    samples.extend(root.samples(rows, study));
    Ok(root.listed(split, samples))
}
