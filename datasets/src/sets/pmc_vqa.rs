//! PMC-VQA (Zhang et al. 2023): multiple-choice questions on figures of PubMed Central.
//!
//! Version 1 (`train.csv`, `test.csv`, `test_clean.csv`) writes the answer's words and its letter;
//! version 2 (`train_2.csv`, `test_2.csv`) only the letter, and adds the caption. The two have
//! different images and questions, so each file is a split of its own.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{Root, Row, Split, chosen, options, sample};
use loupe_core::{DataError, Sample};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "pmc-vqa",
    title: "PMC-VQA: multiple choice on figures of PubMed Central",
    citation: "Zhang et al., arXiv:2305.10415, 2023",
    licence: "CC-BY-SA",
    splits: &["test_2", "test_clean", "test", "train_2", "train"],
    layout: "version 2: test_2.csv, train_2.csv; version 1: test.csv, test_clean.csv, train.csv; \
             images in figures/, images_2/ or images/",
    known: &[Known { split: "test_2", rows: 33430 }, Known { split: "test_clean", rows: 2000 }],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let rows = root.rows(&[&format!("{}.csv", split.name)])?;
    let folders: &[&str] =
        if split.name.ends_with("_2") { &["figures", "images_2", "images"] } else { &["images", "figures"] };
    let folder = root.folder(folders);
    Ok(root.listed(split, root.samples(rows, |row| sample_of(root, &folder, row))))
}

fn sample_of(root: &Root, folder: &str, row: &Row) -> Result<Sample, DataError> {
    let figure = row.need("Figure_path")?;
    let columns = ["Choice A", "Choice B", "Choice C", "Choice D"];
    let choices = options(root, row, columns.map(|c| row.get(c)).to_vec())?;
    let answer =
        row.any(&["Answer_label", "Answer"]).ok_or_else(|| row.error("\"Answer\" is missing or empty"))?;
    Ok(Sample {
        media: vec![root.image(row, folder, &figure)?],
        question: row.need("Question")?,
        target: chosen(row, &choices, &answer)?,
        choices,
        group: figure,
        ..sample(row.get("index").unwrap_or_else(|| row.place()))
    })
}
