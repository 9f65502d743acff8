//! The category health of MMLU-Pro (Wang et al. 2024): questions with up to ten options, without images.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{ParquetSet, Root, Row, Split, chosen, options, sample};
use loupe_core::{DataError, Sample};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "mmlu-pro-health",
    title: "MMLU-Pro: the category health, ten options (text)",
    citation: "Wang et al., NeurIPS 2024, arXiv:2406.01574",
    licence: "MIT",
    splits: &["test", "validation"],
    layout: "data/test-*.parquet and data/validation-*.parquet with question_id, question, options, answer, category; all categories, of which health is read",
    group_by: "question",
    known: &[Known { split: "test", rows: 818 }, Known { split: "validation", rows: 5 }],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let set = ParquetSet::find(root, &split.name)?;
    let set = set.ok_or_else(|| root.missing(format!("data/{}-*.parquet", split.name)))?;
    // A row without a category is an error of its own, not one of another category.
    let other = |row: &Row| row.get("category").is_some_and(|category| category != "health");
    let rows = set.rows(&[])?.into_iter().filter(|row| !row.as_ref().is_ok_and(other)).collect();
    Ok(root.listed(split, root.samples(rows, |row| sample_of(root, row))))
}

fn sample_of(root: &Root, row: &Row) -> Result<Sample, DataError> {
    row.need("category")?;
    let choices = options(root, row, row.places("options"))?;
    let id = row.need("question_id")?;
    Ok(Sample {
        question: row.need("question")?,
        target: chosen(row, &choices, &row.need("answer")?)?,
        choices,
        group: id.clone(),
        tags: row.tags(&[("src", "source")]),
        ..sample(id)
    })
}
