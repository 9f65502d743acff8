//! ReXVQA (Pal et al. 2025): multiple choice on chest X-rays of ReXGradient.
//!
//! Each split is an object of questions by id. `ImagePath` lists the images of the study, relative to the folder of the metadata file in some copies;
//! they are found from the set's folder on.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::{Root, Row, Split, chosen, options, sample};
use loupe_core::{DataError, Sample};
use serde_json::Value;
use std::sync::Arc;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "rexvqa",
    title: "ReXVQA: multiple choice on chest X-rays",
    citation: "Pal et al., arXiv:2506.04353, 2025",
    licence: "on request, of ReXGradient",
    splits: &["test", "valid", "train"],
    layout: "metadata/test_vqa_data.json (or test_vqa_data.json) with question, options, correct_answer, ImagePath, study_id by id; deid_png/ with the images",
    group_by: "study",
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let name = format!("{}_vqa_data.json", split.name);
    let file = root.pick(&[&format!("metadata/{name}"), &name])?;
    let Value::Object(all) = root.json(&file)? else {
        return Err(root.read_error(&file, "expected an object with an entry for each question"));
    };
    let file: Arc<str> = file.into();
    let rows = all.into_iter().enumerate().map(|(index, (id, value))| {
        let mut row = Row::new(&file, index, value)?;
        row.fields.insert("id".to_owned(), Value::String(id));
        Ok(row)
    });
    Ok(root.listed(split, root.samples(rows.collect(), |row| sample_of(root, row))))
}

fn sample_of(root: &Root, row: &Row) -> Result<Sample, DataError> {
    let mut media = Vec::new();
    for path in row.words("ImagePath") {
        media.push(root.image(row, ".", path.trim_start_matches("../").trim_start_matches("./"))?);
    }
    if media.is_empty() {
        return Err(row.error("\"ImagePath\" names no image"));
    }
    let choices = options(root, row, row.places("options"))?;
    let id = row.need("id")?;
    Ok(Sample {
        media,
        question: row.need("question")?,
        target: chosen(row, &choices, &row.need("correct_answer")?)?,
        choices,
        group: row.get("study_id").unwrap_or_else(|| id.clone()),
        tags: row.tags(&[
            ("task_name", "question_type"),
            ("category", "category"),
            ("subcategory", "subcategory"),
        ]),
        ..sample(id)
    })
}
