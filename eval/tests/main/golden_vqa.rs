//! The same replies under every harness: the whole measured table of short answers.
//!
//! The replies are made from the reference answers of VQA-RAD and SLAKE, so the sets must be whole:
//! the 451 of VQA-RAD and the 1 061 English ones of SLAKE lie beside published predictions in the
//! test data; the official answer types of VQA-RAD and the 1 033 Chinese ones are read from `LOUPE_TEST_MORE`.
//! The table does not give the words around a boxed or tagged answer; those here have as many.

use loupe_core::{Sample, Score};
use loupe_eval::profiles::{self, HarnessFigure, HarnessSums};
use loupe_testing::{dataset::worded, more_data, real_data};
use serde_json::Value;

fn jsonl(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    match serde_json::from_str(&text) {
        Ok(Value::Array(rows)) => rows,
        _ => text.lines().map(|l| serde_json::from_str(l).unwrap()).collect(),
    }
}

fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn set(rows: &[Value], gold: &str) -> Vec<Sample> {
    rows.iter()
        .map(|r| {
            worded(&words(&r[gold]), &[("answer_type", &words(&r["answer_type"]).trim().to_uppercase())])
        })
        .collect()
}

fn reply(form: &str, gold: &str) -> String {
    match form {
        "gold verbatim" => gold.to_owned(),
        "gold + '.'" => format!("{gold}."),
        "'The answer is X.'" => format!("The answer is {gold}."),
        "yes/no + clause" => match gold.to_lowercase().as_str() {
            "yes" => "Yes, there is clear evidence of it.".to_owned(),
            "no" => "No, there is nothing abnormal here.".to_owned(),
            _ => gold.to_owned(),
        },
        "\\boxed{X}" => format!("Having weighed the whole picture \\boxed{{{gold}}}"),
        "<answer>X</answer>" => {
            format!("<think>Well, pondering the picture carefully gives this.</think><answer>{gold}</answer>")
        }
        "const 'no'" => "no".to_owned(),
        "const hedge" => "There is an abnormality that I cannot determine.".to_owned(),
        "empty" => String::new(),
        other => panic!("unknown form {other}"),
    }
}

fn figures(profile: &str, samples: &[Sample], form: &str) -> Vec<HarnessFigure> {
    let profile = profiles::PROFILES.get(profile).copied().unwrap();
    let mut sums = HarnessSums::default();
    for sample in samples {
        let judged = profile.score(sample, &reply(form, sample.target.text().unwrap()));
        sums.add_row(&judged);
        // The judge of the table finds everything correct.
        if let Some(name) = profile.asks_judge(sample) {
            sums.add(name, 1.0);
        }
    }
    profile.figures(&sums)
}

/// Our name of a column of the table, and whether it is a number of rows.
fn column(harness: &str, key: &str) -> (&'static str, bool) {
    match (harness, key) {
        ("lmms_slake", _) => ("slake_accuracy", false),
        ("karma", "em") => ("exact_match", false),
        ("karma", _) => ("tokenised_f1", false),
        ("multimedeval", "F1") => ("F1", false),
        ("multimedeval", "recall") => ("recall", false),
        ("multimedeval", "closedAcc") => ("closedQuestionsAccuracy", false),
        ("multimedeval", "nclosed") => ("closedQuestionsAccuracy", true),
        ("multimedeval", "openRecall") => ("openQuestionsRecall", false),
        ("multimedeval", "openAcc") => ("openQuestionsAccuracy", false),
        ("llavamed", "exact") => ("exact match", false),
        ("llavamed", "f1") => ("f1", false),
        ("llavamed", "openRecall") => ("recall", false),
        ("llavamed", "closed") => ("yes/no accuracy", false),
        (_, "total") => ("total metrics.acc", false),
        (_, "open") => ("open.acc", false),
        (_, "close") => ("close.acc", false),
        (_, "no") => ("open.acc", true),
        (_, "nc") => ("close.acc", true),
        (_, "f1") => ("open.f1", false),
        (_, "prec") => ("open.precision", false),
        (_, "rec") => ("open.recall", false),
        (_, "bleu1") => ("open.bleu1", false),
        (_, "rougel") => ("open.rougel", false),
        other => panic!("unknown column {other:?}"),
    }
}

fn profile(harness: &str, set: &str) -> String {
    let class = if set == "VQA-RAD" { "vqa-rad" } else { "slake" };
    match harness {
        "medevalkit" => format!("medevalkit-{class}"),
        "medevalkit_perfect_judge" => format!("medevalkit-{class}+judge"),
        "pathvqa_class_perfect_judge" => "medevalkit-path-vqa+judge".to_owned(),
        "lmms_slake" => "lmms-eval-slake".to_owned(),
        "llavamed" => "llava-med".to_owned(),
        other => other.to_owned(),
    }
}

/// Compares the rows of a set with the table, leaving out the column of one harness.
fn compare(set: &str, samples: &[Sample], without: Option<&str>) {
    let golden: Value = serde_json::from_str(include_str!("../fixtures/vqa_golden.json")).unwrap();
    let (mut cells, mut bad) = (0, Vec::new());
    for (row, harnesses) in golden.as_object().unwrap() {
        let (of, form) = row.split_once(" | ").unwrap();
        if of != set {
            continue;
        }
        for (harness, expected) in harnesses.as_object().unwrap() {
            if without == Some(harness) {
                continue;
            }
            let got = figures(&profile(harness, set), samples, form);
            let single = serde_json::json!({"value": expected});
            for (key, expected) in expected.as_object().unwrap_or(single.as_object().unwrap()) {
                cells += 1;
                if key == "ERROR" {
                    assert!(
                        matches!(&got[0].value, Score::Unscored(why) if why.contains("exception")),
                        "{row} {harness}"
                    );
                    continue;
                }
                let (name, rows) = column(harness, key);
                let figure =
                    got.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("{row} {harness} {name}"));
                let value = match (&figure.value, rows) {
                    (_, true) => figure.n as f64,
                    (Score::Value(v), false) => (v * 1e4).round() / 1e4,
                    (Score::Unscored(why), false) => panic!("{row} {harness} {name}: {why}"),
                };
                if (value - expected.as_f64().unwrap()).abs() > 1e-9 {
                    bad.push(format!("{row} | {harness} {key}: {value} instead of {expected}"));
                }
            }
        }
    }
    assert!(bad.is_empty(), "{} of {cells} cells differ\n{}", bad.len(), bad.join("\n"));
    assert!(cells > 200);
}

#[test]
fn vqa_rad_cell_by_cell() {
    if let Some(path) = more_data("vqa_rad_testset.json") {
        compare("VQA-RAD", &set(&jsonl(&path), "answer"), None);
    }
    // The answers are whole in the test data too, but with another answer_type.
    let Some(data) = real_data("") else { return };
    let rows = jsonl(&data.join("pred_fm_medvqa/tinyllava_test_vqa_rad_finetune_pred.jsonl"));
    assert_eq!(rows.len(), 451);
    compare("VQA-RAD", &set(&rows, "answer_gt"), Some("llavamed"));
}

#[test]
fn slake_english_cell_by_cell() {
    let Some(data) = real_data("") else { return };
    let rows = jsonl(&data.join("pred_huatuo_slake/original/predictions.jsonl"));
    assert_eq!(rows.len(), 1061);
    compare("SLAKE-en", &set(&rows, "gt_answer"), None);
}

#[test]
fn slake_chinese_cell_by_cell() {
    let Some(path) = more_data("slake_test.json") else { return };
    let rows: Vec<Value> = jsonl(&path).into_iter().filter(|r| r["q_lang"] == "zh").collect();
    assert_eq!(rows.len(), 1033);
    compare("SLAKE-zh", &set(&rows, "answer"), None);
}
