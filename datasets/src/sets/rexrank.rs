//! ReXrank (Zhang et al. 2024): chest X-ray studies as the leaderboard's runner gives them to a model.
//!
//! The file is `{study_id: {image_path, key_image_path, context, frontal_lateral, section_findings, section_impression, report}}`;
//! a model adds `model_prediction` to each study and changes nothing else ([`crate::rexrank_with_predictions`]).

use crate::entry::SetEntry;
use crate::listed::Listed;
use crate::read::{Root, Row, Split, report, the_only};
use loupe_core::study::{StudyImage, age_band};
use loupe_core::{DataError, MediaRef, Sample, Study};
use serde_json::Value;
use std::sync::Arc;

pub(super) static ENTRY: SetEntry = SetEntry {
    name: "rexrank",
    title: "ReXrank: chest X-ray studies with views, context and reference sections",
    citation: "Zhang et al., ReXrank, arXiv:2411.15122, 2024; github.com/rajpurkarlab/ReXrank",
    licence: "of the set inside (IU X-ray: public; MIMIC-CXR, CheXpert Plus: on request)",
    splits: &["all"],
    layout: "FILE.json: {study_id: {image_path: [..], frontal_lateral: [..], context, section_findings, section_impression}}; \
             image paths are relative to its folder",
    group_by: "study",
    metric: "1/RadCliQ-v1, BLEU-2, BERTScore, RadGraph, RaTEScore, GREEN",
    open,
    ..SetEntry::BLANK
};

fn open(root: &Root, split: &Split) -> Result<Listed, DataError> {
    let file = the_only(root, &[".json"], "FILE.json")?;
    let Value::Object(studies) = root.json(&file)? else {
        return Err(root.read_error(&file, "expected an object of studies by their study_id"));
    };
    let name: Arc<str> = file.as_str().into();
    let rows = studies.into_iter().enumerate().map(|(at, (id, value))| (id, Row::new(&name, at, value)));
    let samples = rows.map(|(id, row)| {
        let row = row?;
        root.sample(&row, |row| study(root, row, &id))
    });
    Ok(root.listed(split, samples.collect()))
}

fn study(root: &Root, row: &Row, id: &str) -> Result<Sample, DataError> {
    let paths = row.words("image_path");
    if paths.is_empty() {
        return Err(row.error("\"image_path\" names no image"));
    }
    let views = row.words("frontal_lateral");
    if !views.is_empty() && views.len() != paths.len() {
        return Err(row.error(format!(
            "{} \"frontal_lateral\" for {} \"image_path\"",
            views.len(),
            paths.len()
        )));
    }
    let media: Result<Vec<MediaRef>, DataError> =
        paths.iter().map(|path| root.image(row, ".", path)).collect();
    let context = row.get("context").unwrap_or_default();
    let [age, sex, indication, comparison] = context_parts(&context);
    let image = |at| StudyImage { view: views.get(at).cloned(), prior: false };
    let study = Study {
        images: (0..paths.len()).map(image).collect(),
        indication,
        comparison,
        age_band: age.map(|age| age.parse().map_or(age, age_band)),
        sex,
        ..Study::default()
    };
    let mut sample = Sample {
        media: media?,
        ..report::written(id.to_owned(), id.to_owned(), row, ["section_findings", "section_impression"])
    };
    study.tag(&mut sample);
    Ok(sample)
}

/// Age, gender, indication and comparison out of `Age:… Gender:… Indication:… Comparison:…`; what is not said, or said to be
/// unknown, is nothing. A context without any of these titles is all indication.
fn context_parts(context: &str) -> [Option<String>; 4] {
    const TITLES: [&str; 4] = ["age:", "gender:", "indication:", "comparison:"];
    let lower = context.to_ascii_lowercase();
    let starts = TITLES.map(|title| lower.find(title).map(|at| (at, at + title.len())));
    let said = |text: &str| {
        let text = text.trim().trim_end_matches([',', ';']).trim();
        let none =
            matches!(text.to_lowercase().trim_end_matches('.'), "" | "none" | "nan" | "n/a" | "unknown");
        (!none).then(|| text.to_owned())
    };
    if starts.iter().all(Option::is_none) {
        return [None, None, said(context), None];
    }
    let [age, sex, indication, comparison] = starts.map(|start| {
        let (_, from) = start?;
        let next = starts.iter().flatten().map(|(at, _)| *at).filter(|at| *at >= from).min();
        said(context.get(from..next.unwrap_or(context.len()))?)
    });
    let bare = |word: Option<String>| word.map(|word| word.trim_end_matches('.').to_owned());
    [bare(age), bare(sex), indication, comparison]
}

#[cfg(test)]
mod tests {
    use super::context_parts;

    #[test]
    fn the_context_is_taken_apart() {
        let all = "Age:60-70. Gender:F. Indication: ___F with cough. Comparison: None.";
        let parts = context_parts(all).map(Option::unwrap_or_default);
        assert_eq!(parts, ["60-70", "F", "___F with cough.", ""]);
        assert_eq!(context_parts("Cough")[2].as_deref(), Some("Cough"));
        assert_eq!(context_parts(""), [None, None, None, None]);
        assert_eq!(context_parts("Indication:\nComparison: CT of 2019")[3].as_deref(), Some("CT of 2019"));
    }
}
