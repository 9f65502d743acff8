//! No page may tell what stands behind it.

use super::material::{CaseMaterial, HiddenText};
use crate::error::StudyError;
use loupe_report::pages::kit::place::Mark;

/// Shorter texts are words like any other.
const SHORTEST: usize = 4;

/// Is `hidden` in `text` as words of its own, whatever its case?
fn holds(text: &str, hidden: &str) -> bool {
    let (text, hidden) = (text.to_lowercase(), hidden.trim().to_lowercase());
    let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    hidden.chars().count() >= SHORTEST
        && text.match_indices(&hidden).any(|(at, _)| {
            !inside(text[..at].chars().next_back()) && !inside(text[at + hidden.len()..].chars().next())
        })
}

/// A number of numbers with dots, as DICOM's identifiers are.
fn has_uid(text: &str) -> bool {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .any(|word| word.len() >= 16 && word.matches('.').count() >= 4)
}

/// Everything that a run says on the page of a case. What the study's author wrote is not searched.
fn said(case: &CaseMaterial) -> impl Iterator<Item = &str> {
    let outputs = case.outputs.iter().flat_map(|output| {
        let trace = output.trace.iter().flat_map(|s| [s.said.as_str(), s.did.as_str()]);
        let labels = output.marks.iter().flatten().map(|m: &Mark| m.label.as_str());
        output.text.as_deref().into_iter().chain(trace).chain(labels).collect::<Vec<_>>()
    });
    case.question.as_deref().into_iter().chain(outputs)
}

/// Refuses cases whose texts hold what has to be hidden; all of them are named by their number, and the texts are not repeated.
pub(super) fn check(cases: &[CaseMaterial]) -> Result<(), StudyError> {
    let mut found: Vec<String> = Vec::new();
    for (number, case) in (1..).zip(cases) {
        let hit = |h: &&HiddenText| said(case).any(|text| holds(text, &h.text));
        let what = case.hidden.iter().find(hit).map(|h| h.what);
        let what = what.or_else(|| said(case).any(has_uid).then_some("an identifier of DICOM"));
        found.extend(what.map(|what| format!("case {number}: {what}")));
    }
    match found.is_empty() {
        true => Ok(()),
        false => Err(StudyError::Blinding(format!(
            "readers would see what they must not know, in the texts that an arm shows ({}); change what the arm shows, or leave these cases out",
            found.join("; ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whatever_stands_around_them() {
        assert!(holds("As MedModel-7B, I see", "medmodel-7b"));
        assert!(!holds("a lung", "g") && !holds("remodelled", "model"));
        assert!(has_uid("see 1.2.840.113619.2.5.1762583") && !has_uid("at 12.5 and 1.2.3"));
    }
}
