//! Chest X-ray studies with their reports, in the JSON layout that MedEvalKit uses for three sets.

use super::files::{Root, Split};
use super::row::{Row, sample};
use crate::listed::Listed;
use loupe_core::{DataError, MediaRef, Sample, Target};
use std::collections::BTreeMap;

/// What is asked when a set has images and reports but no question.
pub(crate) const QUESTION: &str = "Write the findings and the impression of the report on this study.";

/// `test.json`: a list of `{id, image: name or names, findings, impression}`, images in `images/`.
pub(crate) fn medevalkit(root: &Root, split: &Split, file: &str) -> Result<Listed, DataError> {
    let folder = root.folder(&["images"]);
    let rows = root.json_rows(file)?;
    let study = |row: &Row| {
        let images = row.words("image");
        if images.is_empty() {
            return Err(row.error("\"image\" names no image"));
        }
        let media: Result<Vec<MediaRef>, DataError> =
            images.iter().map(|name| root.image(row, &folder, name)).collect();
        let id = row.get("id").unwrap_or_else(|| row.place());
        Ok(Sample {
            media: media?,
            tags: row.tags(&[("view", "view")]),
            ..written(id.clone(), id, row, ["findings", "impression"])
        })
    };
    Ok(root.listed(split, root.samples(rows, study)))
}

/// A study without images: report sections from two fields. Without either there is no reference,
/// and the study stays in the set.
pub(crate) fn written(id: String, group: String, row: &Row, fields: [&str; 2]) -> Sample {
    let named = ["findings", "impression"].into_iter().zip(fields);
    let sections: BTreeMap<String, String> =
        named.filter_map(|(name, field)| Some((name.to_owned(), row.get(field)?))).collect();
    let target = if sections.is_empty() { Target::Unknown } else { Target::Report(sections) };
    Sample { question: QUESTION.to_owned(), target, group, ..sample(id) }
}
