//! Grounding from outside, with the embedded model on phantoms that it has never seen.

use crate::common::{json, loupe, text};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn phantoms(dir: &Path) {
    let out =
        loupe(&["phantom", "--out", dir.to_str().unwrap(), "--seed", "77", "--studies", "3", "--quiet"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
}

/// The first row of a set with the path of its image.
fn first(dir: &Path, set: &str) -> (String, Value) {
    let lines = fs::read_to_string(dir.join(set).join(format!("{set}.jsonl"))).unwrap();
    let row: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let image = row["image"].as_str().or(row["images"][0].as_str()).unwrap();
    (dir.join(set).join(image).to_str().unwrap().to_owned(), row)
}

#[test]
fn a_run_over_boxes_has_average_precision_and_its_page_too() {
    let dir = tempfile::tempdir().unwrap();
    phantoms(dir.path());
    let data = format!("jsonl={}", dir.path().join("grounding/grounding.jsonl").display());
    let run = dir.path().join("run");
    let summary = json(&[
        "eval",
        "--data",
        &data,
        "--limit",
        "6",
        "--max-new-tokens",
        "48",
        "-o",
        run.to_str().unwrap(),
        "--quiet",
        "--json",
    ]);
    let grounding = &summary["grounding"];
    let n = |name: &str| grounding[name].as_u64().unwrap();
    assert_eq!(n("replies"), 6);
    assert_eq!(n("read") + n("repaired") + n("nothing"), 6);
    let map = grounding["boxes"]["map"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&map) && map <= grounding["boxes"]["ap50"].as_f64().unwrap());
    let figures = summary["profiles"][0]["figures"].as_array().unwrap();
    for name in ["Acc@0.5 (one box)", "box IoU", "box mDice", "region F1"] {
        assert!(figures.iter().any(|f| f["name"] == name), "{name}");
    }
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("mAP @ IoU 0.50:0.95"));
}

#[test]
fn boxes_that_are_looked_up_are_the_same_boxes() {
    let dir = tempfile::tempdir().unwrap();
    phantoms(dir.path());
    let data = format!("jsonl={}", dir.path().join("grounding/grounding.jsonl").display());
    let run = |name: &str, more: &[&str]| {
        let out = dir.path().join(name);
        let usual = ["eval", "--data", &data, "--max-new-tokens", "48", "--no-page", "-o"];
        let done = loupe(&[&usual[..], &[out.to_str().unwrap()], more].concat());
        assert!(done.status.success(), "{}", text(&done.stderr));
        let lines = fs::read_to_string(out.join("replies.jsonl")).unwrap();
        let mut lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.sort_by_key(|line| line["item"].as_u64());
        let record: Value = serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap();
        (text(&done.stderr), lines, record["model"]["from"]["checkpoint"]["prompt_lookup"].clone())
    };
    let (said, plain, record) = run("plain", &["--limit", "6"]);
    assert!(!said.contains("looked up") && record.is_null(), "{said}");
    let (said, ahead, record) = run("ahead", &["--limit", "6", "--prompt-lookup", "8"]);
    assert_eq!(record, 8);
    let mut proposed = 0;
    for (ahead, plain) in ahead.iter().zip(&plain) {
        let of = |line: &Value, name: &str| line["outcome"]["reply"][name].clone();
        for name in ["text", "token_ids", "findings", "stop"] {
            assert_eq!(of(ahead, name), of(plain, name));
        }
        proposed += of(ahead, "counts")["proposed_tokens"].as_u64().unwrap_or(0);
    }
    // Replies of one box repeat little; the engine's own tests have replies that do.
    assert_eq!(said.contains(&format!("({proposed} proposed)")), proposed > 0, "{proposed}: {said}");
    // A run goes on without it.
    assert_eq!(run("ahead", &["--extend", "--limit", "7"]).1.len(), 7);
}

#[test]
fn a_phrase_is_found_as_json_overlay_and_coco() {
    let dir = tempfile::tempdir().unwrap();
    phantoms(dir.path());
    let (image, row) = first(dir.path(), "grounding");
    let phrase = row["boxes"][0]["label"].as_str().unwrap();
    let (overlay, coco) = (dir.path().join("overlay"), dir.path().join("found.json"));
    let said = json(&[
        "ask",
        &image,
        "--ground",
        phrase,
        "--overlay",
        overlay.to_str().unwrap(),
        "--coco",
        coco.to_str().unwrap(),
        "--max-new-tokens",
        "48",
        "--json",
        "--quiet",
    ]);
    let found = said["boxes"].as_array().unwrap();
    let written: Value = serde_json::from_slice(&fs::read(&coco).unwrap()).unwrap();
    assert_eq!(written.as_array().unwrap().len(), found.len());
    for (one, box_) in written.as_array().unwrap().iter().zip(found) {
        let [x0, y0, x1, y1] = [0, 1, 2, 3].map(|n| box_["source_xyxy"][n].as_f64().unwrap());
        let xywh = [0, 1, 2, 3].map(|n| one["bbox"][n].as_f64().unwrap());
        assert_eq!(xywh, [x0, y0, x1 - x0, y1 - y0]);
    }
    assert_eq!(&fs::read(overlay.join("01.png")).unwrap()[1..4], b"PNG");
}

#[test]
fn rethinking_has_its_rounds_in_the_answer_and_names_are_checked_before_weights_are_read() {
    let dir = tempfile::tempdir().unwrap();
    phantoms(dir.path());
    let (image, row) = first(dir.path(), "second-look");
    let question = row["question"].as_str().unwrap();
    let asked = |name: &str| json(&["ask", &image, question, "--rethink", name, "--json", "--quiet"]);
    let said = asked("loupe");
    let rounds = said["trace"]["rounds"].as_array().unwrap();
    assert!(rounds.len() >= 2, "{said}");
    assert_eq!(rounds[0]["action"]["name"], "zoom");
    // Whatever was said and asked in the first round is there for the second.
    let counts = |n: usize, name: &str| rounds[n]["reply"]["counts"][name].as_u64().unwrap_or(0);
    let before = counts(0, "prompt_tokens") + counts(0, "new_tokens");
    assert_eq!(counts(1, "reused_tokens"), before);
    for strategy in
        ["chain-of-thought", "plan-and-solve", "ranked", "budgeted", "modular", "self-consistency"]
    {
        assert_eq!(asked(strategy)["trace"]["by"], strategy);
    }
    let cases: [(&[&str], &str); 4] = [
        (&["--rethink", "loop"], "no protocol or strategy"),
        (&["--rethink", "second-opinion"], "--second-model"),
        (&["--rethink", "ranked+loupe"], "plays no protocol"),
        (&["--segmenter", "x"], "--rethink"),
    ];
    for (more, words) in cases {
        let out = loupe(&[&["ask", &image, question, "--model", "nowhere"][..], more].concat());
        assert_eq!(out.status.code(), Some(2));
        assert!(text(&out.stderr).contains(words), "{more:?}: {}", text(&out.stderr));
    }
}
