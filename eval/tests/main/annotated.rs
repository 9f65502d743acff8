//! Figures of reports that are imported as they are, or made of what a judge wrote.

use crate::single;
use loupe_core::{Metric, Reply, Sample, Score};
use loupe_eval::metrics::annotations::{Annotations, fields_of, names};
use loupe_eval::metrics::{AnnotationFacts, METRICS, RefusedLine};
use loupe_testing::dataset::worded;
use serde_json::{Value, json};

fn file(bytes: &[u8]) -> Annotations {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("annotations.jsonl");
    std::fs::write(&path, bytes).unwrap();
    Annotations::read(&path).unwrap()
}

/// Of one line.
fn read(line: &Value) -> Result<Annotations, String> {
    let all = file(line.to_string().as_bytes());
    match all.refused() {
        [] => Ok(all),
        [refused] => Err(refused.to_string()),
        more => panic!("{more:?}"),
    }
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
    // Words of GREEN and findings of CRIMSON are taken as the packages take them: what is not there counts 0.
    let lax = json!({"id": "s", "green": "[Clinically Significant Errors]:\n(a) x: 1\n\n[Matched Findings]:\n1", "crimson": {"reference_findings": [], "predicted_findings": []}});
    assert_eq!(read(&lax).unwrap().metrics().len(), 2);
}

#[test]
fn a_line_at_fault_costs_its_report_alone() {
    let lines: [&[u8]; 9] = [
        b"\xef\xbb\xbf{\"id\": \"a\", \"medval\": 1}\r",
        b"{\"id\": \"b\", \"medval\": 7}",
        b"",
        b"{\"id\": \"c\", \"medval\": ",
        b"{\"id\": \"d\", \"medval\": 2, \"green\": \"\xff\"}",
        b"{\"id\": \"e\", \"medval\": 3}",
        b"{\"id\": \"f\", \"medval\": 2}",
        b"{\"id\": \"e\", \"medval\": 4}",
        b"{\"id\": \"b\", \"grean\": \"x\"}",
    ];
    let all = file(&lines.join(&b'\n'));
    let mut ids: Vec<&str> = all.ids().collect();
    ids.sort_unstable();
    assert_eq!((ids, all.len()), (vec!["a", "f"], 2));
    let said: Vec<String> = all.refused().iter().map(ToString::to_string).collect();
    let expected = [
        "line 2: the field \"medval\" does not hold",
        "line 4: no JSON object (Eof error",
        "line 5: it is not UTF-8",
        "line 6: its id is that of line 8",
        "line 8: its id is that of line 6",
        "line 9: a field is none that is read; did you mean \"green\"",
    ];
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.starts_with(expected), "{said}");
    }
    // A report whose line was refused says so; one of which nothing stands there is not annotated.
    let metrics = all.metrics();
    let score = |id: &str| {
        let sample = Sample { id: id.into(), ..worded("report", &[]) };
        match metrics[0].score(&sample, &single(id, Reply::from_text("report"))) {
            Score::Value(value) => value.to_string(),
            Score::Unscored(why) => why.to_string(),
        }
    };
    assert_eq!((score("a").as_str(), score("c").as_str()), ("1", "not annotated"));
    assert!(score("e").starts_with("its annotation was refused (line 8: "), "{}", score("e"));
    assert!(score("b").starts_with("its annotation was refused (line 9: "), "{}", score("b"));
    // A sound line counts, whatever another one of its id says.
    let mended = file(b"{\"id\": \"a\", \"medval\": 9}\n{\"id\": \"a\", \"medval\": 2}\n");
    assert_eq!((mended.len(), mended.refused().len()), (1, 1));
    assert!(file(b"\n \n").is_empty());
}

#[test]
fn figures_say_over_how_many_reports_they_are() {
    let facts = AnnotationFacts {
        lines: 3,
        annotated: 3,
        without: 3,
        lost: vec!["s4".into()],
        refused: vec![
            RefusedLine { line: 4, id: Some("s4".into()), problem: "no".into() },
            RefusedLine { line: 7, id: None, problem: "no JSON".into() },
        ],
    };
    assert_eq!(
        facts.note().unwrap(),
        "3 of 6 samples have an annotation; 2 of 5 lines of annotations refused (line 4: no; line 7: no JSON); therefore without annotation: s4; \
         of 1 refused line no id can be read, so that others without annotation may be theirs"
    );
    assert_eq!(AnnotationFacts { lines: 4, annotated: 3, ..AnnotationFacts::default() }.note(), None);
    let many = (1..=9).map(|line| RefusedLine { line, id: None, problem: "no".into() }).collect();
    let many = AnnotationFacts { refused: many, ..AnnotationFacts::default() }.note().unwrap();
    assert!(many.contains("line 5: no; and 4 more)"), "{many}");
}

#[test]
fn a_figure_is_made_of_its_fields() {
    for (figure, fields) in [
        ("f1radbert_ct_sample_acc", &["radeval"][..]),
        ("radfact_ct_f1", &["radeval"]),
        ("radfact_logical_f1", &["radfact"]),
        ("chexbert_similarity", &["chexbert_embedding"]),
        ("chexbert_f1_micro_5", &["chexbert"]),
        ("temporal_f1", &["radeval"]),
        ("medval_risk", &["medval"]),
        ("radcliq_v1", &["radgraph", "chexbert_embedding", "bertscore", "bleu2"]),
        ("rouge_l", &[]),
    ] {
        assert_eq!(fields_of(figure), fields);
    }
}

#[test]
fn everything_that_is_annotated_is_a_metric_of_the_table() {
    for name in names() {
        assert!(METRICS.get(name).is_some(), "{name}");
        assert!(!fields_of(name).is_empty(), "{name}");
    }
}
