//! ChestQA (Author et al. 2026): what the set is, and what is odd about its files.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{Root, Row, Split, sample};
use loupe_core::{DataError, Sample};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "chestqa", // the file's name with - for _
    title: "ChestQA: questions on chest X-rays",
    citation: "Author et al., Journal, 2026",
    licence: "CC-BY-4.0",
    splits: &["test", "train"], // the default first
    layout: "test.json, train.json and images/",
    metric: "accuracy",
    known: &[Known { split: "test", rows: 1234 }],
    open,
    ..SetEntry::BLANK // English, grouped by image
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let rows = root.rows(&[&format!("{}.json", split.name)])?; // also .jsonl, .csv, .tsv
    let images = root.folder(&["images", "imgs"]);
    Ok(root.listed(split, root.samples(rows, |row| sample_of(root, &images, row))))
}

fn sample_of(root: &Root, images: &str, row: &Row) -> Result<Sample, DataError> {
    let image = row.need("image")?; // an error that names file, row and field
    Ok(Sample {
        media: vec![root.image(row, images, &image)?],
        question: row.need("question")?,
        target: row.free_answer("answer"), // unknown where it is empty
        group: image,                      // what questions share: image, patient, volume, video
        tags: row.tags(&[("modality", "modality"), ("type", "question_type")]),
        ..sample(row.get("id").unwrap_or_else(|| row.place()))
    })
}
