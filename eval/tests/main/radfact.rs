//! RadFact from imported judgements, against RadFact's own scores (fixture: `make/radfact.py`).

use crate::single;
use loupe_core::{Metric, Reply, Sample, Score};
use loupe_eval::metrics::annotations::{Annotations, HARMONIC};
use loupe_eval::metrics::radfact;
use loupe_testing::{dataset::worded, real_data};
use serde_json::{Value, json};

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/radfact.json")).unwrap()
}

fn read(lines: &[Value]) -> Result<Annotations, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("annotations.jsonl");
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(&path, text.join("\n")).unwrap();
    let all = Annotations::read(&path).map_err(|e| e.to_string())?;
    match all.refused().first() {
        Some(refused) => Err(refused.to_string()),
        None => Ok(all),
    }
}

/// Every figure of every report and of the set.
fn compare(annotations: &Annotations, expected: &Value) {
    let metrics = annotations.metrics();
    let named = |name: &str| metrics.iter().find(|m| m.name() == name).unwrap();
    let mut means = std::collections::BTreeMap::new();
    for (id, figures) in expected["samples"].as_object().unwrap() {
        let sample = Sample { id: id.clone(), ..worded("report", &[]) };
        let prediction = single(id, Reply::from_text("report"));
        for (name, value) in figures.as_object().unwrap() {
            let got = named(&format!("radfact_{name}")).score(&sample, &prediction);
            match (got, value.as_f64()) {
                (Score::Value(got), Some(value)) => {
                    assert!((got - value).abs() < 1e-9, "{id} {name}: {got} instead of {value}");
                    let (sum, n) = means.entry(format!("radfact_{name}")).or_insert((0.0, 0.0));
                    (*sum, *n) = (*sum + got, *n + 1.0);
                }
                (Score::Unscored(_), None) => {}
                other => panic!("{id} {name}: {other:?}"),
            }
        }
    }
    let mut set: std::collections::BTreeMap<String, f64> =
        means.into_iter().map(|(name, (sum, n))| (name, sum / n)).collect();
    for (name, precision, recall) in HARMONIC {
        set.insert(name.to_owned(), radfact::f1(set[precision], set[recall]));
    }
    assert_eq!(set.len(), 9);
    for (name, value) in expected["set"].as_object().unwrap() {
        let got = set[&format!("radfact_{name}")];
        assert!((got - value.as_f64().unwrap()).abs() < 1e-9, "{name}: {got} instead of {value}");
    }
}

#[test]
fn drawn_reports_in_both_forms() {
    let fixture = fixture();
    let lines = fixture["lines"].as_array().unwrap();
    compare(&read(lines).unwrap(), &fixture["drawn"]);
    // As RadFact writes its results: other names, evidence as phrases, boxes by corner.
    let named = |boxes: &Value| match boxes.as_array() {
        None => Value::Null,
        Some(all) => all
            .iter()
            .map(|b| json!({ "x_min": b[0], "y_min": b[1], "x_max": b[2], "y_max": b[3] }))
            .collect(),
    };
    let own = lines.iter().map(|line| {
        let side = |of: &str, other: &str| -> Value {
            let phrases = line["radfact"][of].as_array().unwrap().iter().map(|p| {
                let evidence = p["evidence"].as_array().unwrap().iter().map(|n| {
                    let phrase = &line["radfact"][other][n.as_u64().unwrap() as usize];
                    json!({ "text": phrase["text"], "boxes": named(&phrase["boxes"]) })
                });
                json!({ "text": p["text"], "boxes": named(&p["boxes"]), "status": p["status"],
                    "evidence": evidence.collect::<Value>(), "spatial_entailment_status": "no_boxes" })
            });
            phrases.collect()
        };
        json!({ "id": line["id"], "radfact": { "study_id": line["id"], "scores": null,
            "candidate_phrases": side("reply", "reference"), "reference_phrases": side("reference", "reply") } })
    });
    compare(&read(&own.collect::<Vec<_>>()).unwrap(), &fixture["drawn"]);
}

/// The example reports with judgements by the rule that `make/radfact.py` states.
#[test]
fn real_reports_with_invented_judgements() {
    let Some(data) = real_data("") else { return };
    let text =
        std::fs::read_to_string(data.join("radfact/examples/grounded_reporting_examples.json")).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let lines = rows.iter().map(|row| {
        let id = row["example_id"].as_u64().unwrap();
        let judged = |of: &str, other: &str| -> Value {
            let n = row[other].as_array().unwrap().len() as u64;
            let phrases = row[of].as_array().unwrap().iter().zip(0u64..).map(|(p, i)| {
                let status = if (i + id).is_multiple_of(3) { "not_entailment" } else { "entailment" };
                json!({ "boxes": p["boxes"], "status": status, "evidence": [i % n, (2 * i + 1) % n] })
            });
            phrases.collect()
        };
        json!({ "id": id.to_string(), "radfact": {
            "reply": judged("prediction", "target"), "reference": judged("target", "prediction") } })
    });
    compare(&read(&lines.collect::<Vec<_>>()).unwrap(), &fixture()["examples"]);
}

#[test]
fn broken_judgements_are_named_by_line() {
    let line = |phrase: Value| json!({ "id": "s", "radfact": { "reply": [phrase], "reference": [] } });
    let good = line(json!({ "status": "entailment" }));
    assert!(read(std::slice::from_ref(&good)).is_ok());
    for bad in [
        json!({ "status": "maybe" }),
        json!({ "status": "entailment", "boxes": [] }),
        json!({ "status": "entailment", "boxes": [[0.5, 0.0, 0.4, 1.0]] }),
        json!({ "status": "entailment", "boxes": [[10, 20, 30, 40]] }),
        json!({ "status": "entailment", "evidence": [0] }),
    ] {
        let error = read(&[good.clone(), line(bad.clone())]).unwrap_err();
        assert!(error.starts_with("line 2: "), "{bad}: {error}");
    }
}
