//! MedXpertQA-MM (Zuo et al. 2025): expert-level multiple choice with one to six images.
//!
//! The repository's JSON lines and the Hugging Face files differ: options as a list of objects or
//! as an object, the label as a list or a string, images as objects or names.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{ParquetSet, Root, Row, Split, chosen, option_columns, sample, words};
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
    Ok(root.listed(split, root.samples(rows, |row| sample_of(root, &images, row))))
}

fn sample_of(root: &Root, folder: &str, row: &Row) -> Result<Sample, DataError> {
    let choices = choices(root, row)?;
    let label =
        row.words("label").first().cloned().ok_or_else(|| row.error("\"label\" is missing or empty"))?;
    let mut media = Vec::new();
    for image in row.list("images") {
        let name = image.get("image_path").and_then(words).or_else(|| words(image));
        media.push(root.image(row, folder, &name.ok_or_else(|| row.error("an image has no name"))?)?);
    }
    if media.is_empty() {
        return Err(row.error("\"images\" names no image"));
    }
    let question = question(row)?;
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

/// The question. The list of options is repeated at its end; it is kept only as choices.
pub(super) fn question(row: &Row) -> Result<String, DataError> {
    let question = row.need("question")?;
    Ok(question.split("\nAnswer Choices:").next().unwrap_or(&question).trim_end().to_owned())
}

/// Options as an object by letter, or as a list of letters and words.
pub(super) fn choices(root: &Root, row: &Row) -> Result<Vec<Choice>, DataError> {
    let letter = |written: Option<String>| {
        let mut characters = written.iter().flat_map(|w| w.chars());
        let letter = characters.next().filter(|_| characters.next().is_none());
        letter.ok_or_else(|| row.error("an option has no letter, or more than one"))
    };
    let columns: Vec<(char, Option<String>)> = match row.fields.get("options") {
        // Hugging Face writes a column for every letter of any row: those without text are absent.
        Some(Value::Object(map)) => {
            let one = |(name, text): (&String, &Value)| Ok((letter(Some(name.clone()))?, words(text)));
            map.iter().map(one).collect::<Result<_, DataError>>()?
        }
        Some(Value::Array(list)) => {
            let field = |o: &Value, name: &str| o.get(name).and_then(words);
            let one = |o: &Value| Ok((letter(field(o, "letter"))?, field(o, "content")));
            list.iter().map(one).collect::<Result<_, DataError>>()?
        }
        _ => return Err(row.error("\"options\" is neither a list nor an object")),
    };
    Ok(option_columns(root, row, columns))
}
