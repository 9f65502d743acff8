//! Figures of reports that are imported as they are, or made of what a judge wrote.

use crate::single;
use loupe_core::{Metric, Reply, Sample, Score};
use loupe_eval::metrics::METRICS;
use loupe_eval::metrics::annotations::{Annotations, names};
use loupe_testing::dataset::worded;
use serde_json::{Value, json};

fn read(line: &Value) -> Result<Annotations, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("annotations.jsonl");
    std::fs::write(&path, line.to_string()).unwrap();
    Annotations::read(&path).map_err(|e| e.to_string())
}

#[test]
fn figures_of_networks_and_judges_are_taken_over() {
    let found = json!({"id": "R1", "clinical_significance": "urgent"});
    let crimson = json!({"reference_findings": [found], "predicted_findings": [], "errors": {"missing_findings": ["R1"]}});
    let line = json!({"id": "s", "ratescore": 0.58, "crimson": crimson, "medval": 2, "radeval": {"temporal_f1": 0.5}});
    let annotations = read(&line).unwrap();
    let sample = Sample { id: "s".into(), ..worded("report", &[]) };
    let metrics = annotations.metrics();
    let figures: Vec<(&str, f64, bool)> = metrics
        .iter()
        .map(|metric| match metric.score(&sample, &single("s", Reply::from_text("report"))) {
            Score::Value(value) => (metric.name(), value, metric.higher_is_better()),
            other => panic!("{}: {other:?}", metric.name()),
        })
        .collect();
    let expected = [
        ("ratescore", 0.58, true),
        ("crimson", 0.0, true),
        ("medval_risk", 2.0, false),
        ("temporal_f1", 0.5, true),
    ];
    assert_eq!(figures, expected);
    assert!(read(&json!({"id": "s", "crimson": -0.25})).is_ok());
    for wrong in [json!({"id": "s", "medval": 5}), json!({"id": "s", "crimson": {"matched_findings": []}})] {
        assert!(read(&wrong).err().unwrap().contains("line 1"), "{wrong}");
    }
}

#[test]
fn everything_that_is_annotated_is_a_metric_of_the_table() {
    for name in names() {
        assert!(METRICS.get(name).is_some(), "{name}");
    }
}
