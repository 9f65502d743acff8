//! What of a radiology report is scored: sections and the clean-up before a metric sees them. A table
//! of report metrics names its choice, because the figures differ more by it than by model.

use super::report_cleaners;
use super::report_headings::{BOTH, section_of, sections};
use regex::Regex;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What is cut out of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The whole report.
    Whole,
    /// The findings, or everything when there is no heading (such reports are counted).
    Findings,
    /// The impression; unscored where none is found.
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

/// A published function through which reports went before they were scored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cleaner {
    /// None.
    #[default]
    None,
    /// R2Gen's for IU X-ray.
    R2GenIu,
    /// R2Gen's for MIMIC-CXR.
    R2GenMimic,
    /// CXR-Report-Metric's, which ReXrank's BLEU-2 uses.
    CxrReportMetric,
}

impl Cleaner {
    const fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::R2GenIu => Some("clean_report_iu_xray of R2Gen"),
            Self::R2GenMimic => Some("clean_report_mimic_cxr of R2Gen"),
            Self::CxrReportMetric => Some("prep_reports of CXR-Report-Metric"),
        }
    }
}

/// How a text is cleaned before a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preprocess {
    /// First, a published function.
    pub cleaner: Cleaner,
    /// Lower case.
    pub lower: bool,
    /// Drop list numbers ("1." at the start of a line or sentence).
    pub drop_numbering: bool,
    /// Drop anonymisation placeholders: `___` of MIMIC-CXR and `XXXX` of OpenI.
    pub drop_placeholders: bool,
}

impl Preprocess {
    /// The text as it is.
    pub const RAW: Self =
        Self { cleaner: Cleaner::None, lower: false, drop_numbering: false, drop_placeholders: false };
    /// Lower case without placeholders and numbering: our default for word-overlap metrics.
    pub const CLEAN: Self =
        Self { cleaner: Cleaner::None, lower: true, drop_numbering: true, drop_placeholders: true };

    /// Name in tables.
    pub fn name(self) -> String {
        let parts = [
            (self.lower, "lower"),
            (self.drop_numbering, "no numbering"),
            (self.drop_placeholders, "no placeholders"),
        ];
        let on = parts.into_iter().filter(|(on, _)| *on).map(|(_, n)| n);
        let on: Vec<&str> = self.cleaner.name().into_iter().chain(on).collect();
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
        let mut text = match self.cleaner {
            Cleaner::None => text.to_owned(),
            Cleaner::R2GenIu => report_cleaners::r2gen_iu(text),
            Cleaner::R2GenMimic => report_cleaners::r2gen_mimic(text),
            Cleaner::CxrReportMetric => report_cleaners::cxr_report_metric(text),
        };
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

/// The part of a report that is scored. A report without any heading is all findings; what stands under "Findings and
/// impression" is either; a section that a report with headings lacks is none.
///
/// # Errors
/// When the part is not there.
pub fn part(report: &str, part: Part) -> Result<String, &'static str> {
    // An empty report is an empty section, not one that was not found.
    if part == Part::Whole || report.trim().is_empty() {
        return Ok(report.to_owned());
    }
    let found = sections(report);
    let of = |name: &str| found.get(name).cloned();
    match part {
        // What stands before the heading of the impression are the findings.
        Part::Findings => of("findings").or_else(|| of(BOTH)).or_else(|| of("")).ok_or(NO_FINDINGS),
        Part::Impression => of("impression").or_else(|| of(BOTH)).ok_or(NO_IMPRESSION),
        Part::MedEvalKit | Part::Whole => Ok(format!(
            "Findings: {} Impression: {}.",
            of("findings").or_else(|| of(BOTH)).unwrap_or_default(),
            of("impression").unwrap_or_default()
        )),
    }
}

/// Has the report a heading, so that its sections are known? An empty one needs none.
pub fn has_sections(report: &str) -> bool {
    report.trim().is_empty() || sections(report).keys().any(|name| !name.is_empty())
}

/// Why a report has no findings.
pub const NO_FINDINGS: &str = "no findings section was found";
/// Why a report has no impression.
pub const NO_IMPRESSION: &str = "no impression section was found";

/// The part of a reference whose sections are known, under whatever titles; a reference that is one text is read as
/// replies are.
///
/// # Errors
/// When the part is not there.
pub fn reference(sections: &BTreeMap<String, String>, which: Part) -> Result<String, &'static str> {
    if which == Part::Whole {
        return Ok(joined(sections, which));
    }
    if !known(sections) {
        let text = joined(sections, Part::Whole);
        // Two empty sections of MedEvalKit's would be alike.
        return if which == Part::MedEvalKit && !has_sections(&text) {
            Err(NO_FINDINGS)
        } else {
            part(&text, which)
        };
    }
    let titled = |(title, text): (&String, &String)| {
        (section_of(title).map_or_else(|| title.clone(), str::to_owned), text.clone())
    };
    let named: BTreeMap<String, String> = sections.iter().map(titled).collect();
    let of = |name: &str| named.get(name).filter(|text| !text.trim().is_empty()).cloned();
    match which {
        Part::Findings => of("findings").or_else(|| of(BOTH)).ok_or(NO_FINDINGS),
        Part::Impression => of("impression").or_else(|| of(BOTH)).ok_or(NO_IMPRESSION),
        Part::MedEvalKit | Part::Whole => Ok(joined(&named, which)),
    }
}

/// Is any section of a reference one whose title is known?
pub fn known(sections: &BTreeMap<String, String>) -> bool {
    sections.keys().any(|title| section_of(title).is_some())
}

/// The sections of a reference as one text, or as MedEvalKit joins two of them. The whole has its findings first, then its
/// impression, then the others by name, each behind its heading; a lone section has none.
pub fn joined(sections: &BTreeMap<String, String>, which: Part) -> String {
    let of = |name: &str| sections.get(name).map(String::as_str).unwrap_or_default();
    let first = ["findings", "impression"];
    match which {
        Part::MedEvalKit => format!("Findings: {} Impression: {}.", of("findings"), of("impression")),
        _ if sections.len() == 1 => sections.values().cloned().collect(),
        _ => {
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
    fn a_part_is_there_or_said_to_be_missing() {
        let report = "Findings: a. Impression: b";
        assert_eq!(part(report, Part::MedEvalKit).unwrap(), "Findings: a. Impression: b.");
        assert_eq!(part(report, Part::Impression).unwrap(), "b");
        assert_eq!(part("Lungs clear.", Part::Findings).unwrap(), "Lungs clear.");
        assert_eq!(part("Lungs clear.\nIMPRESSION: Normal.", Part::Findings).unwrap(), "Lungs clear.");
        assert_eq!(part("IMPRESSION: Normal.", Part::Findings), Err(NO_FINDINGS));
        assert_eq!(part("Lungs clear.", Part::Impression), Err(NO_IMPRESSION));
        let both = "EXAM: CT.\nFindings and Impression: Clear.";
        assert_eq!([Part::Findings, Part::Impression].map(|which| part(both, which).unwrap()), ["Clear."; 2]);
        assert_eq!(part(both, Part::MedEvalKit).unwrap(), "Findings: Clear. Impression: .");
        assert_eq!(part(" ", Part::Impression).unwrap(), " ");
        assert_eq!(
            [has_sections(report), has_sections("Lungs clear."), has_sections("")],
            [true, false, true]
        );
    }

    #[test]
    fn references_with_known_sections() {
        let both: BTreeMap<String, String> =
            [("impression", "Normal."), ("findings", "Clear."), ("comparison", "None.")]
                .map(|(n, t)| (n.to_owned(), t.to_owned()))
                .into();
        assert_eq!(joined(&both, Part::Whole), "Findings: Clear.\nImpression: Normal.\nComparison: None.");
        assert_eq!(reference(&both, Part::Findings).unwrap(), "Clear.");
        assert_eq!(joined(&both, Part::MedEvalKit), "Findings: Clear. Impression: Normal..");
        let of = |title: &str, text: &str| BTreeMap::from([(title.to_owned(), text.to_owned())]);
        let lone = of("report", "Clear.");
        assert_eq!(reference(&lone, Part::Findings).unwrap(), "Clear.");
        assert_eq!(reference(&lone, Part::Impression), Err(NO_IMPRESSION));
        let text = of("report", "FINDINGS: Clear. IMPRESSION: Normal.");
        assert_eq!(reference(&text, Part::Impression).unwrap(), "Normal.");
        assert_eq!(reference(&of("诊断意见", "Normal."), Part::Impression).unwrap(), "Normal.");
        assert_eq!(reference(&of("impression", " "), Part::Impression), Err(NO_IMPRESSION));
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
