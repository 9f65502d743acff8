//! 3DReasonKnee (Sambara et al. 2025): MOAKS grades of knee MRI volumes as JSON.
//!
//! The repository has the questions and the list of volumes, and no reference grades: they come as
//! `answers.json` (`{"<volume key>_<question>": {…}}`, the key of its own result files) when the user
//! has them, and rows without one have an unknown reference.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::values::answer_words;
use crate::read::{Root, Row, Split, sample, slices_of};
use loupe_core::{DataError, Plane, Sample, Target, Window};
use serde_json::Value;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "3dreasonknee",
    title: "3DReasonKnee: grading knee MRI volumes",
    citation: "Sambara et al., arXiv:2510.20967, 2025",
    licence: "as stated by its publishers; volumes under the OAI data use agreement",
    splits: &["test", "train", "val"],
    options: &[("zeroshot", "the questions without guidance")],
    layout: "split_files/test_split.csv with image_filepath, question_files/questions_nobbox_guided.json (or \
             questions_nobbox_zeroshot.json), optionally answers.json; data/ may come before each",
    group_by: "volume",
    metric: "diagnostic accuracy",
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let find = |name: &str| root.pick(&[name, &format!("data/{name}")]);
    let kind = if split.has("zeroshot") { "zeroshot" } else { "guided" };
    let file = find(&format!("question_files/questions_nobbox_{kind}.json"))?;
    let Value::Object(questions) = root.json(&file)? else {
        return Err(root.read_error(&file, "expected an object of numbered questions"));
    };
    let answers = match find("answers.json") {
        Ok(file) => root.json(&file)?,
        Err(_) => Value::Null,
    };
    let mut samples = Vec::new();
    for row in root.table_rows(&find(&format!("split_files/{}_split.csv", split.name))?, b',')? {
        match row {
            Ok(row) => {
                let ask =
                    |(number, question): (&String, &Value)| sample_of(root, &row, number, question, &answers);
                samples.extend(questions.iter().map(ask));
            }
            Err(error) => samples.push(Err(error)),
        }
    }
    Ok(root.listed(split, samples))
}

fn sample_of(
    root: &Root,
    row: &Row,
    number: &str,
    question: &Value,
    answers: &Value,
) -> Result<Sample, DataError> {
    let volume = row.need("image_filepath")?;
    let parts = ["patient_id", "time", "study_folder", "series_folder", "knee_side"];
    let key: Vec<String> = parts.iter().filter_map(|part| row.get(part)).collect();
    let key = format!("{}_{number}", key.join("_"));
    let question = question.as_str().ok_or_else(|| row.error(format!("question {number} is not text")))?;
    let target = match answers.get(&key) {
        None => Target::Unknown,
        Some(several @ (Value::Object(_) | Value::Array(_))) => Target::Text(vec![several.to_string()]),
        Some(answer) => answer_words(answer).map_or(Target::Unknown, |words| Target::Text(vec![words])),
    };
    let mut tags = row.tags(&[("knee_side", "side"), ("time", "time")]);
    tags.insert("question_number".to_owned(), number.to_owned());
    // The repository clips DESS intensities to 0–400 and shows slices along the sagittal array axis.
    let media = root.image(row, ".", volume.trim_start_matches('/'))?;
    Ok(Sample {
        media: slices_of(&media, Plane::Sagittal, Window::between(0.0, 400.0)),
        question: question.to_owned(),
        target,
        group: volume,
        tags,
        // The patient and study are in the files' keys; ids stay free of them.
        ..sample(format!("{}:{number}", row.place()))
    })
}
