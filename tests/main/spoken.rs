//! Boxes and points out of the replies of other tools, from outside.

use crate::common::{bmp, json, loupe, real_data, text};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

fn figure(summary: &Value, profile: usize, name: &str) -> f64 {
    let figures = summary["profiles"][profile]["figures"].as_array().unwrap();
    let found =
        figures.iter().find(|f| f["name"] == name).unwrap_or_else(|| panic!("no {name}: {figures:?}"));
    found["value"].as_f64().unwrap()
}

/// A picture of 80 × 40 pixels, once found and once missed, and a picture that is not there.
fn small_set(dir: &Path) -> String {
    fs::write(dir.join("a.bmp"), bmp(80, 40, |x, _| x as u8)).unwrap();
    let row = |id: &str, image: &str| json!({"id": id, "question": "Box it.", "image": image, "boxes": [{"label": "it", "box": [8, 10, 40, 30]}]});
    let rows = [row("1", "a.bmp"), row("2", "a.bmp"), row("3", "gone.bmp")].map(|r| r.to_string());
    fs::write(dir.join("set.jsonl"), rows.join("\n")).unwrap();
    format!("jsonl={}", dir.join("set.jsonl").display())
}

#[test]
fn pictures_of_the_set_give_the_sizes() {
    let dir = tempfile::tempdir().unwrap();
    let data = small_set(dir.path());
    let replies = dir.path().join("replies.jsonl");
    let line = |id: &str, reply: &str| json!({"id": id, "response": reply}).to_string() + "\n";
    // In thousandths of 80 × 40 pixels; the pixels themselves would be far too small.
    let right = r#"```json
[{"bbox_2d": [100, 250, 500, 750], "label": "it"}]
```"#;
    let wrong = r#"[{"bbox_2d": [8, 10, 40, 30], "label": "it"}]"#;
    fs::write(&replies, line("1", right) + &line("2", wrong) + &line("3", right)).unwrap();
    let run = dir.path().join("run");
    let args = ["score", "--replies", path(&replies), "--data", &data, "--json", "--quiet", "--no-page"];
    let out = loupe(&[&args[..], &["--dialect", "qwen3-vl", "--output", path(&run)]].concat());
    assert_eq!(out.status.code(), Some(1), "a picture is missing: {}", text(&out.stderr));
    let summary: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((figure(&summary, 0, "Acc@0.5 (one box)"), figure(&summary, 0, "accuracy")), (0.5, 0.5));
    assert_eq!(summary["failed"], 1, "no boxes without the size of the picture");
    assert_eq!(summary["grounding"]["boxes"]["answers"], 2);
    let folder = fs::read_to_string(run.join("replies.jsonl")).unwrap();
    let first: Value = serde_json::from_str(folder.lines().next().unwrap()).unwrap();
    assert_eq!(
        first["outcome"]["reply"]["findings"][0]["box"],
        json!({"x0": 8.0, "y0": 10.0, "x1": 40.0, "y1": 30.0})
    );
    let made: Value = serde_json::from_str(&fs::read_to_string(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(made["model"]["box_dialect"], "qwen3-vl");
    // MedVision's own dialect and profile: shares from the lower left corner.
    fs::write(&replies, line("1", "The box is 0.1, 0.25, 0.5, 0.75") + &line("2", "none")).unwrap();
    let run = dir.path().join("medvision");
    let more = ["--dialect", "medvision", "--profile", "medvision", "--output", path(&run)];
    let out = loupe(&[&args[..], &more].concat());
    let summary: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(figure(&summary, 0, "Acc@0.5 (one box)"), 0.5);
    let printed = summary["profiles"][1]["printed"].as_array().unwrap();
    let of = |name: &str| printed.iter().find(|p| p[0] == name).unwrap()[1].as_f64().unwrap();
    assert!((of("Detection parse_outputs: avgIoU") - 1.0).abs() < 1e-6);
    assert!((of("Detection summarize: IoU") - 0.5).abs() < 1e-6);
    let none = loupe(&[&args[..], &["--dialect", "qwen4", "--output", path(&run)]].concat());
    assert!(text(&none.stderr).contains("loupe list dialects"));
}

#[test]
fn sizes_and_references_from_columns() {
    let dir = tempfile::tempdir().unwrap();
    let replies = dir.path().join("replies.jsonl");
    let boxed = |b: [f64; 4]| json!([{"bbox_2d": b, "label": "it"}]).to_string();
    let row = |id: &str, reply: String, gold: String| {
        json!({"id": id, "response": reply, "answer": gold, "size": [100, 50], "seen": {"w": 56, "h": 28}})
            .to_string()
            + "\n"
    };
    // Pixels after the resizing to 56 × 28, for reply and reference alike.
    let rows = row("1", boxed([0.0, 0.0, 28.0, 14.0]), boxed([0.0, 0.0, 28.0, 14.0]))
        + &row("2", "[]".into(), "[]".into())
        + &row("3", r#"[{"point_2d": [28, 14]}]"#.into(), "[]".into())
        + &row("4", "It is there.".into(), "unreadable".into());
    fs::write(&replies, rows).unwrap();
    let run = dir.path().join("run");
    let args = ["score", "--replies", path(&replies), "--dialect", "qwen2.5-vl", "--json", "--no-page"];
    let refused = |more: &[&str]| {
        let out = loupe(&[&args[..], more].concat());
        assert!(!out.status.success());
        text(&out.stderr)
    };
    assert!(refused(&[]).contains("--reference-dialect"));
    let more = ["--reference-dialect", "qwen2.5-vl"];
    assert!(refused(&more).contains("--input-size-columns"));
    let more = [&more[..], &["--input-size-columns", "seen.w,seen.h"]].concat();
    assert!(refused(&more).contains("--size-columns"));
    let more = [&more[..], &["--size-columns", "size.0,size.1", "--output", path(&run)]].concat();
    let out = loupe(&[&args[..], &more].concat());
    let summary: Value =
        serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", text(&out.stderr)));
    let verdicts = &summary["profiles"][0]["verdicts"];
    assert_eq!(
        (&verdicts["correct"], &verdicts["wrong"], &verdicts["unscored"]),
        (&json!(2), &json!(1), &json!(1)),
        "a place where nothing is, is wrong: {verdicts}"
    );
    let lines = fs::read_to_string(run.join("samples.jsonl")).unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(
        first["sample"]["target"]["boxes"][0]["at"],
        json!({"x0": 0.0, "y0": 0.0, "x1": 50.0, "y1": 25.0})
    );
}

/// 500 published replies and their references, both in one dialect; figures of `docs/reference/scoring.md`.
#[test]
fn published_replies_of_point_detect_count() {
    let Some(data) = real_data("pred_pointdetectcount") else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = data.join("qwen-finetuned-6task-test500-result.jsonl");
    let run = dir.path().join("run");
    let summary = json(&[
        "score",
        "--replies",
        path(&file),
        "--dialect",
        "point-detect-count",
        "--reference-dialect",
        "point-detect-count",
        "--output",
        path(&run),
        "--json",
        "--quiet",
        "--no-page",
        "--no-sensitivity",
    ]);
    let grounding = &summary["grounding"];
    let n = |name: &str| grounding[name].as_u64().unwrap();
    // Of the 500 replies 105 are counts; 53 are not valid JSON, of which one holds nothing that can be used.
    assert_eq!((n("replies"), n("read"), n("repaired"), n("nothing")), (395, 306, 88, 1));
    assert_eq!(
        (&grounding["boxes"]["images"], &grounding["boxes"]["references"]),
        (&json!(206), &json!(2205))
    );
    assert!((grounding["boxes"]["ap50"].as_f64().unwrap() - 0.9388).abs() < 1e-3);
    assert_eq!(figure(&summary, 0, "Acc@0.5 (one box)"), 1.0);
    assert!((figure(&summary, 0, "count accuracy") - 96.0 / 105.0).abs() < 1e-9);
}
