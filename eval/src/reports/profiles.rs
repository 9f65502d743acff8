//! What published report scores were computed on: which section, and which clean-up of both sides. Figures of one system differ by it
//! as much as systems do, so that every table names its profile.

use crate::metrics::Texts;
use crate::metrics::report_sections::{Cleaner, Part, Preprocess};
use loupe_core::words::did_you_mean;

/// A published choice of section and clean-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportProfile {
    /// Name on the command line and in tables.
    pub name: &'static str,
    /// What it reproduces, and what of it cannot be reproduced from reports alone.
    pub source: &'static str,
    /// The section and the clean-up.
    pub texts: Texts,
}

const fn cleaned(cleaner: Cleaner) -> Preprocess {
    Preprocess { cleaner, ..Preprocess::RAW }
}

/// Every profile, the default first.
pub static REPORT_PROFILES: [ReportProfile; 5] = [
    ReportProfile {
        name: "raw",
        source: "whole reports as they are",
        texts: Texts { part: Part::Whole, clean: Preprocess::RAW },
    },
    ReportProfile {
        name: "r2gen-mimic",
        source: "R2Gen's clean_report_mimic_cxr on the findings, both sides, the first 99 words of each (max_seq_length 100 with its \
                 start); words rarer than in its training set, which become <unk> there, are kept",
        texts: Texts { part: Part::Findings, clean: cleaned(Cleaner::R2GenMimic) },
    },
    ReportProfile {
        name: "r2gen-iu",
        source: "R2Gen's clean_report_iu_xray on the findings, both sides, the first 59 words of each (max_seq_length 60 with its \
                 start); words rarer than in its training set, which become <unk> there, are kept",
        texts: Texts { part: Part::Findings, clean: cleaned(Cleaner::R2GenIu) },
    },
    ReportProfile {
        name: "rexrank",
        source: "ReXrank: \"Findings: … Impression: …\" of both sides, in lower case with full stops apart, as CXR-Report-Metric's \
                 prep_reports does for BLEU-2",
        texts: Texts { part: Part::MedEvalKit, clean: cleaned(Cleaner::CxrReportMetric) },
    },
    ReportProfile {
        name: "chexagent",
        source: "CheXagent: the findings section as it is",
        texts: Texts { part: Part::Findings, clean: Preprocess::RAW },
    },
];

/// The profile of that name.
///
/// # Errors
/// When there is none; the message names the nearest.
pub fn report_profile(name: &str) -> Result<&'static ReportProfile, String> {
    let names = || REPORT_PROFILES.iter().map(|profile| profile.name);
    REPORT_PROFILES.iter().find(|profile| profile.name == name).ok_or_else(|| {
        let all = names().collect::<Vec<_>>().join(", ");
        format!("no section profile is called {name:?}{}; there are {all}", did_you_mean(name, names()))
    })
}
