//! MeCoVQA (Huang et al. 2025): questions, questions on a region, and segmentation on SA-Med2D images.
//!
//! LLaVA-style conversations; `<mask>…</mask>` names the mask to find, `<region>…</region>` the region
//! that the question is about. Each person–model exchange is a sample.

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::{Root, Row, Split, sample, the_only, words};
use loupe_core::{DataError, Labelled, MediaRef, Sample, Target};
use std::collections::BTreeMap;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "mecovqa",
    title: "MeCoVQA: questions, regions and masks on SA-Med2D images",
    citation: "Huang et al., AAAI 2025, arXiv:2412.09278",
    licence: "as stated by its publishers; images as SA-Med2D-20M",
    splits: &["complex", "region", "grounding"],
    layout: "test/MeCoVQA_Complex_test.json (or MeCoVQA-Complex.json), …Region…, …Grounding…; images/ and masks/ of \
             SA-Med2D (SAMed2Dv1/)",
    metric: "token recall; Dice for grounding",
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let file = match &root.only {
        Some(_) => the_only(root, &[".json"], "FILE.json")?,
        None => root
            .search(|path, is_dir| {
                let name = path.rsplit('/').next().unwrap_or(path);
                let of_split =
                    name.contains("mecovqa") && name.contains(&split.name) && name.ends_with(".json");
                !is_dir && of_split && !path.starts_with("train/")
            })
            .ok_or_else(|| root.missing(format!("test/MeCoVQA_{}_test.json", split.name)))?,
    };
    let folder = root.folder(&["SAMed2Dv1", "SAMed2D_v1"]);
    let mut samples = Vec::new();
    for row in root.json_rows(&file)? {
        match row {
            Ok(row) => samples.extend(exchanges(root, &folder, &row)),
            Err(error) => samples.push(Err(error)),
        }
    }
    Ok(root.listed(split, samples))
}

fn exchanges(root: &Root, folder: &str, row: &Row) -> Vec<Result<Sample, DataError>> {
    let turns = row.list("conversations");
    let said = |at: usize, who: &[&str]| {
        let turn = turns.get(at)?;
        let from = turn.get("from").and_then(words)?;
        who.contains(&from.as_str()).then(|| turn.get("value").and_then(words).unwrap_or_default())
    };
    if turns.len() < 2 {
        return vec![Err(row.error("a conversation has no reply"))];
    }
    let pair = |at: usize| {
        let question = said(2 * at, &["human", "user"]);
        let answer = said(2 * at + 1, &["gpt", "assistant"]);
        match (question, answer) {
            (Some(question), Some(answer)) => exchange(root, folder, row, at, &question, &answer),
            _ => Err(row.error(format!("exchange {at} is not a person's turn and a reply"))),
        }
    };
    (0..turns.len() / 2).map(pair).collect()
}

fn exchange(
    root: &Root,
    folder: &str,
    row: &Row,
    at: usize,
    question: &str,
    answer: &str,
) -> Result<Sample, DataError> {
    let image = row.need("image")?;
    let (question, asked_masks) = cut(question, "mask");
    let (question, regions) = cut(&question, "region");
    let (answer, given_masks) = cut(answer, "mask");
    let file = |name: &String| root.image(row, folder, name);
    let mut masks: Vec<Labelled<MediaRef>> = Vec::new();
    for name in asked_masks.iter().chain(&given_masks) {
        masks.push(Labelled { picture: 0, label: label_of(name), at: file(name)?, reader: None });
    }
    let mut tags = BTreeMap::new();
    tags.extend(regions.first().map(|region| ("region_mask".to_owned(), region.clone())));
    tags.extend(modality_of(&image).map(|modality| ("modality".to_owned(), modality)));
    let id = row.get("id").unwrap_or_else(|| row.place());
    let id = if at == 0 { id } else { format!("{id}#{at}") };
    Ok(Sample {
        media: vec![file(&image)?],
        question: question.replace("<image>", "").trim().to_owned(),
        target: match (masks.is_empty(), answer.trim()) {
            (false, _) => Target::Masks(masks),
            (true, "") => Target::Unknown,
            (true, answer) => Target::Text(vec![answer.to_owned()]),
        },
        group: image,
        tags,
        ..sample(id)
    })
}

/// The text without `<tag>…</tag>`, and what stood between.
fn cut(text: &str, tag: &str) -> (String, Vec<String>) {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let (mut kept, mut found) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(&open) {
        let Some((inside, after)) = after.split_once(&close) else { break };
        kept.push_str(before);
        found.push(inside.trim().to_owned());
        rest = after;
    }
    kept.push_str(rest);
    (kept, found)
}

/// SA-Med2D masks are called `<modality>--<set>--<case>--<slice>--<class>_<instance>.png`.
fn label_of(name: &str) -> String {
    let stem = name.rsplit('/').next().unwrap_or(name);
    let last = stem.rsplit("--").next().unwrap_or(stem);
    last.split(['_', '.']).next().unwrap_or(last).to_owned()
}

fn modality_of(image: &str) -> Option<String> {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split_once("--").map(|(modality, _)| modality.to_owned())
}
