//! DeepTumorVQA v2 (Chen et al. 2025): questions on abdominal CT volumes.
//!
//! By default multiple choice on the prepared PNG slice, as its leaderboard has it; `:open` asks for
//! free answers, `:volume` and `:open-volume` show the CT volume as axial slices in the window of the
//! prepared pictures (400 wide around 50 HU).

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{Root, Row, Split, chosen, options, sample, slices_of};
use loupe_core::{DataError, Plane, Sample, Window};
use serde_json::Value;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "deeptumorvqa",
    title: "DeepTumorVQA: abdominal CT, recognition to medical reasoning",
    citation: "Chen et al., arXiv:2505.18915, 2025",
    licence: "CC-BY-4.0 for the annotations; CT under the licences of their sources",
    splits: &["test", "train", "val_pool"],
    options: &[
        ("open", "free answers on the prepared slice"),
        ("volume", "multiple choice on slices of the CT volume"),
        ("open-volume", "free answers on slices of the CT volume"),
    ],
    layout: "benchmark/test_qa.json or .jsonl, train/train_qa.csv, train/val_qa_pool.csv; \
             benchmark/images_2d/whole/<image_id>.png; benchmark/ct/<image_id>/ct.nii.gz",
    group_by: "volume",
    known: &[Known { split: "test", rows: 10000 }, Known { split: "train", rows: 428050 }],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let (part, rows) = match split.name.as_str() {
        "train" => ("train", root.rows(&["train/train_qa.csv"])?),
        "val_pool" => ("train", root.rows(&["train/val_qa_pool.csv"])?),
        _ => {
            let file = root.pick(&["benchmark/test_qa.json", "benchmark/test_qa.jsonl"])?;
            let rows = if file.ends_with(".jsonl") {
                root.jsonl_rows(&file)?
            } else {
                let list = root.json(&file)?.get_mut("questions").map(Value::take);
                let Some(Value::Array(list)) = list else {
                    return Err(root.read_error(&file, "expected an object with the list \"questions\""));
                };
                Row::all(&file, list)
            };
            ("benchmark", rows)
        }
    };
    let samples = root.samples(rows, |row| sample_of(root, split, part, row));
    Ok(root.listed(split, samples))
}

fn sample_of(root: &Root, split: &Split, part: &str, row: &Row) -> Result<Sample, DataError> {
    let image = row.need("image_id")?;
    let media = if split.has("volume") || split.has("open-volume") {
        let volume = root.image(row, part, &format!("ct/{image}/ct.nii.gz"))?;
        slices_of(&volume, Plane::Axial, Window::linear(50.0, 400.0))
    } else {
        vec![root.image(row, part, &format!("images_2d/whole/{image}.png"))?]
    };
    let mut tags = row.tags(&[
        ("question_type", "question_type"),
        ("question_subtype", "question_subtype"),
        ("organ", "organ"),
        ("sex", "sex"),
        ("spacing", "spacing_mm"),
        ("shape", "shape"),
        ("contrast", "contrast"),
        ("scanner", "scanner"),
    ]);
    tags.insert("modality".to_owned(), "CT".to_owned());
    let free = split.has("open") || split.has("open-volume");
    let (question, choices, target) = if free {
        (row.need("question")?, Vec::new(), row.free_answer("answer"))
    } else {
        let (question, choices) = split_choices(&row.need("mc_question")?);
        let choices = options(root, row, choices.into_iter().map(Some).collect())?;
        if choices.is_empty() {
            return Err(row.error("\"mc_question\" has no choices A: … B: …"));
        }
        let target = chosen(row, &choices, &row.need("correct_option")?)?;
        (question, choices, target)
    };
    let id = row.get("qid").unwrap_or_else(|| row.place());
    Ok(Sample { media, question, choices, target, group: image, tags, ..sample(id) })
}

/// The question and the texts after `A:`, `B:`, … that follow it.
fn split_choices(text: &str) -> (String, Vec<String>) {
    let mut question = text.to_owned();
    let mut choices: Vec<String> = Vec::new();
    for letter in 'A'..='Z' {
        let rest = choices.last_mut().unwrap_or(&mut question);
        let mark = format!("{letter}:");
        let found = rest.match_indices(&mark).map(|(at, _)| at).find(|at| {
            rest.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
        });
        let Some(at) = found else { break };
        let after = rest.get(at + mark.len()..).unwrap_or_default().trim().to_owned();
        *rest = rest.get(..at).unwrap_or_default().trim().to_owned();
        choices.push(after);
    }
    (question, choices)
}

#[cfg(test)]
mod tests {
    use super::split_choices;

    #[test]
    fn choices_are_cut_from_the_question() {
        let (question, choices) =
            split_choices("Which stage of CKD: is it? A: Normal (II: no) B: Mild C: Severe");
        assert_eq!(question, "Which stage of CKD: is it?");
        assert_eq!(choices, ["Normal (II: no)", "Mild", "Severe"]);
        assert_eq!(split_choices("No choices here").1.len(), 0);
    }
}
