//! VQA-RAD (Lau et al. 2018): 315 radiology images with questions that clinicians asked.
//!
//! Two layouts are in use: the JSON files of the MEVF split with a folder of images, which keep the
//! official answer type, and the Hugging Face parquet files, which hold image, question and answer.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{ParquetSet, Root, Row, Split, sample};
use loupe_core::{DataError, Sample};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "vqa-rad",
    title: "VQA-RAD: questions of clinicians on radiology images",
    citation: "Lau et al., Scientific Data 5:180251, 2018",
    licence: "CC0-1.0",
    splits: &["test", "train"],
    layout: "testset.json and trainset.json (or test.json, train.json) with images/, or data/test-*.parquet",
    metric: "closed accuracy and open recall",
    known: &[
        Known { split: "test", rows: 451 },
        Known { split: "train", rows: 3064 },
        // The Hugging Face files leave out repeated questions.
        Known { split: "train", rows: 1793 },
    ],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    if let Some(set) = ParquetSet::find(root, &split.name)? {
        return set.listed(root, split, &["image"], Row::short_answer);
    }
    let name = &split.name;
    let file = root.pick(&[&format!("{name}set.json"), &format!("{name}.json")])?;
    let images = root.folder(&["images", "VQA_RAD Image Folder"]);
    let rows = root.json_rows(&file)?;
    Ok(root.listed(split, root.samples(rows, |row| json_row(root, &images, row))))
}

fn json_row(root: &Root, images: &str, row: &Row) -> Result<Sample, DataError> {
    let image = row.need("image_name")?;
    let mut tags = row.tags(&[
        ("image_organ", "organ"),
        ("answer_type", "answer_type"),
        ("question_type", "question_type"),
        ("phrase_type", "phrase_type"),
    ]);
    if let Some(written) = tags.get("question_type").cloned() {
        // The files hold a few typing errors that would make subgroups of their own.
        let types: Vec<String> = written.split(',').map(|t| question_type(t.trim())).collect();
        tags.insert("question_type".to_owned(), types.join(", "));
    }
    Ok(Sample {
        media: vec![root.image(row, images, &image)?],
        question: row.need("question")?,
        target: row.free_answer("answer"),
        group: image,
        tags,
        ..sample(row.get("qid").unwrap_or_else(|| row.place()))
    })
}

fn question_type(written: &str) -> String {
    match written.to_uppercase().as_str() {
        "PRSE" => "PRES".to_owned(),
        "ATRIB" => "ATTRIB".to_owned(),
        other => other.to_owned(),
    }
}
