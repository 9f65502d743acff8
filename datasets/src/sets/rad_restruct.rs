//! Rad-ReStruct (Pellegrini et al. 2023): structured reports as questions, each after the ones before.
//!
//! One sample for every question and frontal image of a report. The history of a question (earlier
//! questions and their answers) is kept in a tag as JSON.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{Root, Row, Split, lettered, sample, words};
use loupe_core::{DataError, Sample, Target};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "rad-restruct",
    title: "Rad-ReStruct: structured chest X-ray reports as questions",
    citation: "Pellegrini et al., MICCAI 2023, arXiv:2307.05766",
    licence: "MIT for the annotations; IU X-ray images are public",
    splits: &["test", "val", "train"],
    layout: "test_qa_pairs/<report>.json, id_to_img_mapping_frontal_reports.json, imgs/<image>.png \
             (data/radrestruct/ may come before each)",
    group_by: "study",
    metric: "accuracy; macro F1 over paths",
    // Counted in the published files: every question of every frontal image.
    known: &[Known { split: "test", rows: 18186 }, Known { split: "val", rows: 17434 }],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let base = if root.has("data/radrestruct") { "data/radrestruct/" } else { "" };
    let mapping = root.json(&format!("{base}id_to_img_mapping_frontal_reports.json"))?;
    let images = root.folder(&["imgs", &format!("{base}imgs"), "images"]);
    let mut files = root.list(&format!("{base}{}_qa_pairs", split.name), &[".json"])?;
    if files.is_empty() {
        return Err(root.missing(format!("{base}{}_qa_pairs/<report>.json", split.name)));
    }
    files.sort_by_key(|file| (report_of(file).parse::<u64>().unwrap_or(u64::MAX), file.clone()));
    let mut samples = Vec::new();
    for file in &files {
        match root.json(file) {
            Ok(Value::Array(questions)) => {
                let report = report_of(file);
                let frontal: Vec<String> = mapping
                    .get(report)
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(words)
                    .collect();
                if frontal.is_empty() {
                    samples.push(Err(
                        root.read_error(file, "the mapping names no frontal image for this report")
                    ));
                }
                for image in frontal {
                    samples.extend(asked(root, file, report, &images, &image, &questions));
                }
            }
            Ok(_) => samples.push(Err(root.read_error(file, "expected a list of questions"))),
            Err(error) => samples.push(Err(error)),
        }
    }
    Ok(root.listed(split, samples))
}

fn report_of(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split('.').next().unwrap_or(name)
}

fn asked(
    root: &Root,
    file: &str,
    report: &str,
    images: &str,
    image: &str,
    questions: &[Value],
) -> Vec<Result<Sample, DataError>> {
    let name: Arc<str> = file.into();
    let ask = |(at, question): (usize, &Value)| {
        let row = Row::new(&name, at, Value::Object(Map::new()))?;
        let Some([question, answer, history, about]) = question.as_array().map(Vec::as_slice) else {
            return Err(row.error("expected [question, answers, history, facts]"));
        };
        let list = |value: &Value| -> Vec<Option<String>> {
            value.as_array().into_iter().flatten().map(words).collect()
        };
        let answers: Vec<String> = list(answer).into_iter().flatten().collect();
        let options = about.get("options").map(list).unwrap_or_default();
        let fact = |name: &str| about.get(name).and_then(words);
        let yes_no = options.len() == 2 && options.iter().all(|o| matches!(o.as_deref(), Some("yes" | "no")));
        let mut tags = BTreeMap::new();
        tags.insert("answer_type".to_owned(), if yes_no { "CLOSED" } else { "OPEN" }.to_owned());
        tags.extend(fact("answer_type").map(|t| ("selection".to_owned(), t)));
        tags.extend(fact("path").map(|t| ("path".to_owned(), t)));
        tags.insert("history".to_owned(), history.to_string());
        // A single choice names one option; several labels stay words.
        let choices = if yes_no { Vec::new() } else { lettered(options.iter().take(26).cloned()) };
        let target = match (answers.as_slice(), fact("answer_type").as_deref()) {
            ([], _) => return Err(row.error("there is no answer")),
            ([one], Some("single_choice")) if !choices.is_empty() && options.len() <= 26 => choices
                .iter()
                .find(|c| c.text == *one)
                .map(|c| Target::Choice(c.letter))
                .ok_or_else(|| row.error("the answer is none of the options"))?,
            (several, _) => Target::Text(vec![several.join(", ")]),
        };
        Ok(Sample {
            media: vec![root.image(&row, images, &format!("{image}.png"))?],
            question: words(question).ok_or_else(|| row.error("there is no question"))?,
            choices: if matches!(target, Target::Choice(_)) { choices } else { Vec::new() },
            target,
            group: report.to_owned(),
            tags,
            ..sample(format!("{report}/{image}/{at}"))
        })
    };
    questions.iter().enumerate().map(ask).collect()
}
