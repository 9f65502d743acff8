//! OmniMedVQA (Hu et al. 2024): multiple choice over 73 data sets and 12 modalities.

use crate::entry::{Known, SetEntry};
use crate::listed::Listed;
use crate::read::{Root, Row, Split, option_columns, sample};
use loupe_core::{DataError, Sample, Target};

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "omnimedvqa",
    title: "OmniMedVQA: multiple choice over many modalities",
    citation: "Hu et al., CVPR 2024, arXiv:2402.09181",
    licence: "CC-BY-4.0 for the questions; each image set has its own",
    splits: &["open", "restricted", "all"],
    layout: "QA_information/Open-access/*.json, QA_information/Restricted-access/*.json, Images/<dataset>/…",
    known: &[Known { split: "open", rows: 88996 }, Known { split: "all", rows: 127995 }],
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let folders: &[&str] = match split.name.as_str() {
        "open" => &["QA_information/Open-access"],
        "restricted" => &["QA_information/Restricted-access"],
        _ => &["QA_information/Open-access", "QA_information/Restricted-access"],
    };
    let mut samples = Vec::new();
    for folder in folders {
        for file in root.list(folder, &[".json"])? {
            samples.extend(root.samples(root.json_rows(&file)?, |row| sample_of(root, folder, row)));
        }
    }
    Ok(root.listed(split, samples))
}

fn sample_of(root: &Root, folder: &str, row: &Row) -> Result<Sample, DataError> {
    let image = row.need("image_path")?;
    // Two to four options; the keys of the others are left out.
    let columns = ('A'..='D').map(|letter| (letter, row.get(&format!("option_{letter}"))));
    let choices = option_columns(root, row, columns);
    let answer = row.need("gt_answer")?;
    // The answer is given in words. Where two options have the same words, the first one counts;
    // MedEvalKit takes the last one.
    let target = match choices.iter().find(|c| c.text == answer) {
        Some(choice) => Target::Choice(choice.letter),
        None => return Err(row.error("the answer is none of the options")),
    };
    let mut tags = row.tags(&[
        ("dataset", "dataset"),
        ("question_type", "question_type"),
        ("modality_type", "modality"),
    ]);
    let access = if folder.contains("Open") { "open" } else { "restricted" };
    tags.insert("access".to_owned(), access.to_owned());
    Ok(Sample {
        media: vec![root.image(row, ".", &image)?],
        question: row.need("question")?,
        choices,
        target,
        group: image,
        tags,
        ..sample(row.get("question_id").unwrap_or_else(|| row.place()))
    })
}
