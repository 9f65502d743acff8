//! MedQA (Jin et al. 2021): questions of the United States medical licensing examination, without images.
//!
//! The archive has them with their five options and, in a folder of its own, with four; model cards report the four. The answer stands in
//! words and as the letter `answer_idx`.

use super::medxpertqa_mm::choices;
use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{ParquetSet, Root, Row, Split, chosen, sample};
use loupe_core::{DataError, Sample};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "medqa",
    title: "MedQA: questions of the US medical licensing examination (text)",
    citation: "Jin et al., Applied Sciences 11:6421, 2021, arXiv:2009.13081",
    licence: "MIT",
    splits: &["test", "dev", "train"],
    options: &[("five", "five options, as in the examination")],
    layout: "questions/US/4_options/phrases_no_exclude_test.jsonl (or phrases_no_exclude_test.jsonl, or data/test-*.parquet); \
             questions/US/test.jsonl for five options",
    group_by: "question",
    known: &[
        Known { split: "test", rows: 1273 },
        Known { split: "dev", rows: 1272 },
        Known { split: "train", rows: 10178 },
        Known { split: "test:five", rows: 1273 },
        Known { split: "dev:five", rows: 1272 },
        Known { split: "train:five", rows: 10178 },
    ],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let name = &split.name;
    let four = if split.has("five") { None } else { ParquetSet::find(root, name)? };
    let rows = match four {
        Some(set) => set.rows(&[])?,
        None if split.has("five") => root.rows(&[
            &format!("questions/US/{name}.jsonl"),
            &format!("US/{name}.jsonl"),
            &format!("{name}.jsonl"),
        ])?,
        None => {
            let file = format!("phrases_no_exclude_{name}.jsonl");
            root.rows(&[&format!("questions/US/4_options/{file}"), &format!("US/4_options/{file}"), &file])?
        }
    };
    Ok(root.listed(split, root.samples(rows, |row| sample_of(root, row))))
}

fn sample_of(root: &Root, row: &Row) -> Result<Sample, DataError> {
    let choices = choices(root, row)?;
    let answer =
        row.any(&["answer_idx", "answer"]).ok_or_else(|| row.error("\"answer_idx\" is missing or empty"))?;
    let id = row.get("id").unwrap_or_else(|| row.place());
    Ok(Sample {
        question: row.need("question")?,
        target: chosen(row, &choices, &answer)?,
        choices,
        group: id.clone(),
        tags: row.tags(&[("meta_info", "step")]),
        ..sample(id)
    })
}
