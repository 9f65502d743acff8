//! The five medical subjects of MMMU (Yue et al. 2024).
//!
//! `<image n>` in the question or in an option stands for `image_n`; it is left in the text for the
//! prompt to put the image there. `options` is text that holds a Python list.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{ParquetSet, Root, Row, Split, chosen, options, python_list, sample};
use loupe_core::{DataError, Sample, Target};

const SUBJECTS: &[&str] = &[
    "Basic_Medical_Science",
    "Clinical_Medicine",
    "Diagnostics_and_Laboratory_Medicine",
    "Pharmacy",
    "Public_Health",
];

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "mmmu-medical",
    title: "MMMU: the five medical subjects",
    citation: "Yue et al., CVPR 2024, arXiv:2311.16502",
    licence: "Apache-2.0",
    splits: &["validation", "dev", "test"],
    options: &[
        ("Basic_Medical_Science", "this subject only"),
        ("Clinical_Medicine", "this subject only"),
        ("Diagnostics_and_Laboratory_Medicine", "this subject only"),
        ("Pharmacy", "this subject only"),
        ("Public_Health", "this subject only"),
    ],
    layout: "<subject>/validation-*.parquet for Basic_Medical_Science, Clinical_Medicine, \
             Diagnostics_and_Laboratory_Medicine, Pharmacy and Public_Health",
    group_by: "question",
    known: &[Known { split: "validation", rows: 150 }, Known { split: "dev", rows: 25 }],
    open,
    ..SetEntry::BLANK
};

const IMAGES: &[&str] = &["image_1", "image_2", "image_3", "image_4", "image_5", "image_6", "image_7"];

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let one = split.option.as_deref();
    let subjects: Vec<&str> = SUBJECTS.iter().copied().filter(|s| one.is_none_or(|o| o == *s)).collect();
    ParquetSet::gather(root, &subjects, &split.name)?.listed(root, split, IMAGES, |row| sample_of(root, row))
}

fn sample_of(root: &Root, row: &Row) -> Result<Sample, DataError> {
    let listed = row
        .get("options")
        .map(|text| python_list(&text).ok_or_else(|| row.error("\"options\" is not a list")));
    let choices = options(root, row, listed.transpose()?.unwrap_or_default())?;
    let answer = row.get("answer").filter(|a| a != "?");
    let target = match answer {
        None => Target::Unknown,
        Some(answer) if choices.is_empty() => {
            let accepted = python_list(&answer).unwrap_or_else(|| vec![Some(answer)]);
            let accepted: Vec<String> =
                accepted.into_iter().flatten().filter(|a| !a.trim().is_empty()).collect();
            if accepted.is_empty() { Target::Unknown } else { Target::Text(accepted) }
        }
        Some(answer) => chosen(row, &choices, &answer)?,
    };
    let id = row.need("id")?;
    let mut tags = row.tags(&[
        ("question_type", "question_type"),
        ("subfield", "subfield"),
        ("img_type", "image_type"),
        ("topic_difficulty", "difficulty"),
    ]);
    if let Some(subject) = SUBJECTS.iter().find(|s| id.contains(**s)) {
        tags.insert("subject".to_owned(), (*subject).to_owned());
    }
    Ok(Sample { question: row.need("question")?, choices, target, group: id.clone(), tags, ..sample(id) })
}
