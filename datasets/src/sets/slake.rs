//! SLAKE (Liu et al. 2021): English and Chinese questions on 642 CT, MRI and X-ray images.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{Root, Row, Split, sample};
use loupe_core::{DataError, Sample};
use serde_json::Value;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "slake",
    title: "SLAKE: bilingual questions with organs, findings and medical knowledge",
    citation: "Liu et al., ISBI 2021, arXiv:2102.09542",
    licence: "CC-BY-4.0",
    splits: &["test", "validate", "train"],
    options: &[("en", "English questions"), ("zh", "Chinese questions")],
    layout: "test.json, validate.json, train.json and imgs/xmlabN/source.jpg",
    metric: "closed accuracy and open recall",
    languages: &["en", "zh"],
    known: &[
        Known { split: "test", rows: 2094 },
        Known { split: "test:en", rows: 1061 },
        Known { split: "test:zh", rows: 1033 },
        Known { split: "validate", rows: 2099 },
        Known { split: "validate:en", rows: 1053 },
        Known { split: "validate:zh", rows: 1046 },
        Known { split: "train", rows: 9835 },
        Known { split: "train:en", rows: 4919 },
        Known { split: "train:zh", rows: 4916 },
    ],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let file = root.pick(&[&format!("{}.json", split.name)])?;
    let images = root.folder(&["imgs", "images"]);
    let wanted = split.option.as_deref();
    let rows = root.samples(root.json_rows(&file)?, |row| sample_of(root, &images, row));
    let kept =
        rows.into_iter().filter(|s| s.as_ref().map_or(true, |s| wanted.is_none_or(|w| s.language == w)));
    Ok(root.listed(split, kept.collect()))
}

fn sample_of(root: &Root, images: &str, row: &Row) -> Result<Sample, DataError> {
    let image = row.need("img_name")?;
    let question = row.need("question")?;
    let mut tags = row.tags(&[
        ("answer_type", "answer_type"),
        ("content_type", "content_type"),
        ("base_type", "base_type"),
        ("modality", "modality"),
        ("location", "organ"),
    ]);
    // A knowledge question says which relation of the knowledge graph it asks for; `vhead _ _` is
    // the mark of the others.
    let triple: Vec<&str> = row.list("triple").into_iter().filter_map(Value::as_str).collect();
    if triple.iter().skip(1).any(|part| *part != "_") {
        tags.insert("triple".to_owned(), triple.join(" | "));
    }
    // Derived files leave the language out; their questions tell it.
    let language =
        row.get("q_lang").unwrap_or_else(|| if question.is_ascii() { "en" } else { "zh" }.to_owned());
    Ok(Sample {
        media: vec![root.image(row, images, &image)?],
        question,
        target: row.free_answer("answer"),
        group: image,
        tags,
        language,
        ..sample(row.get("qid").unwrap_or_else(|| row.place()))
    })
}
