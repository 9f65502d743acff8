//! PubMedQA (Jin et al. 2019): research questions answered by yes, no or maybe from an abstract, without images.
//!
//! `ori_pqal.json` has the 1000 questions that people labelled, by PubMed id; `test_ground_truth.json` names the 500 of them that are the test split. The abstract
//! without its conclusion stands before the question; the three answers are its options.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{ParquetSet, Root, Row, Split, lettered, sample, words};
use loupe_core::{DataError, Sample, Target};
use serde_json::Value;
use std::sync::Arc;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "pubmedqa",
    title: "PubMedQA: research questions answered from an abstract (text)",
    citation: "Jin et al., EMNLP-IJCNLP 2019, arXiv:1909.06146",
    licence: "MIT",
    splits: &["test", "labelled"],
    layout: "ori_pqal.json and test_ground_truth.json (data/ may come before each); or pqa_labeled/train-*.parquet for all labelled",
    group_by: "abstract",
    known: &[Known { split: "test", rows: 500 }, Known { split: "labelled", rows: 1000 }],
    open,
    ..SetEntry::BLANK
};

/// The answers in the order of the options.
const ANSWERS: [&str; 3] = ["yes", "no", "maybe"];

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    if split.name == "labelled"
        && let Some(set) = ParquetSet::find_in(root, &["pqa_labeled", ".", "data"], "train")?
    {
        return Ok(root.listed(split, root.samples(set.rows(&[])?, sample_of)));
    }
    let file = root.pick(&["ori_pqal.json", "data/ori_pqal.json"])?;
    let all = object(root, &file)?;
    let wanted = match split.name.as_str() {
        "test" => {
            let truth = root.pick(&["test_ground_truth.json", "data/test_ground_truth.json"])?;
            let truth = object(root, &truth)?;
            if let Some(stranger) = truth.keys().position(|id| !all.contains_key(id)) {
                let problem = format!("entry {} is none of the questions of {file}", stranger + 1);
                return Err(root.read_error("test_ground_truth.json", problem));
            }
            Some(truth)
        }
        _ => None,
    };
    let name: Arc<str> = file.into();
    let rows =
        all.into_iter().enumerate().filter(|(_, (id, _))| wanted.as_ref().is_none_or(|w| w.contains_key(id)));
    let rows = rows.map(|(index, (id, value))| {
        let mut row = Row::new(&name, index, value)?;
        row.fields.insert("pubid".to_owned(), Value::String(id));
        Ok(row)
    });
    Ok(root.listed(split, root.samples(rows.collect(), sample_of)))
}

fn object(root: &Root, file: &str) -> Result<serde_json::Map<String, Value>, DataError> {
    match root.json(file)? {
        Value::Object(map) => Ok(map),
        _ => Err(root.read_error(file, "expected an object with an entry for each PubMed id")),
    }
}

fn sample_of(row: &Row) -> Result<Sample, DataError> {
    let contexts = match row.fields.get("context").and_then(|c| c.get("contexts")) {
        Some(Value::Array(list)) => list.iter().filter_map(words).collect(),
        _ => row.words("CONTEXTS"),
    };
    if contexts.is_empty() {
        return Err(row.error("\"CONTEXTS\" is missing or empty"));
    }
    let question =
        row.any(&["QUESTION", "question"]).ok_or_else(|| row.error("\"QUESTION\" is missing or empty"))?;
    let target = match row.get("final_decision") {
        None => Target::Unknown,
        Some(said) => {
            let letter = ANSWERS.iter().zip('A'..).find(|(answer, _)| said.eq_ignore_ascii_case(answer));
            Target::Choice(
                letter.ok_or_else(|| row.error("\"final_decision\" is none of yes, no and maybe"))?.1,
            )
        }
    };
    let id = row.need("pubid")?;
    Ok(Sample {
        question: format!("{}\n\n{question}", contexts.join("\n")),
        choices: lettered(ANSWERS.map(|answer| Some(answer.to_owned()))),
        target,
        group: id.clone(),
        ..sample(id)
    })
}
