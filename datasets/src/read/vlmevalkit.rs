//! Rows of VLMEvalKit's TSV convention (`vlmeval/dataset/image_base.py`, `image_mcq.py`), which
//! several medical sets follow.

use super::base64_tsv::TsvImages;
use super::files::{Root, Split};
use super::options::{chosen, option_columns};
use super::row::{Row, sample};
use crate::listed::Listed;
use loupe_core::{DataError, Sample, Target};
use std::sync::Arc;

/// The rows of `file`; when they name splits, only those of `split` (`all` takes every row).
pub(crate) fn listed(root: &Root, split: &Split, file: &str) -> Result<Listed, DataError> {
    let (images, rows) = TsvImages::open(root, file, "image")?;
    let folder = root.folder(&["images", "Images"]);
    let mut row_of = Vec::new();
    let mut samples = Vec::new();
    for (at, row) in rows.into_iter().enumerate() {
        let of_row = row.as_ref().ok().and_then(|r| r.get("split"));
        if split.name == "all" || of_row.is_none_or(|s| s == split.name) {
            row_of.push(at);
            samples.push(row.and_then(|r| root.sample(&r, |row| sample_of(root, &folder, row))));
        }
    }
    Ok(root.listed(split, samples).with_embedded(Arc::new(images), row_of))
}

/// Columns that are not facts about the question.
const NOT_TAGS: &[&str] = &["index", "image", "image_path", "question", "answer", "hint", "split"];

fn sample_of(root: &Root, folder: &str, row: &Row) -> Result<Sample, DataError> {
    let choices = option_columns(root, row, ('A'..='Z').map(|letter| (letter, row.get(&letter.to_string()))));
    // pandas writes absent cells of a mixed column as nan.
    let real = |name: &str| row.get(name).filter(|text| !text.eq_ignore_ascii_case("nan"));
    let target = match real("answer") {
        None => Target::Unknown,
        Some(answer) if choices.is_empty() => Target::Text(vec![answer]),
        Some(answer) => chosen(row, &choices, &answer)?,
    };
    let mut media = Vec::new();
    for path in paths(row) {
        media.push(root.image(row, folder, &path)?);
    }
    let question = row.need("question")?;
    let question = match real("hint") {
        Some(hint) => format!("Hint: {hint}\n{question}"),
        None => question,
    };
    let tags = row.fields.keys().filter(|k| k.len() > 1 && !NOT_TAGS.contains(&k.as_str()));
    let tags = tags.filter_map(|k| Some((k.to_lowercase(), row.get(k)?))).collect();
    let group = media.first().map(|m| m.name.clone()).unwrap_or_default();
    let id = row.get("index").unwrap_or_else(|| row.place());
    Ok(Sample { media, question, choices, target, group, tags, ..sample(id) })
}

/// One path or a list of several, JSON or Python.
fn paths(row: &Row) -> Vec<String> {
    let Some(cell) = row.get("image_path") else { return Vec::new() };
    super::row::python_list(&cell).map_or_else(|| vec![cell], |list| list.into_iter().flatten().collect())
}
