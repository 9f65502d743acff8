//! Figures of reports that are imported as they are, or made of what a judge wrote.

use crate::single;
use loupe_core::{Metric, Reply, Sample, Score};
use loupe_eval::metrics::METRICS;
use loupe_eval::metrics::annotations::{Annotations, field_of, names};
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
    for (wrong, said) in [
        (json!({"id": "s", "medval": 5}), "\"medval\" does not hold what is expected: a risk level"),
        (json!({"id": "s", "crimson": {"matched_findings": []}}), "\"crimson\" does not hold"),
        (json!({"id": "s", "crimson": 57}), "a number from -1 to 1"),
        (json!({"id": "s", "ratescore": -4}), "\"ratescore\""),
        (json!({"id": "s", "radeval": {"temporal": 0.5}}), "there are radeval_bertscore"),
        (
            json!({"id": "s", "grean": {"matched": 1, "significant": [0, 0, 0, 0, 0, 0]}}),
            "did you mean \"green\"",
        ),
        (json!({"green": "x"}), "no \"id\""),
        (json!([1]), "no JSON object"),
    ] {
        let error = read(&wrong).err().unwrap();
        assert!(error.contains("line 1") && error.contains(said), "{wrong}: {error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("twice.jsonl");
    std::fs::write(&path, "{\"id\": \"s\", \"medval\": 1}\n\n{\"id\": \"s\", \"medval\": 2}\n").unwrap();
    let error = Annotations::read(&path).err().unwrap().to_string();
    assert!(error.contains("line 3") && error.contains("line 1"), "{error}");
    // Words of GREEN and findings of CRIMSON are taken as the packages take them: what is not there counts 0.
    let lax = json!({"id": "s", "green": "[Clinically Significant Errors]:\n(a) x: 1\n\n[Matched Findings]:\n1", "crimson": {"reference_findings": [], "predicted_findings": []}});
    assert_eq!(read(&lax).unwrap().metrics().len(), 2);
}

#[test]
fn a_figure_is_made_of_its_field() {
    for (figure, field) in [
        ("f1radbert_ct_sample_acc", "radeval"),
        ("radfact_ct_f1", "radeval"),
        ("radfact_logical_f1", "radfact"),
        ("chexbert_similarity", "chexbert_embedding"),
        ("chexbert_f1_micro_5", "chexbert"),
        ("temporal_f1", "radeval"),
        ("medval_risk", "medval"),
    ] {
        assert_eq!(field_of(figure), field);
    }
}

#[test]
fn everything_that_is_annotated_is_a_metric_of_the_table() {
    for name in names() {
        assert!(METRICS.get(name).is_some(), "{name}");
        assert!(!field_of(name).is_empty(), "{name}");
    }
}
