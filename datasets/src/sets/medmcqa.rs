//! MedMCQA (Pal et al. 2022): questions of Indian medical entrance examinations, without images.
//!
//! `cop` is the right option: counted from 1 in the JSON lines of the publication, from 0 in the parquet files of Hugging Face, where −1 stands for
//! the test split, whose answers are not published. Model cards report the validation split.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{ParquetSet, Root, Row, Split, numbered, option_columns, sample};
use loupe_core::{DataError, Sample, Target};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "medmcqa",
    title: "MedMCQA: questions of Indian medical entrance examinations (text)",
    citation: "Pal et al., CHIL 2022, arXiv:2203.14371",
    licence: "Apache-2.0",
    splits: &["validation", "test", "train"],
    layout: "data/validation-*.parquet, test-*, train-*; or dev.json, test.json, train.json with an object a line",
    group_by: "question",
    known: &[
        Known { split: "validation", rows: 4183 },
        Known { split: "test", rows: 6150 },
        Known { split: "train", rows: 182_822 },
    ],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let (rows, first) = match ParquetSet::find(root, &split.name)? {
        Some(set) => (set.rows(&[])?, 0),
        None => {
            let name = if split.name == "validation" { "dev" } else { &split.name };
            let file = root.pick(&[&format!("{name}.json"), &format!("data/{name}.json")])?;
            (root.jsonl_rows(&file)?, 1)
        }
    };
    Ok(root.listed(split, root.samples(rows, |row| sample_of(root, row, first))))
}

/// `first` is what the first option's number is.
fn sample_of(root: &Root, row: &Row, first: usize) -> Result<Sample, DataError> {
    let columns = [('A', "opa"), ('B', "opb"), ('C', "opc"), ('D', "opd")];
    let choices = option_columns(root, row, columns.map(|(letter, name)| (letter, row.get(name))));
    let target = match row.get("cop").as_deref() {
        None | Some("-1") => Target::Unknown,
        Some(_) => numbered(row, &choices, "cop", first)?,
    };
    let id = row.get("id").unwrap_or_else(|| row.place());
    Ok(Sample {
        question: row.need("question")?,
        choices,
        target,
        group: id.clone(),
        tags: row.tags(&[("subject_name", "subject"), ("choice_type", "choice_type")]),
        ..sample(id)
    })
}
