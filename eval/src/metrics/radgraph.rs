//! RadGraph F1 from imported annotations (Jain et al. 2021): the JSON that RadGraph writes for a
//! report, `{"entities": {"1": {"tokens", "label", "relations": [["located_at", "2"]]}}}`.
//!
//! The network that annotates is not part of loupe; given its output, the figures are exact.

use super::entry::Entry;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The conventions of this file.
pub static ENTRIES: &[Entry] = &[
    Entry::typed("radgraph_combined", "CXR-Report-Metric: mean of entity F1 and relation F1", "share", true),
    Entry::typed("radgraph_simple", "radgraph package, reward simple: F1 of (tokens, label)", "share", true),
    Entry::typed(
        "radgraph_partial",
        "radgraph package, reward partial, and MultiMedEval: (tokens, label, has a relation)",
        "share",
        true,
    ),
    Entry::typed(
        "radgraph_complete",
        "radgraph package, reward complete: (tokens, label, kind and words of the other end of each relation)",
        "share",
        true,
    ),
];

/// An annotated span.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entity {
    /// The words.
    pub tokens: String,
    /// Anatomy or observation with its certainty.
    pub label: String,
    /// Kind and other end of each relation.
    #[serde(default)]
    pub relations: Vec<(String, String)>,
}

/// The annotation of one report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Annotation {
    /// Spans by their key.
    #[serde(default)]
    pub entities: BTreeMap<String, Entity>,
}

/// F1 of two sets; 0 when they share nothing, empty sets included.
fn f1<T: Ord>(wanted: &BTreeSet<T>, given: &BTreeSet<T>) -> f64 {
    let same = wanted.intersection(given).count() as f64;
    if same == 0.0 { 0.0 } else { 2.0 * same / (wanted.len() + given.len()) as f64 }
}

/// Words and label of a span, and kind and words of the other end of one of its relations.
type SpanWithEnd<'a> = (String, &'a str, Option<(&'a str, String)>);

impl Annotation {
    fn spans(&self) -> BTreeSet<(&str, &str)> {
        self.entities.values().map(|e| (e.tokens.as_str(), e.label.as_str())).collect()
    }

    fn spans_with_relation(&self) -> BTreeSet<(&str, &str, bool)> {
        self.entities
            .values()
            .map(|e| (e.tokens.as_str(), e.label.as_str(), !e.relations.is_empty()))
            .collect()
    }

    /// Each span with one of its relations, as the package compares them: kind and words of the other end, in lower case; a span without
    /// relations as it is. Ends that are not annotated are left out.
    fn spans_with_ends(&self) -> BTreeSet<SpanWithEnd<'_>> {
        let mut out = BTreeSet::new();
        for from in self.entities.values() {
            if from.relations.is_empty() {
                out.insert((from.tokens.clone(), from.label.as_str(), None));
            }
            for (kind, key) in &from.relations {
                if let Some(to) = self.entities.get(key) {
                    let end = Some((kind.as_str(), to.tokens.to_lowercase()));
                    out.insert((from.tokens.to_lowercase(), from.label.as_str(), end));
                }
            }
        }
        out
    }

    /// Both ends with their labels, and the kind; ends that are not annotated are left out.
    fn relations(&self) -> BTreeSet<(&str, &str, &str, &str, &str)> {
        let mut out = BTreeSet::new();
        for from in self.entities.values() {
            for (kind, key) in &from.relations {
                if let Some(to) = self.entities.get(key) {
                    out.insert((
                        from.tokens.as_str(),
                        from.label.as_str(),
                        to.tokens.as_str(),
                        to.label.as_str(),
                        kind.as_str(),
                    ));
                }
            }
        }
        out
    }
}

/// Mean of the F1 of entities and the F1 of relations.
pub fn combined(reference: &Annotation, answer: &Annotation) -> f64 {
    (f1(&reference.spans(), &answer.spans()) + f1(&reference.relations(), &answer.relations())) / 2.0
}

/// F1 of entities.
pub fn simple(reference: &Annotation, answer: &Annotation) -> f64 {
    f1(&reference.spans(), &answer.spans())
}

/// F1 of entities that also agree in having a relation.
pub fn partial(reference: &Annotation, answer: &Annotation) -> f64 {
    f1(&reference.spans_with_relation(), &answer.spans_with_relation())
}

/// F1 of entities together with their relations.
pub fn complete(reference: &Annotation, answer: &Annotation) -> f64 {
    f1(&reference.spans_with_ends(), &answer.spans_with_ends())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    #[test]
    fn counts_spans_and_relations() {
        let annotation = |text: &str| serde_json::from_str::<Annotation>(text).unwrap();
        let reference = annotation(
            r#"{"entities":{"1":{"tokens":"effusion","label":"OBS-DP","relations":[["located_at","2"]]},
                "2":{"tokens":"left","label":"ANAT-DP","relations":[]}}}"#,
        );
        let answer = annotation(
            r#"{"entities":{"1":{"tokens":"effusion","label":"OBS-DP","relations":[]},
                "2":{"tokens":"left","label":"ANAT-DP","relations":[]},"3":{"tokens":"heart","label":"ANAT-DP"}}}"#,
        );
        assert!((simple(&reference, &answer) - 0.8).abs() < 1e-12);
        assert!((partial(&reference, &answer) - 0.4).abs() < 1e-12);
        assert!((combined(&reference, &answer) - 0.4).abs() < 1e-12);
        // One of 2 and 3 spans agrees: "left"; "effusion" has a relation on one side alone.
        assert!((complete(&reference, &answer) - 0.4).abs() < 1e-12);
        assert!((complete(&reference, &reference) - 1.0).abs() < 1e-12);
        assert!((combined(&reference, &reference) - 1.0).abs() < 1e-12);
        assert_eq!(simple(&Annotation::default(), &Annotation::default()), 0.0);
    }
}
