//! MedXpertQA-Text (Zuo et al. 2025): expert-level multiple choice with ten options, without images.

use super::medxpertqa_mm::{choices, question};
use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{ParquetSet, Root, Row, Split, chosen, sample};
use loupe_core::{DataError, Sample};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "medxpertqa-text",
    title: "MedXpertQA-Text: expert-level questions (text)",
    citation: "Zuo et al., arXiv:2501.18362, 2025",
    licence: "MIT",
    splits: &["test", "dev"],
    layout: "medxpertqa_text_input.jsonl, or Text/test.jsonl, or Text/test-*.parquet",
    group_by: "question",
    known: &[Known { split: "test", rows: 2450 }, Known { split: "dev", rows: 5 }],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let rows = match ParquetSet::find_in(root, &["Text", ".", "data"], &split.name)? {
        Some(set) => set.rows(&[])?,
        None if split.name == "test" => root.rows(&[
            "medxpertqa_text_input.jsonl",
            "eval/data/medxpertqa/input/medxpertqa_text_input.jsonl",
            "Text/test.jsonl",
            "test.jsonl",
        ])?,
        None => root.rows(&["Text/dev.jsonl", "dev.jsonl"])?,
    };
    Ok(root.listed(split, root.samples(rows, |row| sample_of(root, row))))
}

fn sample_of(root: &Root, row: &Row) -> Result<Sample, DataError> {
    let choices = choices(root, row)?;
    let label =
        row.words("label").first().cloned().ok_or_else(|| row.error("\"label\" is missing or empty"))?;
    let id = row.need("id")?;
    Ok(Sample {
        question: question(row)?,
        target: chosen(row, &choices, &label)?,
        choices,
        group: id.clone(),
        tags: row.tags(&[
            ("medical_task", "medical_task"),
            ("body_system", "organ"),
            ("question_type", "question_type"),
        ]),
        ..sample(id)
    })
}
