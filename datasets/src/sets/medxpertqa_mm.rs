//! MedXpertQA-MM (Zuo et al. 2025): expert-level multiple choice with one to six images.
//!
//! The repository's JSON lines and the Hugging Face files differ: options as a list of objects or
//! as an object, the label as a list or a string, images as objects or names.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{ParquetSet, Root, Row, Split, chosen, sample, words};
use loupe_core::{Choice, DataError, Sample};
use serde_json::Value;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "medxpertqa-mm",
    title: "MedXpertQA-MM: expert-level questions with images",
    citation: "Zuo et al., arXiv:2501.18362, 2025",
    licence: "MIT",
    splits: &["test", "dev"],
    layout: "medxpertqa_mm_input.jsonl, or MM/test.jsonl, or MM/test-*.parquet; images/",
    group_by: "question",
    known: &[Known { split: "test", rows: 2000 }, Known { split: "dev", rows: 5 }],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let name = &split.name;
    let images = root.folder(&["images", "MM/images"]);
    let rows = match ParquetSet::find_in(root, &["MM", ".", "data"], name)? {
        Some(set) => set.rows(&[])?,
        None if name == "test" => root.rows(&[
            "medxpertqa_mm_input.jsonl",
            "eval/data/medxpertqa/input/medxpertqa_mm_input.jsonl",
            "MM/test.jsonl",
            "test.jsonl",
        ])?,
        None => root.rows(&["MM/dev.jsonl", "dev.jsonl"])?,
    };
    Ok(root.listed(split, rows.into_iter().map(|row| sample_of(root, &images, &row?)).collect()))
}

fn sample_of(root: &Root, folder: &str, row: &Row) -> Result<Sample, DataError> {
    let choices = choices(row)?;
    let label =
        row.words("label").first().cloned().ok_or_else(|| row.error("\"label\" is missing or empty"))?;
    let mut media = Vec::new();
    for image in row.list("images") {
        let name = image.get("image_path").and_then(words).or_else(|| words(image));
        media.push(root.image(row, folder, &name.ok_or_else(|| row.error("an image has no name"))?)?);
    }
    let question = row.need("question")?;
    // The list of options is repeated at the end of the question; it is kept only as choices.
    let question = question.split("\nAnswer Choices:").next().unwrap_or(&question).trim_end().to_owned();
    let id = row.need("id")?;
    Ok(Sample {
        media,
        question,
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

fn choices(row: &Row) -> Result<Vec<Choice>, DataError> {
    let choice = |letter: Option<String>, text: Option<String>| match (letter, text) {
        (Some(letter), Some(text)) => Ok(Choice { letter: letter.chars().next().unwrap_or('?'), text }),
        _ => Err(row.error("an option has no letter or no text")),
    };
    match row.fields.get("options") {
        Some(Value::Object(map)) => {
            // Hugging Face writes a column for every letter of any row: those without text are absent.
            let given = map.iter().filter(|(_, text)| !text.is_null());
            given.map(|(letter, text)| choice(Some(letter.clone()), words(text))).collect()
        }
        Some(Value::Array(list)) => {
            let field = |o: &Value, name: &str| o.get(name).and_then(words);
            list.iter().map(|o| choice(field(o, "letter"), field(o, "content"))).collect()
        }
        _ => Err(row.error("\"options\" is neither a list nor an object")),
    }
}
