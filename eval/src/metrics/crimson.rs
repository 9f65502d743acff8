//! CRIMSON (rajpurkarlab/CRIMSON 07e3331): abnormal findings weighed by what they mean for the patient, from −1 to 1. From the JSON that its
//! judge writes, or from scores that were computed elsewhere.

use super::entry::Entry;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[Entry::typed(
    "crimson",
    "CRIMSON: weighted credit for matched findings less false ones, over those of the reference; −1 to 1",
    "score",
    true,
)];

/// What a finding means for the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Significance {
    /// Something has to be done at once.
    Urgent,
    /// Something has to be done.
    ActionableNotUrgent,
    /// Nothing has to be done.
    NotActionableNotUrgent,
    /// To be expected at this age.
    BenignExpected,
}

impl Significance {
    fn weight(self) -> f64 {
        match self {
            Self::Urgent => 1.0,
            Self::ActionableNotUrgent => 0.5,
            Self::NotActionableNotUrgent => 0.25,
            Self::BenignExpected => 0.0,
        }
    }
}

/// How much an attribute that is wrong (place, severity, size …) matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It changes what is done.
    Significant,
    /// It does not.
    Negligible,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Finding {
    id: String,
    clinical_significance: Significance,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Match {
    ref_id: String,
    #[serde(default)]
    pred_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct AttributeError {
    ref_id: String,
    severity: Severity,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Errors {
    false_findings: Vec<String>,
    missing_findings: Vec<String>,
    attribute_errors: Vec<AttributeError>,
}

/// What the judge found in the abnormal findings of both reports.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Evaluation {
    reference_findings: Vec<Finding>,
    predicted_findings: Vec<Finding>,
    #[serde(default)]
    matched_findings: Vec<Match>,
    #[serde(default)]
    errors: Errors,
}

impl Evaluation {
    /// Does it add up, as the answer of a judge has to? Ids are there once; every finding of the report is matched or false, every one of the
    /// reference matched or missing, none is both; errors of attributes are those of matches. (The package's arithmetic, [`Evaluation::score`],
    /// takes what is left out for right.)
    pub fn adds_up(&self) -> bool {
        let ids = |of: &[Finding]| -> BTreeSet<String> { of.iter().map(|one| one.id.clone()).collect() };
        let (known, said) = (ids(&self.reference_findings), ids(&self.predicted_findings));
        let once =
            known.len() == self.reference_findings.len() && said.len() == self.predicted_findings.len();
        let matched: BTreeSet<String> = self.matched_findings.iter().map(|one| one.ref_id.clone()).collect();
        let by: Option<BTreeSet<String>> =
            self.matched_findings.iter().map(|one| one.pred_id.clone()).collect();
        let Some(by) = by else { return false };
        let set = |ids: &[String]| -> BTreeSet<String> { ids.iter().cloned().collect() };
        let (wrong, missing) = (set(&self.errors.false_findings), set(&self.errors.missing_findings));
        let parts = |all: &BTreeSet<String>, a: &BTreeSet<String>, b: &BTreeSet<String>| {
            a.is_disjoint(b) && a.union(b).cloned().collect::<BTreeSet<_>>() == *all
        };
        let of_matches = self.errors.attribute_errors.iter().all(|error| matched.contains(&error.ref_id));
        once && parts(&known, &matched, &missing) && parts(&said, &by, &wrong) && of_matches
    }

    /// The score, to four decimals as the package gives it.
    pub fn score(&self) -> f64 {
        let weights = |findings: &[Finding]| -> BTreeMap<String, f64> {
            findings.iter().map(|one| (one.id.clone(), one.clinical_significance.weight())).collect()
        };
        let (known, said) = (weights(&self.reference_findings), weights(&self.predicted_findings));
        let sum = |ids: &[String], of: &BTreeMap<String, f64>| -> f64 {
            ids.iter().filter_map(|id| of.get(id)).sum()
        };
        let (wrong, missing) =
            (sum(&self.errors.false_findings, &said), sum(&self.errors.missing_findings, &known));
        let mut all: f64 = self.reference_findings.iter().map(|one| one.clinical_significance.weight()).sum();
        if self.reference_findings.is_empty() {
            all = self.matched_findings.len() as f64 + missing;
        }
        // A finding of the reference counts once, however many findings of the report match it.
        let matched: BTreeSet<&str> = self.matched_findings.iter().map(|one| one.ref_id.as_str()).collect();
        let credit = |id: &&str| {
            let weight = known.get(*id).copied().unwrap_or(0.0);
            let errors = self.errors.attribute_errors.iter().filter(|error| error.ref_id == **id);
            let severity =
                |error: &AttributeError| f64::from(u8::from(error.severity == Severity::Significant)) / 2.0;
            let errors: f64 = errors.map(severity).sum();
            if weight + errors > 0.0 { weight * weight / (weight + errors) } else { 0.0 }
        };
        let correct: f64 = matched.iter().map(credit).sum();
        let share = match all == 0.0 {
            true if wrong == 0.0 && missing == 0.0 => 1.0,
            true => -(wrong + missing + 1.0),
            false => (correct - wrong) / all,
        };
        let excess = wrong - correct;
        let score = match share >= 0.0 {
            true => share,
            false if excess > 0.0 => -excess / (1.0 + excess),
            false => 0.0,
        };
        (score * 1e4).round() / 1e4
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use serde_json::json;

    fn score(value: serde_json::Value) -> f64 {
        serde_json::from_value::<Evaluation>(value).unwrap().score()
    }

    #[test]
    fn a_judges_answer_adds_up() {
        let found = |id: &str| json!({"id": id, "clinical_significance": "urgent"});
        let of = |errors: serde_json::Value| {
            let whole = json!({"reference_findings": [found("R1"), found("R2")], "predicted_findings": [found("P1"), found("P2")],
                "matched_findings": [{"ref_id": "R1", "pred_id": "P1"}], "errors": errors});
            serde_json::from_value::<Evaluation>(whole).unwrap().adds_up()
        };
        assert!(of(
            json!({"false_findings": ["P2"], "missing_findings": ["R2"], "attribute_errors": [{"ref_id": "R1", "severity": "negligible"}]})
        ));
        for wrong in [
            json!({}),
            json!({"false_finding": ["P2"], "missing_findings": ["R2"]}),
            json!({"false_findings": ["P9"], "missing_findings": ["R2"]}),
            json!({"false_findings": ["P2"], "missing_findings": ["R1", "R2"]}),
            json!({"false_findings": ["P2", "P1"], "missing_findings": ["R2"]}),
            json!({"false_findings": ["P2"], "missing_findings": ["R2"], "attribute_errors": [{"ref_id": "R2", "severity": "negligible"}]}),
        ] {
            assert!(!of(wrong.clone()), "{wrong}");
        }
        let twice = json!({"reference_findings": [found("R1"), found("R1")], "predicted_findings": [], "errors": {"missing_findings": ["R1"]}});
        assert!(!serde_json::from_value::<Evaluation>(twice).unwrap().adds_up());
    }

    /// Worked out by hand from the package's formula.
    #[test]
    fn equal_to_the_published_formula() {
        let found = |id: &str, what: &str| json!({"id": id, "clinical_significance": what});
        let reference =
            [found("R1", "urgent"), found("R2", "actionable_not_urgent"), found("R3", "benign_expected")];
        let perfect = json!({"reference_findings": reference, "predicted_findings": [found("P1", "urgent")],
            "matched_findings": [{"ref_id": "R1", "pred_id": "P1"}, {"ref_id": "R2", "pred_id": "P1"}, {"ref_id": "R2", "pred_id": "P2"}]});
        assert_eq!(score(perfect), 1.0);
        // (1·1/(1+0.5) + 0 − 0.25) / 1.5
        let part = json!({"reference_findings": reference, "predicted_findings": [found("P1", "urgent"), found("P2", "not_actionable_not_urgent")],
            "matched_findings": [{"ref_id": "R1"}], "errors": {"false_findings": ["P2"], "missing_findings": ["R2"],
            "attribute_errors": [{"ref_id": "R1", "severity": "significant", "error_types": ["location"]}, {"ref_id": "R1", "severity": "negligible"}]}});
        assert_eq!(score(part), 0.2778);
        // Nothing is there, and something is said: −1 / (1 + 1).
        let made_up = json!({"reference_findings": [], "predicted_findings": [found("P1", "urgent")], "errors": {"false_findings": ["P1"]}});
        assert_eq!(score(made_up), -0.5);
        let normal = json!({"reference_findings": [], "predicted_findings": []});
        assert_eq!(score(normal), 1.0);
        let missed = json!({"reference_findings": reference, "predicted_findings": [], "errors": {"missing_findings": ["R1", "R2"]}});
        assert_eq!(score(missed), 0.0);
        assert!(
            serde_json::from_value::<Evaluation>(
                json!({"reference_findings": [found("R1", "grave")], "predicted_findings": []})
            )
            .is_err()
        );
    }
}
