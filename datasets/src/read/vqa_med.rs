//! The text files of the ImageCLEF VQA-Med challenges: one question a line, `|` between the parts,
//! the image's name without its ending first.

use super::files::{Root, Split};
use super::row::{Row, sample};
use crate::listed::Listed;
use loupe_core::{DataError, Sample, Target};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// How the parts of a line are called.
pub(crate) struct Columns {
    /// Names of the parts; the last one takes the rest of the line.
    pub(crate) names: &'static [&'static str],
    /// Answers are alternatives with this between them.
    pub(crate) between_answers: Option<char>,
}

/// A text file whose lower-case path has all of `words`.
pub(crate) fn text_file(root: &Root, words: &[&str]) -> Option<String> {
    root.search(|path, is_dir| !is_dir && path.ends_with(".txt") && words.iter().all(|w| path.contains(w)))
}

/// The rows of `file`; answers come from it, or from `answers` (`image|answer…`) when they are kept
/// apart. Images lie in the folder whose path has all of `image_words`.
pub(crate) fn listed(
    root: &Root,
    split: &Split,
    file: &str,
    columns: &Columns,
    answers: Option<(&str, char)>,
    image_words: &[&str],
) -> Result<Listed, DataError> {
    let folder = root
        .search(|path, is_dir| is_dir && image_words.iter().all(|w| path.contains(w)))
        .unwrap_or_else(|| "images".to_owned());
    let mut by_image = HashMap::new();
    if let Some((file, between)) = answers {
        for line in root.text(file)?.lines() {
            if let Some((image, answer)) = line.split_once('|') {
                by_image.insert(image.trim().to_owned(), alternatives(answer, Some(between)));
            }
        }
    }
    let name: Arc<str> = file.into();
    let text = root.text(file)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rows = lines.map(|(index, line)| {
        let parts: Vec<&str> = line.splitn(columns.names.len(), '|').collect();
        let fields: Map<String, Value> =
            columns.names.iter().zip(&parts).map(|(n, p)| ((*n).to_owned(), (*p).into())).collect();
        let row = Row::new(&name, index, Value::Object(fields))?.on_line(index + 1);
        if parts.len() < columns.names.len() {
            return Err(row.error(format!(
                "{} parts between |, expected {}",
                parts.len(),
                columns.names.len()
            )));
        }
        root.sample(&row, |row| sample_of(root, &folder, row, columns, &by_image))
    });
    Ok(root.listed(split, rows.collect()))
}

/// A test set whose questions and reference answers are two text files, both with all of `words` in
/// their paths; answers have `|` between alternatives.
pub(crate) fn questions_and_answers(root: &Root, split: &Split, words: &[&str]) -> Result<Listed, DataError> {
    let text = |fits: &dyn Fn(&str) -> bool| {
        root.search(|path, is_dir| {
            !is_dir && path.ends_with(".txt") && words.iter().all(|w| path.contains(w)) && {
                // "VQAnswering" is part of many names and says nothing about answers.
                let name = path.rsplit('/').next().unwrap_or(path).replace("vqanswering", "");
                !name.contains("readme") && !name.contains("image") && fits(&name)
            }
        })
    };
    let answers = text(&|name| name.contains("answer") && !name.contains("question"))
        .or_else(|| text(&|name| name.contains("reference") || name.contains("_ans")))
        .ok_or_else(|| root.missing("the text file of reference answers"))?;
    let questions = text(&|name| name.contains("question"))
        .ok_or_else(|| root.missing("the text file of test questions"))?;
    let columns = Columns { names: &["image", "question"], between_answers: None };
    let images: Vec<&str> = words.iter().copied().chain(["image"]).collect();
    listed(root, split, &questions, &columns, Some((&answers, '|')), &images)
}

fn sample_of(
    root: &Root,
    folder: &str,
    row: &Row,
    columns: &Columns,
    by_image: &HashMap<String, Vec<String>>,
) -> Result<Sample, DataError> {
    let image = row.need("image")?;
    let accepted = match row.get("answer") {
        Some(answer) => alternatives(&answer, columns.between_answers),
        None => by_image.get(&image).cloned().unwrap_or_default(),
    };
    let file = ["jpg", "png", "jpeg"]
        .iter()
        .map(|ending| format!("{image}.{ending}"))
        .find(|name| root.has(&format!("{folder}/{name}")))
        .unwrap_or_else(|| format!("{image}.jpg"));
    Ok(Sample {
        media: vec![root.image(row, folder, &file)?],
        question: row.need("question")?,
        target: if accepted.is_empty() { Target::Unknown } else { Target::Text(accepted) },
        group: image,
        tags: row.tags(&[("category", "question_type")]),
        ..sample(row.place())
    })
}

/// The accepted wordings, the file's own first. A part in parentheses may be left out (README of
/// the 2019 test set).
fn alternatives(answer: &str, between: Option<char>) -> Vec<String> {
    let mut all = Vec::new();
    let pieces: Vec<&str> = match between {
        Some(between) => answer.split(between).collect(),
        None => vec![answer],
    };
    for piece in pieces.into_iter().map(str::trim).filter(|p| !p.is_empty()) {
        let mut add = |text: String| {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if !text.is_empty() && !all.contains(&text) {
                all.push(text);
            }
        };
        add(piece.to_owned());
        if let Some((before, rest)) = piece.split_once('(')
            && let Some((inside, after)) = rest.split_once(')')
        {
            add(format!("{before} {inside} {after}"));
            add(format!("{before} {after}"));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::alternatives;

    #[test]
    fn alternatives_and_optional_parts() {
        assert_eq!(alternatives("a#b", Some('#')), ["a", "b"]);
        assert_eq!(alternatives("a#b", None), ["a#b"]);
        assert_eq!(
            alternatives("(angioinvasive aspergillosis with) septic cerebral emboli", Some('#')),
            [
                "(angioinvasive aspergillosis with) septic cerebral emboli",
                "angioinvasive aspergillosis with septic cerebral emboli",
                "septic cerebral emboli"
            ]
        );
    }
}
