//! What of a radiology report is scored: sections and the clean-up before a metric sees them. A table
//! of report metrics names its choice, because the figures differ more by it than by model.

use regex::Regex;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What is cut out of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The whole report.
    Whole,
    /// The findings, or everything when there is no heading.
    Findings,
    /// The impression, or nothing.
    Impression,
    /// `Findings: … Impression: ….` as MedEvalKit joins them; an empty section stays empty.
    MedEvalKit,
}

impl Part {
    /// Every part, by the name it has on the command line and in tables.
    pub const ALL: [(&str, Self); 4] = [
        ("whole", Self::Whole),
        ("findings", Self::Findings),
        ("impression", Self::Impression),
        ("medevalkit", Self::MedEvalKit),
    ];

    /// Name in tables.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, part)| *part == self).map_or("", |(name, _)| name)
    }
}

/// How a text is cleaned before a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preprocess {
    /// Lower case.
    pub lower: bool,
    /// Drop list numbers ("1." at the start of a line or sentence).
    pub drop_numbering: bool,
    /// Drop anonymisation placeholders: `___` of MIMIC-CXR and `XXXX` of OpenI.
    pub drop_placeholders: bool,
}

impl Preprocess {
    /// The text as it is.
    pub const RAW: Self = Self { lower: false, drop_numbering: false, drop_placeholders: false };
    /// Lower case without placeholders and numbering: our default for word-overlap metrics.
    pub const CLEAN: Self = Self { lower: true, drop_numbering: true, drop_placeholders: true };

    /// Name in tables.
    pub fn name(self) -> String {
        let parts = [
            (self.lower, "lower"),
            (self.drop_numbering, "no numbering"),
            (self.drop_placeholders, "no placeholders"),
        ];
        let on: Vec<&str> = parts.into_iter().filter(|(on, _)| *on).map(|(_, n)| n).collect();
        if on.is_empty() { "raw".to_owned() } else { on.join(", ") }
    }

    /// The cleaned text, white space collapsed unless nothing is cleaned.
    pub fn apply(self, text: &str) -> String {
        static NUMBERING: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"(^|[\n.]\s*)\d{1,2}[.)]\s+").ok());
        static PLACEHOLDERS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"_{2,}|\bX{3,}\b").ok());
        if self == Self::RAW {
            return text.to_owned();
        }
        let mut text = text.to_owned();
        for (on, rule, put) in
            [(self.drop_numbering, &NUMBERING, "$1"), (self.drop_placeholders, &PLACEHOLDERS, "")]
        {
            if let (true, Some(rule)) = (on, rule.as_ref()) {
                text = rule.replace_all(&text, put).into_owned();
            }
        }
        if self.lower {
            text = text.to_lowercase();
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Headings that begin a section, and the section's name.
fn section_of(heading: &str) -> Option<&'static str> {
    Some(match heading.trim().to_uppercase().as_str() {
        "FINDINGS" | "FINDING" => "findings",
        "IMPRESSION" | "IMPRESSIONS" | "CONCLUSION" | "CONCLUSIONS" => "impression",
        "INDICATION"
        | "CLINICAL INDICATION"
        | "HISTORY"
        | "CLINICAL HISTORY"
        | "REASON FOR EXAM"
        | "CLINICAL INFORMATION" => "indication",
        "TECHNIQUE" | "PROCEDURE" => "technique",
        "COMPARISON" | "COMPARISONS" => "comparison",
        "EXAMINATION" | "EXAM" => "examination",
        "RECOMMENDATION" | "RECOMMENDATIONS" => "recommendation",
        _ => return None,
    })
}

/// The sections of a report by name; text before the first heading is `""`. A section that occurs
/// twice is joined.
pub fn sections(report: &str) -> BTreeMap<&'static str, String> {
    static HEADING: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?m)(?:^|\s)([A-Za-z]+(?: [A-Za-z]+){0,2})\s*:").ok());
    let mut cuts: Vec<(usize, usize, &'static str)> = Vec::new();
    for found in HEADING.iter().flat_map(|rule| rule.captures_iter(report)) {
        let (Some(whole), Some(words)) = (found.get(0), found.get(1)) else { continue };
        // "Both Findings:" names a section with its last words.
        let text = words.as_str();
        let starts = std::iter::once(0).chain(text.match_indices(' ').map(|(at, _)| at + 1));
        for start in starts {
            if let Some(name) = text.get(start..).and_then(section_of) {
                cuts.push((words.start() + start, whole.end(), name));
                break;
            }
        }
    }
    let mut out: BTreeMap<&'static str, String> = BTreeMap::new();
    let mut add = |name: &'static str, text: &str| {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let entry = out.entry(name).or_default();
        if !entry.is_empty() {
            entry.push(' ');
        }
        entry.push_str(text);
    };
    add("", report.get(..cuts.first().map_or(report.len(), |c| c.0)).unwrap_or_default());
    for (i, (_, from, name)) in cuts.iter().enumerate() {
        let to = cuts.get(i + 1).map_or(report.len(), |next| next.0);
        add(name, report.get(*from..to).unwrap_or_default());
    }
    out
}

/// The part of a report that is scored.
pub fn part(report: &str, part: Part) -> String {
    let found = sections(report);
    let of = |name: &str| found.get(name).cloned().unwrap_or_default();
    match part {
        Part::Whole => report.to_owned(),
        Part::Findings => found.get("findings").cloned().unwrap_or_else(|| report.to_owned()),
        Part::Impression => of("impression"),
        Part::MedEvalKit => format!("Findings: {} Impression: {}.", of("findings"), of("impression")),
    }
}

/// The part of a reference whose sections are known. The whole has its findings first, then its
/// impression, then the others by name, each behind its heading; a lone section has none.
pub fn joined(sections: &BTreeMap<String, String>, which: Part) -> String {
    let of = |name: &str| sections.get(name).map(String::as_str).unwrap_or_default();
    let first = ["findings", "impression"];
    match which {
        Part::Impression => of("impression").to_owned(),
        Part::MedEvalKit => format!("Findings: {} Impression: {}.", of("findings"), of("impression")),
        Part::Findings if sections.contains_key("findings") => of("findings").to_owned(),
        Part::Whole | Part::Findings if sections.len() == 1 => sections.values().cloned().collect(),
        Part::Whole | Part::Findings => {
            let known = first.into_iter().filter(|name| sections.contains_key(*name));
            let others = sections.keys().map(String::as_str).filter(|name| !first.contains(name));
            let all = known.chain(others).map(|name| {
                let (head, tail) = name.split_at(name.chars().next().map_or(0, char::len_utf8));
                format!("{}{tail}: {}", head.to_uppercase(), of(name))
            });
            all.collect::<Vec<_>>().join("\n")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    #[test]
    fn sections_by_their_headings() {
        let report = "EXAM: Chest\nFINDINGS: Lungs are clear. Ratio: 0.5.\nIMPRESSION:\n1. No acute disease.";
        let found = sections(report);
        assert_eq!(found["findings"], "Lungs are clear. Ratio: 0.5.");
        assert_eq!(found["impression"], "1. No acute disease.");
        assert_eq!(found["examination"], "Chest");
        assert_eq!(part("Findings: a. Impression: b", Part::MedEvalKit), "Findings: a. Impression: b.");
        assert_eq!(part("Lungs clear.", Part::Findings), "Lungs clear.");
        assert_eq!(part("Lungs clear.", Part::Impression), "");
    }

    #[test]
    fn references_with_known_sections() {
        let both: BTreeMap<String, String> =
            [("impression", "Normal."), ("findings", "Clear."), ("comparison", "None.")]
                .map(|(n, t)| (n.to_owned(), t.to_owned()))
                .into();
        assert_eq!(joined(&both, Part::Whole), "Findings: Clear.\nImpression: Normal.\nComparison: None.");
        assert_eq!(joined(&both, Part::Findings), "Clear.");
        assert_eq!(joined(&both, Part::MedEvalKit), "Findings: Clear. Impression: Normal..");
        let lone: BTreeMap<String, String> = [("report".to_owned(), "Clear.".to_owned())].into();
        assert_eq!(joined(&lone, Part::Findings), "Clear.");
        assert_eq!(joined(&lone, Part::Impression), "");
    }

    #[test]
    fn clean_up_is_named() {
        assert_eq!(
            Preprocess::CLEAN.apply("1. No change since ___.\n2. XXXX  stable."),
            "no change since . stable."
        );
        assert_eq!(Preprocess::RAW.apply(" A\n"), " A\n");
        assert_eq!(Preprocess::CLEAN.name(), "lower, no numbering, no placeholders");
    }
}
