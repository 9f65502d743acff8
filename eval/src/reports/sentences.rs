//! A reply as a report: sections and sentences.

use crate::metrics::report_headings::sections;
use crate::metrics::report_sections::{Part, part};
use loupe_core::reasoning::answer_words;
use loupe_run::report_prompt::StructuredReport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A section of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// What is seen.
    Findings,
    /// What it means.
    Impression,
}

impl Section {
    /// As tables and headings call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Impression => "impression",
        }
    }
}

/// A sentence of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// Its words, without the number of a list before them.
    pub text: String,
    /// Where it stands.
    pub section: Section,
}

/// A report taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WrittenReport {
    /// The findings; a report without any heading is all findings.
    pub findings: Option<String>,
    /// The impression.
    pub impression: Option<String>,
    /// Every sentence of both, in order.
    pub sentences: Vec<Sentence>,
    /// Has it a heading, so that its sections are known?
    pub headed: bool,
}

impl WrittenReport {
    /// Reads a reply; thoughts and the tags around an answer are no part of the report.
    ///
    /// ```
    /// use loupe_eval::reports::WrittenReport;
    /// let report = WrittenReport::read("FINDINGS: Clear lungs. No effusion.\nIMPRESSION: 1. Normal.");
    /// assert_eq!(report.impression.as_deref(), Some("1. Normal."));
    /// assert_eq!(report.sentences.len(), 3);
    /// ```
    pub fn read(reply: &str) -> Self {
        let text = answer_words(reply);
        let headed = sections(text).keys().any(|name| !name.is_empty());
        let of =
            |which| part(text, which).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let findings = of(Part::Findings);
        // "Findings and impression" is one text; its sentences are told once.
        let impression = of(Part::Impression);
        let mut sentences = split(findings.as_deref().unwrap_or_default(), Section::Findings);
        if impression != findings {
            sentences.extend(split(impression.as_deref().unwrap_or_default(), Section::Impression));
        }
        Self { findings, impression, sentences, headed }
    }

    /// A reply that may have been asked for as JSON: its sections are then those of the JSON, whatever its properties are called.
    pub fn of(reply: &str, structured: Option<&StructuredReport>) -> Self {
        let Some(told) = structured.and_then(StructuredReport::told) else { return Self::read(reply) };
        let [findings, impression] = told.sections();
        let mut sentences = split(findings.as_deref().unwrap_or_default(), Section::Findings);
        sentences.extend(split(impression.as_deref().unwrap_or_default(), Section::Impression));
        Self { findings, impression, sentences, headed: true }
    }

    /// The report of a reference, whose sections are known.
    pub fn of_sections(sections: &BTreeMap<String, String>) -> Self {
        let text = crate::metrics::report_sections::joined(sections, Part::Whole);
        let mut read = Self::read(&text);
        if let [(name, only)] = sections.iter().collect::<Vec<_>>().as_slice()
            && name.as_str() == "impression"
        {
            read = Self {
                impression: Some((*only).clone()),
                sentences: split(only, Section::Impression),
                headed: true,
                findings: None,
            };
        }
        read
    }

    /// Both sections behind their headings.
    pub fn text(&self) -> String {
        let heading =
            |name: &str, text: &Option<String>| text.as_ref().map(|text| format!("{name}:\n{text}"));
        let both = [heading("FINDINGS", &self.findings), heading("IMPRESSION", &self.impression)];
        both.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    }
}

/// Words behind which a full stop ends no sentence.
const SHORT: [&str; 16] = [
    "dr", "mr", "mrs", "ms", "e.g", "i.e", "vs", "approx", "no", "st", "fig", "cf", "ca", "resp", "incl",
    "a.p",
];

/// The sentences of a section: they end at a full stop, a question or exclamation mark before white space, and at the end of a line.
fn split(text: &str, section: Section) -> Vec<Sentence> {
    let mut out = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        let mut from = 0;
        for (at, c) in line.char_indices() {
            let end = at + c.len_utf8();
            let Some(rest) = line.get(end..) else { continue };
            let ends = match c {
                '。' | '！' | '？' => true,
                '.' | '!' | '?' => rest.is_empty() || rest.starts_with(char::is_whitespace),
                _ => false,
            };
            if !ends || (c == '.' && abbreviates(line.get(from..at).unwrap_or_default(), rest)) {
                continue;
            }
            add(&mut out, line.get(from..end).unwrap_or_default(), section);
            from = end;
        }
        add(&mut out, line.get(from..).unwrap_or_default(), section);
    }
    out
}

/// Is the full stop behind `before` one of an abbreviation or of the number of a list?
fn abbreviates(before: &str, rest: &str) -> bool {
    let word = before.rsplit([' ', '(', '\t']).next().unwrap_or_default();
    let numbered = !word.is_empty() && word.len() <= 2 && word.chars().all(|c| c.is_ascii_digit());
    let lower = word.to_lowercase();
    // "no." is an abbreviation before a number alone.
    let short = SHORT.contains(&lower.as_str())
        && (lower != "no" || rest.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    (numbered && before.trim() == word) || short
}

fn add(out: &mut Vec<Sentence>, text: &str, section: Section) {
    let text = text.trim().trim_start_matches(['-', '*', '•']).trim_start();
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let text = match text.get(digits..) {
        Some(rest) if (1..=2).contains(&digits) && rest.starts_with(['.', ')']) => {
            let behind = rest.get(1..).unwrap_or_default();
            if behind.starts_with(char::is_whitespace) { behind.trim_start() } else { text }
        }
        _ => text,
    };
    if text.chars().any(char::is_alphanumeric) {
        out.push(Sentence { text: text.to_owned(), section });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn texts(report: &str) -> Vec<String> {
        WrittenReport::read(report).sentences.into_iter().map(|s| s.text).collect()
    }

    #[test]
    fn sentences_end_where_a_reader_ends_them() {
        assert_eq!(
            texts("1. A nodule of 3.5 mm, e.g. in slice no. 4. No effusion.\n2) Heart normal"),
            ["A nodule of 3.5 mm, e.g. in slice no. 4.", "No effusion.", "Heart normal"]
        );
        assert_eq!(texts("两肺清晰。无积液。"), ["两肺清晰。", "无积液。"]);
        assert!(texts(" \n - \n").is_empty());
    }

    #[test]
    fn sections_are_found_or_all_is_findings() {
        let report = WrittenReport::read("<think>Is it?</think>Findings: A.\n\nImpression: B. C.");
        assert_eq!((report.findings.as_deref(), report.impression.as_deref()), (Some("A."), Some("B. C.")));
        let sections: Vec<Section> = report.sentences.iter().map(|s| s.section).collect();
        assert_eq!(sections, [Section::Findings, Section::Impression, Section::Impression]);
        let bare = WrittenReport::read("Lungs clear.");
        assert_eq!(
            (bare.findings.as_deref(), bare.impression, bare.headed),
            (Some("Lungs clear."), None, false)
        );
        assert_eq!(WrittenReport::read("Lungs clear.").text(), "FINDINGS:\nLungs clear.");
    }

    #[test]
    fn sections_of_json_are_known_whatever_is_called_in_them() {
        let value = serde_json::json!({"findings": {"comparison": "new effusion", "finding": "mass", "impression": "malignant"}, "impression": "Effusion.", "critical": true});
        let structured = StructuredReport { value: Some(value), problems: Vec::new() };
        let report = WrittenReport::of("", Some(&structured));
        assert_eq!(
            report.findings.as_deref(),
            Some("mass; comparison: new effusion; impression: malignant.")
        );
        assert_eq!(report.impression.as_deref(), Some("Effusion.\ncritical: true"));
        assert_eq!(report.sentences.len(), 3);
        assert_eq!(WrittenReport::of("Clear.", None), WrittenReport::read("Clear."));
    }

    #[test]
    fn a_reference_of_one_section_is_that_section() {
        let only = BTreeMap::from([("impression".to_owned(), "Normal.".to_owned())]);
        let read = WrittenReport::of_sections(&only);
        assert_eq!((read.findings, read.impression.as_deref()), (None, Some("Normal.")));
    }
}
