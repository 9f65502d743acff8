//! The six medical subjects of MMLU (Hendrycks et al. 2021), without images, as Med-PaLM and the model cards after it report them.
//!
//! `answer` is the number of the right option from 0.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{ParquetSet, Root, Row, Split, numbered, options, sample};
use loupe_core::{DataError, Sample};

const SUBJECTS: &[&str] = &[
    "anatomy",
    "clinical_knowledge",
    "college_biology",
    "college_medicine",
    "medical_genetics",
    "professional_medicine",
];

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "mmlu-medical",
    title: "MMLU: the six medical subjects (text)",
    citation: "Hendrycks et al., ICLR 2021, arXiv:2009.03300",
    licence: "MIT",
    splits: &["test", "validation", "dev"],
    options: &[
        ("anatomy", "this subject only"),
        ("clinical_knowledge", "this subject only"),
        ("college_biology", "this subject only"),
        ("college_medicine", "this subject only"),
        ("medical_genetics", "this subject only"),
        ("professional_medicine", "this subject only"),
    ],
    layout: "<subject>/test-*.parquet, validation-*, dev-* for anatomy, clinical_knowledge, college_biology, college_medicine, \
             medical_genetics and professional_medicine",
    group_by: "question",
    known: &[
        Known { split: "test", rows: 1089 },
        Known { split: "validation", rows: 123 },
        Known { split: "dev", rows: 30 },
    ],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let one = split.option.as_deref();
    let subjects: Vec<&str> = SUBJECTS.iter().copied().filter(|s| one.is_none_or(|o| o == *s)).collect();
    let rows = ParquetSet::gather(root, &subjects, &split.name)?.rows(&[])?;
    Ok(root.listed(split, root.samples(rows, |row| sample_of(root, row))))
}

fn sample_of(root: &Root, row: &Row) -> Result<Sample, DataError> {
    let choices = options(root, row, row.places("choices"))?;
    let subject = row.need("subject")?;
    let id = format!("{subject}:{}", row.index);
    Ok(Sample {
        question: row.need("question")?,
        target: numbered(row, &choices, "answer", 0)?,
        choices,
        group: id.clone(),
        tags: [("subject".to_owned(), subject)].into(),
        ..sample(id)
    })
}
