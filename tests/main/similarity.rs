//! BERTScore through a checkpoint and METEOR through WordNet's files, from the command line.

use crate::common::{json, loupe, source, text};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Replies of tests/bertscore as a run; its summary and its items.
fn scored(run: &Path, more: &[&str]) -> (Value, Value) {
    let replies = source("tests/bertscore/replies.jsonl");
    let mut args = vec!["score", "--replies", path(&replies), "--output", path(run), "--json", "--no-page"];
    args.extend(more);
    let summary = json(&args);
    let items: Value = serde_json::from_slice(&fs::read(run.join("scores.json")).unwrap()).unwrap();
    (summary, items)
}

#[test]
fn bertscore_equals_the_package() {
    let dir = tempfile::tempdir().unwrap();
    let folder = source("tests/bertscore");
    let baseline = folder.join("baseline.tsv");
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 6);
    for (number, case) in cases.iter().enumerate() {
        let encoder = folder.join(case["encoder"].as_str().unwrap());
        let (layer, idf) = (case["layer"].to_string(), case["idf"].as_str().unwrap());
        let names = ["bertscore_p", "bertscore_r", "bertscore_f1"];
        let mut args = vec!["--text-encoder", path(&encoder), "--bertscore-layer", &layer];
        args.extend(["--bertscore-idf", idf]);
        args.extend(names.iter().flat_map(|name| ["--metric", name]));
        if case["rescaled"] == true {
            args.extend(["--bertscore-baseline", path(&baseline)]);
        }
        let (summary, items) = scored(&dir.path().join(number.to_string()), &args);
        for (wanted, item) in
            case["scores"].as_array().unwrap().iter().zip(items["items"].as_array().unwrap())
        {
            for (at, name) in names.iter().enumerate() {
                let (got, wanted) = (item["metrics"][name]["value"].as_f64(), wanted[at].as_f64());
                let same = match (got, wanted) {
                    (Some(got), Some(wanted)) => (got - wanted).abs() < 1e-5,
                    (got, wanted) => got == wanted,
                };
                assert!(same, "{encoder:?} {idf} {name}: {got:?} instead of {wanted:?} in {item}");
            }
        }
        let made_with = &summary["bertscore"];
        assert_eq!((made_with["layer"].to_string(), &made_with["idf"]), (layer, &case["idf"]));
        assert_eq!(made_with["weights_sha256"].as_str().unwrap().len(), 64);
        assert_eq!(made_with.get("baseline").is_some(), case["rescaled"] == true);
        let figures = summary["metrics"].as_array().unwrap();
        assert_eq!(figures.iter().map(|f| f["name"].as_str().unwrap()).collect::<Vec<_>>(), names);
        assert!(figures.iter().all(|f| f["n"] == 40 && f["interval"]["hi"].is_number()), "{figures:?}");
    }
}

#[test]
fn what_is_missing_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    scored(&run, &[]);
    let encoder = source("tests/bertscore/roberta");
    let refused = |more: &[&str]| {
        let out = loupe(&[&["score", path(&run), "--no-page"], more].concat());
        assert_eq!(out.status.code(), Some(2));
        text(&out.stderr)
    };
    let error = refused(&["--metric", "bertscore_f1"]);
    assert!(error.contains("--text-encoder") && error.contains("tokenizer.json"), "{error}");
    let with = ["--metric", "bertscore_f1", "--text-encoder", path(&encoder)];
    let error = refused(&with);
    assert!(error.contains("0 to 2") && error.contains("--bertscore-layer"), "{error}");
    let error = refused(&[&with[..], &["--bertscore-layer", "3"]].concat());
    assert!(error.contains("has 2"), "{error}");
    let file = dir.path().join("short.tsv");
    fs::write(&file, "LAYER,P,R,F\n0,0,0,0\n").unwrap();
    let error =
        refused(&[&with[..], &["--bertscore-layer", "1", "--bertscore-baseline", path(&file)]].concat());
    assert!(error.contains("layer 1") && error.contains("LAYER,P,R,F"), "{error}");
    let error = refused(&["--text-encoder", path(&encoder)]);
    assert!(error.contains("--metric bertscore_f1"), "{error}");
    let error = refused(&["--metric", "bertscore_p", "--text-encoder", path(dir.path())]);
    assert!(error.contains("config.json"), "{error}");
    // Before a model is loaded or a set is read.
    let out = loupe(&["eval", "--data", "jsonl=nowhere", "--metric", "bertscore_f1"]);
    assert!(text(&out.stderr).contains("--text-encoder"), "{}", text(&out.stderr));
    let error = refused(&["--metric", "meteor"]);
    assert!(error.contains("--wordnet") && error.contains("Princeton"), "{error}");
    let error = refused(&["--metric", "meteor", "--wordnet", path(dir.path())]);
    assert!(error.contains("data.noun"), "{error}");
}

#[test]
fn meteor_takes_synonyms_from_the_files_given() {
    let dir = tempfile::tempdir().unwrap();
    let replies = dir.path().join("replies.jsonl");
    let row = |id: u32, gold: &str, reply: &str| {
        serde_json::json!({ "id": id, "answer": gold, "response": reply }).to_string() + "\n"
    };
    fs::write(&replies, row(0, "Liquid.", "Fluid.") + &row(1, "liquid", "fluid")).unwrap();
    let (wordnet, punkt) = (source("eval/tests/fixtures/wordnet"), source("eval/tests/fixtures/punkt"));
    let run = dir.path().join("run");
    let args = ["--json", "--no-page", "--metric", "meteor", "--wordnet", path(&wordnet)];
    let words = ["--metric", "meteor_word_tokenize", "--punkt", path(&punkt)];
    let output = ["score", "--replies", path(&replies), "--output", path(&run)];
    let summary = json(&[&output[..], &args, &words].concat());
    let metric =
        |at: usize| (&summary["metrics"][at]["name"], summary["metrics"][at]["value"].as_f64().unwrap());
    // "liquid." is no word of WordNet; with its full stop apart two of two words match in one chunk.
    assert_eq!(metric(0), (&"meteor".into(), 0.25));
    assert_eq!(metric(1), (&"meteor_word_tokenize".into(), f64::midpoint(1.0 - 0.5 / 8.0, 0.5)));
    let out = loupe(&[&["score", path(&run)], &args[1..], &words[..2]].concat());
    assert!(text(&out.stderr).contains("--punkt"), "{}", text(&out.stderr));
    assert_eq!(summary["wordnet"]["version"], "3.0");
    let shown = text(&loupe(&[&["score", path(&run)], &args[1..]].concat()).stdout);
    assert!(shown.contains("METEOR: WordNet 3.0"), "{shown}");
}
